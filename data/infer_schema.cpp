#include "data/infer_schema.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "data/hash.h"

namespace winnow {
namespace {

constexpr double kSameValue = 0.5;     // of a key's rows, for a feature of that key
constexpr int64_t kFewIntegers = 31;   // distinct integers that are rather names than sizes
constexpr int64_t kManyValues = 1000;  // from here on rare values become OOV
constexpr int64_t kWordsOfAText = 3;
constexpr int64_t kLongestBag = 50, kLongestText = 32;

using Names = std::vector<std::string_view>;
const Names kUsers = {"user",    "customer", "member",  "visitor", "client", "reviewer",
                      "shopper", "consumer", "account", "uid",     "session"};
const Names kItems = {"item", "product", "stockcode", "sku",  "movie", "asin",  "article", "video",
                      "song", "track",   "book",      "isbn", "news",  "goods", "ad",      "business"};
const Names kTimes = {"timestamp",   "time",    "datetime",  "eventtime", "date",
                      "invoicedate", "created", "createdat", "ts",        "unixreviewtime"};
const Names kLabels = {"label",     "click",  "clicked",    "isclick",   "like",   "liked", "islike", "purchase",
                       "purchased", "target", "conversion", "converted", "rating", "stars", "score",  "overall"};
const Names kSequences = {"history", "sequence", "seq", "session", "last", "recent", "previous"};

// "Customer_ID" -> "customer": lower case letters and digits, without the ending id.
std::string plain(std::string_view name) {
  std::string out;
  for (const char c : name) {
    const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    if ((lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9')) out += lower;
  }
  if (out.size() > 2 && out.ends_with("id")) out.resize(out.size() - 2);
  return out;
}

// The column whose plain name comes first in the list; "" none.
std::string named(const std::vector<std::string>& columns, const Names& names, std::string_view except = {}) {
  for (const std::string_view name : names)
    for (const std::string& column : columns)
      if (column != except && plain(column) == name) return column;
  return "";
}

bool named_like_a_code(std::string_view name) {
  const std::string lower = plain(name);
  for (const std::string_view word : {"code", "zip", "postal", "phone", "category", "class", "type", "brand"})
    if (lower.find(word) != std::string::npos) return true;
  for (const std::string_view end : {"id", "Id", "ID", "No", "_no", "Nr", "number"})
    if (name.ends_with(end)) return true;
  return false;
}

std::string count_of(const ColumnProfile& p) {
  return fmt::format("{}{} values", p.distinct_is_exact() ? "" : "about ", p.distinct());
}

std::string seen(const ColumnProfile& p) {
  std::string text = count_of(p);
  if (p.missing() > 0)
    text += fmt::format(", {:.2g} % missing", 100 * static_cast<double>(p.missing()) / static_cast<double>(p.rows()));
  for (size_t i = 0; i < p.examples().size(); ++i) text += (i == 0 ? ", such as " : ", ") + quoted(p.examples()[i], 40);
  return text;
}

// How cells are cut that are lists; null: they are none. Words and clauses are parts too, so that blanks and commas
// must prove themselves by few parts that repeat.
const ColumnProfile::Parts* list_parts(const ColumnProfile& p) {
  for (const ColumnProfile::Parts& s : p.parts()) {
    const bool words = s.separator == " " || s.separator == ",";
    const int64_t parts = s.distinct.count();
    const bool repeats = words ? parts <= 200 && parts * 2 < p.distinct() : parts * 10 < s.parts * 9 || parts <= 200;
    if (s.share(p.present()) >= 0.05 && repeats && s.most >= 2) return &s;
  }
  return nullptr;
}

class Inference {
 public:
  explicit Inference(const InferOptions& options) { schema_.options = options; }
  InferredSchema run();

 private:
  std::unique_ptr<RowReader> open();
  void choose_ids(const std::vector<std::string>& columns);
  void read(RowReader& reader);
  void choose_time();
  void choose_label();
  void set_label(InferredColumn& column, std::string why);
  void describe(InferredColumn& column, size_t c) const;
  bool leave_out(InferredColumn& column) const;
  void describe_numbers(InferredColumn& column) const;
  bool describe_bag(InferredColumn& column) const;
  std::string source_of(const ColumnProfile& p, size_t c, std::string& why) const;
  InferredColumn* free_column(std::string_view name);

  InferredSchema schema_;
  std::vector<KeyDependence> dependence_;  // on user, item
};

void Inference::choose_ids(const std::vector<std::string>& columns) {
  InferOptions& o = schema_.options;
  std::string all;
  for (const std::string& column : columns) all += (all.empty() ? "" : ", ") + quoted(column);
  const auto check = [&](const std::string& given, const char* option) {
    WN_CHECK(given.empty() || std::ranges::find(columns, given) != columns.end(), ConfigError,
             "{}: there is no column {}{} (columns: {})", option, quoted(given), did_you_mean(given, columns), all);
  };
  check(o.user, "--user"), check(o.item, "--item"), check(o.label, "--label"), check(o.time, "--time");
  if (o.user.empty()) o.user = named(columns, kUsers, o.item);
  if (o.item.empty()) o.item = named(columns, kItems, o.user);
  WN_CHECK(!o.user.empty(), ConfigError, "no column is named like a user; say which it is with --user (columns: {})",
           all);
  WN_CHECK(!o.item.empty(), ConfigError, "no column is named like an item; say which it is with --item (columns: {})",
           all);
  WN_CHECK(o.user != o.item, ConfigError, "--user and --item are the same column {}", quoted(o.user));
}

void Inference::read(RowReader& reader) {
  const size_t width = reader.columns().size();
  for (const std::string& name : reader.columns())
    schema_.columns.push_back(
        {.profile = ColumnProfile(name), .role = {}, .type = {}, .source = {}, .keys = {}, .why = {}});
  dependence_.assign(2, KeyDependence(width));
  const std::array keys = {reader.column(schema_.options.user), reader.column(schema_.options.item)};
  std::vector<uint64_t> hashes(width);
  RowBlock block;
  while (reader.next(block)) {
    schema_.rows += block.rows;
    for (int64_t r = 0; r < block.rows; ++r) {
      for (size_t c = 0; c < width; ++c) {
        const std::string_view cell = block.cell(r, c);
        if (!is_utf8(cell)) block.fail(r, reader.columns()[c], quoted(cell) + " is not UTF-8; convert the file");
        schema_.columns[c].profile.add(cell);
        hashes[c] = xxh64(cell);
      }
      for (size_t k = 0; k < keys.size(); ++k)
        if (!block.cell(r, keys[k]).empty()) dependence_[k].add(hashes[keys[k]], hashes);
    }
  }
  WN_CHECK(schema_.rows >= 10, DataError, "{}: {} rows are too few to tell the columns apart", reader.name(),
           schema_.rows);
}

InferredColumn* Inference::free_column(std::string_view name) {
  for (InferredColumn& c : schema_.columns)
    if (c.role.empty() && c.profile.name() == name) return &c;
  return nullptr;
}

void Inference::choose_time() {
  const auto is_time = [](const InferredColumn& c) {
    return c.role.empty() && c.profile.missing() == 0 && !c.profile.time_format().empty();
  };
  InferredColumn* best = nullptr;
  if (const std::string& given = schema_.options.time; !given.empty()) {
    best = free_column(given);
    WN_CHECK(best != nullptr, ConfigError, "--time {}: the column has another role", quoted(given));
    WN_CHECK(is_time(*best), ConfigError,
             "--time {}: {}; write the config's timestamp by hand, with a format of %Y %m %d %H %M %S", quoted(given),
             best->profile.missing() > 0 ? "cells are missing" : "its cells fit none of the known formats");
  }
  for (size_t n = 0; best == nullptr && n < kTimes.size(); ++n)
    for (InferredColumn& c : schema_.columns)
      if (best == nullptr && plain(c.profile.name()) == kTimes[n] && is_time(c)) best = &c;
  for (InferredColumn& c : schema_.columns)  // a date says what it is; a number might be anything
    if (best == nullptr && is_time(c) && !c.profile.all_numbers()) best = &c;
  if (best == nullptr) return;
  best->role = "timestamp";
  best->why = fmt::format("every cell fits {}; {}", best->profile.time_format(), seen(best->profile));
}

void Inference::set_label(InferredColumn& column, std::string why) {
  const ColumnProfile& p = column.profile;
  column.role = "label";
  schema_.drop_missing_label = p.missing() > 0;
  const double n = static_cast<double>(p.present());
  if (p.all_numbers() && p.least() >= 0 && p.most() <= 1) {
    schema_.positives = p.mean();
  } else if (p.all_numbers()) {
    std::vector<std::pair<double, std::string>> values;
    for (const auto& [text, count] : p.counts()) values.emplace_back(std::stod(text), text);
    std::ranges::sort(values, std::greater<>());
    WN_CHECK(!values.empty(), ConfigError,
             "label {}: over {} different numbers; choose a rule such as \">= 4\" in the config by hand, or another "
             "column with --label",
             quoted(p.name()), ColumnProfile::kCounted);
    double above = 0;
    for (size_t i = 0; i + 1 < values.size(); ++i) {
      above += static_cast<double>(p.counts().at(values[i].second)) / n;
      if (i > 0 && std::abs(above - 0.5) >= std::abs(schema_.positives - 0.5)) break;
      schema_.positives = above;
      schema_.label_rule = ">= " + values[i].second;
    }
  } else {
    WN_CHECK(!p.counts().empty(), ConfigError, "label {}: over {} different texts; name another column with --label",
             quoted(p.name()), ColumnProfile::kCounted);
    const auto rarest = std::ranges::min_element(p.counts(), {}, [](const auto& c) { return c.second; });
    schema_.label_rule = "== " + rarest->first;
    schema_.positives = static_cast<double>(rarest->second) / n;
  }
  column.why = fmt::format("{}; {:.3g} % positive; {}", why, 100 * schema_.positives, seen(p));
}

void Inference::choose_label() {
  if (const std::string& given = schema_.options.label; !given.empty()) {
    InferredColumn* column = free_column(given);
    WN_CHECK(column != nullptr, ConfigError, "--label {}: the column has another role", quoted(given));
    return set_label(*column, "as asked for");
  }
  for (const std::string_view name : kLabels)
    for (InferredColumn& c : schema_.columns) {
      const ColumnProfile& p = c.profile;
      if (!c.role.empty() || plain(p.name()) != name || !p.all_numbers() || p.distinct() < 2) continue;
      if (p.counts().empty() && !(p.least() >= 0 && p.most() <= 1)) continue;
      return set_label(c, "by its name");
    }
}

std::string Inference::source_of(const ColumnProfile& p, size_t c, std::string& why) const {
  double by_chance = 0;
  for (const auto& [text, count] : p.counts()) {
    const double share = static_cast<double>(count) / static_cast<double>(p.rows());
    by_chance += share * share;
  }
  const std::array names = {"user", "item"};
  size_t best = 0;
  std::array<double, 2> beyond{};
  for (size_t k = 0; k < 2; ++k) {
    beyond[k] = by_chance < 1 ? (dependence_[k].share(c) - by_chance) / (1 - by_chance) : 0;
    if (beyond[k] > beyond[best]) best = k;
  }
  if (dependence_[best].pairs() < 10 || beyond[best] < kSameValue) {
    why += "; changes from row to row of a user or item";
    return "context";
  }
  why += fmt::format("; the same as in the first row in {:.0f} % of the rows of one {}",
                     100 * dependence_[best].share(c), names[best]);
  return names[best];
}

bool Inference::leave_out(InferredColumn& column) const {
  const ColumnProfile& p = column.profile;
  const auto out = [&](const char* why) {
    column.role = "out";
    column.why = fmt::format("left out: {}; {}", why, seen(p));
    return true;
  };
  if (p.present() == 0) return out("every cell is missing");
  if (p.distinct() == 1 && p.missing() == 0) return out("a constant");
  if (std::ranges::find(kLabels, plain(p.name())) != kLabels.end())
    return out("named like an outcome, which is not there yet when a prediction is asked for");
  if (!p.time_format().empty() && !p.all_numbers()) return out("a time; give the parts of it that matter as columns");
  if (list_parts(p) != nullptr) return false;
  const bool fresh = static_cast<double>(p.distinct()) > 0.9 * static_cast<double>(p.present());
  if (fresh && !p.all_numbers() && p.words_per_cell() < kWordsOfAText) return out("a new value in nearly every row");
  const auto of = [&](const char* role) { return schema_.of_role(role)->profile.distinct(); };
  if ((!p.all_numbers() || named_like_a_code(p.name())) && p.words_per_cell() < 2 &&
      p.distinct() > std::max(kManyValues, 3 * std::max(of("user"), of("item"))))
    return out("more values than users or items, as orders and sessions have: later rows hold new ones");
  if (fresh && p.all_integers() && named_like_a_code(p.name())) return out("a new number in nearly every row");
  return false;
}

void Inference::describe_numbers(InferredColumn& column) const {
  const ColumnProfile& p = column.profile;
  if (named_like_a_code(p.name()) || (p.all_integers() && p.distinct() <= kFewIntegers)) {
    column.type = "categorical";
    if (p.distinct() > kManyValues) column.keys = "min_categr_count: 2";
    return;
  }
  column.type = "numeric";
  const double largest = std::max(std::abs(p.least()), std::abs(p.most()));
  const bool skewed = largest > 100 && largest > 10 * std::abs(p.mean());
  column.keys = skewed ? "normalizer: log_standard" : "normalizer: standard";
  column.why += fmt::format("; {:.6g} to {:.6g}, mean {:.4g}", p.least(), p.most(), p.mean());
}

// A list of names, or a text; false: neither.
bool Inference::describe_bag(InferredColumn& column) const {
  const ColumnProfile& p = column.profile;
  if (const ColumnProfile::Parts* list = list_parts(p); list != nullptr) {
    const ColumnProfile::Parts& s = *list;
    const int64_t parts = s.distinct.count();
    const std::string name = plain(p.name());
    const bool ordered = s.separator == ">" || std::ranges::any_of(kSequences, [&](std::string_view word) {
                           return name.find(word) != std::string::npos;
                         });
    column.type = ordered ? "sequence" : "multi";
    column.keys = fmt::format("separator: \"{}\", max_len: {}", s.separator, std::min(s.most, kLongestBag));
    column.why += fmt::format("; {} in {:.0f} % of the cells, {} parts, up to {} a cell", quoted(s.separator),
                              100 * s.share(p.present()), parts, s.most);
    if (parts > kManyValues) column.keys += ", min_categr_count: 2";
    return true;
  }
  if (p.words_per_cell() < kWordsOfAText) return false;
  column.type = "text";
  column.keys = fmt::format("max_len: {}, min_categr_count: 2", std::clamp<int64_t>(p.most_words(), 1, kLongestText));
  column.why += fmt::format("; {:.1f} words a cell", p.words_per_cell());
  return true;
}

void Inference::describe(InferredColumn& column, size_t c) const {
  const ColumnProfile& p = column.profile;
  const bool user = p.name() == schema_.options.user, item = p.name() == schema_.options.item;
  if (!column.role.empty() && !user && !item) return;
  if (!user && !item && leave_out(column)) return;
  column.why = seen(p);
  if (user || item) {
    column.type = "categorical";
    column.source = user ? "user" : "item";
    if (p.distinct() > kManyValues) column.keys = "min_categr_count: 2";
    return;
  }
  column.role = "feature";
  if (p.all_numbers()) {
    describe_numbers(column);
  } else if (!describe_bag(column)) {
    column.type = "categorical";
    if (p.distinct() > kManyValues) column.keys = "min_categr_count: 2";
  }
  column.source = source_of(p, c, column.why);
}

// A header of one column that holds another separator, or RecBole's types, says how the file is meant.
std::unique_ptr<RowReader> Inference::open() {
  SourceSpec& source = schema_.options.source;
  std::unique_ptr<RowReader> reader = open_rows(source);
  if (reader->columns().size() != 1 || source.csv) return reader;
  const std::string header = reader->columns()[0];
  if (header.find(":token") != std::string::npos && header.find('\t') != std::string::npos) {
    source.format = "recbole";
    return open_rows(source);
  }
  const size_t separator = header.find_first_of("\t;|");
  if (separator == std::string::npos) return reader;
  source.csv = format_options("csv");
  source.csv->separator = header[separator];
  return open_rows(source);
}

InferredSchema Inference::run() {
  const std::unique_ptr<RowReader> reader = open();
  choose_ids(reader->columns());
  read(*reader);
  for (InferredColumn& c : schema_.columns) {
    if (c.profile.name() == schema_.options.user) c.role = "user", schema_.drop_missing_user = c.profile.missing() > 0;
    if (c.profile.name() == schema_.options.item) c.role = "item", schema_.drop_missing_item = c.profile.missing() > 0;
  }
  choose_time();
  choose_label();
  for (size_t c = 0; c < schema_.columns.size(); ++c) describe(schema_.columns[c], c);
  return std::move(schema_);
}

}  // namespace

const InferredColumn* InferredSchema::of_role(std::string_view role) const {
  const auto at = std::ranges::find(columns, role, &InferredColumn::role);
  return at == columns.end() ? nullptr : &*at;
}

InferredSchema infer_schema(const InferOptions& options) { return Inference(options).run(); }

}  // namespace winnow
