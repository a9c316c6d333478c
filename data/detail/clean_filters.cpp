// The steps that look at one row at a time, and duplicates.
#include "data/detail/clean_filters.h"

#include <algorithm>
#include <chrono>
#include <set>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/hash128.h"
#include "data/schema.h"
#include "data/timestamp.h"

namespace winnow::detail {
namespace {

class Duplicates final : public CleanFilter {
 public:
  Duplicates(const DropDuplicates& spec, const RowReader& reader) : columns_(columns_of(reader, spec.columns)) {
    if (spec.columns.empty())
      for (size_t i = 0; i < reader.columns().size(); ++i) columns_.push_back(i);
    add_line("duplicates", joined(spec.columns), "an earlier row again");
  }
  void begin_pass() override { seen_.clear(); }
  int apply(CleanRow& row) override {
    RowHasher hasher;
    for (const size_t c : columns_) hasher.add(row.cells[c]);
    bool added = false;
    seen_.at(hasher.finish(), added);
    return added ? kKept : 0;
  }

 private:
  std::vector<size_t> columns_;
  HashTable<Nothing> seen_;
};

class Missing final : public CleanFilter {
 public:
  Missing(const DropMissing& spec, const RowReader& reader) : columns_(columns_of(reader, spec.columns)) {
    add_line("missing", joined(spec.columns), "empty");
  }
  int apply(CleanRow& row) override {
    return std::ranges::any_of(columns_, [&](size_t c) { return row.cells[c].empty(); }) ? 0 : kKept;
  }

 private:
  std::vector<size_t> columns_;
};

class Rule final : public CleanFilter {
 public:
  Rule(const DropRule& spec, const RowReader& reader)
      : rule_(spec), name_(spec.column), text_(spec.rule), column_(reader.column(spec.column)) {
    if (!spec.values.empty()) text_ = fmt::format("{} {}", spec.rule, joined(spec.values));
    add_line("rule", spec.column, text_);
  }
  int apply(CleanRow& row) override {
    const std::optional<bool> holds = rule_.holds(row.cells[column_]);
    if (!holds) row.fail(name_, fmt::format("{} is not a number (rule: {})", quoted(row.cells[column_]), text_));
    return *holds ? 0 : kKept;
  }

 private:
  RowRule rule_;
  std::string name_, text_;
  size_t column_;
};

class Impossible final : public CleanFilter {
 public:
  Impossible(const DropImpossible& spec, const RowReader& reader) : spec_(spec), column_(reader.column(spec.column)) {
    if (!spec.time_format.empty()) time_.emplace(spec.time_format);
    if (spec.latest_now) spec_.latest = seconds_now();
    add_line("impossible", spec.column, what());
  }
  int apply(CleanRow& row) override {
    const std::string_view cell = row.cells[column_];
    return cell.empty() || possible(cell) ? kKept : 0;
  }

 private:
  static int64_t seconds_now() {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    return std::chrono::duration_cast<std::chrono::seconds>(now).count();
  }
  std::string what() const {
    std::string text = time_ ? "no time" : "no number";
    if (spec_.min) text += fmt::format(", below {:g}", *spec_.min);
    if (spec_.max) text += fmt::format(", above {:g}", *spec_.max);
    if (spec_.earliest) text += ", before " + format_date(*spec_.earliest);
    if (spec_.latest) text += spec_.latest_now ? ", in the future" : ", after " + format_date(*spec_.latest);
    return text;
  }
  bool possible(std::string_view cell) const {
    if (time_) {
      const auto t = time_->parse(cell);
      return t && !(spec_.earliest && *t < *spec_.earliest) && !(spec_.latest && *t > *spec_.latest);
    }
    const auto x = parse_number(cell);
    return x && !(spec_.min && *x < *spec_.min) && !(spec_.max && *x > *spec_.max);
  }

  DropImpossible spec_;
  size_t column_;
  std::optional<TimeFormat> time_;
};

class NormaliseText final : public CleanFilter {
 public:
  NormaliseText(const NormaliseTextStep& spec, const RowReader& reader)
      : spec_(spec), columns_(columns_of(reader, spec.columns)) {
    add_line("text", joined(spec.columns), what());
  }
  int apply(CleanRow& row) override {
    for (size_t i = 0; i < columns_.size(); ++i) {
      std::string_view& cell = row.cells[columns_[i]];
      bool changed = false;
      try {
        changed = normalise_text(cell, spec_.options, scratch_);
      } catch (const DataError& e) { row.fail(spec_.columns[i], e.what()); }
      if (!changed) continue;
      row.texts.push_back(std::make_unique<std::string>(scratch_));
      cell = *row.texts.back();
      ++row.changed;
    }
    return kKept;
  }

 private:
  std::string what() const {
    const TextNormalisation& o = spec_.options;
    std::vector<std::string> words;
    if (o.html) words.emplace_back("entities");
    if (o.nfkc) words.emplace_back("NFKC");
    if (o.letter_case != TextCase::Keep) words.emplace_back(o.letter_case == TextCase::Lower ? "lower case" : "folded");
    if (o.control) words.emplace_back("control characters");
    if (o.whitespace) words.emplace_back("blanks");
    if (o.invalid == InvalidUtf8::Replace) words.emplace_back("UTF-8 repaired");
    return joined(words);
  }

  NormaliseTextStep spec_;
  std::vector<size_t> columns_;
  std::string scratch_;
};

}  // namespace

void CleanFilter::add_line(const char* step, const std::string& column, const std::string& what) {
  lines_.emplace_back();
  lines_.back().step = step;
  lines_.back().column = column;
  lines_.back().what = what;
}

std::vector<size_t> columns_of(const RowReader& reader, const std::vector<std::string>& names) {
  std::vector<size_t> columns;
  for (const std::string& name : names) columns.push_back(reader.column(name));
  return columns;
}

std::string joined(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ", ")); }

double number_at(const CleanRow& row, size_t column, const std::string& name, const char* step) {
  const auto x = parse_number(row.cells[column]);
  if (!x)
    row.fail(name, fmt::format("{} is not a number (clean: {}); leave such rows out before with {{step: impossible, "
                               "column: {}}}",
                               quoted(row.cells[column]), step, name));
  return *x;
}

struct RowRule::Test {
  enum Kind : uint8_t { Cell, Contains, OneOf, NotOneOf } kind = Cell;
  CellRule cell;
  std::string text;
  std::set<std::string, std::less<>> values;
};

RowRule::RowRule(const DropRule& spec) : test_(std::make_unique<Test>()) {
  const auto fail = [&spec](const char* text) {
    raise<ConfigError>("rule {} of column {}: {}", quoted(spec.rule), quoted(spec.column), text);
  };
  const std::string_view rule = spec.rule;
  const bool one_of = rule == "one_of", not_one_of = rule == "not_one_of";
  if (one_of || not_one_of) {
    test_->kind = one_of ? Test::OneOf : Test::NotOneOf;
    test_->values.insert(spec.values.begin(), spec.values.end());
    if (spec.values.empty()) fail("`values` must list at least one");
    return;
  }
  if (!spec.values.empty()) fail("`values` belong to one_of and not_one_of");
  constexpr std::string_view kContains = "contains ";
  if (rule.starts_with(kContains) && rule.size() > kContains.size()) {
    test_->kind = Test::Contains;
    test_->text = rule.substr(kContains.size());
    return;
  }
  if (rule.empty()) fail("begin with < <= > >= == != missing starts_with contains one_of or not_one_of");
  test_->cell = parse_rule(spec.column, rule);
}

RowRule::~RowRule() = default;

std::optional<bool> RowRule::holds(std::string_view cell) const {
  switch (test_->kind) {
    case Test::Contains: return cell.find(test_->text) != std::string_view::npos;
    case Test::OneOf: return test_->values.contains(cell);
    case Test::NotOneOf: return !test_->values.contains(cell);
    case Test::Cell: break;
  }
  return winnow::holds(test_->cell, cell);
}

FilterPointer make_filter(const DropDuplicates& spec, const RowReader& reader) {
  return std::make_unique<Duplicates>(spec, reader);
}
FilterPointer make_filter(const DropMissing& spec, const RowReader& reader) {
  return std::make_unique<Missing>(spec, reader);
}
FilterPointer make_filter(const DropRule& spec, const RowReader& reader) {
  return std::make_unique<Rule>(spec, reader);
}
FilterPointer make_filter(const DropImpossible& spec, const RowReader& reader) {
  return std::make_unique<Impossible>(spec, reader);
}
FilterPointer make_filter(const NormaliseTextStep& spec, const RowReader& reader) {
  return std::make_unique<NormaliseText>(spec, reader);
}

}  // namespace winnow::detail
