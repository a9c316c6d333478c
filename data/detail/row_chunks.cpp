#include "data/detail/row_chunks.h"

#include <algorithm>
#include <cstring>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/byte_masks.h"

namespace winnow::detail {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

void reserve(BlockMemory& memory, size_t bytes, size_t keep) {
  if (memory.capacity >= bytes + kPadding) return;
  auto larger = std::make_unique_for_overwrite<char[]>(bytes + kPadding);
  if (keep > 0) std::memcpy(larger.get(), memory.bytes.get(), keep);
  memory.bytes = std::move(larger);
  memory.capacity = bytes + kPadding;
}

// The last row end that is known not to be followed by blank lines up to the end of the text.
RowEnd settled(std::string_view text, RowEnd found) {
  const size_t run = size_without_line_ends(text.substr(0, found.end));
  if (run == 0) return {};
  const size_t end = text.find('\n', run) + 1;
  return {end, found.lines - std::count(text.begin() + static_cast<ptrdiff_t>(end),
                                        text.begin() + static_cast<ptrdiff_t>(found.end), '\n')};
}

}  // namespace

RowEnd last_row_end(std::string_view text, RowEnds ends) {
  RowEnd found;
  int64_t lines = 0;
  QuoteState state(text.data(), text.size(), ends.separator);
  char tail[64];
  for (size_t base = 0; base < text.size(); base += 64) {
    const size_t left = text.size() - base;
    const char* p = text.data() + base;
    if (left < 64) p = static_cast<char*>(std::memcpy(std::memset(tail, 0, 64), p, left));
    const Bytes64 bytes(p);
    const uint64_t newlines = bytes.equal('\n'), quotes = ends.quoting ? bytes.equal('"') : 0;
    const uint64_t outside =
        (quotes | uint64_t{state.is_inside()}) == 0 ? newlines : newlines & ~state.inside(base, quotes);
    if (outside != 0) {
      const auto last = 63u - static_cast<unsigned>(__builtin_clzll(outside));
      found = {base + last + 1, lines + __builtin_popcountll(newlines & bits_below(last + 1))};
    }
    lines += __builtin_popcountll(newlines);
  }
  return found;
}

RowChunks::RowChunks(std::string file, std::unique_ptr<ByteStream> stream, RowEnds ends, size_t bytes)
    : file_(std::move(file)), stream_(std::move(stream)), ends_(ends), bytes_(std::max<size_t>(bytes, 64)) {}

// Reads until the piece has `target` bytes; false at the end of the stream. A small file takes small memory: room
// doubles from 4 KiB.
bool RowChunks::fill(BlockMemory& memory, size_t target) {
  while (size_ < target) {
    reserve(memory, std::min(target, std::max<size_t>(4096, 2 * size_)), size_);
    const size_t room = std::min(target, memory.capacity - kPadding) - size_;
    const size_t got = stream_->read(memory.bytes.get() + size_, room);
    if (got == 0) return false;
    size_ += got;
  }
  return true;
}

// Cuts what was found to the first most_rows_ rows.
void RowChunks::cut_rows(std::string_view text, RowEnd& found) {
  if (found.lines <= most_rows_) return;
  size_t end = 0;
  for (int64_t row = 0; row < most_rows_; ++row) end = text.find('\n', end) + 1;
  found = {end, most_rows_};
  bytes_ = std::clamp(2 * end, size_t{64}, bytes_);  // what is read beyond the cut is copied with the next piece
}

void RowChunks::limit_rows(int64_t rows, Piece& piece) {
  most_rows_ = rows;
  RowEnd found{piece.bytes, std::count(piece.text, piece.text + piece.bytes, '\n')};
  line_ -= found.lines;
  cut_rows(piece.view(), found);
  line_ += found.lines;
  rest_.insert(0, piece.text + found.end, piece.bytes - found.end);
  piece.bytes = found.end;
}

bool RowChunks::next(Piece& piece) {
  if (all_read_ && rest_.empty()) return false;
  BlockMemory& memory = own_memory(piece.memory);
  size_ = rest_.size();
  reserve(memory, std::max(rest_.size() + 1, size_t{4096}), 0);
  std::memcpy(memory.bytes.get(), rest_.data(), rest_.size());
  rest_.clear();
  RowEnd found;
  for (size_t target = std::max(bytes_, size_);; target = std::max(target, size_) * 2) {
    all_read_ = all_read_ || !fill(memory, target);
    if (first_) skip_byte_order_mark(memory.bytes.get());
    first_ = false;
    if (all_read_) break;
    const std::string_view text(memory.bytes.get(), size_);
    found = settled(text, last_row_end(text, ends_));
    if (found.end > 0) break;
    WN_CHECK(size_ < kMaxRowBytes, DataError, "{}:{}: a row of more than {} MiB{}", file_, line_, kMaxRowBytes >> 20,
             ends_.quoting ? "; is a quote never closed?" : "");
  }
  if (all_read_ && !end_text(memory, found)) return false;
  char* const text = memory.bytes.get();
  cut_rows({text, size_}, found);
  rest_.assign(text + found.end, size_ - found.end);
  std::memset(text + found.end, 0, kPadding);
  piece.text = text;
  piece.bytes = found.end;
  piece.line = line_;
  piece.file = file_;
  line_ += found.lines;
  return true;
}

void RowChunks::skip_byte_order_mark(char* text) {
  if (!std::string_view(text, size_).starts_with(kByteOrderMark)) return;
  size_ -= kByteOrderMark.size();
  std::memmove(text, text + kByteOrderMark.size(), size_);
}

// The rows up to the end of the text; false when only blank lines are left.
bool RowChunks::end_text(BlockMemory& memory, RowEnd& found) {
  size_ = size_without_line_ends({memory.bytes.get(), size_});
  if (size_ == 0) return false;
  reserve(memory, size_ + 2, size_);
  if (memory.bytes[size_ - 1] == '\r') memory.bytes[size_++] = '\r';  // one belongs to the row, one to its line end
  memory.bytes[size_++] = '\n';
  found = {size_, std::count(memory.bytes.get(), memory.bytes.get() + size_, '\n')};
  return true;
}

}  // namespace winnow::detail
