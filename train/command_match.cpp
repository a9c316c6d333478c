// winnow match: the items of a file that are nearest to a text.
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/parallel.h"
#include "train/commands.h"
#include "train/match/catalogue.h"
#include "train/train_arguments.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

struct MatchArguments {
  std::string run, items, queries, query_column, device = "cpu";
  std::vector<std::string> texts, columns;
  std::string id;
  std::optional<int64_t> k;
  std::optional<double> threshold;
  int64_t dim = 0;
  int threads = 0;
  bool json = false, no_cache = false, quiet = false;
};

std::vector<std::string> queries_of(const MatchArguments& a) {
  std::vector<std::string> texts = a.texts;
  if (a.queries.empty()) return texts;
  SourceSpec source;
  source.path = a.queries;
  const auto reader = open_rows(source);
  WN_CHECK(!a.query_column.empty() || reader->columns().size() == 1, ConfigError,
           "{} has several columns ({}): name that of the text with --query-column", reader->name(),
           fmt::join(reader->columns(), ", "));
  const size_t column = a.query_column.empty() ? 0 : reader->column(a.query_column);
  for (RowBlock block; reader->next(block);)
    for (int64_t r = 0; r < block.rows; ++r) texts.emplace_back(block.cell(r, column));
  return texts;
}

Json json_of(const MatchCatalogue& items, const std::vector<std::string>& queries,
             const std::vector<std::vector<Neighbour>>& found) {
  Json list = Json::array();
  for (size_t q = 0; q < queries.size(); ++q) {
    Json entry{{"text", queries[q]}, {"items", Json::array()}};
    for (const Neighbour& n : found[q])
      entry["items"].push_back({{"id", items.id(n.item)}, {"text", items.text(n.item)}, {"cosine", n.cosine}});
    list.push_back(std::move(entry));
  }
  return {{"catalogue", {{"items", items.size()}, {"reused", items.reused()}}}, {"queries", list}};
}

int run_match(const MatchArguments& a) {
  if (a.threads > 0) set_num_threads(a.threads);
  set_default_device(parse_device(a.device));
  const auto start = std::chrono::steady_clock::now();
  const OpenedMatcher matcher(a.run);
  WN_CHECK(a.dim <= matcher.model().width(), ConfigError, "--dim {}: the vectors of {} have {} elements", a.dim, a.run,
           matcher.model().width());
  const MatchCatalogue items({a.items, a.columns, a.id, !a.no_cache}, matcher);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  if (!a.quiet)
    print_message(items.reused() ? fmt::format("{} items, vectors from {}", items.size(), items.cache_path())
                                 : fmt::format("{} items encoded in {:.1f} s", items.size(), seconds));
  if (!items.cache_error().empty()) print_message("the vectors were not kept: " + items.cache_error());
  const std::vector<std::string> queries = queries_of(a);
  // the best ten where neither rule is given
  const auto found = items.search(queries, {a.k || a.threshold ? a.k : std::optional<int64_t>(10), a.threshold}, a.dim);
  if (a.json) {
    std::puts(json_of(items, queries, found).dump(2, ' ', false, Json::error_handler_t::replace).c_str());
    return 0;
  }
  std::string out;
  for (size_t q = 0; q < queries.size(); ++q) {
    if (queries.size() > 1) out += queries[q] + "\n";
    for (const Neighbour& n : found[q])
      out += a.id.empty() ? fmt::format("{:7.4f}  {}\n", n.cosine, items.text(n.item))
                          : fmt::format("{:7.4f}  {}  {}\n", n.cosine, items.id(n.item), items.text(n.item));
    if (found[q].empty()) out += "no item has this cosine\n";
  }
  std::fputs(out.c_str(), stdout);
  return 0;
}

}  // namespace

void add_match_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("match", "The items of a file that are nearest to a text");
  auto a = std::make_shared<MatchArguments>();
  command->add_option("--run", a->run, "a run of `winnow train match`, or a sentence encoder's directory")->required();
  command->add_option("--items", a->items, "table of the items")->required();
  command->add_option("--column", a->columns, "of the items' text (repeatable); default: the only one")
      ->allow_extra_args(false);
  command->add_option("--id", a->id, "column of the items' ids; default: the text is the identity");
  command->add_option("--text", a->texts, "what to look for (repeatable)")->allow_extra_args(false);
  command->add_option("--queries", a->queries, "table with a text a row to look for");
  command->add_option("--query-column", a->query_column, "of the texts in --queries; default: the only one");
  command->add_option("--k", a->k, "at most so many items; default 10, all with --threshold")
      ->check(CLI::Range(1, 1000000));
  command->add_option("--threshold", a->threshold, "only items of at least this cosine")->check(CLI::Range(-1.0, 1.0));
  command->add_option("--dim", a->dim, "compare the first so many elements of the vectors (loss.dims)")
      ->check(CLI::Range(1, 65536));
  command->add_flag("--no-cache", a->no_cache, "do not keep the items' vectors beside their file");
  command->add_option("--threads", a->threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  command->add_option("--device", a->device, "cpu or cuda")->capture_default_str();
  command->add_flag("--quiet", a->quiet, "no message about the catalogue on stderr");
  command->add_flag("--json", a->json, "print JSON");
  command->footer(
      "Examples:\n"
      "  winnow match --run runs/gifts --items gifts.csv --column Description --text \"red tea pot\" --k 5\n"
      "  winnow match --run all-MiniLM-L6-v2 --items gifts.csv --column Description --queries wanted.csv "
      "--threshold 0.5 --json");
  command->callback([a, &chosen] {
    if (a->texts.empty() && a->queries.empty()) throw CLI::RequiredError("--text or --queries");
    chosen = [a] { return run_match(*a); };
  });
}

}  // namespace winnow
