// winnow rank
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/parallel.h"
#include "train/commands.h"
#include "train/rank_training.h"

namespace winnow {
namespace {

struct RankRowsArguments {
  std::string run, data, groups, format, out, device = "cpu";
  std::vector<std::string> sets;
  int threads = 0;
  bool json = false;
};

std::string csv_of(const OpenedRankRun::Scored& s) {
  std::string text = "query,row,score,rank\n";
  for (size_t r = 0; r < s.scores.size(); ++r) {
    std::string key = s.queries[r];
    if (key.find_first_of(",\"\r\n") != std::string::npos) {
      for (size_t at = 0; (at = key.find('"', at)) != std::string::npos; at += 2) key.insert(at, 1, '"');
      key = '"' + key + '"';
    }
    text += fmt::format("{},{},{},{}\n", key, r + 1, s.scores[r], s.ranks[r]);
  }
  return text;
}

int run_rank(const RankRowsArguments& a) {
  if (a.threads > 0) set_num_threads(a.threads);
  set_default_device(parse_device(a.device));
  const OpenedRankRun run(a.run, a.sets);
  RankingSource source = run.config().schema.tables[0];  // a table like that of training
  source.source.path = a.data;
  source.groups = a.groups;
  if (!a.format.empty()) {
    source.source.format = a.format;
    source.source.csv.reset();
  }
  const OpenedRankRun::Scored scored = run.score(source);
  if (!a.out.empty()) write_atomically(a.out, csv_of(scored));
  if (a.json) {
    nlohmann::json j{{"rows", scored.scores.size()}};
    if (a.out.empty())
      for (size_t r = 0; r < scored.scores.size(); ++r)
        j["scores"].push_back({{"query", scored.queries[r]}, {"score", scored.scores[r]}, {"rank", scored.ranks[r]}});
    else
      j["out"] = a.out;
    std::puts(j.dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  } else if (a.out.empty()) {
    std::fputs(csv_of(scored).c_str(), stdout);
  } else {
    std::fputs(fmt::format("{} scores in {}\n", scored.scores.size(), a.out).c_str(), stdout);
  }
  return 0;
}

}  // namespace

void add_rank_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("rank", "Scores and ranks of the rows of a table, by a run of `train rank`");
  command->footer(
      "Example:\n  winnow rank --run runs/letor --data rank.test.zst --groups rank.test.query --out scores.csv\n"
      "Prints query,row,score,rank for each row of the table, in its order; labels are not needed.");
  auto a = std::make_shared<RankRowsArguments>();
  command->add_option("--run", a->run, "directory of a finished run")->required();
  command->add_option("--data", a->data, "rows like those of training; labels are not needed")->required();
  command->add_option("--groups", a->groups, "file of group sizes; without it the query column");
  command->add_option("--format", a->format, "of the table; default: that of the training table");
  command->add_option("--out", a->out, "a CSV file for the scores; default: stdout");
  command->add_option("--set", a->sets, "override a config key: a.b=c (repeatable)")->allow_extra_args(false);
  command->add_option("--threads", a->threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  command->add_option("--device", a->device, "cpu or cuda")->capture_default_str();
  command->add_flag("--json", a->json, "print JSON");
  command->callback([a, &chosen] { chosen = [a] { return run_rank(*a); }; });
}

}  // namespace winnow
