#include "data/rows.h"

#include <algorithm>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"

namespace winnow {
namespace {

constexpr int64_t kBlockRows = 8192;

CsvOptions options_of(const SourceSpec& spec) {
  return spec.csv ? *spec.csv : format_options(spec.format.empty() ? format_of(spec.path) : spec.format);
}

// A file in memory, read by one thread.
class MappedRows final : public RowReader {
 public:
  explicit MappedRows(const SourceSpec& spec) : file_(spec.path), reader_(spec.path, file_.text(), options_of(spec)) {
    name_ = spec.path;
    columns_ = reader_.header();
  }

  bool next(RowBlock& block) override {
    auto text = std::make_shared<std::string>();
    block.file = name_;
    block.width = static_cast<int64_t>(columns_.size());
    block.cells.clear();
    block.lines.clear();
    std::vector<size_t> sizes;
    while (static_cast<int64_t>(block.lines.size()) < kBlockRows && reader_.next()) {
      block.lines.push_back(reader_.line());
      for (const std::string_view cell : reader_.cells()) {
        text->append(cell);
        sizes.push_back(cell.size());
      }
    }
    for (size_t at = 0; const size_t size : sizes) {
      block.cells.push_back(std::string_view(*text).substr(at, size));
      at += size;
    }
    block.rows = static_cast<int64_t>(block.lines.size());
    block.memory = std::move(text);
    return block.rows > 0;
  }

  double progress() const override {
    return file_.size() == 0 ? 1 : static_cast<double>(reader_.position()) / static_cast<double>(file_.size());
  }

 private:
  MappedFile file_;
  CsvReader reader_;
};

}  // namespace

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

std::unique_ptr<RowReader> open_rows(const SourceSpec& spec) { return std::make_unique<MappedRows>(spec); }

}  // namespace winnow
