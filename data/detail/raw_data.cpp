#include "data/detail/raw_data.h"

#include <array>
#include <limits>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "data/timestamp.h"

namespace winnow::detail {
namespace {

constexpr double kMissing = std::numeric_limits<double>::quiet_NaN();

[[noreturn]] void fail(const CsvReader& reader, std::string_view column, const std::string& what) {
  raise<DataError>("{}:{}: column {}: {}", reader.file(), reader.line(), quoted(column), what);
}

std::string text_of(const CellRule& rule) {
  static constexpr std::array<const char*, 9> kKinds = {"", "<", "<=", ">", ">=", "==", "!=", "missing", "starts_with"};
  return fmt::format("{} {}{}{}", rule.column, kKinds[rule.kind], rule.text.empty() ? "" : " ", rule.text);
}

double number_of(const CsvReader& reader, const std::string& column, std::string_view cell, const char* what) {
  const auto x = parse_number(cell);
  if (!x) fail(reader, column, fmt::format("{}{} is not a number", what, quoted(cell)));
  return *x;
}

// What is shown to people or goes into feature_map.json is UTF-8.
void check_utf8(const CsvReader& reader, const std::string& column, std::string_view cell) {
  if (!is_utf8(cell))
    fail(reader, column, fmt::format("{} is not UTF-8; convert the file, for example with iconv", quoted(cell)));
}

std::string title_of(const CsvReader& reader, const std::string& column, std::string_view cell) {
  check_utf8(reader, column, cell);
  return std::string(cell);
}

// The number of a text.
int32_t code_of(StringIndex& index, const CsvReader& reader, const std::string& column, std::string_view cell) {
  const int32_t before = index.size(), code = index.add(cell);
  if (code == before) check_utf8(reader, column, cell);
  return code;
}

// A feature's column in an open file.
struct Binding {
  RawColumn* raw;
  const FeatureSpec* spec;
  size_t column;
};

void set_cell(const Binding& b, size_t row, const CsvReader& reader) {
  const std::string_view cell = reader.cells()[b.column];
  if (cell.empty()) return;
  if (b.raw->numeric)
    b.raw->numbers[row] = number_of(reader, b.spec->column, cell, "");
  else
    b.raw->codes[row] = code_of(b.raw->texts, reader, b.spec->column, cell);
}

void resize(RawColumn& raw, size_t rows) {
  if (raw.numeric)
    raw.numbers.resize(rows, kMissing);
  else
    raw.codes.resize(rows, 0);
}

// One of the files, open.
struct OpenTable {
  explicit OpenTable(const TableSpec& spec) : file(spec.path), reader(spec.path, file.text(), spec.csv) {}
  MappedFile file;
  CsvReader reader;
};

class FileSet {
 public:
  explicit FileSet(const Schema& schema) : schema_(schema), interactions_(schema.interactions) {
    if (!schema.users.path.empty()) users_.emplace(schema.users);
    if (!schema.items.path.empty()) items_.emplace(schema.items);
    data_.features.resize(schema.features.size());
    for (size_t i = 0; i < schema.features.size(); ++i) bind(schema.features[i], data_.features[i]);
  }

  RawData read() {
    read_interactions();
    if (users_)
      data_.report.users_without_row = join(*users_, schema_.users, data_.users, data_.user, user_bindings_, false);
    if (items_)
      data_.report.items_without_row = join(*items_, schema_.items, data_.items, data_.item, item_bindings_, true);
    return std::move(data_);
  }

 private:
  // Decides which file a feature's column comes from: the side table of its source where it has the column, else the
  // interactions.
  void bind(const FeatureSpec& spec, RawColumn& raw) {
    raw.numeric = reads_numbers(spec);
    raw.texts.add("");
    const bool user = spec.source == FeatureSource::User, item = spec.source == FeatureSource::Item;
    const auto& side = user ? users_ : item ? items_ : kNone;
    const std::string& id = user ? schema_.user_id : schema_.item_id;
    const std::string& key = user ? schema_.users.key : schema_.items.key;
    if (side && (spec.column == id || spec.column == key)) {
      raw.rows = item ? RawColumn::ItemInteraction : RawColumn::Interaction;
      interaction_bindings_.push_back({&raw, &spec, interactions_.reader.column(id)});
    } else if (side && (side->reader.has_column(spec.column) || !interactions_.reader.has_column(spec.column))) {
      raw.rows = user ? RawColumn::User : RawColumn::Item;
      (user ? user_bindings_ : item_bindings_).push_back({&raw, &spec, side->reader.column(spec.column)});
    } else {
      raw.rows = item ? RawColumn::ItemInteraction : RawColumn::Interaction;
      interaction_bindings_.push_back({&raw, &spec, interactions_.reader.column(spec.column)});
    }
  }

  void read_interactions();
  bool dropped(const std::vector<size_t>& columns);
  float label_of(std::string_view cell) const;
  int32_t key_of(StringIndex& index, const std::string& column, size_t at);
  int64_t join(OpenTable& table, const TableSpec& spec, const StringIndex& keys, const std::vector<int32_t>& used,
               const std::vector<Binding>& bindings, bool items);

  static const std::optional<OpenTable> kNone;
  const Schema& schema_;
  OpenTable interactions_;
  std::optional<OpenTable> users_, items_;
  std::vector<Binding> interaction_bindings_, user_bindings_, item_bindings_;
  RawData data_;
};
const std::optional<OpenTable> FileSet::kNone;

bool FileSet::dropped(const std::vector<size_t>& columns) {
  const CsvReader& reader = interactions_.reader;
  for (size_t i = 0; i < columns.size(); ++i) {
    const CellRule& rule = schema_.drop[i];
    const std::string_view cell = reader.cells()[columns[i]];
    const auto drop = holds(rule, cell);
    if (!drop) fail(reader, rule.column, fmt::format("{} is not a number (drop: {})", quoted(cell), text_of(rule)));
    if (!*drop) continue;
    ++data_.report.dropped[i].rows;
    return true;
  }
  return false;
}

float FileSet::label_of(std::string_view cell) const {
  const CellRule& rule = *schema_.label;
  if (rule.kind == CellRule::AsIs)
    return static_cast<float>(number_of(interactions_.reader, rule.column, cell, "label "));
  if (cell.empty() && rule.kind != CellRule::Missing) fail(interactions_.reader, rule.column, "the label is missing");
  const auto positive = holds(rule, cell);
  if (!positive) fail(interactions_.reader, rule.column, fmt::format("label {} is not a number", quoted(cell)));
  return *positive ? 1.f : 0.f;
}

int32_t FileSet::key_of(StringIndex& index, const std::string& column, size_t at) {
  const std::string_view cell = interactions_.reader.cells()[at];
  if (cell.empty())
    fail(interactions_.reader, column,
         fmt::format("is missing; leave such rows out with `drop: [{{column: {}, rule: missing}}]`", column));
  return code_of(index, interactions_.reader, column, cell);
}

void FileSet::read_interactions() {
  CsvReader& reader = interactions_.reader;
  const auto optional_column = [&](const std::string& name) {
    return name.empty() ? std::optional<size_t>{} : reader.column(name);
  };
  const size_t user = reader.column(schema_.user_id), item = reader.column(schema_.item_id);
  const auto time = optional_column(schema_.timestamp), weight = optional_column(schema_.weight),
             title = optional_column(schema_.interactions.title),
             label = optional_column(schema_.label ? schema_.label->column : "");
  const TimeFormat format(schema_.time_format);
  std::vector<size_t> drop_columns;
  for (const CellRule& rule : schema_.drop) {
    drop_columns.push_back(reader.column(rule.column));
    data_.report.dropped.push_back({text_of(rule), 0});
  }
  while (reader.next()) {
    if (dropped(drop_columns)) continue;
    const size_t row = data_.user.size();
    WN_CHECK(row < size_t{std::numeric_limits<int32_t>::max()}, DataError, "{}: more than {} rows", reader.file(), row);
    const auto cells = reader.cells();
    data_.user.push_back(key_of(data_.users, schema_.user_id, user));
    data_.item.push_back(key_of(data_.items, schema_.item_id, item));
    data_.label.push_back(label ? label_of(cells[*label]) : 1.f);
    if (time) {
      const auto seconds = format.parse(cells[*time]);
      if (!seconds)
        fail(reader, schema_.timestamp,
             fmt::format("{} is not a time of the format {}", quoted(cells[*time]), quoted(schema_.time_format)));
      data_.time.push_back(*seconds);
    }
    if (weight) {
      const double w = number_of(reader, schema_.weight, cells[*weight], "weight ");
      if (w <= 0) fail(reader, schema_.weight, fmt::format("weight {} must be positive", w));
      data_.weight.push_back(static_cast<float>(w));
    }
    if (title) {
      data_.item_titles.resize(static_cast<size_t>(data_.items.size()));
      std::string& known = data_.item_titles[static_cast<size_t>(data_.item.back())];
      if (known.empty()) known = title_of(reader, schema_.interactions.title, cells[*title]);
    }
    for (const Binding& b : interaction_bindings_) {
      if (b.raw->codes.size() <= row && b.raw->numbers.size() <= row) resize(*b.raw, row + 1);
      set_cell(b, row, reader);
    }
  }
  data_.report.rows_read = reader.rows();
}

// Reads the rows of a side table whose key some interaction has. Returns how many interactions found no row.
int64_t FileSet::join(OpenTable& table, const TableSpec& spec, const StringIndex& keys,
                      const std::vector<int32_t>& used, const std::vector<Binding>& bindings, bool items) {
  CsvReader& reader = table.reader;
  const size_t key = reader.column(spec.key);
  const bool titled = items && !spec.title.empty();
  const size_t title = titled ? reader.column(spec.title) : 0;
  if (titled) data_.item_titles.resize(static_cast<size_t>(keys.size()));
  for (const Binding& b : bindings) resize(*b.raw, static_cast<size_t>(keys.size()));
  StringIndex seen;
  std::vector<int64_t> lines;
  std::vector<bool> found(static_cast<size_t>(keys.size()));
  while (reader.next()) {
    const std::string_view cell = reader.cells()[key];
    if (cell.empty()) fail(reader, spec.key, "the key is missing");
    const int32_t number = seen.add(cell);
    if (static_cast<size_t>(number) < lines.size())
      fail(reader, spec.key, fmt::format("{} stands on line {} too", quoted(cell), lines[static_cast<size_t>(number)]));
    lines.push_back(reader.line());
    const int32_t row = keys.find(cell);
    if (row < 0) continue;
    found[static_cast<size_t>(row)] = true;
    if (titled) data_.item_titles[static_cast<size_t>(row)] = title_of(reader, spec.title, reader.cells()[title]);
    for (const Binding& b : bindings) set_cell(b, static_cast<size_t>(row), reader);
  }
  int64_t without = 0;
  for (const int32_t row : used) without += !found[static_cast<size_t>(row)];
  return without;
}

}  // namespace

RawData read_files(const Schema& schema) { return FileSet(schema).read(); }

}  // namespace winnow::detail
