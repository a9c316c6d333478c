// A source as typed columns, a block at a time: numbers parsed, texts gathered, categories numbered.
#pragma once
#include <cstdint>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "data/rows.h"
#include "data/string_index.h"

namespace winnow {

// Int64: -?[0-9]+. Float64: any finite decimal, correctly rounded. Text: the bytes. Category: a number for each
// distinct text, 0, 1, ... in order of first appearance in the source.
enum class ColumnType : uint8_t { Int64, Float64, Text, Category };
const char* name_of(ColumnType type);                 // int64, float64, text, category
ColumnType parse_column_type(std::string_view text);  // ConfigError lists the names

// One column of a block. A missing cell is kMissingInt, NaN, an empty text or -1.
struct TypedColumn {
  ColumnType type = ColumnType::Text;
  std::vector<int64_t> ints;      // Int64: [rows]
  std::vector<double> floats;     // Float64: [rows]
  std::vector<int32_t> codes;     // Category: [rows]
  std::vector<uint32_t> offsets;  // Text: [rows + 1]; row r is bytes[offsets[r] .. offsets[r + 1])
  std::vector<char> bytes;
  std::string_view text(int64_t row) const {
    const auto r = static_cast<size_t>(row);
    return {bytes.data() + offsets[r], offsets[r + 1] - offsets[r]};
  }
};
constexpr int64_t kMissingInt = std::numeric_limits<int64_t>::min();

struct TypedBlock {
  int64_t rows = 0;
  std::vector<TypedColumn> columns;
};

// Reads and parses on spec.threads threads of its own; blocks come in the order of the source and own their memory.
class TypedReader {
 public:
  // types: of some columns by name; the others are Int64 or Float64 when all their cells in the first block that are
  // not missing are such numbers, and there is one, else Text. ConfigError: a type for a column that does not exist.
  explicit TypedReader(const SourceSpec& spec, const std::map<std::string, ColumnType>& types = {});
  ~TypedReader();
  TypedReader(const TypedReader&) = delete;
  TypedReader& operator=(const TypedReader&) = delete;

  const std::string& name() const;
  const std::vector<std::string>& columns() const;
  const std::vector<ColumnType>& types() const;
  // The texts of a Category column so far: code c is text(c).
  const StringIndex& categories(size_t column) const;
  // The next rows; false at the end. DataError "file:line: column 'name': 'x' is not an int64 ...".
  bool next(TypedBlock& block);
  double progress() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace winnow
