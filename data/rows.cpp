#include "data/rows.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/block_source.h"
#include "data/detail/conninfo.h"
#include "data/detail/ordered_workers.h"

namespace winnow {
namespace {

using detail::BlockSource;
using detail::Piece;

class SourceRows final : public RowReader {
 public:
  explicit SourceRows(const SourceSpec& spec)
      : source_(detail::open_blocks(spec)),
        workers_(
            spec.threads,
            [this](Piece& piece, RowBlock& former) {
              piece.memory = std::move(former.memory);
              return source_->read(piece);
            },
            [this](Piece& piece, RowBlock& block) {
              source_->parse(piece, block);
              piece.memory.reset();
            }) {
    name_ = source_->name();
    columns_ = source_->columns();
  }

  bool next(RowBlock& block) override {
    while (workers_.next(block))
      if (block.rows > 0) return true;
    return false;
  }

  double progress() const override { return source_->progress(); }

 private:
  std::unique_ptr<BlockSource> source_;
  detail::OrderedWorkers<Piece, RowBlock> workers_;
};

// The chosen columns of another source.
class SelectedColumns final : public BlockSource {
 public:
  SelectedColumns(std::unique_ptr<BlockSource> source, const std::vector<std::string>& columns)
      : source_(std::move(source)) {
    name_ = source_->name();
    columns_ = columns;
    for (const std::string& name : columns) {
      const auto at = std::ranges::find(source_->columns(), name);
      WN_CHECK(at != source_->columns().end(), DataError, "{}: there is no column {}{}", name_, quoted(name),
               did_you_mean(name, source_->columns()));
      places_.push_back(static_cast<size_t>(at - source_->columns().begin()));
    }
  }

  bool read(Piece& piece) override { return source_->read(piece); }
  double progress() const override { return source_->progress(); }

  void parse(Piece& piece, RowBlock& block) const override {
    source_->parse(piece, block);
    const auto width = static_cast<size_t>(block.width);
    std::vector<std::string_view> row(width);
    auto out = block.cells.begin();
    for (size_t begin = 0; begin < block.cells.size(); begin += width) {
      // the row is read before its place is written to: chosen columns may come in any order
      std::copy_n(block.cells.begin() + static_cast<ptrdiff_t>(begin), width, row.begin());
      for (const size_t place : places_) *out++ = row[place];
    }
    block.cells.resize(static_cast<size_t>(out - block.cells.begin()));
    block.width = static_cast<int64_t>(places_.size());
  }

 private:
  std::unique_ptr<BlockSource> source_;
  std::vector<size_t> places_;
};

std::unique_ptr<BlockSource> open_format(const SourceSpec& spec) {
  if (spec.format == "sqlite") return detail::open_sqlite(spec);
  if (spec.format == "postgresql") return detail::open_postgresql(spec);
  if (spec.format == "parquet") return detail::open_parquet(spec);
  return detail::open_text(spec);
}

void check_spec(const SourceSpec& spec) {
  std::string all;
  for (const std::string& format : source_formats()) all += (all.empty() ? "" : ", ") + format;
  WN_CHECK(std::ranges::find(source_formats(), spec.format) != source_formats().end(), ConfigError,
           "there is no format {}{} (known: {})", quoted(spec.format), did_you_mean(spec.format, source_formats()),
           all);
  WN_CHECK(spec.threads >= 1 && spec.threads <= 256, ConfigError, "{}: {} reader threads; 1 to 256 are possible",
           spec.name(), spec.threads);
  const bool database = spec.format == "sqlite" || spec.format == "postgresql";
  WN_CHECK((spec.format == "postgresql") == !spec.connection.empty(), ConfigError,
           "{}: format postgresql needs a connection string, and no other format takes one", spec.name());
  WN_CHECK(database ? spec.query.empty() != spec.table.empty() : spec.query.empty() && spec.table.empty(), ConfigError,
           "{}: a database takes `query` or `table`, one of the two, and no other format takes them", spec.name());
  WN_CHECK(database || spec.key.empty(), ConfigError, "{}: only a database takes a key", spec.name());
  WN_CHECK(spec.list_separator.size() == 1, ConfigError, "{}: list_separator {}: one character is needed", spec.name(),
           quoted(spec.list_separator));
  std::vector<std::string> sorted = spec.columns;
  std::ranges::sort(sorted);
  const auto twice = std::ranges::adjacent_find(sorted);
  WN_CHECK(twice == sorted.end(), ConfigError, "{}: column {} is asked for twice", spec.name(), quoted(*twice));
}

}  // namespace

namespace detail {

std::unique_ptr<BlockSource> open_blocks(const SourceSpec& given) {
  SourceSpec spec = given;
  if (spec.format.empty()) spec.format = spec.connection.empty() ? format_of(spec.path) : "postgresql";
  check_spec(spec);
  std::unique_ptr<BlockSource> source = open_format(spec);
  if (spec.columns.empty() || source->columns() == spec.columns) return source;
  return std::make_unique<SelectedColumns>(std::move(source), spec.columns);
}

}  // namespace detail

std::string SourceSpec::name() const { return connection.empty() ? path : detail::describe_connection(connection); }

void RowBlock::fail(int64_t row, std::string_view column, const std::string& what) const {
  raise<DataError>("{}:{}: column {}: {}", file, lines[static_cast<size_t>(row)], quoted(column), what);
}

size_t RowReader::column(std::string_view name) const {
  const auto at = std::ranges::find(columns_, name);
  if (at != columns_.end()) return static_cast<size_t>(at - columns_.begin());
  std::string all;
  for (size_t i = 0; i < columns_.size() && all.size() < 200; ++i) all += (i > 0 ? ", " : "") + quoted(columns_[i]);
  raise<DataError>("{}: there is no column {}{} (columns: {})", name_, quoted(name), did_you_mean(name, columns_), all);
}

bool RowReader::has_column(std::string_view name) const { return std::ranges::find(columns_, name) != columns_.end(); }

std::unique_ptr<RowReader> open_rows(const SourceSpec& spec) { return std::make_unique<SourceRows>(spec); }

}  // namespace winnow
