// Counters, gauges and histograms, as Prometheus reads them (exposition format 0.0.4), and the live quantiles of a
// latency. Any thread may count; none waits for another.
//
//   Metrics metrics;
//   MetricCounter& scored = metrics.counter("winnow_scored_total", "Candidates scored.", {{"model", "deepfm"}});
//   scored.add(100);
//   x.reply({.type = kMetricsType, .body = metrics.text()});
#pragma once
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace winnow {

inline constexpr const char* kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

class MetricCounter {
 public:
  void add(int64_t n = 1) { value_.fetch_add(n, std::memory_order_relaxed); }
  int64_t value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<int64_t> value_{0};
};

class MetricGauge {
 public:
  void set(double value) { value_.store(value, std::memory_order_relaxed); }
  void add(double change) { value_.fetch_add(change, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

// count(value <= bound) for each of fixed bounds, and for +Inf.
class MetricHistogram {
 public:
  explicit MetricHistogram(std::vector<double> bounds);  // ConfigError unless finite and ascending
  void observe(double value);
  const std::vector<double>& bounds() const { return bounds_; }
  std::vector<int64_t> counts() const;  // of each bucket alone, not summed up; the last one's bound is +Inf
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  const std::vector<double> bounds_;
  std::unique_ptr<std::atomic<int64_t>[]> counts_;
  std::atomic<double> sum_{0};
};

// Seconds, from half a millisecond to ten seconds.
std::vector<double> latency_bounds();

using MetricLabels = std::vector<std::pair<std::string, std::string>>;

class Metrics {
 public:
  // The metric of a name and labels, made when it is first asked for; the reference is good as long as this object.
  // A look-up takes a lock: keep the reference. ConfigError: a name or label that Prometheus does not allow, or a name
  // that has another type, help or bounds already.
  MetricCounter& counter(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  MetricGauge& gauge(const std::string& name, const std::string& help, const MetricLabels& labels = {});
  MetricHistogram& histogram(const std::string& name, const std::string& help, const std::vector<double>& bounds,
                             const MetricLabels& labels = {});
  // What is known elsewhere, asked for by text(): a counter of the server, the age of a model.
  void sample(const std::string& name, const std::string& help, bool is_counter, std::function<double()> value,
              const MetricLabels& labels = {});
  std::string text() const;  // sorted by name and labels

 private:
  struct Series {
    std::unique_ptr<MetricCounter> counter;
    std::unique_ptr<MetricGauge> gauge;
    std::unique_ptr<MetricHistogram> histogram;
    std::function<double()> sample;
  };
  struct Family {
    std::string type, help;
    std::vector<double> bounds;
    std::map<std::string, Series> series;  // by their labels as text
  };
  Series& series(const std::string& name, const std::string& help, const char* type, const std::vector<double>& bounds,
                 const MetricLabels& labels);
  mutable std::mutex mutex_;  // of the maps, not of the values
  std::map<std::string, Family> families_;
};

// Quantiles of the last minute: counts over logarithmic buckets, 32 a power of two from a microsecond to 134 s, in six
// parts of ten seconds. A quantile is off by at most 1/32 of itself.
class LatencyWindow {
 public:
  using Clock = std::chrono::steady_clock;
  void observe(double seconds, Clock::time_point now = Clock::now());
  struct Summary {
    int64_t count = 0;
    double per_second = 0;
    std::vector<double> quantiles;  // seconds; 0 where nothing was observed
  };
  Summary summary(const std::vector<double>& quantiles, Clock::time_point now = Clock::now()) const;

 private:
  static constexpr int kParts = 7, kSteps = 32, kPowers = 22;  // one part more than a minute: the one that fills
  static constexpr int kBuckets = kSteps * (kPowers + 1);
  struct Part {
    std::atomic<int64_t> period{-1};  // which ten seconds it counts
    std::array<std::atomic<uint32_t>, kBuckets> counts{};
  };
  static int bucket(double seconds);
  static double upper(int bucket);  // seconds
  std::array<Part, kParts> parts_;
};

}  // namespace winnow
