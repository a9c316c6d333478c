#include "data/typed_columns.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/block_source.h"
#include "data/detail/ordered_workers.h"
#include "data/detail/parse_number.h"

namespace winnow {
namespace {

constexpr std::array<const char*, 4> kTypeNames = {"int64", "float64", "text", "category"};

ColumnType infer(const RowBlock& block, size_t column) {
  bool any = false, all_int = true, all_number = true;
  for (int64_t r = 0; r < block.rows && all_number; ++r) {
    const std::string_view cell = block.cell(r, column);
    if (cell.empty()) continue;
    any = true;
    int64_t whole;
    double number;
    all_int = all_int && detail::parse_int64(cell, whole);
    all_number = all_int || detail::parse_double(cell, number);
  }
  return !any || !all_number ? ColumnType::Text : all_int ? ColumnType::Int64 : ColumnType::Float64;
}

// A block on its way: categories are numbered within the block until it is delivered.
struct Parsed {
  TypedBlock block;
  std::vector<StringIndex> categories;
};

struct Work {
  detail::Piece piece;
  RowBlock rows;
};

void append(std::string_view cell, char* to) {
  // most texts are short: two copies of fixed size that overlap
  if (cell.size() <= 8 && cell.size() >= 4) {
    std::memcpy(to, cell.data(), 4);
    std::memcpy(to + cell.size() - 4, cell.data() + cell.size() - 4, 4);
  } else if (cell.size() <= 16 && cell.size() > 8) {
    std::memcpy(to, cell.data(), 8);
    std::memcpy(to + cell.size() - 8, cell.data() + cell.size() - 8, 8);
  } else {
    std::copy(cell.begin(), cell.end(), to);
  }
}

}  // namespace

const char* name_of(ColumnType type) { return kTypeNames[static_cast<size_t>(type)]; }

ColumnType parse_column_type(std::string_view text) {
  const auto at = std::ranges::find(kTypeNames, text);
  WN_CHECK(at != kTypeNames.end(), ConfigError, "there is no column type {} (known: int64, float64, text, category)",
           quoted(text));
  return static_cast<ColumnType>(at - kTypeNames.begin());
}

struct TypedReader::State {
  explicit State(const SourceSpec& spec)
      : source(detail::open_blocks(spec)),
        workers(
            spec.threads, [this](Work& work, Parsed&) { return source->read(work.piece); },
            [this](Work& work, Parsed& made) {
              source->parse(work.piece, work.rows);
              convert(work.rows, made);
              work.piece.memory = std::move(work.rows.memory);
            }) {}

  void convert(const RowBlock& rows, Parsed& made) const {
    TypedBlock& block = made.block;
    block.rows = rows.rows;
    block.columns.resize(types.size());
    made.categories.assign(types.size(), {});
    for (size_t c = 0; c < types.size(); ++c) {
      TypedColumn& column = block.columns[c];
      column.type = types[c];
      switch (types[c]) {
        case ColumnType::Int64: convert_ints(rows, c, column); break;
        case ColumnType::Float64: convert_floats(rows, c, column); break;
        case ColumnType::Text: convert_texts(rows, c, column); break;
        case ColumnType::Category: convert_categories(rows, c, column, made.categories[c]); break;
      }
    }
  }

  [[noreturn]] void refuse(const RowBlock& rows, int64_t row, size_t c) const {
    rows.fail(row, source->columns()[c],
              fmt::format("{} is not {} {}{}", quoted(rows.cell(row, c)), types[c] == ColumnType::Int64 ? "an" : "a",
                          name_of(types[c]),
                          given[c] ? "" : ", which the cells of the first block are; give the column a type"));
  }

  void convert_ints(const RowBlock& rows, size_t c, TypedColumn& column) const {
    column.ints.resize(static_cast<size_t>(rows.rows));
    int64_t* out = column.ints.data();
    const std::string_view* cell = rows.cells.data() + c;
    for (int64_t r = 0; r < rows.rows; ++r, cell += rows.width)
      if (!detail::parse_int64(*cell, out[r])) {
        if (!cell->empty()) refuse(rows, r, c);
        out[r] = kMissingInt;
      }
  }

  void convert_floats(const RowBlock& rows, size_t c, TypedColumn& column) const {
    column.floats.resize(static_cast<size_t>(rows.rows));
    double* out = column.floats.data();
    const std::string_view* cell = rows.cells.data() + c;
    for (int64_t r = 0; r < rows.rows; ++r, cell += rows.width)
      if (!detail::parse_double(*cell, out[r])) {
        if (!cell->empty()) refuse(rows, r, c);
        out[r] = std::numeric_limits<double>::quiet_NaN();
      }
  }

  void convert_texts(const RowBlock& rows, size_t c, TypedColumn& column) const {
    column.offsets.resize(static_cast<size_t>(rows.rows) + 1);
    const std::string_view* cell = rows.cells.data() + c;
    uint32_t total = 0;
    uint32_t* offset = column.offsets.data();
    for (int64_t r = 0; r < rows.rows; ++r, cell += rows.width) {
      *offset++ = total;
      total += static_cast<uint32_t>(cell->size());
    }
    *offset = total;
    column.bytes.resize(total);
    char* to = column.bytes.data();
    cell = rows.cells.data() + c;
    for (int64_t r = 0; r < rows.rows; ++r, cell += rows.width) {
      append(*cell, to);
      to += cell->size();
    }
  }

  void convert_categories(const RowBlock& rows, size_t c, TypedColumn& column, StringIndex& texts) const {
    column.codes.resize(static_cast<size_t>(rows.rows));
    const std::string_view* cell = rows.cells.data() + c;
    for (int64_t r = 0; r < rows.rows; ++r, cell += rows.width)
      column.codes[static_cast<size_t>(r)] = cell->empty() ? -1 : texts.add(*cell);
  }

  // Codes of the block become codes of the source.
  void number_categories(Parsed& made) {
    for (size_t c = 0; c < types.size(); ++c) {
      if (types[c] != ColumnType::Category) continue;
      std::vector<int32_t> code_of;
      for (int32_t i = 0; i < made.categories[c].size(); ++i)
        code_of.push_back(categories[c].add(made.categories[c].text(i)));
      for (int32_t& code : made.block.columns[c].codes)
        if (code >= 0) code = code_of[static_cast<size_t>(code)];
    }
  }

  std::unique_ptr<detail::BlockSource> source;
  std::vector<ColumnType> types;
  std::vector<bool> given;
  std::vector<StringIndex> categories;
  std::unique_ptr<Parsed> first;  // the block that the types were inferred from
  Parsed parsed;
  detail::OrderedWorkers<Work, Parsed> workers;
};

TypedReader::TypedReader(const SourceSpec& spec, const std::map<std::string, ColumnType>& types)
    : state_(std::make_unique<State>(spec)) {
  State& s = *state_;
  for (const auto& [name, type] : types)
    WN_CHECK(std::ranges::find(columns(), name) != columns().end(), ConfigError,
             "a type is given for column {}, which {} does not have{}", quoted(name), s.source->name(),
             did_you_mean(name, columns()));
  Work work;
  bool more = s.source->read(work.piece);
  for (; more; more = s.source->read(work.piece)) {
    s.source->parse(work.piece, work.rows);
    if (work.rows.rows > 0) break;
  }
  for (size_t c = 0; c < columns().size(); ++c) {
    const auto found = types.find(columns()[c]);
    s.given.push_back(found != types.end());
    s.types.push_back(s.given.back() ? found->second : infer(work.rows, c));
  }
  s.categories.resize(s.types.size());
  if (!more) return;
  s.first = std::make_unique<Parsed>();
  s.convert(work.rows, *s.first);
}

TypedReader::~TypedReader() = default;
const std::string& TypedReader::name() const { return state_->source->name(); }
const std::vector<std::string>& TypedReader::columns() const { return state_->source->columns(); }
const std::vector<ColumnType>& TypedReader::types() const { return state_->types; }
const StringIndex& TypedReader::categories(size_t column) const { return state_->categories.at(column); }
double TypedReader::progress() const { return state_->source->progress(); }

bool TypedReader::next(TypedBlock& block) {
  State& s = *state_;
  std::swap(s.parsed.block, block);
  if (s.first != nullptr) {
    s.parsed = std::move(*s.first);
    s.first.reset();
  } else {
    do {
      if (!s.workers.next(s.parsed)) return false;
    } while (s.parsed.block.rows == 0);
  }
  s.number_categories(s.parsed);
  std::swap(s.parsed.block, block);
  return true;
}

}  // namespace winnow
