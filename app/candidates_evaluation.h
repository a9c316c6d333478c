// What candidate sources find of what users took next, and what the funnel loses against scoring the whole catalogue.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "serve/recommend/options.h"
#include "train/ranking.h"

namespace winnow {

struct CandidatesEvaluationOptions {
  std::string run, config, encoder;  // config: a file with the section `recommend`; encoder: a directory; "" none
  std::vector<int> ks = {10, 100, 500};
  uint64_t seed = 1;  // of the bootstrap
  int resamples = 1000;
};

struct LatencySummary {
  double mean = 0, p50 = 0, p99 = 0;  // milliseconds of a request
};

struct CandidatesReport {
  struct Line {
    std::string name;       // of a source; "merged", "funnel", "popularity", "whole catalogue"
    double candidates = 0;  // named for a user, in the mean
    std::vector<MetricValue> metrics;
    LatencySummary latency;
    const MetricValue& metric(const std::string& name) const;
  };
  std::string run;
  int64_t users = 0, skipped_users = 0, without_history = 0;
  int64_t items = 0;
  std::vector<int> ks;
  std::vector<Line> lines;
  std::string str() const;
  std::string json() const;
};

// Of the positives of the test split: each source alone, all of them merged (without a ranker), the funnel with the
// run's model as the ranker, and that model over the whole catalogue; metrics as train/ranking.h has them, seen items
// left out. progress: users done. IoError, ConfigError, DataError: a run without a catalogue, sources that cannot be
// built, a k beyond the catalogue.
CandidatesReport evaluate_candidates(const CandidatesEvaluationOptions& options,
                                     const std::function<void(const std::string& what)>& progress = {});

}  // namespace winnow
