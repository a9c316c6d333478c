// A new SQLite database with one table.
#include <sqlite3.h>
#include <unistd.h>

#include "core/error.h"
#include "data/detail/block_source.h"
#include "data/detail/line_writer.h"
#include "data/detail/parse_number.h"
#include "data/detail/part_file.h"

namespace winnow::detail {
namespace {

struct Closer {
  void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
};

class SqliteWriter final : public RowWriter {
 public:
  SqliteWriter(const SinkSpec& spec, const std::vector<std::string>& columns)
      : path_(spec.path), temporary_(spec.path + ".winnow-tmp"), width_(static_cast<int>(columns.size())) {
    ::unlink(temporary_.c_str());
    sqlite3* opened = nullptr;
    const int result =
        sqlite3_open_v2(temporary_.c_str(), &opened, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr);
    database_.reset(opened);
    if (result != SQLITE_OK) fail();
    WN_CHECK(width_ <= sqlite3_limit(opened, SQLITE_LIMIT_COLUMN, -1), ConfigError,
             "{}: SQLite tables have at most {} columns, not {}", path_, sqlite3_limit(opened, SQLITE_LIMIT_COLUMN, -1),
             width_);
    // the file is new and in place only when complete: it needs no journal of its own
    run("PRAGMA journal_mode=OFF");
    run("PRAGMA synchronous=OFF");
    std::string names, places;
    for (const std::string& name : columns) {
      names += (names.empty() ? "" : ", ") + quoted_name(name);
      places += places.empty() ? "?" : ", ?";
    }
    run(fmt::format("CREATE TABLE {} ({})", quoted_name(spec.table), names));
    run("BEGIN");
    sqlite3_stmt* made = nullptr;
    const std::string insert = fmt::format("INSERT INTO {} VALUES ({})", quoted_name(spec.table), places);
    if (sqlite3_prepare_v2(opened, insert.c_str(), -1, &made, nullptr) != SQLITE_OK) fail();
    insert_.reset(made);
  }

  ~SqliteWriter() override {
    insert_.reset();
    database_.reset();
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }
  SqliteWriter(const SqliteWriter&) = delete;
  SqliteWriter& operator=(const SqliteWriter&) = delete;

  void write(const RowBlock& block, int64_t begin, int64_t end) override {
    for (int64_t r = begin; r < end; ++r) {
      for (int c = 0; c < width_; ++c) bind(c + 1, block.cell(r, static_cast<size_t>(c)));
      if (sqlite3_step(insert_.get()) != SQLITE_DONE) fail();
      sqlite3_reset(insert_.get());
    }
  }

  void commit() override {
    run("COMMIT");
    insert_.reset();
    database_.reset();
    put_in_place(temporary_, path_);
    temporary_.clear();
  }

 private:
  [[noreturn]] void fail() const { raise<IoError>("{}: {}", path_, sqlite3_errmsg(database_.get())); }

  void run(const std::string& text) {
    if (sqlite3_exec(database_.get(), text.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) fail();
  }

  void bind(int place, std::string_view cell) {
    int64_t whole;
    double number;
    if (cell.empty())
      sqlite3_bind_null(insert_.get(), place);
    else if (parse_int64(cell, whole) && fmt::format("{}", whole) == cell)
      sqlite3_bind_int64(insert_.get(), place, whole);
    else if (parse_double(cell, number) && fmt::format("{}", number) == cell)
      sqlite3_bind_double(insert_.get(), place, number);
    else
      sqlite3_bind_text64(insert_.get(), place, cell.data(), cell.size(), SQLITE_STATIC, SQLITE_UTF8);
  }

  std::string path_, temporary_;
  int width_;
  std::unique_ptr<sqlite3, Closer> database_;
  std::unique_ptr<sqlite3_stmt, Closer> insert_;
};

}  // namespace

std::unique_ptr<RowWriter> make_sqlite_writer(const SinkSpec& spec, const std::vector<std::string>& columns) {
  return std::make_unique<SqliteWriter>(spec, columns);
}

}  // namespace winnow::detail
