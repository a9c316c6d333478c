#include "serve/http/metrics.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <iterator>

#include "core/error.h"
#include "core/text.h"

namespace winnow {
namespace {

bool is_metric_name(std::string_view name, bool colons) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::all_of(name.begin(), name.end(), [&](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           (colons && c == ':');
  });
}

std::string escaped(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
  return out;
}

std::string labels_text(const std::string& name, MetricLabels labels) {
  std::sort(labels.begin(), labels.end());
  std::string text;
  for (size_t i = 0; i < labels.size(); ++i) {
    const auto& [label, value] = labels[i];
    WN_CHECK(is_metric_name(label, false) && !label.starts_with("__") && label != "le", ConfigError,
             "Metrics: {}: {} is no name of a label", name, quoted(label));
    WN_CHECK(i == 0 || labels[i - 1].first != label, ConfigError, "Metrics: {}: the label {} comes twice", name, label);
    WN_CHECK(is_utf8(value), ConfigError, "Metrics: {}: the value of {} is not UTF-8", name, label);
    text += fmt::format("{}{}=\"{}\"", i == 0 ? "" : ",", label, escaped(value, true));
  }
  return text;
}

std::string number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  return fmt::format("{}", value);
}

std::string braced(const std::string& labels, const std::string& more = "") {
  if (labels.empty() && more.empty()) return "";
  return "{" + labels + (labels.empty() || more.empty() ? "" : ",") + more + "}";
}

void append_histogram(const std::string& name, const std::string& labels, const MetricHistogram& histogram,
                      std::string& out) {
  const std::vector<int64_t> counts = histogram.counts();
  int64_t total = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    total += counts[i];
    const std::string le = i < histogram.bounds().size() ? number(histogram.bounds()[i]) : "+Inf";
    fmt::format_to(std::back_inserter(out), "{}_bucket{} {}\n", name, braced(labels, "le=\"" + le + "\""), total);
  }
  fmt::format_to(std::back_inserter(out), "{0}_sum{1} {2}\n{0}_count{1} {3}\n", name, braced(labels),
                 number(histogram.sum()), total);
}

}  // namespace

MetricHistogram::MetricHistogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), counts_(std::make_unique<std::atomic<int64_t>[]>(bounds_.size() + 1)) {
  for (size_t i = 0; i < bounds_.size(); ++i)
    WN_CHECK(std::isfinite(bounds_[i]) && (i == 0 || bounds_[i - 1] < bounds_[i]), ConfigError,
             "MetricHistogram: bound {} is {}: bounds are finite and ascend", i, bounds_[i]);
}

void MetricHistogram::observe(double value) {
  const auto at = std::lower_bound(bounds_.begin(), bounds_.end(), value);
  counts_[static_cast<size_t>(at - bounds_.begin())].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

std::vector<int64_t> MetricHistogram::counts() const {
  std::vector<int64_t> counts;
  for (size_t i = 0; i <= bounds_.size(); ++i) counts.push_back(counts_[i].load(std::memory_order_relaxed));
  return counts;
}

std::vector<double> latency_bounds() {
  return {.0005, .001, .002, .003, .005, .0075, .01, .015, .02, .03, .05, .075, .1, .2, .5, 1, 2, 5, 10};
}

Metrics::Series& Metrics::series(const std::string& name, const std::string& help, const char* type,
                                 const std::vector<double>& bounds, const MetricLabels& labels) {
  WN_CHECK(is_metric_name(name, true), ConfigError, "Metrics: {} is no name of a metric", quoted(name));
  WN_CHECK(is_utf8(help), ConfigError, "Metrics: {}: the help is not UTF-8", name);
  const std::string key = labels_text(name, labels);
  const auto [at, added] = families_.try_emplace(name, Family{type, help, bounds, {}});
  const Family& family = at->second;
  WN_CHECK(added || (family.type == type && family.help == help && family.bounds == bounds), ConfigError,
           "Metrics: {} is there already with another type, help or bounds", name);
  return at->second.series[key];
}

MetricCounter& Metrics::counter(const std::string& name, const std::string& help, const MetricLabels& labels) {
  const std::lock_guard lock(mutex_);
  Series& s = series(name, help, "counter", {}, labels);
  WN_CHECK(s.sample == nullptr, ConfigError, "Metrics: {} is sampled already", name);
  if (!s.counter) s.counter = std::make_unique<MetricCounter>();
  return *s.counter;
}

MetricGauge& Metrics::gauge(const std::string& name, const std::string& help, const MetricLabels& labels) {
  const std::lock_guard lock(mutex_);
  Series& s = series(name, help, "gauge", {}, labels);
  WN_CHECK(s.sample == nullptr, ConfigError, "Metrics: {} is sampled already", name);
  if (!s.gauge) s.gauge = std::make_unique<MetricGauge>();
  return *s.gauge;
}

MetricHistogram& Metrics::histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                                    const MetricLabels& labels) {
  auto made = std::make_unique<MetricHistogram>(bounds);
  const std::lock_guard lock(mutex_);
  Series& s = series(name, help, "histogram", bounds, labels);
  if (!s.histogram) s.histogram = std::move(made);
  return *s.histogram;
}

void Metrics::sample(const std::string& name, const std::string& help, bool is_counter, std::function<double()> value,
                     const MetricLabels& labels) {
  const std::lock_guard lock(mutex_);
  Series& s = series(name, help, is_counter ? "counter" : "gauge", {}, labels);
  WN_CHECK(!s.counter && !s.gauge && s.sample == nullptr, ConfigError, "Metrics: {} is there already", name);
  s.sample = std::move(value);
}

std::string Metrics::text() const {
  const std::lock_guard lock(mutex_);
  std::string out;
  for (const auto& [name, family] : families_) {
    fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, escaped(family.help, false),
                   family.type);
    for (const auto& [labels, s] : family.series) {
      if (s.histogram) {
        append_histogram(name, labels, *s.histogram, out);
        continue;
      }
      const std::string value =
          s.counter ? fmt::format("{}", s.counter->value()) : number(s.gauge ? s.gauge->value() : s.sample());
      fmt::format_to(std::back_inserter(out), "{}{} {}\n", name, braced(labels), value);
    }
  }
  return out;
}

// Microseconds below 32 have a bucket each; above, the bits behind the highest choose among 32 of its power.
int LatencyWindow::bucket(double seconds) {
  const double clamped = std::clamp(seconds * 1e6, 0.0, 134e6);  // NaN: the branch below
  const auto micros = static_cast<uint64_t>(std::isnan(clamped) ? 0 : clamped);
  if (micros < kSteps) return static_cast<int>(micros);
  const int shift = static_cast<int>(std::bit_width(micros)) - 6;  // leaves 32..63
  return std::min(kBuckets - 1, kSteps * shift + static_cast<int>(micros >> shift));
}

double LatencyWindow::upper(int bucket) {
  if (bucket < kSteps) return (bucket + 1) * 1e-6;
  const int shift = bucket / kSteps - 1;
  return static_cast<double>((static_cast<uint64_t>(kSteps + bucket % kSteps) + 1) << shift) * 1e-6;
}

namespace {
constexpr std::chrono::seconds kPartTime{10};
int64_t period_of(LatencyWindow::Clock::time_point now) { return now.time_since_epoch() / kPartTime; }
}  // namespace

void LatencyWindow::observe(double seconds, Clock::time_point now) {
  const int64_t period = period_of(now);
  Part& part = parts_[static_cast<size_t>(period % kParts)];
  int64_t counted = part.period.load(std::memory_order_acquire);
  // Who begins a part clears it; what others count in that moment may be lost.
  if (counted < period && part.period.compare_exchange_strong(counted, period, std::memory_order_acq_rel))
    for (std::atomic<uint32_t>& count : part.counts) count.store(0, std::memory_order_relaxed);
  part.counts[static_cast<size_t>(bucket(seconds))].fetch_add(1, std::memory_order_relaxed);
}

LatencyWindow::Summary LatencyWindow::summary(const std::vector<double>& quantiles, Clock::time_point now) const {
  const int64_t period = period_of(now);
  std::array<int64_t, kBuckets> counts{};
  Summary summary;
  for (const Part& part : parts_) {
    const int64_t counted = part.period.load(std::memory_order_acquire);
    if (counted < 0 || counted <= period - kParts || counted > period) continue;
    for (size_t i = 0; i < counts.size(); ++i) {
      const auto n = static_cast<int64_t>(part.counts[i].load(std::memory_order_relaxed));
      counts[i] += n;
      summary.count += n;
    }
  }
  const double into = std::chrono::duration<double>(now.time_since_epoch() - period * kPartTime).count();
  const double window = static_cast<double>((kParts - 1) * kPartTime.count()) + into;
  summary.per_second = static_cast<double>(summary.count) / window;
  for (const double q : quantiles) {
    const auto rank = static_cast<int64_t>(std::ceil(q * static_cast<double>(summary.count)));
    int64_t below = 0;
    int at = 0;
    while (at < kBuckets && (below += counts[static_cast<size_t>(at)]) < std::max<int64_t>(rank, 1)) ++at;
    summary.quantiles.push_back(summary.count == 0 ? 0 : upper(std::min(at, kBuckets - 1)));
  }
  return summary;
}

}  // namespace winnow
