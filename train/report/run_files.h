// The files of a run that its report is made of, as far as they are there.
#pragma once
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

namespace winnow {

struct RunFiles {
  std::string name;                          // of the run directory, without its parents
  std::string config;                        // config.yaml; empty: not there
  std::vector<nlohmann::json> metrics;       // the objects of metrics.jsonl (train/metrics_log.h)
  std::optional<nlohmann::json> evaluation;  // evaluation.json
  std::optional<nlohmann::json> data;        // data_report.json
  std::optional<nlohmann::json> memory;      // memory.json (train/report/recorder.h)
  std::optional<nlohmann::json> run;         // run.json (likewise)
  std::vector<std::string> notes;            // what is missing or could not be read
};

// A file that is absent, over 64 MiB or not JSON is a note. IoError: `directory` is no directory, or none of the files
// is there.
RunFiles read_run_files(const std::string& directory);

}  // namespace winnow
