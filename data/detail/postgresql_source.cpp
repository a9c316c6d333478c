// Rows of a PostgreSQL query: a cursor in a read-only transaction, fetched a batch at a time.
#include <libpq-fe.h>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/block_source.h"
#include "data/detail/conninfo.h"
#include "data/detail/text_format.h"

namespace winnow::detail {
namespace {

constexpr Oid kBool = 16, kBytea = 17;  // src/include/catalog/pg_type.dat; fixed for all versions
constexpr size_t kFirstBatch = 1024, kMaxBatch = 65536;

struct Closer {
  void operator()(PGconn* connection) const { PQfinish(connection); }
};

class PostgresqlSource final : public BlockSource {
 public:
  explicit PostgresqlSource(const SourceSpec& spec) : conninfo_(spec.connection), block_bytes_(spec.block_bytes) {
    name_ = spec.name();
    WN_CHECK(is_connection(conninfo_), ConfigError,
             "the connection string cannot be read (it is not shown: it may hold a password); write it as \"host=h "
             "dbname=d user=u\" or postgresql://u@h/d");
    connection_.reset(PQconnectdb(conninfo_.c_str()));
    if (PQstatus(connection_.get()) != CONNECTION_OK) fail<IoError>("no connection");
    command("SET client_encoding TO 'UTF8'");
    command("SET extra_float_digits TO 3");  // numbers as the shortest text that reads back
    command("BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY");
    const std::string select = select_of(spec, spec.after ? literal(*spec.after) : "");
    command("DECLARE winnow_rows NO SCROLL CURSOR FOR " + select);
    fetch(0);  // the columns
    const PGresult* columns = batch_.get();
    for (int c = 0; c < PQnfields(columns); ++c) {
      columns_.emplace_back(PQfname(columns, c));
      WN_CHECK(PQftype(columns, c) != kBytea, DataError,
               "{}: column {} is bytea; select it as text, for example encode({}, 'base64')", name_,
               quoted(columns_.back()), columns_.back());
      is_bool_.push_back(PQftype(columns, c) == kBool);
    }
    WN_CHECK(!columns_.empty(), DataError, "{}: the query returns no columns", name_);
  }

  bool read(Piece& piece) override {
    fetch(batch_rows_);
    const int rows = PQntuples(batch_.get());
    piece.file = name_;
    piece.line = rows_ + 1;
    rows_ += rows;
    const size_t bytes = PQresultMemorySize(batch_.get());
    // batches of the size of a block, from what a row took
    if (rows > 0)
      batch_rows_ = std::clamp<size_t>(block_bytes_ * static_cast<size_t>(rows) / (bytes + 1), 1, kMaxBatch);
    piece.memory = std::move(batch_);
    return rows > 0;
  }

  void parse(Piece& piece, RowBlock& block) const override {
    begin_block(piece, block, columns_.size());
    const auto* result = static_cast<const PGresult*>(piece.memory.get());
    block.rows = PQntuples(result);
    block.cells.clear();
    block.lines.clear();
    for (int r = 0; r < static_cast<int>(block.rows); ++r) {
      block.lines.push_back(piece.line + r);
      for (int c = 0; c < static_cast<int>(columns_.size()); ++c) {
        std::string_view cell(PQgetvalue(result, r, c), static_cast<size_t>(PQgetlength(result, r, c)));
        if (is_bool_[static_cast<size_t>(c)] && !cell.empty()) cell = cell[0] == 't' ? "1" : "0";
        block.cells.push_back(cell);
      }
    }
  }

 private:
  template <class E>
  [[noreturn]] void fail(const std::string& what) const {
    std::string reason = without_secrets(PQerrorMessage(connection_.get()), conninfo_);
    while (!reason.empty() && (reason.back() == '\n' || reason.back() == ' ')) reason.pop_back();
    raise<E>("{}: {}: {}", name_, what, reason);
  }

  void command(const std::string& text) {
    const std::shared_ptr<PGresult> result(PQexec(connection_.get(), text.c_str()), PQclear);
    if (PQresultStatus(result.get()) != PGRES_COMMAND_OK) report(result.get(), "the query failed");
  }

  void fetch(size_t rows) {
    batch_.reset(PQexec(connection_.get(), fmt::format("FETCH FORWARD {} FROM winnow_rows", rows).c_str()), PQclear);
    if (PQresultStatus(batch_.get()) != PGRES_TUPLES_OK)
      report(batch_.get(), fmt::format("reading stopped after row {}", rows_));
  }

  // The database has gone away, or it refused. Only a server gives an error a code, of class 57P where it ends; the
  // state of the connection may be good until the end of its socket is read too.
  [[noreturn]] void report(const PGresult* result, const std::string& what) const {
    const char* code = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const bool refused = code != nullptr && !std::string_view(code).starts_with("57P");
    if (!refused || PQstatus(connection_.get()) != CONNECTION_OK) fail<IoError>("the connection was lost, " + what);
    fail<DataError>(what);
  }

  std::string literal(const std::string& text) const {
    char* quoted_text = PQescapeLiteral(connection_.get(), text.c_str(), text.size());
    if (quoted_text == nullptr) fail<DataError>("the last key");
    std::string out(quoted_text);
    PQfreemem(quoted_text);
    return out;
  }

  std::string conninfo_;
  std::unique_ptr<PGconn, Closer> connection_;
  std::shared_ptr<PGresult> batch_;
  std::vector<bool> is_bool_;
  size_t block_bytes_, batch_rows_ = kFirstBatch;
  int64_t rows_ = 0;
};

}  // namespace

std::unique_ptr<BlockSource> open_postgresql(const SourceSpec& spec) {
  return std::make_unique<PostgresqlSource>(spec);
}

}  // namespace winnow::detail
