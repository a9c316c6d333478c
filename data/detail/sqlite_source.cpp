// Rows of an SQLite database.
#include <sqlite3.h>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "data/detail/block_source.h"
#include "data/detail/text_format.h"

namespace winnow::detail {
namespace {

struct Closer {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

std::string literal(std::string_view text) {
  std::string out = "'";
  for (const char c : text) out.append(c == '\'' ? 2 : 1, c);
  return out += '\'';
}

class SqliteSource final : public BlockSource {
 public:
  explicit SqliteSource(const SourceSpec& spec) : block_bytes_(spec.block_bytes) {
    name_ = spec.path;
    WN_CHECK(file_exists(spec.path), IoError, "{}: there is no such file", spec.path);
    sqlite3* opened = nullptr;
    const int result = sqlite3_open_v2(spec.path.c_str(), &opened, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, nullptr);
    database_.reset(opened);
    if (result != SQLITE_OK) fail<IoError>("cannot be opened");
    prepare(select_of(spec, spec.after ? after_of(spec) : ""));
    for (int c = 0; c < sqlite3_column_count(statement_.get()); ++c)
      columns_.emplace_back(sqlite3_column_name(statement_.get(), c));
    WN_CHECK(!columns_.empty(), DataError, "{}: the query returns no columns", name_);
  }

  // The texts of some rows, one after another in the scratch, their lengths in piece.numbers.
  bool read(Piece& piece) override {
    std::string& texts = own_memory(piece.memory).scratch;
    texts.clear();
    piece.numbers.clear();
    piece.file = name_;
    piece.line = rows_ + 1;
    while (!ended_ && texts.size() < block_bytes_ && piece.numbers.size() < block_bytes_ / 4) {
      const int result = sqlite3_step(statement_.get());
      if (result == SQLITE_DONE) {
        ended_ = true;
      } else if (result != SQLITE_ROW) {
        fail<IoError>("reading stopped");
      } else {
        ++rows_;
        for (int c = 0; c < static_cast<int>(columns_.size()); ++c) append_cell(c, texts, piece.numbers);
      }
    }
    return !piece.numbers.empty();
  }

  void parse(Piece& piece, RowBlock& block) const override {
    begin_block(piece, block, columns_.size());
    block.rows = static_cast<int64_t>(piece.numbers.size() / columns_.size());
    const std::string_view texts = static_cast<BlockMemory*>(block.memory.get())->scratch;
    block.cells.clear();
    for (size_t at = 0; const uint32_t size : piece.numbers) {
      block.cells.push_back(texts.substr(at, size));
      at += size;
    }
    block.lines.resize(static_cast<size_t>(block.rows));
    for (int64_t r = 0; r < block.rows; ++r) block.lines[static_cast<size_t>(r)] = piece.line + r;
  }

 private:
  template <class E>
  [[noreturn]] void fail(const char* what) const {
    raise<E>("{}: {}: {}", name_, what, sqlite3_errmsg(database_.get()));
  }

  void prepare(const std::string& select) {
    sqlite3_stmt* made = nullptr;
    const int result = sqlite3_prepare_v2(database_.get(), select.c_str(), -1, &made, nullptr);
    statement_.reset(made);
    if (result == SQLITE_NOTADB || result == SQLITE_CORRUPT || result == SQLITE_IOERR || result == SQLITE_CANTOPEN)
      fail<IoError>("cannot be read");
    if (result != SQLITE_OK)
      raise<DataError>("{}: {} (the query was: {})", name_, sqlite3_errmsg(database_.get()), select);
  }

  // The last key as a literal of the type that its column holds: in SQLite 5 and '5' differ.
  std::string after_of(const SourceSpec& spec) {
    prepare(select_of(spec, "") + " LIMIT 1");
    if (sqlite3_step(statement_.get()) != SQLITE_ROW) return literal(*spec.after);
    for (int c = 0; c < sqlite3_column_count(statement_.get()); ++c) {
      if (spec.key != sqlite3_column_name(statement_.get(), c)) continue;
      const int type = sqlite3_column_type(statement_.get(), c);
      if (type == SQLITE_INTEGER || type == SQLITE_FLOAT) return "CAST(" + literal(*spec.after) + " AS NUMERIC)";
    }
    return literal(*spec.after);
  }

  void append_cell(int c, std::string& texts, std::vector<uint32_t>& sizes) const {
    const size_t before = texts.size();
    switch (sqlite3_column_type(statement_.get(), c)) {
      case SQLITE_NULL: break;
      case SQLITE_INTEGER:
        fmt::format_to(std::back_inserter(texts), "{}", sqlite3_column_int64(statement_.get(), c));
        break;
      case SQLITE_FLOAT:
        fmt::format_to(std::back_inserter(texts), "{}", sqlite3_column_double(statement_.get(), c));
        break;
      case SQLITE_BLOB:
        raise<DataError>("{}:{}: column {}: a BLOB; select it as text, for example hex({})", name_, rows_,
                         quoted(columns_[static_cast<size_t>(c)]), columns_[static_cast<size_t>(c)]);
      default:
        texts.append(reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), c)),
                     static_cast<size_t>(sqlite3_column_bytes(statement_.get(), c)));
    }
    WN_CHECK(texts.size() <= 2 * kMaxRowBytes, DataError, "{}:{}: a row of more than {} MiB", name_, rows_,
             kMaxRowBytes >> 20);
    sizes.push_back(static_cast<uint32_t>(texts.size() - before));
  }

  std::unique_ptr<sqlite3, Closer> database_;
  std::unique_ptr<sqlite3_stmt, Closer> statement_;
  size_t block_bytes_;
  int64_t rows_ = 0;
  bool ended_ = false;
};

}  // namespace

std::unique_ptr<BlockSource> open_sqlite(const SourceSpec& spec) { return std::make_unique<SqliteSource>(spec); }

}  // namespace winnow::detail
