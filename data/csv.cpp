#include "data/csv.h"

#include <immintrin.h>

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/text.h"

namespace winnow {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
constexpr size_t kBlock = 64;
constexpr size_t kMaxColumns = 16384;

uint32_t equal_bytes(__m256i bytes, char c) {
  return static_cast<uint32_t>(_mm256_movemask_epi8(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(c))));
}

uint32_t specials(const char* p, char separator, char quote) {
  const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  return equal_bytes(bytes, separator) | equal_bytes(bytes, '\n') | equal_bytes(bytes, quote) |
         equal_bytes(bytes, '\0');
}

}  // namespace

CsvReader::CsvReader(std::string file, std::string_view text, const CsvOptions& options, bool more_follows)
    : file_(std::move(file)), text_(text), separator_(options.separator), quoting_(options.quoting) {
  if (!more_follows && text_.starts_with(kByteOrderMark)) begin_ = kByteOrderMark.size();
  text_ = text_.substr(0, size_without_line_ends(text_));
  begin_text();
  if (begin_ >= text_.size()) fail(1, "the file is empty; a header row is needed");
  read_header(options.strip_types);
}

CsvReader::CsvReader(std::string file, std::string_view rows, const CsvOptions& options,
                     std::vector<std::string> header, int64_t first_line)
    : file_(std::move(file)),
      text_(rows),
      separator_(options.separator),
      quoting_(options.quoting),
      header_(std::move(header)),
      width_(header_.size()),
      line_(first_line) {
  // rows follow elsewhere: only whole line ends are left out, not a \r that belongs to the last row
  text_ = text_.substr(0, size_without_line_ends(text_));
  begin_text();
}

void CsvReader::begin_text() {
  WN_CHECK(separator_ != '"' && separator_ != '\n' && separator_ != '\r' && separator_ != '\0', ConfigError,
           "{}: the separator cannot be {}", file_, quoted({&separator_, 1}));
  if (begin_ < text_.size()) mask_ = classify(0) & (~uint64_t{0} << begin_);
}

void CsvReader::read_header(bool strip_types) {
  width_ = kMaxColumns;
  read_row();
  rows_ = 0;
  width_ = fields_;
  if (fields_ > kMaxColumns) fail(1, fmt::format("{} columns; at most {} are supported", fields_, kMaxColumns));
  header_.reserve(width_);
  for (size_t i = 0; i < width_; ++i) {
    std::string_view name = cells_[i];
    if (strip_types) name = name.substr(0, name.find(':'));
    if (name.empty()) fail(1, fmt::format("column {} of the header has no name", i + 1));
    header_.emplace_back(name);
  }
  std::vector<std::string_view> sorted(header_.begin(), header_.end());
  std::ranges::sort(sorted);
  const auto twice = std::ranges::adjacent_find(sorted);
  if (twice != sorted.end()) fail(1, fmt::format("two columns are named {}", quoted(*twice)));
}

size_t CsvReader::column(std::string_view name) const {
  const auto at = std::ranges::find(header_, name);
  if (at != header_.end()) return static_cast<size_t>(at - header_.begin());
  std::string all;
  for (size_t i = 0; i < header_.size() && all.size() < 200; ++i) all += (i > 0 ? ", " : "") + quoted(header_[i]);
  fail(1, fmt::format("there is no column {}{} (columns: {})", quoted(name), did_you_mean(name, header_), all));
}

bool CsvReader::has_column(std::string_view name) const { return std::ranges::find(header_, name) != header_.end(); }

bool CsvReader::next() {
  if (begin_ >= text_.size()) return false;
  read_row();
  if (fields_ != width_) [[unlikely]] {
    const bool blank = fields_ == 1 && cells_[0].empty();
    fail(row_line_, fmt::format("{} field{}, header has {}{}", fields_, fields_ == 1 ? "" : "s", width_,
                                blank ? " (a blank line)" : ""));
  }
  return true;
}

uint64_t CsvReader::classify(size_t base) const {
  // Without quoting the quote is looked for in the shape of a second line end, which finds nothing new.
  const char quote = quoting_ ? '"' : '\n';
  const size_t left = text_.size() - base;
  const char* p = text_.data() + base;
  char tail[kBlock];
  if (left < kBlock) [[unlikely]] {
    std::memset(tail, ' ', kBlock);
    std::memcpy(tail, p, left);
    p = tail;
  }
  const uint64_t mask =
      specials(p, separator_, quote) | (uint64_t{specials(p + kBlock / 2, separator_, quote)} << (kBlock / 2));
  return left < kBlock ? mask & ((uint64_t{1} << left) - 1) : mask;
}

// Position of the next separator, line end, quote or NUL; the text's size when there is none.
inline size_t CsvReader::next_special() {
  while (mask_ == 0) {
    if (text_.size() - base_ <= kBlock) return text_.size();
    base_ += kBlock;
    mask_ = classify(base_);
  }
  const size_t position = base_ + static_cast<size_t>(__builtin_ctzll(mask_));
  mask_ &= mask_ - 1;
  return position;
}

// The end of a line's last cell, without the carriage return.
inline size_t CsvReader::end_line(size_t begin, size_t end) {
  begin_ = std::min(end + 1, text_.size());
  ++line_;
  return end > begin && end < text_.size() && text_[end - 1] == '\r' ? end - 1 : end;
}

void CsvReader::read_row() {
  cells_.clear();
  fields_ = 0;
  unescaped_.clear();
  scratch_.clear();
  row_line_ = line_;
  ++rows_;
  size_t begin = begin_;
  for (bool more = true; more;) {
    const size_t at = next_special();
    const char c = at < text_.size() ? text_[at] : '\n';
    if (c == separator_) {
      add_cell(text_.substr(begin, at - begin));
      begin = at + 1;
    } else if (c == '\n') {
      const size_t end = end_line(begin, at);
      add_cell(text_.substr(begin, end - begin));
      more = false;
    } else if (c == '\0') {
      fail(line_, fmt::format("a NUL byte in field {}", fields_ + 1));
    } else if (at == begin) {
      const size_t end = read_quoted(at);
      if (end < text_.size() && text_[end] == separator_) {
        begin = end + 1;
      } else {
        end_line(end, end);
        more = false;
      }
    }
  }
  for (const Unescaped& u : unescaped_) cells_[u.cell] = std::string_view(scratch_).substr(u.offset, u.size);
}

// Reads the cell whose opening quote is at `open`; the position of the separator or line end behind it.
size_t CsvReader::read_quoted(size_t open) {
  const int64_t opened = line_;
  bool doubled = false;
  size_t close = next_special();
  for (;; close = next_special()) {
    if (close >= text_.size()) fail(opened, fmt::format("field {}: a quote that is never closed", fields_ + 1));
    const char c = text_[close];
    if (c == '\0') fail(line_, fmt::format("a NUL byte in field {}", fields_ + 1));
    line_ += c == '\n';
    if (c != '"') continue;
    if (close + 1 >= text_.size() || text_[close + 1] != '"') break;
    next_special();
    doubled = true;
  }
  const std::string_view inside = text_.substr(open + 1, close - open - 1);
  if (doubled && fields_ < width_)
    unescape(inside);
  else
    add_cell(inside);
  size_t end = close + 1;
  if (end + 1 < text_.size() && text_[end] == '\r' && text_[end + 1] == '\n') ++end;
  if (end < text_.size() && text_[end] != separator_ && text_[end] != '\n') {
    std::string_view rest = text_.substr(end, text_.find('\n', end) - end);
    while (rest.ends_with('\r')) rest.remove_suffix(1);
    fail(line_, fmt::format("field {}: text after the closing quote: {}", fields_, quoted(rest.substr(0, 20))));
  }
  next_special();  // the separator or line end itself
  return end;
}

void CsvReader::unescape(std::string_view inside) {
  const size_t offset = scratch_.size();
  for (size_t i = 0; i < inside.size(); ++i) {
    scratch_ += inside[i];
    if (inside[i] == '"') ++i;
  }
  unescaped_.push_back({cells_.size(), offset, scratch_.size() - offset});
  add_cell({});
}

void CsvReader::fail(int64_t line, const std::string& what) const { raise<DataError>("{}:{}: {}", file_, line, what); }

}  // namespace winnow
