// Running the trials of a study as child processes.
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/file.h"
#include "train/schedule.h"
#include "train/tune/child.h"
#include "train/tune/study.h"

namespace winnow {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

constexpr size_t kMostText = size_t{64} << 20;
constexpr size_t kMostMessage = 1000;

// What a training said last on stderr: "winnow: ..." where it ended with an error.
std::string last_words(const std::string& path) {
  const std::string text = file_exists(path) ? read_text(path, kMostText) : "";
  const size_t error = text.rfind("winnow: ");
  std::string said = error != std::string::npos ? text.substr(error + 8) : text;
  while (!said.empty() && (said.back() == '\n' || said.back() == ' ')) said.pop_back();
  if (error == std::string::npos) said = said.substr(said.rfind('\n') == std::string::npos ? 0 : said.rfind('\n') + 1);
  if (said.size() > kMostMessage) said.resize(kMostMessage);
  return said.empty() ? "it said nothing" : said;
}

}  // namespace

struct Study::Pending {
  int64_t trial = 0;
  size_t rung = 0;
  int64_t fold = 0;
  std::vector<std::string> sets;
};
struct Study::Running {
  Pending task;
  std::string run;
  Child child;
};

// Survivors go on in the run directory of the rung before, where the rates of their schedule allow that.
std::string Study::directory_of(const Pending& p) const {
  std::string run = fmt::format("{}/trials/{:03}", directory_, p.trial);
  if (p.rung > 0 && depends_on_total(config_of(p.sets).loop.train.schedule)) run += fmt::format("-rung-{}", p.rung);
  if (options_.folds > 1) run += fmt::format("/fold-{}", p.fold);
  return run;
}

std::vector<std::string> Study::command(const Pending& p, const TrialMachine& machine) const {
  std::vector<std::string> sets = p.sets;
  for (const char* off : {"evaluation.ranking=false", "evaluation.baselines=[]", "evaluation.resamples=0",
                          "evaluation.slices=[]", "evaluation.importance_rows=0"})
    sets.emplace_back(off);
  if (rungs_[p.rung].budget > 0)
    sets.push_back(fmt::format("train.{}={}", budget_in_steps_ ? "max_steps" : "epochs", rungs_[p.rung].budget));
  if (options_.folds > 1) {
    const SplitSpec split = config_of(p.sets).schema.split;
    const bool by_time = split.method == SplitSpec::Time || (split.method == SplitSpec::KFold && split.test_by_time);
    sets.push_back(fmt::format("data.split={{method: kfold, folds: {}, fold: {}, test: {}, test_method: {}}}",
                               options_.folds, p.fold, split.test, by_time ? "time" : "random"));
  }
  std::vector<std::string> words = {"train", "ctr", "--config", directory_ + "/base.yaml"};
  for (const std::string& set : sets) {
    words.emplace_back("--set");
    words.push_back(set);
  }
  const std::string threads = fmt::format("{}", machine.threads), parent = fmt::format("{}", getpid());
  words.insert(words.end(), {"--no-test", "--resume", "--threads", threads, "--device", machine.device, "--with-parent",
                             parent, "--out", directory_of(p)});
  return words;
}

Study::Running Study::start(const Pending& p, const TrialMachine& machine) const {
  const std::string run = directory_of(p);
  make_directories(run);
  return {p, run, Child(command(p, machine), run + "/stdout", run + "/stderr", *lock_)};
}

// The value of one fold, or the reason why there is none.
void Study::collect(const Running& r, const ChildEnd& end, TrialResult& trial, int64_t& first_failed) const {
  std::string error;
  if (end.signal != 0) {
    error = fmt::format("ended by signal {} ({})", end.signal, strsignal(end.signal));
  } else if (end.exit_code != 0) {
    error = last_words(r.run + "/stderr");
  } else {
    const Json j = Json::parse(read_text(r.run + "/evaluation.json", kMostText), nullptr, false);
    const Json metric = j.is_object() && j.contains("metrics") ? j["metrics"].value(metric_, Json()) : Json();
    const Json value = metric.is_object() ? metric.value("value", Json()) : Json();
    if (value.is_number())
      trial.values[static_cast<size_t>(r.task.fold)] = value;
    else
      error = fmt::format("{} is undefined: {}", metric_, metric.is_object() ? metric.value("reason", "") : "");
  }
  if (error.empty() || r.task.fold > first_failed) return;
  first_failed = r.task.fold;
  trial.error = options_.folds > 1 ? fmt::format("fold {}: {}", r.task.fold, error) : error;
}

// Seconds of training left, from those that this call has done; a training counts as its rung's budget.
class Study::Estimate {
 public:
  explicit Estimate(const Study& study) {
    for (size_t rung = 0; rung < study.rungs_.size(); ++rung) {
      left_ += cost(study, rung) * static_cast<double>(study.rungs_[rung].trials);
      for (const TrialResult& r : study.results_)
        if (static_cast<size_t>(r.rung) == rung) left_ -= cost(study, rung);
    }
  }
  double done(const Study& study, size_t rung) {
    done_ += cost(study, rung);
    left_ = std::max(0.0, left_ - cost(study, rung));
    return std::chrono::duration<double>(Clock::now() - start_).count() / done_ * left_;
  }

 private:
  static double cost(const Study& study, size_t rung) {
    const auto budget = [&](size_t r) { return static_cast<double>(study.rungs_[r].budget); };
    return std::max(1.0, budget(rung) - (rung > 0 ? budget(rung - 1) : 0));
  }
  Clock::time_point start_ = Clock::now();
  double left_ = 0, done_ = 0;
};

// The trials of one rung that wait, run and are complete.
class Study::RungRun {
 public:
  RungRun(Study& study, size_t rung, Estimate& estimate, StudyListener& listener)
      : study_(study), rung_(rung), estimate_(estimate), listener_(listener) {
    for (const int64_t trial : study.trials_of(rung))
      if (study.find(rung, trial) == nullptr)
        for (int64_t fold = 0; fold < study.options_.folds; ++fold) waiting_.push_back({trial, fold});
  }
  bool idle() const { return running_.empty(); }
  bool over() const { return waiting_.size() == next_ && idle(); }
  bool complete() const { return over() && open_.empty(); }  // false: trials were told to save and end
  void stop() const {
    for (const Running& r : running_) r.child.stop();
  }
  void start_what_may(size_t jobs, const TrialMachine& machine) {
    for (; running_.size() < jobs && next_ < waiting_.size(); ++next_) {
      const auto [trial, fold] = waiting_[next_];
      if (!study_.search_.ready(trial)) return;
      if (fold == 0) begin(trial);
      Open& open = open_.at(trial);
      if (open.failed() || open.dropped) {  // its other folds would cost time for nothing
        close_fold(trial, open);
        continue;
      }
      running_.push_back(study_.start({trial, rung_, fold, open.result.sets}, machine));
    }
  }
  // Takes those that have ended; false when there were none.
  bool take_ended(bool stopped) {
    bool any = false;
    for (size_t i = 0; i < running_.size();) {
      const auto end = running_[i].child.poll();
      if (!end) {
        ++i;
        continue;
      }
      any = true;
      const Running r = std::move(running_[i]);
      running_.erase(running_.begin() + static_cast<int64_t>(i));
      Open& open = open_.at(r.task.trial);
      if (stopped && (end->signal != 0 || end->exit_code != 0))
        open.dropped = true;  // told to save and end: goes on when the study is resumed
      else
        study_.collect(r, *end, open.result, open.first_failed);
      close_fold(r.task.trial, open);
    }
    return any;
  }

 private:
  struct Open {
    TrialResult result;
    int64_t first_failed = std::numeric_limits<int64_t>::max(), folds_left = 0;
    bool dropped = false;
    bool failed() const { return result.failed(); }
  };
  void begin(int64_t trial) {
    Open open;
    open.result.rung = static_cast<int64_t>(rung_);
    open.result.trial = trial;
    open.result.budget = study_.rungs_[rung_].budget;
    open.result.sets = study_.space().overrides(study_.search_.point(trial));
    open.result.values.resize(static_cast<size_t>(study_.options_.folds));
    open.folds_left = study_.options_.folds;
    open_.emplace(trial, std::move(open));
  }
  void close_fold(int64_t trial, Open& open) {
    if (--open.folds_left > 0 || open.dropped) return;
    if (open.failed()) open.result.values.clear();
    TrialResult done = std::move(open.result);
    open_.erase(trial);
    study_.record(done);
    listener_.on_trial(done, study_.best(), estimate_.done(study_, rung_));
  }

  Study& study_;
  size_t rung_;
  Estimate& estimate_;
  StudyListener& listener_;
  std::vector<std::pair<int64_t, int64_t>> waiting_;  // (trial, fold)
  size_t next_ = 0;
  std::vector<Running> running_;
  std::map<int64_t, Open> open_;
};

bool Study::run(int jobs, const TrialMachine& machine, StudyListener& listener, const std::atomic<bool>& stop) {
  WN_CHECK(options_.method != "tpe" || jobs <= options_.lag, ConfigError,
           "--jobs {}: the proposals of this study were made for at most {} at a time", jobs, options_.lag);
  Estimate estimate(*this);
  for (size_t rung = 0; rung < rungs_.size(); ++rung) {
    RungRun trials(*this, rung, estimate, listener);
    if (rungs_.size() > 1 && !trials.over())
      listener.on_message(fmt::format("rung {} of {}: {} trials, {} {} each", rung + 1, rungs_.size(),
                                      trials_of(rung).size(), rungs_[rung].budget,
                                      budget_in_steps_ ? "steps" : "epochs"));
    bool told = false;
    while (!trials.over()) {
      if (!stop) trials.start_what_may(static_cast<size_t>(jobs), machine);
      if (stop && !told) {
        listener.on_message("stopping: the trainings that run save their state");
        trials.stop();
        told = true;
      }
      if (stop && trials.idle()) return false;
      if (!trials.take_ended(told)) std::this_thread::sleep_for(std::chrono::milliseconds(10));
    }
    if (!trials.complete()) return false;
  }
  return true;
}

}  // namespace winnow
