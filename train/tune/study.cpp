#include "train/tune/study.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <thread>

#include "core/file.h"
#include "train/metrics_binary.h"
#include "train/tune/child.h"

namespace winnow {
namespace {

using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

constexpr size_t kMostText = size_t{64} << 20;

SearchOptions search_options(const StudyOptions& o) {
  SearchOptions s;
  s.method = o.method == "grid"  ? SearchOptions::Grid
             : o.method == "tpe" ? SearchOptions::Tpe
                                 : SearchOptions::Random;  // successive halving too
  s.trials = o.trials;
  s.seed = o.seed;
  s.lag = o.lag;
  return s;
}

// Known before the first trial runs: whether evaluation will have this metric at all.
void check_metric(const std::string& metric) {
  const std::vector<float> logits = {-1, 1}, labels = {0, 1}, weights = {1, 1};
  const std::vector<int64_t> users = {0, 0};
  BinaryEvaluation options;
  options.bootstrap.resamples = 0;
  const auto values = evaluate_binary({logits, labels, weights, users}, options);
  std::vector<std::string> names;
  for (const MetricValue& m : values) names.push_back(m.name);
  WN_CHECK(find_metric(values, metric) != nullptr, ConfigError, "--metric {}: must be one of {}", metric,
           fmt::join(names, ", "));
}

Json json_of(const StudyOptions& o) {
  return {{"method", o.method}, {"trials", o.trials}, {"folds", o.folds}, {"seed", o.seed},
          {"lag", o.lag},       {"metric", o.metric}, {"eta", o.eta},     {"least_budget", o.least_budget}};
}

StudyOptions options_of(const std::string& path) {
  try {
    const Json j = Json::parse(read_text(path, kMostText));
    return {.method = j.at("method"),
            .trials = j.at("trials"),
            .folds = j.at("folds"),
            .seed = j.at("seed"),
            .lag = j.at("lag"),
            .metric = j.at("metric"),
            .eta = j.at("eta"),
            .least_budget = j.at("least_budget")};
  } catch (const Json::exception& e) { raise<DataError>("{}: is not the file of a study: {}", path, e.what()); }
}

TrialResult trial_of(const std::string& line, const std::string& where) {
  try {
    const Json j = Json::parse(line);
    TrialResult r;
    r.rung = j.at("rung");
    r.trial = j.at("trial");
    r.budget = j.at("budget");
    for (const auto& [key, value] : j.at("params").items()) r.sets.push_back(key + "=" + value.get<std::string>());
    if (j.contains("error"))
      r.error = j.at("error");
    else
      r.values = j.at("folds").get<std::vector<double>>();
    return r;
  } catch (const Json::exception& e) { raise<DataError>("{}: is not a trial: {}", where, e.what()); }
}

}  // namespace

double TrialResult::mean() const {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}
double TrialResult::deviation() const {
  if (values.size() < 2) return 0;
  double square = 0;
  for (const double v : values) square += (v - mean()) * (v - mean());
  return std::sqrt(square / static_cast<double>(values.size() - 1));
}
std::string TrialResult::json() const {
  Json j{{"rung", rung}, {"trial", trial}, {"budget", budget}, {"params", Json::object()}};
  for (const std::string& set : sets) j["params"][set.substr(0, set.find('='))] = set.substr(set.find('=') + 1);
  if (failed())
    j["error"] = error;
  else
    j.update({{"value", mean()}, {"std", deviation()}, {"folds", values}});
  return j.dump();
}

Study::Study(std::string directory, StudyOptions options, std::string base, std::string space)
    : directory_(std::move(directory)),
      lock_(std::make_unique<LockFile>(directory_ + "/lock")),
      options_(std::move(options)),
      base_(std::move(base)),
      space_text_(std::move(space)),
      search_(SearchSpace(Config::parse(space_text_, directory_ + "/space.yaml")), search_options(options_)) {}

Study::Study(Study&& other) noexcept = default;
Study::~Study() = default;

Study Study::create(const std::string& directory, const StudyOptions& options, const std::string& base,
                    const std::string& space) {
  WN_CHECK(!file_exists(directory + "/study.json"), ConfigError,
           "{} holds a study; go on with --resume, or give another --out", directory);
  make_directories(directory);
  write_atomically(directory + "/base.yaml", base);
  write_atomically(directory + "/space.yaml", space);
  Study study(directory, options, base, space);
  WN_CHECK(study.lock_->try_lock(), IoError, "{}: another process runs this study", directory);
  study.plan_rungs();
  study.check_space();
  write_atomically(directory + "/study.json", json_of(study.options_).dump(2) + "\n");
  return study;
}

Study Study::open(const std::string& directory, int64_t trials) {
  WN_CHECK(file_exists(directory + "/study.json"), ConfigError,
           "{} holds no study; start one with --config and --space", directory);
  StudyOptions options = options_of(directory + "/study.json");
  if (trials > 0 && trials != options.trials) {
    WN_CHECK(trials > options.trials && (options.method == "tpe" || options.method == "random"), ConfigError,
             "--trials {}: the study has {}; a study of random or tpe can be given more, others keep what they have",
             trials, options.trials);
    options.trials = trials;
  }
  Study study(directory, options, read_text(directory + "/base.yaml", kMostText),
              read_text(directory + "/space.yaml", kMostText));
  // The trainings of a tuner that was killed hold the lock until they have saved.
  const auto start = Clock::now();
  while (!study.lock_->try_lock()) {
    WN_CHECK(Clock::now() - start < std::chrono::seconds(60), IoError,
             "{}: another process runs this study, or trainings that it started", directory);
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  study.plan_rungs();
  study.load_results();
  write_atomically(directory + "/study.json", json_of(study.options_).dump(2) + "\n");
  return study;
}

CtrConfig Study::config_of(const std::vector<std::string>& sets) const {
  return CtrConfig({directory_ + "/base.yaml", sets});
}

void Study::plan_rungs() {
  const CtrConfig base = config_of({});
  const TrainOptions& train = base.loop.train;
  metric_ = !options_.metric.empty() ? options_.metric : train.monitor.empty() ? "logloss" : train.monitor;
  check_metric(metric_);
  higher_ = winnow::higher_is_better(metric_);
  budget_in_steps_ = train.max_steps > 0;
  WN_CHECK(options_.folds >= 1, ConfigError, "--folds must be 1 or more");
  const auto method = base.schema.split.method;
  const bool split = method == SplitSpec::Time || method == SplitSpec::Random || method == SplitSpec::KFold;
  WN_CHECK(options_.folds == 1 || split, ConfigError,
           "--folds needs data.split with method time, random or kfold, whose test split the folds leave out");
  for (const Dimension& d : space().dimensions()) {
    WN_CHECK(options_.folds == 1 || !d.key.starts_with("data.split"), ConfigError,
             "{} is set by --folds and cannot vary", d.key);
    WN_CHECK(options_.method != "halving" || (d.key != "train.epochs" && d.key != "train.max_steps"), ConfigError,
             "{} is the budget of successive halving and cannot vary", d.key);
  }
  rungs_ = options_.method == "halving" ? halving_rungs(search_.trials(), options_.least_budget,
                                                        budget_in_steps_ ? train.max_steps : train.epochs, options_.eta)
                                        : std::vector<Rung>{{0, search_.trials()}};
}

void Study::check_space() const {
  std::vector<Point> points = space().corners();
  Rng rng(options_.seed, 0);
  for (int i = 0; i < 20; ++i) points.push_back(space().sample(rng));
  for (const Point& point : points) {
    const auto sets = space().overrides(point);
    try {
      config_of(sets);
    } catch (const ConfigError& e) {
      raise<ConfigError>("the search space does not fit the config, for example with {}:\n{}", fmt::join(sets, " "),
                         e.what());
    }
  }
}

const TrialResult* Study::find(size_t rung, int64_t trial) const {
  for (const TrialResult& r : results_)
    if (static_cast<size_t>(r.rung) == rung && r.trial == trial) return &r;
  return nullptr;
}

std::optional<double> Study::loss_of(const TrialResult& r) const {
  if (r.failed()) return std::nullopt;
  return higher_ ? -r.mean() : r.mean();
}

void Study::load_results() {
  const std::string path = directory_ + "/trials.jsonl";
  if (!file_exists(path)) return;
  const std::string text = read_text(path, kMostText);
  int64_t number = 0;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    TrialResult r = trial_of(text.substr(begin, end - begin), fmt::format("{}:{}", path, ++number));
    WN_CHECK(r.rung >= 0 && static_cast<size_t>(r.rung) < rungs_.size() && r.trial >= 0 && r.trial < search_.trials(),
             DataError, "{}:{}: the study has no rung {} and trial {}", path, number, r.rung, r.trial);
    if (r.rung == 0) search_.tell(r.trial, loss_of(r));
    results_.push_back(std::move(r));
    begin = end + 1;
  }
  for (const TrialResult& r : results_)
    WN_CHECK(search_.ready(r.trial) && space().overrides(search_.point(r.trial)) == r.sets, DataError,
             "{}: trial {} has other values than this study gives it; the files were changed, or another version of "
             "the program wrote them. Start a new study with another --out",
             path, r.trial);
}

void Study::record(TrialResult trial) {
  if (trial.rung == 0) search_.tell(trial.trial, loss_of(trial));
  const auto key = [](const TrialResult& r) { return std::pair(r.rung, r.trial); };
  results_.insert(std::ranges::upper_bound(results_, key(trial), {}, key), std::move(trial));
  std::string text;
  for (const TrialResult& r : results_) text += r.json() + "\n";
  write_atomically(directory_ + "/trials.jsonl", text);
}

const TrialResult* Study::best() const {
  const TrialResult* best = nullptr;
  for (const TrialResult& r : results_)
    if (!r.failed() && (best == nullptr || r.rung > best->rung || *loss_of(r) < *loss_of(*best))) best = &r;
  return best;
}

std::vector<TrialResult> Study::ranked() const {
  std::vector<TrialResult> list = results_;
  std::ranges::stable_sort(list, [&](const TrialResult& a, const TrialResult& b) {
    return std::tuple(-a.rung, loss_of(a).value_or(INFINITY)) < std::tuple(-b.rung, loss_of(b).value_or(INFINITY));
  });
  return list;
}

std::vector<DimensionImportance> Study::importance() const {
  std::vector<Point> points;
  std::vector<std::optional<double>> losses;
  for (const TrialResult& r : results_) {
    if (r.rung > 0) continue;
    points.push_back(point_of(r));
    losses.push_back(loss_of(r));
  }
  return importances(space(), points, losses);
}

std::string Study::best_config() const {
  const TrialResult* r = best();
  WN_CHECK(r != nullptr, Error, "every trial failed; the first with: {}",
           results_.empty() ? "nothing was run" : results_.front().error);
  return config_of(r->sets).resolved;
}

std::vector<int64_t> Study::trials_of(size_t rung) const {
  std::vector<int64_t> ids;
  if (rung == 0) {
    ids.resize(static_cast<size_t>(rungs_[0].trials));
    std::iota(ids.begin(), ids.end(), int64_t{0});
    return ids;
  }
  std::vector<std::pair<int64_t, std::optional<double>>> losses;
  for (const TrialResult& r : results_)
    if (static_cast<size_t>(r.rung) == rung - 1) losses.emplace_back(r.trial, loss_of(r));
  return survivors(losses, rungs_[rung].trials);
}

}  // namespace winnow
