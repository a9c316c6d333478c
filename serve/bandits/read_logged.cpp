#include <algorithm>
#include <charconv>
#include <cmath>
#include <memory>

#include "core/error.h"
#include "core/text.h"
#include "data/string_index.h"
#include "data/typed_columns.h"
#include "serve/bandits/logged.h"
#include "serve/bandits/policy.h"

namespace winnow {
namespace {

constexpr int32_t kMostTexts = 1000;

// A column of numbers, or of texts as indicators.
struct FeatureColumn {
  std::string name;
  size_t at = 0;  // in the block
  bool text = false;
  std::vector<double> numbers = {};
  std::vector<int32_t> codes = {};
  StringIndex texts = {};

  int64_t width() const { return text ? texts.size() : 1; }
};

// A table whose columns are known by name: what was read of it.
class Table {
 public:
  Table(SourceSpec spec, const std::vector<std::string>& wanted, std::map<std::string, ColumnType> types) {
    spec.columns = wanted;
    reader_ = std::make_unique<TypedReader>(spec, types);
  }
  size_t at(const std::string& name) const {
    return static_cast<size_t>(std::ranges::find(reader_->columns(), name) - reader_->columns().begin());
  }
  bool next() {
    before_ += block_.rows;
    return reader_->next(block_);
  }
  const TypedBlock& block() const { return block_; }
  const TypedReader& reader() const { return *reader_; }
  double number(size_t column, int64_t row) const {
    const TypedColumn& c = block_.columns[column];
    const auto r = static_cast<size_t>(row);
    const bool whole = c.type == ColumnType::Int64;
    if (whole ? c.ints[r] == kMissingInt : std::isnan(c.floats[r])) fail(column, row, "is empty");
    return whole ? static_cast<double>(c.ints[r]) : c.floats[r];
  }
  [[noreturn]] void fail(size_t column, int64_t row, const std::string& what) const {
    raise<DataError>("{}: row {}: column {} {}", reader_->name(), before_ + row + 1, quoted(reader_->columns()[column]),
                     what);
  }

 private:
  std::unique_ptr<TypedReader> reader_;
  TypedBlock block_;
  int64_t before_ = 0;
};

std::vector<FeatureColumn> feature_columns(const Table& table, const std::vector<std::string>& names) {
  std::vector<FeatureColumn> out;
  for (const std::string& name : names) {
    const size_t at = table.at(name);
    out.push_back({.name = name, .at = at, .text = table.reader().types()[at] == ColumnType::Text});
  }
  return out;
}

void add_features(const Table& table, int64_t row, std::vector<FeatureColumn>& features) {
  for (FeatureColumn& f : features) {
    if (!f.text) {
      f.numbers.push_back(table.number(f.at, row));
      continue;
    }
    f.codes.push_back(f.texts.add(table.block().columns[f.at].text(row)));
    if (f.texts.size() > kMostTexts)
      table.fail(f.at, row, fmt::format("has over {} texts: too many for indicators", kMostTexts));
  }
}

std::vector<double> features_of(const std::vector<FeatureColumn>& columns, int64_t rows, int64_t& width) {
  width = 0;
  for (const FeatureColumn& f : columns) width += f.width();
  std::vector<double> out(static_cast<size_t>(rows * width));
  int64_t first = 0;
  for (const FeatureColumn& f : columns) {
    for (int64_t i = 0; i < rows; ++i) {
      double* row = out.data() + i * width + first;
      if (f.text)
        row[f.codes[static_cast<size_t>(i)]] = 1;
      else
        row[0] = f.numbers[static_cast<size_t>(i)];
    }
    first += f.width();
  }
  return out;
}

// Names with a star at the end stand for all columns that begin so.
std::vector<std::string> expand(const std::vector<std::string>& names, const RowReader& rows) {
  std::vector<std::string> out;
  for (const std::string& name : names) {
    if (!name.ends_with('*')) {
      rows.column(name);
      out.push_back(name);
      continue;
    }
    const std::string prefix = name.substr(0, name.size() - 1);
    const size_t before = out.size();
    for (const std::string& column : rows.columns())
      if (column.starts_with(prefix)) out.push_back(column);
    WN_CHECK(out.size() > before, ConfigError, "{}: no column begins with {}", rows.name(), quoted(prefix));
  }
  for (size_t i = 0; i < out.size(); ++i)
    WN_CHECK(std::find(out.begin(), out.begin() + static_cast<ptrdiff_t>(i), out[i]) ==
                 out.begin() + static_cast<ptrdiff_t>(i),
             ConfigError, "{}: feature {} is named twice", rows.name(), quoted(out[i]));
  return out;
}

std::vector<std::string> texts_of(const StringIndex& index) {
  std::vector<std::string> out;
  for (int32_t i = 0; i < index.size(); ++i) out.emplace_back(index.text(i));
  return out;
}

class LogBuilder {
 public:
  explicit LogBuilder(const LoggedBanditSpec& spec) : spec_(spec) {}

  LoggedBandit build() {
    const int given = !spec_.policy_columns.empty() + !spec_.policy_table.empty() + !spec_.policy_file.empty();
    WN_CHECK(
        given == 1, ConfigError,
        "{}: the evaluation policy is one of: columns of probabilities, a table of them, a saved policy; {} are given",
        spec_.log.name(), given);
    {
      const auto rows = open_rows(spec_.log);
      features_ = expand(spec_.features, *rows);
      wanted_ = {spec_.action, spec_.reward, spec_.propensity};
      if (!spec_.position.empty()) wanted_.push_back(spec_.position);
      if (!spec_.fold.empty()) wanted_.push_back(spec_.fold);
      for (const std::string& name : wanted_) rows->column(name);
      if (!spec_.policy_columns.empty()) {
        policy_columns_ = expand({spec_.policy_columns + "*"}, *rows);
        for (const std::string& name : policy_columns_) actions_.add(name.substr(spec_.policy_columns.size()));
      }
    }
    if (!spec_.policy_table.empty()) read_policy_table();
    if (!spec_.policy_file.empty()) read_policy_file();
    read_rows();
    out_.actions = actions_.size();
    out_.positions = std::max(positions_.size(), 1);
    out_.action_names = texts_of(actions_);
    out_.position_names = texts_of(positions_);
    place_policy();
    if (!spec_.action_table.empty()) read_action_table();
    out_.check();
    return std::move(out_);
  }

 private:
  void read_policy_table() {
    SourceSpec source{.path = spec_.policy_table};
    std::vector<std::string> wanted{"action", "probability"};
    std::map<std::string, ColumnType> types{{"action", ColumnType::Text}, {"probability", ColumnType::Float64}};
    if (!spec_.position.empty()) wanted.emplace_back("position"), types["position"] = ColumnType::Text;
    Table table(source, wanted, types);
    while (table.next())
      for (int64_t r = 0; r < table.block().rows; ++r) {
        const int32_t action = actions_.add(table.block().columns[0].text(r));
        const int32_t position = spec_.position.empty() ? 0 : positions_.add(table.block().columns[2].text(r));
        const double p = table.number(1, r);
        if (!table_.emplace(std::pair{position, action}, p).second) table.fail(0, r, "names an action a second time");
      }
    table_positions_ = positions_.size();
  }

  void read_policy_file() {
    policy_ = BanditPolicy::load(spec_.policy_file);
    for (int64_t a = 0; a < policy_->options().arms; ++a) actions_.add(std::to_string(a));
    WN_CHECK(policy_->options().feature_dim == 0, ConfigError,
             "{}: the policy scores candidates by features of their own, which a log of actions does not have",
             spec_.policy_file);
  }

  void read_rows() {
    std::map<std::string, ColumnType> types{
        {spec_.action, ColumnType::Text}, {spec_.reward, ColumnType::Float64}, {spec_.propensity, ColumnType::Float64}};
    for (const std::string& name : {spec_.position, spec_.fold})
      if (!name.empty()) types[name] = ColumnType::Text;
    std::vector<std::string> all = wanted_;
    for (const auto* more : {&features_, &policy_columns_})
      for (const std::string& name : *more)
        if (std::ranges::find(all, name) == all.end()) all.push_back(name);
    for (const std::string& name : policy_columns_) types[name] = ColumnType::Float64;
    Table table(spec_.log, all, types);
    std::vector<FeatureColumn> features = feature_columns(table, features_);
    std::vector<size_t> policy;
    for (const std::string& name : policy_columns_) policy.push_back(table.at(name));
    while (table.next())
      for (int64_t r = 0; r < table.block().rows; ++r) read_row(table, r, features, policy);
    WN_CHECK(out_.rows > 0, DataError, "{}: no row with a propensity over 0", spec_.log.name());
    out_.features = features_of(features, out_.rows, out_.width);
  }

  void read_row(const Table& table, int64_t r, std::vector<FeatureColumn>& features,
                const std::vector<size_t>& policy) {
    const double propensity = table.number(2, r);
    if (propensity == 0) {
      ++out_.zero_propensities;
      return;
    }
    if (!(propensity > 0 && propensity <= 1)) table.fail(2, r, fmt::format("is {}, not a probability", propensity));
    const std::string_view action = table.block().columns[0].text(r);
    const int32_t known = actions_.find(action);
    if (known < 0 && (!policy.empty() || policy_ != nullptr))
      table.fail(0, r, fmt::format("is {}, which the policy does not know", quoted(action)));
    out_.action.push_back(known < 0 ? actions_.add(action) : known);
    out_.reward.push_back(table.number(1, r));
    out_.propensity.push_back(propensity);
    int32_t position = 0;
    if (!spec_.position.empty()) {
      position = positions_.add(table.block().columns[3].text(r));
      if (!spec_.policy_table.empty() && position >= table_positions_)
        table.fail(3, r, "is a position that the policy's table does not have");
    }
    out_.position.push_back(position);
    if (!spec_.fold.empty()) out_.fold.push_back(folds_.add(table.block().columns[wanted_.size() - 1].text(r)));
    add_features(table, r, features);
    for (const size_t column : policy) out_.policy.push_back(table.number(column, r));
    ++out_.rows;
  }

  void place_policy() {
    out_.policy_by_row = !policy_columns_.empty();
    if (!spec_.policy_table.empty()) {
      out_.policy.assign(static_cast<size_t>(out_.positions * out_.actions), 0.0);
      for (const auto& [at, p] : table_) out_.policy[static_cast<size_t>(at.first * out_.actions + at.second)] = p;
    }
    if (policy_ != nullptr) play_policy();
  }

  // Positions of a policy are ranks: numbers that follow each other.
  std::vector<int64_t> ranks() const {
    std::vector<int64_t> out;
    for (const std::string& name : out_.position_names) {
      int64_t v = 0;
      const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), v);
      WN_CHECK(error == std::errc() && end == name.data() + name.size(), DataError,
               "{}: position {} is no number: a saved policy ranks by 1, 2, ...", spec_.log.name(), quoted(name));
      out.push_back(v);
    }
    if (out.empty()) return {0};
    const int64_t first = *std::ranges::min_element(out);
    for (int64_t& v : out) v -= first;
    WN_CHECK(*std::ranges::max_element(out) < out_.actions, DataError, "{}: positions up to {} of {} actions",
             spec_.log.name(), *std::ranges::max_element(out), out_.actions);
    return out;
  }

  void play_policy() {
    const int64_t dim = policy_->options().context_dim;
    WN_CHECK(dim == 0 || dim == out_.width, DataError, "{}: the log has {} features, the policy was made for {}",
             spec_.policy_file, out_.width, dim);
    const std::vector<int64_t> rank = ranks();
    const int64_t depth = *std::ranges::max_element(rank) + 1, lines = dim > 0 ? out_.rows : out_.positions;
    out_.policy_by_row = dim > 0;
    std::vector<int64_t> arms(static_cast<size_t>(out_.actions));
    for (size_t a = 0; a < arms.size(); ++a) arms[a] = static_cast<int64_t>(a);
    std::vector<double> shared;
    for (int64_t line = 0; line < lines; ++line) {
      const Candidates candidates{.arms = arms, .context = dim > 0 ? out_.context(line) : std::span<const double>{}};
      const size_t k =
          static_cast<size_t>(rank[static_cast<size_t>(dim > 0 ? out_.position[static_cast<size_t>(line)] : line)]);
      if (shared.empty() || dim > 0) shared = policy_->rank_probabilities(candidates, depth, spec_.draws);
      const auto from = shared.begin() + static_cast<ptrdiff_t>(k * arms.size());
      out_.policy.insert(out_.policy.end(), from, from + static_cast<ptrdiff_t>(arms.size()));
    }
  }

  void read_action_table() {
    SourceSpec source{.path = spec_.action_table};
    std::vector<std::string> names;
    {
      const auto rows = open_rows(source);
      rows->column(spec_.action);
      names = expand(spec_.action_features, *rows);
    }
    WN_CHECK(!names.empty(), ConfigError, "{}: no feature of the actions is named", spec_.action_table);
    std::vector<std::string> all{spec_.action};
    all.insert(all.end(), names.begin(), names.end());
    Table table(source, all, {{spec_.action, ColumnType::Text}});
    std::vector<FeatureColumn> features = feature_columns(table, names);
    std::vector<int64_t> row_of(static_cast<size_t>(out_.actions), -1);
    int64_t rows = 0;
    while (table.next())
      for (int64_t r = 0; r < table.block().rows; ++r) {
        const int32_t a = actions_.find(table.block().columns[0].text(r));
        if (a < 0) continue;
        if (row_of[static_cast<size_t>(a)] >= 0) table.fail(0, r, "names an action a second time");
        row_of[static_cast<size_t>(a)] = rows++;
        add_features(table, r, features);
      }
    for (size_t a = 0; a < row_of.size(); ++a)
      WN_CHECK(row_of[a] >= 0, DataError, "{}: no row for action {}", spec_.action_table, quoted(out_.action_names[a]));
    const std::vector<double> read = features_of(features, rows, out_.action_width);
    for (const int64_t row : row_of)
      out_.action_features.insert(out_.action_features.end(), read.begin() + row * out_.action_width,
                                  read.begin() + (row + 1) * out_.action_width);
  }

  const LoggedBanditSpec& spec_;
  LoggedBandit out_;
  std::vector<std::string> wanted_, features_, policy_columns_;
  StringIndex actions_, positions_, folds_;
  std::map<std::pair<int32_t, int32_t>, double> table_;  // (position, action)
  int32_t table_positions_ = 0;
  std::unique_ptr<BanditPolicy> policy_;
};

}  // namespace

LoggedBandit read_logged_bandit(const LoggedBanditSpec& spec) { return LogBuilder(spec).build(); }

}  // namespace winnow
