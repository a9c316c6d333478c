// A study: trials of one config over a search space, as `winnow tune` runs and resumes them.
//   <study>/study.json, base.yaml, space.yaml   what was asked for
//   <study>/trials.jsonl      a line for each trial of each rung that is done, in order of (rung, trial)
//   <study>/trials/000        the run directory of trial 0, with folds of its own under fold-0, fold-1, ...
// The same study gives the same trials.jsonl byte for byte however often it was killed and resumed, and for any number
// of jobs up to `lag`.
#pragma once
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/run.h"
#include "train/tune/importance.h"
#include "train/tune/search.h"

namespace winnow {

class LockFile;  // train/tune/child.h
struct ChildEnd;

struct StudyOptions {
  std::string method = "tpe";  // grid, random, tpe, halving
  int64_t trials = 30;
  int64_t folds = 1;  // 1: the validation split of the config; more: data.split is k-fold, a trial's value the mean
  uint64_t seed = 1;
  int64_t lag = 4;           // SearchOptions
  std::string metric;        // of the validation split; "": train.monitor, or logloss without one
  int64_t eta = 3;           // halving: the best 1 / eta go on with eta times the budget
  int64_t least_budget = 1;  // halving: epochs of the first rung at least, or steps where train.max_steps is set
};

struct TrialResult {
  int64_t rung = 0, trial = 0;
  int64_t budget = 0;             // epochs or steps; 0: the config's own
  std::vector<std::string> sets;  // "key=value"
  std::vector<double> values;     // of the metric, one a fold
  std::string error;              // of the first fold that failed; empty: none
  bool failed() const { return !error.empty(); }
  double mean() const;
  double deviation() const;  // standard deviation over the folds (n - 1); 0 for one
  std::string json() const;  // one line
};

// What a person gets to see of it.
class StudyListener {
 public:
  virtual ~StudyListener() = default;
  virtual void on_message(const std::string& text) = 0;
  // best: null while every trial failed; seconds_left: an estimate for the whole study.
  virtual void on_trial(const TrialResult& trial, const TrialResult* best, double seconds_left) = 0;
};

// What each training of a study runs on.
struct TrialMachine {
  int threads = 1;
  std::string device = "cpu";
};

class Study {
 public:
  // A new study, or with `resume` the one in `directory`; `base` is YAML text with all overrides applied. Every end and
  // choice of the space is tried on the config first. ConfigError: an unknown key, a value out of range, a directory
  // that holds another study, or, resumed, other options than those it was started with (more trials of random and tpe
  // are the exception). IoError: another process runs this study.
  static Study create(const std::string& directory, const StudyOptions& options, const std::string& base,
                      const std::string& space);
  // trials: 0, or a larger number than before.
  static Study open(const std::string& directory, int64_t trials);
  Study(Study&& other) noexcept;
  ~Study();

  const StudyOptions& options() const { return options_; }
  const SearchSpace& space() const { return search_.space(); }
  const std::string& metric() const { return metric_; }
  bool higher_is_better() const { return higher_; }
  const std::vector<TrialResult>& results() const { return results_; }
  const TrialResult* best() const;          // of the last rung that has one; null when every trial failed
  std::vector<TrialResult> ranked() const;  // the last rung first, best first, failed ones at the end of theirs
  Point point_of(const TrialResult& r) const { return *search_.known_point(r.trial); }
  std::vector<DimensionImportance> importance() const;  // from the first rung, in which all trials ran
  std::string best_config() const;  // YAML, resolved, for `winnow train ctr --config`; Error without a best

  // Runs what is not done, `jobs` trainings at a time. false when `stop` ended it: the trainings were told to save and
  // have ended.
  bool run(int jobs, const TrialMachine& machine, StudyListener& listener, const std::atomic<bool>& stop);

 private:
  struct Running;
  struct Pending;
  class Estimate;
  class RungRun;
  Study(std::string directory, StudyOptions options, std::string base, std::string space);
  void plan_rungs();
  void check_space() const;
  void load_results();
  void record(TrialResult trial);
  const TrialResult* find(size_t rung, int64_t trial) const;
  std::optional<double> loss_of(const TrialResult& r) const;
  std::vector<int64_t> trials_of(size_t rung) const;
  CtrConfig config_of(const std::vector<std::string>& sets) const;
  std::string directory_of(const Pending& p) const;
  std::vector<std::string> command(const Pending& p, const TrialMachine& machine) const;
  Running start(const Pending& p, const TrialMachine& machine) const;
  void collect(const Running& r, const ChildEnd& end, TrialResult& trial, int64_t& first_failed) const;

  std::string directory_;
  std::unique_ptr<LockFile> lock_;  // held by this process and the trainings that it started
  StudyOptions options_;
  std::string base_, space_text_, metric_;
  bool higher_ = true, budget_in_steps_ = false;
  Search search_;
  std::vector<Rung> rungs_;
  std::vector<TrialResult> results_;  // by (rung, trial)
};

}  // namespace winnow
