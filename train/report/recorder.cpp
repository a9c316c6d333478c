#include "train/report/recorder.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/cpu/onednn_info.h"
#include "core/file.h"
#include "core/parallel.h"
#include "train/machine.h"
#include "train/report/json_access.h"
#include "train/report/report.h"
#include "train/report/run_files.h"

namespace winnow {
namespace {

constexpr size_t kMaxLines = 200;

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Largest first, names decide between equals.
void largest(std::vector<Json>& lines) {
  std::ranges::stable_sort(lines, [](const Json& a, const Json& b) { return a.at("bytes") > b.at("bytes"); });
  if (lines.size() > kMaxLines) lines.resize(kMaxLines);
}

// A block of Markdown that shows the text as it is.
std::string as_code(const std::string& text) {
  std::string out = "    ";
  for (const char c : text) out += c == '\n' ? std::string("\n    ") : std::string(1, c);
  return out;
}

}  // namespace

std::string memory_json(const MemoryReport& memory, int64_t parameters, int nodes) {
  std::vector<Json> persistent, arena;
  for (const auto& p : memory.persistents)
    persistent.push_back({{"name", p.name}, {"tensor", p.spec.str()}, {"bytes", p.spec.bytes()}});
  for (const auto& l : memory.lines)
    arena.push_back(
        {{"name", l.name}, {"tensor", l.spec.str()}, {"bytes", l.bytes}, {"first", l.first}, {"last", l.last}});
  largest(persistent);
  largest(arena);
  return Json{{"parameters", parameters},
              {"nodes", nodes},
              {"persistent_bytes", memory.persistent_bytes},
              {"arena_bytes", memory.arena_bytes},
              {"arena_without_sharing_bytes", memory.naive_bytes},
              {"persistent", persistent},
              {"arena", arena}}
             .dump(1) +
         "\n";
}

RunRecorder::RunRecorder(std::string run_directory, std::string config_yaml, TrainListener& shown)
    : run_directory_(std::move(run_directory)), config_yaml_(std::move(config_yaml)), shown_(shown) {}

void RunRecorder::on_start(const Program& program, int64_t parameters, int64_t steps_per_epoch) {
  write_atomically(run_directory_ + "/memory.json", memory_json(program.memory(), parameters, program.nodes()));
  const Json run{{"winnow", version()},
                 {"instruction_set", instruction_set()},
                 {"threads", num_threads()},
                 {"onednn", cpu::onednn_version()}};
  write_atomically(run_directory_ + "/run.json", run.dump(1) + "\n");
  const double now = wall_seconds();
  events_ = std::make_unique<TensorBoardWriter>(run_directory_ + "/tensorboard", now);
  events_->text("config", as_code(config_yaml_), 0, now);
  shown_.on_start(program, parameters, steps_per_epoch);
}

void RunRecorder::on_record(const std::string& json_line) {
  const Json line = Json::parse(json_line);
  const auto step = line.at("step").get<int64_t>();
  const double time = line.value("time", 0.0);
  const std::string group = line.contains("train_loss") ? "epoch/" : "train/";
  for (const auto& [key, value] : line.items())
    if (value.is_number() && key != "step" && key != "epoch" && key != "time")
      events_->scalar(group + key, value.get<double>(), step, time);
  shown_.on_record(json_line);
}

void finish_run(const std::string& run_directory) {
  const RunFiles files = read_run_files(run_directory);
  double step = 0;
  for (const Json& line : files.metrics) step = std::max(step, number_in(line, "step").value_or(0));
  const auto at = static_cast<int64_t>(step);
  const double now = wall_seconds();
  TensorBoardWriter events = TensorBoardWriter::append(run_directory + "/tensorboard");
  const std::string split = files.evaluation ? text_in(*files.evaluation, "split") : "";
  const std::string group = (split.empty() ? "test" : split) + "/";
  for (const MetricEntry& m : metric_entries(member(files.evaluation, "metrics")))
    if (m.value) events.scalar(group + m.name, *m.value, at, now);
  const Json& h = member(member(files.evaluation, "curves"), "histogram");
  for (const char* label : {"positive", "negative"}) {
    const TensorBoardHistogram scores{numbers(member(h, "edges")), numbers(member(h, label))};
    if (!scores.counts.empty()) events.histogram(fmt::format("{}scores_{}", group, label), scores, at, now);
  }
  write_atomically(run_directory + "/report.html", render_report(files));
}

}  // namespace winnow
