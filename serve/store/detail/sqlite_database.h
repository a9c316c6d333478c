// A connection to an SQLite file and its statements, for one thread at a time. What fails is an IoError
// "name: what: SQLite's reason (the system's)".
#pragma once
#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace winnow::detail {

// What a file of ours holds, and how it is told from another program's.
struct SqliteFormat {
  int32_t application_id;
  int32_t version;
  const char* kind;    // in messages: "event log"
  const char* schema;  // CREATE statements, each with its ';' and line end, by name; WN_FAILED_COMMITS among them
};
#define WN_FAILED_COMMITS \
  "CREATE TABLE failed_commits(id INTEGER PRIMARY KEY CHECK(id = 1), count INTEGER NOT NULL) STRICT;\n"

class SqliteDatabase {
 public:
  enum class Access : uint8_t { Existing, Create, Reader };

  // Checks what is there before anything is written: IoError for what is no SQLite file, another program's, of a later
  // version, damaged (PRAGMA quick_check, of files up to kCheckedBytes), or has tables or triggers that ours has not.
  // Existing, Create: switched to WAL with synchronous=FULL; the tables are made where the file is new. Reader: a
  // connection to a file that was opened so before; it cannot write.
  SqliteDatabase(const std::string& path, Access access, const SqliteFormat& format, bool exclusive = false);
  SqliteDatabase(const SqliteDatabase&) = delete;
  SqliteDatabase& operator=(const SqliteDatabase&) = delete;

  static constexpr int64_t kCheckedBytes = int64_t{1} << 30;

  void run(const char* sql);
  int64_t number(const char* sql);  // the first column of its one row
  // All that body writes or, where it or the commit throws, nothing. Copies the WAL into the file when it has grown, so
  // that it stays at some 64 MiB however many readers there are.
  template <class F>
  void transaction(F&& body) {
    try {
      run("BEGIN IMMEDIATE");
      body();
      run("COMMIT");
    } catch (...) {
      rollback();
      overwrite_failed();
      throw;
    }
    bound_wal();
  }
  sqlite3* handle() const { return handle_.get(); }
  const std::string& name() const { return name_; }
  [[noreturn]] void fail(const char* what) const;

 private:
  struct Closer {
    void operator()(sqlite3* database) const { sqlite3_close_v2(database); }
  };
  void open_file(const std::string& path, Access access);
  void use_wal();
  void check_format(const SqliteFormat& format, bool& is_new);
  void check_schema(const SqliteFormat& format);
  void create(const SqliteFormat& format);
  void rollback() noexcept;
  void overwrite_failed() noexcept;
  void bound_wal();
  bool copy_wal(int mode);
  bool begin_wal_anew();

  static constexpr int kShortBusyMs = 200;   // where the other will not let go, or need not
  static constexpr int kTruncateAt = 16384;  // pages, 64 MiB

  std::string name_;
  std::unique_ptr<sqlite3, Closer> handle_;
  int wal_pages_ = 0, passive_at_ = 1000, truncate_at_ = kTruncateAt, truncate_wait_ms_ = kShortBusyMs;
};

class SqliteStatement {
 public:
  SqliteStatement(SqliteDatabase& database, const char* sql);

  SqliteStatement& bind(int place, int64_t value);
  SqliteStatement& bind(int place, double value);
  SqliteStatement& bind(int place, std::string_view text);  // must live until reset()
  bool step();                                              // true: a row
  void run();                                               // step() and reset() of what returns no rows
  void reset();
  // IoError where the value is of another type, which only a damaged file has.
  int64_t integer(int column);
  double real(int column);
  std::string text(int column);

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  void expect(int column, int type);
  SqliteDatabase& database_;
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

// Resets on the way out, so that no read transaction stays open.
class StatementReset {
 public:
  explicit StatementReset(SqliteStatement& statement) : statement_(statement) {}
  ~StatementReset() { statement_.reset(); }
  StatementReset(const StatementReset&) = delete;
  StatementReset& operator=(const StatementReset&) = delete;

 private:
  SqliteStatement& statement_;
};

}  // namespace winnow::detail
