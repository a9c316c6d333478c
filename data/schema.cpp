#include "data/schema.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/text.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

bool compares_numbers(CellRule::Kind kind) { return kind >= CellRule::Less && kind <= CellRule::GreaterEqual; }

void check_split(const Schema& s) {
  const SplitSpec& split = s.split;
  if (split.method == SplitSpec::KFold) {
    WN_CHECK(split.folds >= 2 && split.folds <= 1000, ConfigError, "split: folds {} must be 2 to 1000", split.folds);
    WN_CHECK(split.fold >= 0 && split.fold < split.folds, ConfigError, "split: fold {} must be 0 to {}", split.fold,
             split.folds - 1);
    WN_CHECK(split.test > 0 && split.test < 1, ConfigError, "split: test must lie between 0 and 1, got {}", split.test);
  } else if (split.method != SplitSpec::LeaveLastOut) {
    for (const double x : {split.train, split.valid, split.test})
      WN_CHECK(x > 0 && x < 1, ConfigError, "split: each of train, valid, test must lie between 0 and 1, got {}", x);
    WN_CHECK(std::abs(split.train + split.valid + split.test - 1) < 1e-9, ConfigError,
             "split: train + valid + test = {:.6g}, must be 1", split.train + split.valid + split.test);
  }
  WN_CHECK(split.method != SplitSpec::Time || !s.timestamp.empty(), ConfigError,
           "split by time needs the timestamp column; give it, or `method: random`");
  WN_CHECK(split.method != SplitSpec::KFold || !split.test_by_time || !s.timestamp.empty(), ConfigError,
           "split: `test_method: time` needs the timestamp column; give it, or `test_method: random`");
  WN_CHECK(split.method != SplitSpec::Stratified || !split.by.empty() || s.label, ConfigError,
           "split: without a label a stratified split needs `by: COLUMN`");
}

void check_negatives(const Schema& s) {
  WN_CHECK(s.negatives.per_positive >= 0 && s.negatives.per_positive <= 1000, ConfigError,
           "negatives: per_positive {} must be 0 to 1000", s.negatives.per_positive);
  WN_CHECK(!s.label || s.negatives.per_positive == 0, ConfigError,
           "negatives are sampled for interactions without a label; leave out `label` or `negatives`");
  WN_CHECK(s.label || s.negatives.per_positive > 0, ConfigError,
           "without a label every interaction is a positive: give `negatives: {{per_positive: 4}}`, or a label");
  WN_CHECK(
      s.storage == Storage::Memory || s.negatives.per_positive == 0, ConfigError,
      "storage: disk needs a label: negatives are sampled in memory, where every user's items are at hand. Leave out "
      "`storage`, or write the negatives into the file");
}

}  // namespace

CellRule parse_rule(std::string column, std::string_view rule) {
  static constexpr std::array<std::pair<std::string_view, CellRule::Kind>, 8> kStarts = {{
      {"<=", CellRule::LessEqual},
      {">=", CellRule::GreaterEqual},
      {"==", CellRule::Equal},
      {"!=", CellRule::NotEqual},
      {"<", CellRule::Less},
      {">", CellRule::Greater},
      {"missing", CellRule::Missing},
      {"starts_with", CellRule::StartsWith},
  }};
  CellRule r;
  r.column = std::move(column);
  if (rule.empty()) return r;
  const auto start = std::ranges::find_if(kStarts, [&](const auto& s) { return rule.starts_with(s.first); });
  WN_CHECK(start != kStarts.end(), ConfigError,
           "rule {} of column {}: begin with < <= > >= == != missing or starts_with", quoted(rule), quoted(r.column));
  r.kind = start->second;
  std::string_view right = rule.substr(start->first.size());
  while (right.starts_with(' ')) right.remove_prefix(1);
  r.text = right;
  WN_CHECK(right.empty() == (r.kind == CellRule::Missing), ConfigError, "rule {} of column {}: {}", quoted(rule),
           quoted(r.column), right.empty() ? "a value must follow" : "nothing may follow");
  const auto number = parse_number(right);
  WN_CHECK(number || !compares_numbers(r.kind), ConfigError, "rule {} of column {}: {} is not a number", quoted(rule),
           quoted(r.column), quoted(right));
  r.number = number.value_or(0);
  return r;
}

std::optional<bool> holds(const CellRule& rule, std::string_view cell) {
  const auto number = parse_number(cell);
  if (compares_numbers(rule.kind) && !number) return {};
  const double x = number.value_or(0);
  switch (rule.kind) {
    case CellRule::AsIs: return {};
    case CellRule::Less: return x < rule.number;
    case CellRule::LessEqual: return x <= rule.number;
    case CellRule::Greater: return x > rule.number;
    case CellRule::GreaterEqual: return x >= rule.number;
    case CellRule::Missing: return cell.empty();
    case CellRule::StartsWith: return cell.starts_with(rule.text);
    case CellRule::Equal:
    case CellRule::NotEqual: break;
  }
  const auto right = parse_number(rule.text);
  const bool same = number && right ? x == *right : cell == rule.text;
  return same == (rule.kind == CellRule::Equal);
}

void check_schema(const Schema& s) {
  WN_CHECK(s.interactions.source.given(), ConfigError, "no interactions file is given");
  WN_CHECK(!s.user_id.empty() && !s.item_id.empty(), ConfigError, "user_id and item_id: both columns must be given");
  WN_CHECK(!s.users.source.given() || !s.users.key.empty(), ConfigError, "users: the key column is not given");
  WN_CHECK(!s.items.source.given() || !s.items.key.empty(), ConfigError, "items: the key column is not given");
  WN_CHECK(!s.features.empty(), ConfigError, "no features are given");
  std::set<std::string> names;
  for (const FeatureSpec& f : s.features) {
    WN_CHECK(!f.name.empty(), ConfigError, "a feature has no name");
    WN_CHECK(names.insert(f.name).second, ConfigError, "two features are named {}", quoted(f.name));
    check_feature(f);
  }
  check_sharing(s.features);
  check_split(s);
  [[maybe_unused]] const TimeFormat checked{s.time_format};
  check_negatives(s);
}

}  // namespace winnow
