#include "data/detail/leak_encoding.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/leak_tests.h"

namespace winnow::detail {
namespace {

constexpr size_t kLeastGroups = 20;
constexpr double kLargestShare = 0.1;  // of the variance that chance gives

// Rows by a key, and what is known of each group.
struct Key {
  std::string name;
  std::vector<int32_t> codes;
  int32_t values = 0;
};

// The label counts of each group over some rows.
struct Totals {
  std::vector<double> rows, positives;
  double base = 0;
  Totals(const Key& key, const std::vector<bool>& label, const std::vector<bool>& in) {
    rows.resize(static_cast<size_t>(key.values));
    positives.resize(static_cast<size_t>(key.values));
    double n = 0, ones = 0;
    for (size_t r = 0; r < label.size(); ++r) {
      if (!in[r]) continue;
      const auto g = static_cast<size_t>(key.codes[r]);
      ++rows[g], ++n;
      if (label[r]) ++positives[g], ++ones;
    }
    base = n > 0 ? ones / n : 0;
  }
  // Of the mean label of a group, at the rate drawn towards the base by one row.
  double variance(size_t g) const {
    const double q = (positives[g] + base) / (rows[g] + 1);
    return q * (1 - q) / rows[g];
  }
};

// Squares of the differences, and of those that chance would give.
struct Match {
  double squares = 0, chance = 0;
  size_t groups = 0;
  void add(double difference, double variance) { squares += difference * difference / variance, ++chance; }
  bool found() const { return groups >= kLeastGroups && squares < kLargestShare * chance; }
};

// The number of each group, NaN for a group without rows; empty when it varies within one.
std::vector<double> group_numbers(const Key& key, const std::vector<double>& numbers) {
  std::vector<double> of(static_cast<size_t>(key.values), std::nan(""));
  for (size_t r = 0; r < numbers.size(); ++r) {
    double& x = of[static_cast<size_t>(key.codes[r])];
    if (std::isnan(numbers[r])) continue;
    if (std::isnan(x)) x = numbers[r];
    if (std::abs(x - numbers[r]) > 1e-6 * (1 + std::abs(x))) return {};
  }
  return of;
}

// x = (S + m p) / (n + m): n x - S = m p - m x, a line in x, whose m is at least 0. m = 0 without smoothing.
Match match_means(const std::vector<double>& x, const Totals& t) {
  double n = 0, sx = 0, sy = 0, sxx = 0, sxy = 0;
  for (size_t g = 0; g < x.size(); ++g) {
    if (std::isnan(x[g]) || t.rows[g] == 0) continue;
    const double y = t.rows[g] * x[g] - t.positives[g];
    ++n, sx += x[g], sy += y, sxx += x[g] * x[g], sxy += x[g] * y;
  }
  const double spread = sxx - sx * sx / std::max(n, 1.0);
  const double m = spread > 0 ? std::max(0.0, -(sxy - sx * sy / n) / spread) : 0;
  const double prior = m > 1e-3 ? (sy / n + m * sx / n) / m : t.base;
  Match match;
  for (size_t g = 0; g < x.size(); ++g) {
    if (std::isnan(x[g]) || t.rows[g] == 0) continue;
    const double shrink = t.rows[g] / (t.rows[g] + m);
    match.add(x[g] - (t.positives[g] + m * prior) / (t.rows[g] + m), shrink * shrink * t.variance(g));
    ++match.groups;
  }
  return match;
}

// x = (S - y) / (n - 1), of the rows of groups of at least two; a number that differs within a group by the label only.
Match match_others(const Key& key, const std::vector<double>& numbers, const std::vector<bool>& label,
                   const std::vector<bool>& in, const Totals& t) {
  Match match;
  std::vector<bool> seen(static_cast<size_t>(key.values));
  for (size_t r = 0; r < numbers.size(); ++r) {
    const auto g = static_cast<size_t>(key.codes[r]);
    if (!in[r] || t.rows[g] < 2 || std::isnan(numbers[r])) continue;
    const double others = (t.positives[g] - (label[r] ? 1 : 0)) / (t.rows[g] - 1);
    match.add(numbers[r] - others, t.variance(g));
    if (!seen[g] && t.positives[g] > 0 && t.positives[g] < t.rows[g]) ++match.groups;
    seen[g] = true;
    if (match.chance == 1000 && !match.found() && match.squares > match.chance) break;
  }
  return match;
}

bool looks_like_rates(const std::vector<double>& numbers) {
  std::vector<double> seen;
  for (const double x : numbers) {
    if (std::isnan(x)) continue;
    if (x < -1e-6 || x > 1 + 1e-6) return false;
    if (seen.size() < 5 && std::ranges::none_of(seen, [x](double s) { return std::abs(s - x) < 1e-6; }))
      seen.push_back(x);
  }
  return seen.size() >= 5;
}

std::vector<Key> keys_of(const Dataset& d, const std::vector<LeakColumn>& columns) {
  std::vector<Key> keys = {{d.map.user_id, d.user, static_cast<int32_t>(d.user_keys.size())},
                           {d.map.item_id, d.item, static_cast<int32_t>(d.item_keys.size())}};
  for (const LeakColumn& c : columns)
    if (!c.numeric && !c.is_key) keys.push_back({c.name, c.codes, c.values});
  return keys;
}

std::optional<std::string> encoded_group(const std::vector<double>& numbers, const Key& key,
                                         const std::vector<bool>& label, const std::vector<std::vector<bool>>& parts) {
  const std::vector<double> of = group_numbers(key, numbers);
  for (const std::vector<bool>& in : parts) {
    const Totals totals(key, label, in);
    const double groups = static_cast<double>(std::ranges::count_if(totals.rows, [](double n) { return n > 0; }));
    const double rows = std::accumulate(totals.rows.begin(), totals.rows.end(), 0.0);
    if (groups > 0.9 * rows) continue;  // a group a row: a copy of the label, which tells_label finds
    if (!of.empty() && match_means(of, totals).found()) return "the mean label of its rows, the row's own among them";
    if (of.empty() && match_others(key, numbers, label, in, totals).found())
      return "the mean label of the other rows, from which the own label can be told";
  }
  return {};
}

}  // namespace

void test_target_encodings(const Dataset& d, std::vector<Leak>& leaks) {
  std::vector<int32_t> all(static_cast<size_t>(d.rows));
  std::iota(all.begin(), all.end(), 0);
  const std::vector<LeakColumn> columns = leak_columns(d, all);
  if (std::ranges::none_of(columns, [](const LeakColumn& c) { return c.numeric; })) return;
  std::vector<bool> label, train(static_cast<size_t>(d.rows));
  for (const float y : d.label) label.push_back(y > 0.5f);
  for (const int32_t r : d.train) train[static_cast<size_t>(r)] = true;
  const std::vector<std::vector<bool>> parts = {train, std::vector<bool>(static_cast<size_t>(d.rows), true)};
  std::vector<Key> keys;
  for (const LeakColumn& c : columns) {
    if (!c.numeric || !unscaled(*c.feature, 0)) continue;
    std::vector<double> numbers;
    for (size_t r = 0; r < c.numbers.size(); ++r)
      numbers.push_back(c.missing[r] ? std::nan("") : *unscaled(*c.feature, c.numbers[r]));
    if (!looks_like_rates(numbers)) continue;
    if (keys.empty()) keys = keys_of(d, columns);
    for (const Key& key : keys) {
      const auto what = encoded_group(numbers, key, label, parts);
      if (!what) continue;
      leaks.push_back(
          {"target_encoding", c.name,
           fmt::format("for each {} it is {}; compute such rates from earlier rows only", quoted(key.name), *what)});
      break;
    }
  }
}

}  // namespace winnow::detail
