#include "train/compare.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "core/file.h"
#include "core/text.h"
#include "train/delong.h"
#include "train/detail/resampled_rows.h"
#include "train/metrics_binary.h"
#include "train/predictions.h"

namespace winnow {
namespace {

constexpr size_t kMostRuns = 64;
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

size_t statistic_of(const std::string& metric) {
  static const std::vector<std::string> able = {"auc", "pr_auc", "logloss", "ne", "brier"};
  WN_CHECK(std::ranges::find(able, metric) != able.end(), ConfigError,
           "compare: metric '{}' cannot be compared{}; use some of: {}", metric, did_you_mean(metric, able),
           fmt::join(able, ", "));
  return static_cast<size_t>(std::ranges::find(detail::kStatisticNames, metric) - detail::kStatisticNames);
}

std::vector<Predictions> load_all(const std::vector<std::string>& runs) {
  std::vector<Predictions> all;
  for (const std::string& run : runs) {
    const std::string path = run + "/predictions.safetensors";
    WN_CHECK(file_exists(path), IoError,
             "{}: there are no predictions of this run; write them with: winnow evaluate --run {} --save", path, run);
    all.push_back(load_predictions(path));
    const Predictions &first = all.front(), &p = all.back();
    WN_CHECK(p.split == first.split, DataError,
             "{} was evaluated on the {} split and {} on the {} split; evaluate both on the same one", runs[0],
             first.split, run, p.split);
    WN_CHECK(p.data == first.data && p.labels == first.labels, DataError,
             "{} and {} were evaluated on different rows (fingerprints {} and {}): their data sections or files "
             "differ, so they cannot be compared row by row",
             runs[0], run, first.data, p.data);
    WN_CHECK(p.weights == first.weights, DataError,
             "{} and {} were evaluated on the same rows with different weights; give both the same data.weight",
             runs[0], run);
  }
  return all;
}

// Statistics of every run over the same resamples: samples[(r runs + run) kStatistics + statistic].
class PairedSamples {
 public:
  PairedSamples(const std::vector<Predictions>& all, const BootstrapOptions& options) : runs_(all.size()) {
    std::vector<detail::ResampledRows> rows;
    for (const Predictions& p : all) rows.emplace_back(MetricRows{p.logits, p.labels, p.weights}, 0.5);
    const auto compute = [&](std::span<const uint32_t> counts, std::span<double> values) {
      for (size_t run = 0; run < rows.size(); ++run)
        rows[run](counts, values.subspan(run * detail::kStatistics, detail::kStatistics));
    };
    samples_ = bootstrap_samples(rows[0].size(), static_cast<int>(runs_ * detail::kStatistics), compute, options);
  }
  std::vector<double> of(size_t run, size_t statistic) const {
    std::vector<double> out;
    for (size_t at = run * detail::kStatistics + statistic; at < samples_.size(); at += runs_ * detail::kStatistics)
      out.push_back(samples_[at]);
    return out;
  }

 private:
  size_t runs_;
  std::vector<double> samples_;
};

ComparedPair bootstrap_pair(const Comparison& c, size_t metric, size_t a, size_t b, const PairedSamples& samples,
                            double confidence) {
  const MetricValue &x = c.runs[a].metrics[metric], &y = c.runs[b].metrics[metric];
  ComparedPair pair{.a = a, .b = b, .metric = c.metrics[metric], .test = "bootstrap", .interval = {kNaN, kNaN}};
  if (!x.value || !y.value) {
    pair.reason = x.value ? y.reason : x.reason;
    return pair;
  }
  pair.difference = *x.value - *y.value;
  std::vector<double> differences = samples.of(a, statistic_of(pair.metric));
  const std::vector<double> other = samples.of(b, statistic_of(pair.metric));
  for (size_t r = 0; r < differences.size(); ++r) differences[r] -= other[r];
  const double p = bootstrap_p_value(differences);
  if (std::isnan(p))
    pair.reason = "undefined in more than a tenth of the resamples";
  else
    pair.p_value = p;
  pair.interval = percentile_interval(std::move(differences), confidence);
  return pair;
}

void add_pairs(Comparison& c, size_t metric, const PairedSamples& samples, const DeLong& delong,
               const CompareOptions& options) {
  const auto add_family = [&](auto&& make) {
    const size_t begin = c.pairs.size();
    for (size_t a = 0; a < c.runs.size(); ++a)
      for (size_t b = a + 1; b < c.runs.size(); ++b) c.pairs.push_back(make(a, b));
    std::vector<double> p_values;
    for (size_t i = begin; i < c.pairs.size(); ++i) p_values.push_back(c.pairs[i].p_value);
    const std::vector<double> corrected = holm(p_values);
    for (size_t i = begin; i < c.pairs.size(); ++i) {
      c.pairs[i].p_holm = corrected[i - begin];
      c.pairs[i].significant = c.pairs[i].p_holm < options.level;
    }
  };
  add_family(
      [&](size_t a, size_t b) { return bootstrap_pair(c, metric, a, b, samples, options.bootstrap.confidence); });
  if (c.metrics[metric] != "auc" || !delong.defined()) return;
  add_family([&](size_t a, size_t b) {
    const AucDifference d = delong_difference(delong, a, b, options.bootstrap.confidence);
    return ComparedPair{.a = a,
                        .b = b,
                        .metric = "auc",
                        .test = "delong",
                        .difference = d.difference,
                        .interval = d.interval,
                        .p_value = d.p_value};
  });
}

int best_of(const std::vector<ComparedRun>& runs, size_t metric) {
  int best = -1;
  for (size_t i = 0; i < runs.size(); ++i) {
    const MetricValue& v = runs[i].metrics[metric];
    if (!v.value) continue;
    const double sign = higher_is_better(v.name) ? 1 : -1;
    if (best < 0 || sign * *v.value > sign * *runs[static_cast<size_t>(best)].metrics[metric].value)
      best = static_cast<int>(i);
  }
  return best;
}

DeLong delong_of(const std::vector<Predictions>& all) {
  std::vector<std::span<const float>> scores;
  for (const Predictions& p : all) scores.emplace_back(p.logits);
  return delong(scores, all[0].labels, all[0].weights);
}

void check(const std::vector<std::string>& runs, const CompareOptions& options) {
  WN_CHECK(runs.size() >= 2 && runs.size() <= kMostRuns, ConfigError, "compare: {} runs; give 2 to {} run directories",
           runs.size(), kMostRuns);
  WN_CHECK(!options.metrics.empty(), ConfigError, "compare: no metric is given");
  for (const std::string& metric : options.metrics) statistic_of(metric);
  WN_CHECK(options.bootstrap.resamples > 0, ConfigError, "compare: differences need resamples, at least 200");
  check_bootstrap(options.bootstrap);
}

std::string limits_of(const Comparison& c, const DeLong& delong) {
  std::string note;
  const size_t family = c.runs.size() * (c.runs.size() - 1) / 2;
  if (2.0 * static_cast<double>(family) / (c.resamples + 1) >= c.level)
    note = fmt::format("{} resamples cannot make a bootstrap difference significant among {} pairs; use {} or more. ",
                       c.resamples, family, static_cast<int>(2 * static_cast<double>(family) / c.level) + 1);
  if (!delong.defined()) note += "There is no DeLong test: " + delong.reason + ". ";
  return note.substr(0, note.find_last_not_of(' ') + 1);
}

}  // namespace

std::vector<double> holm(const std::vector<double>& p_values) {
  std::vector<size_t> order(p_values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::ranges::stable_sort(order, {}, [&](size_t i) { return p_values[i]; });
  std::vector<double> corrected(p_values.size());
  double before = 0;
  for (size_t k = 0; k < order.size(); ++k) {
    const double p = p_values[order[k]] * static_cast<double>(order.size() - k);
    before = corrected[order[k]] = std::min(1.0, std::max(before, p));
  }
  return corrected;
}

Comparison compare_runs(const std::vector<std::string>& runs, const CompareOptions& options) {
  check(runs, options);
  const std::vector<Predictions> all = load_all(runs);
  Comparison c{.split = all[0].split,
               .rows = static_cast<int64_t>(all[0].labels.size()),
               .resamples = options.bootstrap.resamples,
               .level = options.level,
               .metrics = options.metrics,
               .runs = {},
               .best = {},
               .pairs = {},
               .note = {}};
  const PairedSamples samples(all, options.bootstrap);
  const DeLong delong = delong_of(all);
  for (size_t i = 0; i < all.size(); ++i) {
    const auto values =
        evaluate_binary({all[i].logits, all[i].labels, all[i].weights}, {.bootstrap = {.resamples = 0}});
    ComparedRun run{.run = runs[i], .model = all[i].model};
    for (const std::string& metric : c.metrics) {
      MetricValue value = *find_metric(values, metric);
      const Interval interval = percentile_interval(samples.of(i, statistic_of(metric)), options.bootstrap.confidence);
      if (value.value) {
        value.low = interval.low;
        value.high = interval.high;
      }
      run.metrics.push_back(std::move(value));
      if (metric == "auc" && delong.defined())
        run.auc_delong = delong_interval(delong.auc[i], delong.variance(i), options.bootstrap.confidence);
    }
    c.runs.push_back(std::move(run));
  }
  for (size_t m = 0; m < c.metrics.size(); ++m) {
    c.best.push_back(best_of(c.runs, m));
    add_pairs(c, m, samples, delong, options);
  }
  c.note = limits_of(c, delong);
  return c;
}

}  // namespace winnow
