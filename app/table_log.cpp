#include <charconv>

#include "app/event_logs.h"
#include "data/rows.h"

namespace winnow {
namespace {

class TableLog final : public EventLog {
 public:
  explicit TableLog(const std::string& path) {
    SourceSpec spec;
    spec.path = path;
    reader_ = open_rows(spec);
    for (size_t i = 0; i < kColumns.size(); ++i)
      if (i < kRequired || reader_->has_column(kColumns[i]))
        columns_[i] = static_cast<int>(reader_->column(kColumns[i]));
  }
  std::string name() const override { return reader_->name(); }
  int64_t last_sequence() const override { return last_; }  // that was read
  void read(int64_t after, int64_t limit, std::vector<UpdateEvent>& out) override {
    for (int64_t taken = 0; taken < limit;) {
      if (row_ >= block_.rows) {
        row_ = 0;
        if (!reader_->next(block_)) {
          block_.rows = 0;
          WN_CHECK(last_ >= after, DataError, "{}: ends at event {}, {} were learnt: it is another table", name(),
                   last_, after);
          return;
        }
        continue;
      }
      if (++last_ > after) {
        out.push_back(event());
        ++taken;
      }
      ++row_;
    }
  }

 private:
  static constexpr std::array<const char*, 6> kColumns = {"user", "item", "kind", "time_us", "value", "request"};
  static constexpr size_t kRequired = 3;

  std::string_view cell(size_t column) const {
    return columns_[column] < 0 ? std::string_view{} : block_.cell(row_, static_cast<size_t>(columns_[column]));
  }
  template <class T>
  T number(size_t column, T fallback) const {
    const std::string_view text = cell(column);
    if (text.empty()) return fallback;
    T value{};
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size()) block_.fail(row_, kColumns[column], "is no number");
    return value;
  }
  UpdateEvent event() const {
    for (size_t i = 0; i < kRequired; ++i)
      if (cell(i).empty()) block_.fail(row_, kColumns[i], "is empty");
    return {last_,
            number<int64_t>(3, 0),
            std::string(cell(0)),
            std::string(cell(1)),
            std::string(cell(2)),
            number<double>(4, 1),
            std::string(cell(5))};
  }

  std::unique_ptr<RowReader> reader_;
  std::array<int, 6> columns_ = {-1, -1, -1, -1, -1, -1};
  RowBlock block_;
  int64_t row_ = 0, last_ = 0;
};

}  // namespace

std::unique_ptr<EventLog> open_table_log(const std::string& path) { return std::make_unique<TableLog>(path); }

}  // namespace winnow
