// libsvm and libffm, a piece at a time: "label [qid:q] index:value ..." and "label field:index:value ...".
#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/text_format.h"
#include "data/timestamp.h"

namespace winnow::detail {
namespace {

constexpr uint32_t kNone = UINT32_MAX;

// One "a:b" or "a:b:c" of a line.
struct Entry {
  uint32_t group = 0;  // libsvm: the index; libffm: the field
  std::string_view index, value;
};

class SvmLine {
 public:
  SvmLine(std::string_view text, std::string_view file, int64_t line, bool fields)
      : text_(text.substr(0, text.find('#'))), file_(file), line_(line), fields_(fields) {
    label_ = word();
    if (label_.empty()) fail(text_, "a line without a label");
    label_ = number_text(label_, "the label");
    const size_t before = at_;
    if (const std::string_view first = word(); !fields && first.starts_with("qid:"))
      qid_ = first.substr(4);
    else
      at_ = before;
  }

  std::string_view label() const { return label_; }
  std::string_view qid() const { return qid_; }

  bool next(Entry& entry) {
    const std::string_view all = word();
    if (all.empty()) return false;
    const size_t colon = all.find(':'), second = fields_ ? all.find(':', colon + 1) : colon;
    if (colon == std::string_view::npos || second == std::string_view::npos)
      fail(all, fmt::format("{} is not {}", quoted(all), fields_ ? "field:index:value" : "index:value"));
    entry.group = number(all.substr(0, colon), fields_ ? "field" : "index");
    entry.index = fields_ ? all.substr(colon + 1, second - colon - 1) : all.substr(0, colon);
    if (fields_) number(entry.index, "index");
    entry.value = number_text(all.substr(second + 1), "the value");
    return true;
  }

  [[noreturn]] void fail(std::string_view at, const std::string& what) const {
    raise<DataError>("{}:{}:{}: {}", file_, line_, at.data() - text_.data() + 1, what);
  }

 private:
  std::string_view word() {
    const auto is_blank = [&](size_t i) { return text_[i] == ' ' || text_[i] == '\t' || text_[i] == '\r'; };
    while (at_ < text_.size() && is_blank(at_)) ++at_;
    const size_t begin = at_;
    while (at_ < text_.size() && !is_blank(at_)) ++at_;
    return text_.substr(begin, at_ - begin);
  }

  // Written as numbers are printed, so that one index has one name.
  uint32_t number(std::string_view digits, const char* what) const {
    uint32_t n = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), n);
    if (error != std::errc{} || end != digits.data() + digits.size() || n == kNone ||
        (digits.size() > 1 && digits[0] == '0'))
      fail(digits, fmt::format("{} {} is not a whole number below 2^32 - 1", what, quoted(digits)));
    return n;
  }

  // libsvm's own files write positive labels as +1; the cell is 1.
  std::string_view number_text(std::string_view text, const char* what) const {
    const std::string_view unsigned_text = text.starts_with('+') ? text.substr(1) : text;
    if (!parse_number(unsigned_text)) fail(text, fmt::format("{} {} is not a number", what, quoted(text)));
    return unsigned_text;
  }

  std::string_view text_;
  std::string_view file_;
  int64_t line_;
  bool fields_;
  size_t at_ = 0;
  std::string_view label_, qid_;
};

// A column and what it shows of the entries whose group it belongs to.
struct Column {
  enum Part : uint8_t { Label, Qid, Value, Indices, Values, AllIndices, AllValues } part = Label;
  uint32_t group = kNone;
};

class SvmFormat final : public TextFormat {
 public:
  SvmFormat(std::vector<std::string> wanted, bool fields) : fields_(fields), chosen_(!wanted.empty()) {
    for (const std::string& name : wanted) add(name, column_of(name));
  }

  bool is_sparse() const override { return true; }

  void begin_file(Piece& piece) override {
    if (!columns_.empty()) return;
    std::map<uint32_t, bool> groups;
    bool qid = false;
    for_each_line(piece, [&](SvmLine& line, int64_t number) {
      qid |= number == piece.line && !line.qid().empty();
      last_line_ = number;
      for (Entry entry; line.next(entry);) {
        groups[entry.group] = true;
        if (groups.size() > kMaxColumns)
          line.fail(entry.index, fmt::format("more than {} different indices; name the needed columns in `columns`{}",
                                             kMaxColumns, fields_ ? "" : ", such as [label, ids, values]"));
      }
    });
    add("label", {Column::Label, kNone});
    if (qid) add("qid", {Column::Qid, kNone});
    for (const auto& [group, unused] : groups) {
      add(fmt::format("{}", group), {fields_ ? Column::Indices : Column::Value, group});
      if (fields_) add(fmt::format("{}.values", group), {Column::Values, group});
    }
  }

  void parse(Piece& piece, RowBlock& block) const override {
    begin_block(piece, block, columns_.size());
    block.lines.clear();
    block.cells.clear();
    std::string& scratch = static_cast<BlockMemory*>(block.memory.get())->scratch;
    scratch.clear();
    scratch.reserve(2 * piece.bytes);  // indices once and values twice at most; views of it must stay
    for_each_line(piece, [&](SvmLine& line, int64_t number) {
      block.lines.push_back(number);
      const size_t row = block.cells.size();
      block.cells.resize(row + columns_.size());
      read_line(line, {block.cells.data() + row, columns_.size()}, scratch);
    });
    block.rows = static_cast<int64_t>(block.lines.size());
  }

 private:
  using Cells = std::span<std::string_view>;

  template <class F>
  void for_each_line(const Piece& piece, F&& f) const {
    const std::string_view text = piece.view();
    int64_t number = piece.line;
    for (size_t at = 0; at < text.size(); ++number) {
      const size_t end = text.find('\n', at);
      SvmLine line(text.substr(at, end - at), piece.file, number, fields_);
      f(line, number);
      at = end + 1;
    }
  }

  Column column_of(std::string_view name) const {
    if (name == "label") return {Column::Label, kNone};
    if (!fields_ && name == "qid") return {Column::Qid, kNone};
    if (!fields_ && name == "ids") return {Column::AllIndices, kNone};
    if (!fields_ && name == "values") return {Column::AllValues, kNone};
    const bool values = fields_ && name.ends_with(".values");
    const std::string_view digits = values ? name.substr(0, name.size() - 7) : name;
    uint32_t group = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), group);
    WN_CHECK(error == std::errc{} && end == digits.data() + digits.size() && std::to_string(group) == digits,
             ConfigError, "columns: {} is not a column of {} (those are {})", quoted(name),
             fields_ ? "libffm" : "libsvm",
             fields_ ? "label, a field's number, and that with .values" : "label, qid, ids, values, an index");
    return {values ? Column::Values : fields_ ? Column::Indices : Column::Value, group};
  }

  void add(const std::string& name, Column column) {
    if (column.group != kNone) {
      Places& places = groups_[column.group];
      (column.part == Column::Values ? places.values : places.first) = columns_.size();
    } else {
      (column.part == Column::Label        ? label_
       : column.part == Column::Qid        ? qid_
       : column.part == Column::AllIndices ? all_indices_
                                           : all_values_) = columns_.size();
    }
    columns_.push_back(name);
  }

  static void set(Cells cells, std::optional<size_t> place, std::string_view cell) {
    if (place) cells[*place] = cell;
  }

  void read_line(SvmLine& line, Cells cells, std::string& scratch) const {
    set(cells, label_, line.label());
    set(cells, qid_, line.qid());
    std::vector<Entry> entries;
    for (Entry entry; line.next(entry);) {
      const bool known = groups_.contains(entry.group);
      if (!known && !chosen_)
        line.fail(entry.index, fmt::format("{} {} is not on lines 1 to {}, which make the columns; name all of them in "
                                           "`columns`",
                                           fields_ ? "field" : "index", entry.group, last_line_));
      if (known || all_indices_ || all_values_) entries.push_back(entry);
    }
    if (all_indices_) cells[*all_indices_] = joined(entries, &Entry::index, scratch);
    if (all_values_) cells[*all_values_] = joined(entries, &Entry::value, scratch);
    std::ranges::stable_sort(entries, {}, &Entry::group);
    for (auto begin = entries.begin(); begin != entries.end();) {
      const auto end = std::find_if(begin, entries.end(), [&](const Entry& e) { return e.group != begin->group; });
      if (!fields_ && end - begin > 1) line.fail(begin[1].index, fmt::format("index {} is given twice", begin->group));
      if (const auto found = groups_.find(begin->group); found != groups_.end()) {
        set(cells, found->second.first, joined({begin, end}, fields_ ? &Entry::index : &Entry::value, scratch));
        set(cells, found->second.values, joined({begin, end}, &Entry::value, scratch));
      }
      begin = end;
    }
  }

  // The parts of the entries, joined by spaces; one alone is a view of the text.
  static std::string_view joined(std::span<const Entry> entries, std::string_view Entry::*part, std::string& scratch) {
    if (entries.empty()) return {};
    if (entries.size() == 1) return entries[0].*part;
    const size_t at = scratch.size();
    for (const Entry& entry : entries) {
      if (scratch.size() > at) scratch += ' ';
      scratch += entry.*part;
    }
    return std::string_view(scratch).substr(at);
  }

  struct Places {
    std::optional<size_t> first, values;
  };
  bool fields_, chosen_;
  int64_t last_line_ = 0;
  std::optional<size_t> label_, qid_, all_indices_, all_values_;
  std::map<uint32_t, Places> groups_;
};

}  // namespace

std::unique_ptr<TextFormat> make_libsvm_format(std::vector<std::string> wanted) {
  return std::make_unique<SvmFormat>(std::move(wanted), false);
}

std::unique_ptr<TextFormat> make_libffm_format(std::vector<std::string> wanted) {
  return std::make_unique<SvmFormat>(std::move(wanted), true);
}

}  // namespace winnow::detail
