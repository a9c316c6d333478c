#include "data/detail/column_sketch.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "core/error.h"
#include "data/detail/hash128.h"

namespace winnow::detail {
namespace {

constexpr size_t kMostValues = size_t{1} << 16, kMostBytes = size_t{8} << 20;
constexpr size_t kBins = 24;

int64_t code_points(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return (static_cast<uint8_t>(c) & 0xC0) != 0x80; });
}

// The two series of Ertl's estimator, summed until they stand still.
double sigma(double x) {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double y = 1, z = x;
  for (double before = -1; z != before; y += y) {
    x *= x;
    before = z;
    z += x * y;
  }
  return z;
}

double tau(double x) {
  if (x == 0 || x == 1) return 0;
  double y = 1, z = 1 - x;
  for (double before = -1; z != before;) {
    x = std::sqrt(x);
    before = z;
    y /= 2;
    z -= (1 - x) * (1 - x) * y;
  }
  return z / 3;
}

}  // namespace

void DistinctSketch::add(uint64_t hash) {
  const size_t place = hash >> (64 - kBits);
  const uint64_t rest = hash << kBits | uint64_t{1} << (kBits - 1);
  registers_[place] = std::max(registers_[place], static_cast<uint8_t>(__builtin_clzll(rest) + 1));
}

double DistinctSketch::estimate() const {
  constexpr size_t kRanks = 64 - kBits;
  const auto m = static_cast<double>(registers_.size());
  std::array<double, kRanks + 2> count = {};
  for (const uint8_t r : registers_) ++count[r];
  double z = m * tau(1 - count[kRanks + 1] / m);
  for (size_t k = kRanks; k >= 1; --k) z = (z + count[k]) / 2;
  z += m * sigma(count[0] / m);
  return m * m / (2 * std::numbers::ln2 * z);
}

void FrequentValues::add(std::string_view text) {
  const auto number = static_cast<size_t>(values_.add(text));
  if (number == counts_.size()) {
    counts_.push_back(0);
    bytes_ += text.size();
  }
  ++counts_[number];
  if (counts_.size() > kMostValues || bytes_ > kMostBytes) prune();
}

// Takes the median count off all counts and forgets those at 0: at least half of them.
void FrequentValues::prune() {
  std::vector<int64_t> sorted = counts_;
  const auto middle = sorted.begin() + static_cast<ptrdiff_t>(sorted.size() / 2);
  std::ranges::nth_element(sorted, middle);
  const int64_t off = *middle;
  StringIndex kept;
  std::vector<int64_t> counts;
  bytes_ = 0;
  for (size_t i = 0; i < counts_.size(); ++i) {
    if (counts_[i] <= off) continue;
    const std::string_view text = values_.text(static_cast<int32_t>(i));
    kept.add(text);
    counts.push_back(counts_[i] - off);
    bytes_ += text.size();
  }
  values_ = std::move(kept);
  counts_ = std::move(counts);
  error_ += off;
}

std::vector<TopValue> FrequentValues::top(size_t most) const {
  std::vector<int32_t> order(counts_.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  const auto before = [this](int32_t a, int32_t b) {
    const int64_t x = counts_[static_cast<size_t>(a)], y = counts_[static_cast<size_t>(b)];
    return x != y ? x > y : values_.text(a) < values_.text(b);
  };
  most = std::min(most, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<ptrdiff_t>(most), order.end(), before);
  std::vector<TopValue> top;
  for (size_t i = 0; i < most; ++i)
    top.push_back({std::string(values_.text(order[i])), counts_[static_cast<size_t>(order[i])]});
  return top;
}

void Numbers::add(double x) {
  least_ = count() == 0 ? x : std::min(least_, x);
  most_ = count() == 0 ? x : std::max(most_, x);
  sketch_.add(x);
  const double d = x - mean_;
  mean_ += d / static_cast<double>(count());
  squares_ += d * (x - mean_);
}

NumberSummary Numbers::summary() const {
  NumberSummary s;
  s.count = count();
  s.rank_error = sketch_.rank_error();
  s.histogram.assign(kBins, 0);
  if (s.count == 0) return s;
  s.mean = mean_;
  s.deviation = std::sqrt(squares_ / static_cast<double>(s.count));
  s.q = sketch_.quantiles({std::begin(NumberSummary::kQuantiles), std::end(NumberSummary::kQuantiles)});
  s.q.front() = least_;  // which the sketch may have let go
  s.q.back() = most_;
  const double low = s.q[1], width = s.q[s.q.size() - 2] - low;
  for (const auto& [x, weight] : sketch_.weighted()) {
    const double place = width > 0 ? (x - low) / width * kBins : 0;
    s.histogram[static_cast<size_t>(std::clamp(place, 0.0, static_cast<double>(kBins - 1)))] += weight;
  }
  return s;
}

ColumnSketch::ColumnSketch(std::string name) : name_(std::move(name)) {
  for (const char* format :
       {"%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d",
        "%Y/%m/%d %H:%M:%S", "%Y/%m/%d", "%m/%d/%Y %H:%M", "%m/%d/%Y", "%d.%m.%Y", "%d.%m.%Y %H:%M", "%d/%m/%Y"})
    times_.push_back({TimeFormat(format), 0, 0});
}

void ColumnSketch::add_time(std::string_view cell) {
  const bool first = rows_ - missing_ == 1;
  std::erase_if(times_, [&](Times& t) {
    const auto seconds = t.format.parse(cell);
    if (!seconds) return true;
    t.from = first ? *seconds : std::min(t.from, *seconds);
    t.to = first ? *seconds : std::max(t.to, *seconds);
    return false;
  });
}

void ColumnSketch::add(std::string_view cell) {
  ++rows_;
  if (cell.empty()) {
    ++missing_;
    return;
  }
  RowHasher hasher;
  hasher.add(cell);
  distinct_.add(hasher.finish().low);
  values_.add(cell);
  lengths_.add(static_cast<double>(code_points(cell)));
  words_ += 1 + std::ranges::count(cell, ' ');
  if (!times_.empty()) add_time(cell);
  if (!all_numbers_) return;
  const auto x = parse_number(cell);
  all_numbers_ = x.has_value();
  all_integers_ = all_integers_ && x && *x == std::floor(*x);
  if (x) numbers_.add(*x);
}

// Integers of the years 2001 to 2100 in a column that is called a time.
bool ColumnSketch::counts_seconds(const ColumnSummary& s, double per_second) const {
  if (!s.numbers || !all_integers_) return false;
  std::string lower = name_;
  std::ranges::transform(lower, lower.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  const bool called = lower.find("time") != std::string::npos || lower.find("date") != std::string::npos ||
                      lower == "ts" || lower.ends_with("_ts") || lower.ends_with("_at");
  return called && s.numbers->q.front() >= 978307200 * per_second && s.numbers->q.back() < 4102444800 * per_second;
}

std::string ColumnSketch::guess(const ColumnSummary& s) const {
  const int64_t present = rows_ - missing_;
  if (present == 0) return "empty";
  if (s.from) return "timestamp";
  if (all_numbers_) {
    const bool zero_one = s.distinct <= 2 && std::ranges::all_of(values_.top(2), [](const TopValue& v) {
                            return v.text == "0" || v.text == "1";
                          });
    return zero_one ? "binary" : all_integers_ ? "integer" : "number";
  }
  const double words = static_cast<double>(words_) / static_cast<double>(present);
  if (words >= 3) return "text";
  if (present >= 100 && static_cast<double>(s.distinct) > 0.95 * static_cast<double>(present))
    return words > 1 ? "text" : "id";
  return "category";
}

ColumnSummary ColumnSketch::summary(int64_t top) const {
  ColumnSummary s;
  s.name = name_;
  s.missing = missing_;
  s.distinct_exact = values_.exact();
  s.distinct = values_.exact() ? values_.distinct() : std::llround(distinct_.estimate());
  s.top = values_.top(static_cast<size_t>(top));
  s.top_error = values_.error();
  const bool present = rows_ > missing_;
  if (present && all_numbers_) s.numbers = numbers_.summary();
  if (present && !all_numbers_) s.lengths = lengths_.summary();
  if (present && !times_.empty()) {
    s.time_format = times_[0].format.format();
    s.from = times_[0].from;
    s.to = times_[0].to;
  }
  for (const auto& [format, per_second] : {std::pair{"unix", 1.0}, std::pair{"unix_ms", 1000.0}}) {
    if (!counts_seconds(s, per_second)) continue;
    s.time_format = format;
    s.from = static_cast<int64_t>(s.numbers->q.front() / per_second);
    s.to = static_cast<int64_t>(s.numbers->q.back() / per_second);
  }
  s.type = guess(s);
  return s;
}

}  // namespace winnow::detail
