// serve/http/metrics.h: what Prometheus reads, and quantiles of the last minute.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "core/error.h"
#include "core/rng.h"
#include "serve/http/metrics.h"

namespace winnow {
namespace {

using namespace std::chrono_literals;

TEST(Metrics, AreWrittenAsPrometheusReadsThem) {
  Metrics m;
  m.counter("b_total", "Requests.\nOf \"all\" \\ kinds.", {{"path", "/a\"b\\c\nd"}, {"code", "200"}}).add(3);
  m.counter("b_total", "Requests.\nOf \"all\" \\ kinds.", {{"path", "/"}, {"code", "200"}}).add();
  m.gauge("a_gauge", "A gauge.").set(1.5);
  m.sample("c_age_seconds", "An age.", false, [] { return INFINITY; });
  MetricHistogram& h = m.histogram("d_seconds", "Times.", {.1, 1}, {{"arm", "x"}});
  for (const double v : {.05, .1, .5, 1.0, 7.0}) h.observe(v);
  EXPECT_EQ(m.text(),
            "# HELP a_gauge A gauge.\n"
            "# TYPE a_gauge gauge\n"
            "a_gauge 1.5\n"
            "# HELP b_total Requests.\\nOf \"all\" \\\\ kinds.\n"
            "# TYPE b_total counter\n"
            "b_total{code=\"200\",path=\"/\"} 1\n"
            "b_total{code=\"200\",path=\"/a\\\"b\\\\c\\nd\"} 3\n"
            "# HELP c_age_seconds An age.\n"
            "# TYPE c_age_seconds gauge\n"
            "c_age_seconds +Inf\n"
            "# HELP d_seconds Times.\n"
            "# TYPE d_seconds histogram\n"
            "d_seconds_bucket{arm=\"x\",le=\"0.1\"} 2\n"
            "d_seconds_bucket{arm=\"x\",le=\"1\"} 4\n"
            "d_seconds_bucket{arm=\"x\",le=\"+Inf\"} 5\n"
            "d_seconds_sum{arm=\"x\"} 8.65\n"
            "d_seconds_count{arm=\"x\"} 5\n");
}

TEST(Metrics, OneNameAndLabelsAreOneMetric) {
  Metrics m;
  MetricCounter& c = m.counter("a_total", "A.", {{"x", "1"}, {"y", "2"}});
  EXPECT_EQ(&c, &m.counter("a_total", "A.", {{"y", "2"}, {"x", "1"}}));
  EXPECT_NE(&c, &m.counter("a_total", "A."));
  EXPECT_THROW(m.gauge("a_total", "A."), ConfigError);
  EXPECT_THROW(m.counter("a_total", "B."), ConfigError);
  EXPECT_THROW(m.sample("a_total", "A.", true, [] { return 0.0; }), ConfigError);
  EXPECT_THROW(m.counter("1a", "A."), ConfigError);
  EXPECT_THROW(m.counter("a-b", "A."), ConfigError);
  EXPECT_THROW(m.counter("b", "A.", {{"le", "1"}}), ConfigError);
  EXPECT_THROW(m.counter("b", "A.", {{"x", "1"}, {"x", "2"}}), ConfigError);
  EXPECT_THROW(m.histogram("h", "H.", {1, 1}), ConfigError);
  EXPECT_THROW(m.histogram("h", "H.", {NAN}), ConfigError);
}

TEST(Metrics, ThreadsLoseNoCount) {
  Metrics m;
  MetricCounter& counter = m.counter("a_total", "A.");
  MetricGauge& gauge = m.gauge("g", "G.");
  MetricHistogram& histogram = m.histogram("h", "H.", latency_bounds());
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; ++i) {
        counter.add();
        gauge.add(.5);
        histogram.observe(.25);
      }
    });
  for (int i = 0; i < 20; ++i) EXPECT_FALSE(m.text().empty());
  for (std::thread& t : threads) t.join();
  EXPECT_EQ(counter.value(), 40000);
  EXPECT_EQ(gauge.value(), 20000);
  EXPECT_EQ(histogram.sum(), 10000);
}

TEST(LatencyWindow, QuantilesAreWithinAThirtySecond) {
  auto window = std::make_unique<LatencyWindow>();
  const auto now = LatencyWindow::Clock::now();
  Rng rng(3);
  std::vector<double> all;
  for (int i = 0; i < 20000; ++i) {
    all.push_back(.002 * std::exp(1.2 * rng.normal()));
    window->observe(all.back(), now);
  }
  std::sort(all.begin(), all.end());
  const std::vector<double> asked = {.01, .5, .9, .99, .999, 1};
  const auto summary = window->summary(asked, now);
  EXPECT_EQ(summary.count, 20000);
  for (size_t i = 0; i < asked.size(); ++i) {
    const auto rank = static_cast<size_t>(std::ceil(asked[i] * 20000));
    const double exact = all[rank - 1];
    EXPECT_GE(summary.quantiles[i], exact - 1e-12) << asked[i];
    EXPECT_LE(summary.quantiles[i], exact * (1 + 1.0 / 32) + 1e-6) << asked[i];
  }
}

TEST(LatencyWindow, ForgetsWhatIsOlderThanAMinute) {
  auto window = std::make_unique<LatencyWindow>();
  const auto start = LatencyWindow::Clock::now();
  EXPECT_EQ(window->summary({.5}, start).quantiles, std::vector<double>{0});
  for (int i = 0; i < 100; ++i) window->observe(1, start);
  EXPECT_EQ(window->summary({.5}, start + 50s).count, 100);
  window->observe(.001, start + 71s);
  const auto later = window->summary({1}, start + 71s);
  EXPECT_EQ(later.count, 1);
  EXPECT_LT(later.quantiles[0], .0011);
  EXPECT_EQ(window->summary({1}, start + 200s).count, 0);
  // Extremes have a bucket.
  for (const double v : {0.0, -1.0, 1e-9, 1e9, double{NAN}}) window->observe(v, start + 200s);
  EXPECT_EQ(window->summary({1}, start + 200s).count, 5);
}

}  // namespace
}  // namespace winnow
