#include "app/event_input.h"

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <cstring>

#include "core/error.h"
#include "core/text.h"
#include "data/rows.h"
#include "serve/store/json_event.h"

namespace winnow {
namespace {

using Take = std::function<void(const std::vector<UserEvent>&)>;

constexpr size_t kMaxLine = 16384;

const std::vector<std::string> kFields = {"user",    "item",     "kind",       "time_us", "value",
                                          "request", "position", "propensity", "variant"};

class Batches {
 public:
  Batches(size_t size, const Take& take) : size_(size), take_(take) {}
  void add(UserEvent event) {
    event.sequence = 0;
    events_.push_back(std::move(event));
    if (events_.size() == size_) flush();
  }
  void flush() {
    if (!events_.empty()) take_(events_);
    events_.clear();
  }

 private:
  const size_t size_;
  const Take& take_;
  std::vector<UserEvent> events_;
};

void read_lines(const std::string& path, Batches& batches) {
  const bool is_stdin = path == "-";
  const std::string name = is_stdin ? "stdin" : path;
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> opened(is_stdin ? nullptr : std::fopen(path.c_str(), "rb"),
                                                               [](std::FILE* f) { return std::fclose(f); });
  WN_CHECK(is_stdin || opened, IoError, "{}: {}", path, std::strerror(errno));
  std::FILE* in = is_stdin ? stdin : opened.get();
  std::string line;
  for (int64_t number = 1;; ++number) {
    line.clear();
    int c = 0;
    while ((c = std::getc(in)) != EOF && c != '\n') {
      WN_CHECK(line.size() < kMaxLine, DataError, "{}:{}: a line of more than {} bytes", name, number, kMaxLine);
      line += static_cast<char>(c);
    }
    WN_CHECK(c != EOF || std::ferror(in) == 0, IoError, "{}: {}", name, std::strerror(errno));
    if (line.find_first_not_of(" \t\r") != std::string::npos)
      batches.add(parse_event(line, fmt::format("{}:{}", name, number), true));
    if (c == EOF) return;
  }
}

template <class T>
T number(const RowBlock& block, int64_t row, size_t column, const std::string& name) {
  const std::string_view cell = block.cell(row, column);
  T value{};
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size())
    block.fail(row, name, fmt::format("{} is not a {}number", quoted(cell), std::is_integral_v<T> ? "whole " : ""));
  return value;
}

// The columns of a table, and the field that each is.
class TableReader {
 public:
  explicit TableReader(const EventInput& input) : input_(input) {
    SourceSpec spec{.path = input.path, .threads = 1};
    for (const auto& [field, column] : input.columns) {
      WN_CHECK(std::find(kFields.begin(), kFields.end(), field) != kFields.end(), ConfigError,
               "--columns {}={}: there is no field {}{}", field, column, quoted(field), did_you_mean(field, kFields));
      spec.columns.push_back(column);
      fields_.push_back(field);
    }
    rows_ = open_rows(spec);
    if (input.columns.empty()) fields_ = rows_->columns();
    for (const std::string& field : fields_)
      WN_CHECK(std::find(kFields.begin(), kFields.end(), field) != kFields.end(), DataError,
               "{}: column {} is no field of an event{}; choose columns with --columns user=COLUMN,item=COLUMN,...",
               input.path, quoted(field), did_you_mean(field, kFields));
    const bool has_kind = std::find(fields_.begin(), fields_.end(), "kind") != fields_.end();
    WN_CHECK(!has_kind || input.kind.empty(), ConfigError,
             "{}: has a column for kind; --kind is for tables without one", input.path);
    WN_CHECK(has_kind || !input.kind.empty(), ConfigError, "{}: has no column for kind; give it with --kind",
             input.path);
  }

  void read(Batches& batches) {
    for (RowBlock block; rows_->next(block);)
      for (int64_t r = 0; r < block.rows; ++r) {
        UserEvent event;
        event.kind = input_.kind;
        for (size_t c = 0; c < fields_.size(); ++c)
          if (!block.cell(r, c).empty()) set(event, block, r, c);
        check_event(event, fmt::format("{}:{}", block.file, block.lines[static_cast<size_t>(r)]));
        batches.add(std::move(event));
      }
  }

 private:
  void set(UserEvent& event, const RowBlock& block, int64_t row, size_t c) const {
    const std::string &field = fields_[c], &column = rows_->columns()[c];
    const std::string_view cell = block.cell(row, c);
    if (field == "user") event.user = cell;
    if (field == "item") event.item = cell;
    if (field == "kind") event.kind = cell;
    if (field == "request") event.request = cell;
    if (field == "variant") event.variant = cell;
    if (field == "value") event.value = number<double>(block, row, c, column);
    if (field == "propensity") event.propensity = number<double>(block, row, c, column);
    if (field == "position") event.position = number<int32_t>(block, row, c, column);
    if (field == "time_us") {
      const auto time = number<int64_t>(block, row, c, column);
      if (time < 0 || time > kMaxEventTime / input_.time_unit_us)
        block.fail(row, column, fmt::format("{} is no time between 1970 and the year 9999", time));
      event.time_us = time * input_.time_unit_us;
    }
  }

  const EventInput& input_;
  std::unique_ptr<RowReader> rows_;
  std::vector<std::string> fields_;  // of each column
};

}  // namespace

void read_event_file(const EventInput& input, size_t batch, const Take& take) {
  Batches batches(batch, take);
  if (input.path == "-" || input.path.ends_with(".jsonl") || input.path.ends_with(".json")) {
    WN_CHECK(input.columns.empty() && input.kind.empty() && input.time_unit_us == 1, ConfigError,
             "--columns, --kind and --time-unit are for tables; JSON lines have the fields of an event");
    read_lines(input.path, batches);
  } else {
    TableReader(input).read(batches);
  }
  batches.flush();
}

}  // namespace winnow
