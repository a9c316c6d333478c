#include "data/schema.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/names.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

constexpr std::array kTypes = {"categorical", "multi", "numeric"};
constexpr std::array kSources = {"user", "item", "context"};
constexpr std::array kNormalizers = {"none", "standard", "log", "log_standard"};
constexpr std::array kPoolings = {"mean", "sum", "max"};

template <class E, size_t N>
E parse_name(std::string_view text, std::string_view what, const std::array<const char*, N>& names) {
  const auto at = std::ranges::find(names, text, [](const char* name) { return std::string_view(name); });
  WN_CHECK(at != names.end(), ConfigError, "{}: {}{} (known: {})", what, quoted(text),
           did_you_mean(text, {names.begin(), names.end()}), detail::list_of(names));
  return static_cast<E>(at - names.begin());
}

bool compares_numbers(CellRule::Kind kind) { return kind >= CellRule::Less && kind <= CellRule::GreaterEqual; }

void check_feature(const FeatureSpec& f) {
  const auto fail = [&f](const std::string& text) { raise<ConfigError>("feature {}: {}", quoted(f.name), text); };
  if (f.column.empty()) fail("no column is given");
  if (f.min_categr_count < 1) fail(fmt::format("min_categr_count {} must be at least 1", f.min_categr_count));
  if (f.max_len < 1 || f.max_len > 65536) fail(fmt::format("max_len {} must be 1 to 65536", f.max_len));
  if (f.type == FeatureType::Multi && f.separator.empty()) fail("an empty separator");
  if (f.fill_na && f.fill_na->empty()) fail("fill_na is empty; leave it out for values that stay missing");
  if (f.type == FeatureType::Numeric && f.fill_na && !parse_number(*f.fill_na))
    fail(fmt::format("fill_na {} is not a number", quoted(*f.fill_na)));
}

void check_negatives(const Schema& s) {
  WN_CHECK(s.negatives.per_positive >= 0 && s.negatives.per_positive <= 1000, ConfigError,
           "negatives: per_positive {} must be 0 to 1000", s.negatives.per_positive);
  WN_CHECK(!s.label || s.negatives.per_positive == 0, ConfigError,
           "negatives are sampled for interactions without a label; leave out `label` or `negatives`");
  WN_CHECK(s.label || s.negatives.per_positive > 0, ConfigError,
           "without a label every interaction is a positive: give `negatives: {{per_positive: 4}}`, or a label");
}

}  // namespace

const char* name_of(FeatureType type) { return kTypes[static_cast<size_t>(type)]; }
const char* name_of(FeatureSource source) { return kSources[static_cast<size_t>(source)]; }
const char* name_of(Normalizer normalizer) { return kNormalizers[static_cast<size_t>(normalizer)]; }
const char* name_of(BagPooling pooling) { return kPoolings[static_cast<size_t>(pooling)]; }
FeatureType parse_feature_type(std::string_view text, std::string_view what) {
  return parse_name<FeatureType>(text, what, kTypes);
}
FeatureSource parse_feature_source(std::string_view text, std::string_view what) {
  return parse_name<FeatureSource>(text, what, kSources);
}
Normalizer parse_normalizer(std::string_view text, std::string_view what) {
  return parse_name<Normalizer>(text, what, kNormalizers);
}
BagPooling parse_bag_pooling(std::string_view text, std::string_view what) {
  return parse_name<BagPooling>(text, what, kPoolings);
}

bool has_ids(const FeatureSpec& spec) { return spec.type != FeatureType::Numeric; }
bool has_bags(const FeatureSpec& spec) { return spec.type == FeatureType::Multi; }
bool reads_numbers(const FeatureSpec& spec) { return spec.type == FeatureType::Numeric; }

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
  WN_CHECK(!s.interactions.path.empty(), ConfigError, "no interactions file is given");
  WN_CHECK(!s.user_id.empty() && !s.item_id.empty(), ConfigError, "user_id and item_id: both columns must be given");
  WN_CHECK(s.users.path.empty() || !s.users.key.empty(), ConfigError, "users: the key column is not given");
  WN_CHECK(s.items.path.empty() || !s.items.key.empty(), ConfigError, "items: the key column is not given");
  WN_CHECK(!s.features.empty(), ConfigError, "no features are given");
  std::set<std::string> names;
  for (const FeatureSpec& f : s.features) {
    WN_CHECK(!f.name.empty(), ConfigError, "a feature has no name");
    WN_CHECK(names.insert(f.name).second, ConfigError, "two features are named {}", quoted(f.name));
    check_feature(f);
  }
  for (const CellRule& rule : s.drop)
    WN_CHECK(rule.kind != CellRule::AsIs, ConfigError, "drop: column {} has no rule", quoted(rule.column));
  const SplitSpec& split = s.split;
  for (const double x : {split.train, split.valid, split.test})
    WN_CHECK(x > 0 && x < 1, ConfigError, "split: each of train, valid, test must lie between 0 and 1, got {}", x);
  WN_CHECK(std::abs(split.train + split.valid + split.test - 1) < 1e-9, ConfigError,
           "split: train + valid + test = {:.6g}, must be 1", split.train + split.valid + split.test);
  WN_CHECK(split.method != SplitSpec::Time || !s.timestamp.empty(), ConfigError,
           "split by time needs the timestamp column; give it, or `method: random`");
  [[maybe_unused]] const TimeFormat checked{s.time_format};
  check_negatives(s);
}

}  // namespace winnow
