#include "serve/store/detail/sqlite_database.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/error.h"
#include "core/text.h"

namespace winnow::detail {
namespace {

constexpr int kBusyMs = 10'000;
constexpr int kLongestWalMs = 1'600;  // of an append that waits for readers

int on_wal(void* pages, sqlite3*, const char*, int count) {
  *static_cast<int*>(pages) = count;
  return SQLITE_OK;
}

}  // namespace

SqliteDatabase::SqliteDatabase(const std::string& path, Access access, const SqliteFormat& format, bool exclusive)
    : name_(path) {
  open_file(path, access);
  if (exclusive) {
    run("PRAGMA locking_mode=EXCLUSIVE");
    sqlite3_busy_timeout(handle(), kShortBusyMs);  // who has it keeps it
  }
  if (access == Access::Reader) {
    run("PRAGMA query_only=1");
    return;
  }
  bool is_new = false;
  check_format(format, is_new);
  use_wal();
  run("PRAGMA synchronous=FULL");
  run("PRAGMA journal_size_limit=67108864");
  sqlite3_wal_hook(handle(), on_wal, &wal_pages_);  // in place of SQLite's own checkpoints: bound_wal()
  if (is_new) create(format);
  check_schema(format);
}

// The pragma answers with the mode it has in mind, and with the old one where that cannot be; it takes effect, or
// fails, only when the statement ends. So it is asked for again.
void SqliteDatabase::use_wal() {
  run("PRAGMA journal_mode=WAL");
  SqliteStatement mode(*this, "PRAGMA journal_mode");
  WN_CHECK(mode.step() && mode.text(0) == "wal", IoError,
           "{}: this file system does not offer what SQLite's write-ahead log needs", name_);
}

void SqliteDatabase::open_file(const std::string& path, Access access) {
  WN_CHECK(!path.empty() && path.find('\0') == std::string::npos, ConfigError, "sqlite: a path is needed: sqlite:PATH");
  struct stat status;
  if (::stat(path.c_str(), &status) == 0) {
    WN_CHECK(S_ISREG(status.st_mode), IoError, "{}: is not a regular file", name_);
  } else {
    const int error = errno;
    WN_CHECK(error == ENOENT && access == Access::Create, IoError, "{}: {}", name_, std::strerror(error));
  }
  sqlite3* opened = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE |
                    (access == Access::Create ? SQLITE_OPEN_CREATE : 0);
  // Debian's SQLite takes "file:..." for a URI and ":memory:" for no file at all: a path that is plainly one.
  const std::string plain = path.starts_with('/') ? path : "./" + path;
  const int result = sqlite3_open_v2(plain.c_str(), &opened, flags, nullptr);
  handle_.reset(opened);
  WN_CHECK(opened != nullptr, OutOfMemory, "{}: no memory for a connection", name_);
  if (result != SQLITE_OK) fail("cannot be opened");
  sqlite3_extended_result_codes(handle(), 1);
  sqlite3_busy_timeout(handle(), kBusyMs);
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr);
  sqlite3_db_config(handle(), SQLITE_DBCONFIG_ENABLE_VIEW, 0, nullptr);
  sqlite3_limit(handle(), SQLITE_LIMIT_LENGTH, 1 << 20);
  run("PRAGMA cell_size_check=1");
}

void SqliteDatabase::check_format(const SqliteFormat& format, bool& is_new) {
  const int64_t application = number("PRAGMA application_id"), version = number("PRAGMA user_version");
  is_new = application == 0 && version == 0 && number("SELECT count(*) FROM sqlite_schema") == 0;
  if (is_new) return;
  WN_CHECK(application == format.application_id, IoError,
           "{}: an SQLite database, but not an {} of winnow; name another file", name_, format.kind);
  WN_CHECK(version == format.version, IoError, "{}: an {} of version {}; this program reads version {}", name_,
           format.kind, version, format.version);
  if (number("PRAGMA page_count") * number("PRAGMA page_size") > kCheckedBytes) return;
  SqliteStatement check(*this, "PRAGMA quick_check(1)");
  if (!check.step()) return;
  const std::string found = check.text(0);
  WN_CHECK(found == "ok", IoError,
           "{}: damaged: {}; bring back a copy, or save what can be read with sqlite3 {} .recover", name_, found,
           name_);
}

void SqliteDatabase::check_schema(const SqliteFormat& format) {
  std::string found;
  SqliteStatement rows(*this, "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name");
  while (rows.step()) found += rows.text(0) + ";\n";
  WN_CHECK(found == format.schema, IoError, "{}: its tables are not those of an {} of winnow; name another file", name_,
           format.kind);
}

void SqliteDatabase::create(const SqliteFormat& format) {
  run("BEGIN IMMEDIATE");
  try {
    if (number("SELECT count(*) FROM sqlite_schema") == 0)  // else another process was faster
      run(fmt::format("{} PRAGMA application_id={}; PRAGMA user_version={}", format.schema, format.application_id,
                      format.version)
              .c_str());
    run("COMMIT");
  } catch (const Error&) {
    rollback();
    throw;
  }
}

void SqliteDatabase::run(const char* sql) {
  if (sqlite3_exec(handle(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) fail(quoted(sql).c_str());
}

int64_t SqliteDatabase::number(const char* sql) {
  SqliteStatement statement(*this, sql);
  if (!statement.step()) raise<IoError>("{}: {}: no row", name_, sql);
  return statement.integer(0);
}

void SqliteDatabase::rollback() noexcept {
  if (sqlite3_get_autocommit(handle()) == 0) sqlite3_exec(handle(), "ROLLBACK", nullptr, nullptr, nullptr);
}

// A commit whose last step, fsync, failed lies whole in the WAL and would be found there by a start after a crash,
// though its callers were told that nothing was kept. The next transaction is written over it: make one now. Where the
// disk fails this too, only the next one that succeeds does it.
void SqliteDatabase::overwrite_failed() noexcept {
  const char* write = "INSERT INTO failed_commits VALUES(1, 1) ON CONFLICT(id) DO UPDATE SET count = count + 1";
  if (sqlite3_exec(handle(), write, nullptr, nullptr, nullptr) != SQLITE_OK) rollback();
}

void SqliteDatabase::bound_wal() {
  if (wal_pages_ < passive_at_) return;
  // A passive checkpoint leaves what a reader still looks at, and the WAL begins anew only when nobody reads: readers
  // that overlap without end would let it grow. Past the second limit the writer waits for those that are there, twice
  // as long each time that this was not enough.
  const bool grown = wal_pages_ >= truncate_at_;
  const bool done = grown ? begin_wal_anew() : copy_wal(SQLITE_CHECKPOINT_PASSIVE);
  // What fails here fails no append: the events are in the WAL. The next tries come as it grows on.
  passive_at_ = done ? 1000 : wal_pages_ + 1000;
  if (!grown) return;
  truncate_at_ = done ? kTruncateAt : wal_pages_ + 4096;
  truncate_wait_ms_ = done ? kShortBusyMs : std::min(2 * truncate_wait_ms_, kLongestWalMs);
  if (done) wal_pages_ = 0;
}

// Whether all of the WAL is in the file and, but for a passive checkpoint, the WAL empty.
bool SqliteDatabase::copy_wal(int mode) {
  int pages = 0, copied = 0;
  const int result = sqlite3_wal_checkpoint_v2(handle(), nullptr, mode, &pages, &copied);
  return result == SQLITE_OK && pages == copied;
}

// Short tries, not a long one: SQLite waits for the readers of a place among five that was behind when the try began.
// Once they have gone, readers that are not behind may take the same place, one after the other without a gap; only
// another try sees that it need not wait for them.
bool SqliteDatabase::begin_wal_anew() {
  constexpr int kTryMs = 50;
  sqlite3_busy_timeout(handle(), kTryMs);
  bool done = false;
  for (int waited = 0; !done && waited < truncate_wait_ms_; waited += kTryMs)
    done = copy_wal(SQLITE_CHECKPOINT_TRUNCATE);
  sqlite3_busy_timeout(handle(), kBusyMs);
  return done;
}

void SqliteDatabase::fail(const char* what) const {
  const int system = sqlite3_system_errno(handle());
  const int code = sqlite3_errcode(handle()) & 0xff;
  const bool of_system = system != 0 && (code == SQLITE_IOERR || code == SQLITE_FULL || code == SQLITE_CANTOPEN);
  raise<IoError>("{}: {}: {}{}{}", name_, what, sqlite3_errmsg(handle()),
                 of_system ? fmt::format(" ({})", std::generic_category().message(system)) : "",
                 code == SQLITE_BUSY ? "; another process holds it" : "");
}

SqliteStatement::SqliteStatement(SqliteDatabase& database, const char* sql) : database_(database) {
  sqlite3_stmt* made = nullptr;
  const int result = sqlite3_prepare_v3(database.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &made, nullptr);
  statement_.reset(made);
  if (result != SQLITE_OK) database.fail("cannot be read");
}

SqliteStatement& SqliteStatement::bind(int place, int64_t value) {
  if (sqlite3_bind_int64(statement_.get(), place, value) != SQLITE_OK) database_.fail("bind");
  return *this;
}

SqliteStatement& SqliteStatement::bind(int place, double value) {
  if (sqlite3_bind_double(statement_.get(), place, value) != SQLITE_OK) database_.fail("bind");
  return *this;
}

SqliteStatement& SqliteStatement::bind(int place, std::string_view text) {
  const char* data = text.data() != nullptr ? text.data() : "";
  if (sqlite3_bind_text64(statement_.get(), place, data, text.size(), SQLITE_STATIC, SQLITE_UTF8) != SQLITE_OK)
    database_.fail("bind");
  return *this;
}

bool SqliteStatement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result != SQLITE_DONE) database_.fail("reading or writing");
  return false;
}

void SqliteStatement::run() {
  const StatementReset reset(*this);
  step();
}

void SqliteStatement::reset() { sqlite3_reset(statement_.get()); }

void SqliteStatement::expect(int column, int type) {
  WN_CHECK(sqlite3_column_type(statement_.get(), column) == type, IoError,
           "{}: damaged: a value of another type in column {} of {}", database_.name(), column,
           quoted(sqlite3_sql(statement_.get()), 200));
}

int64_t SqliteStatement::integer(int column) {
  expect(column, SQLITE_INTEGER);
  return sqlite3_column_int64(statement_.get(), column);
}

double SqliteStatement::real(int column) {
  expect(column, SQLITE_FLOAT);
  return sqlite3_column_double(statement_.get(), column);
}

std::string SqliteStatement::text(int column) {
  expect(column, SQLITE_TEXT);
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  WN_CHECK(data != nullptr, OutOfMemory, "{}: no memory for a text", database_.name());
  return {data, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column))};
}

}  // namespace winnow::detail
