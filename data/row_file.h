// Encoded rows in a file, for data larger than memory: written once in order of the source, read block by block.
//
//   "WNROWS01", blocks, tail, footer. A block holds up to kBlockRows rows of one split:
//     u32 rows, u32 words, u32 split, u32 crc32c(words), then words of 32 bits. A row:
//       label f32, weight f32, user i32, item i32, time i64 (low word first), dense f32 [D],
//       without bags ids i32 [F]; with bags lengths i32 [F], then the ids of all fields one after another
//   The tail holds texts (feature map, report, fingerprint), keys and the places of the blocks; the footer its place
//   and checksum. All little-endian.
#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/file.h"
#include "data/dataset.h"

namespace winnow {

// What a row of 32-bit words holds.
struct RowLayout {
  int64_t fields = 0, dense = 0;
  bool bags = false;
  static constexpr size_t kLabel = 0, kWeight = 1, kUser = 2, kItem = 3, kTime = 4, kDense = 6;
  size_t ids() const { return kDense + static_cast<size_t>(dense); }   // ids, or the lengths when there are bags
  size_t head() const { return ids() + static_cast<size_t>(fields); }  // words before what varies
};

// One row as it lies in a block.
class RowView {
 public:
  RowView(const RowLayout& layout, const uint32_t* words) : layout_(&layout), words_(words) {}
  float label() const { return __builtin_bit_cast(float, words_[RowLayout::kLabel]); }
  float weight() const { return __builtin_bit_cast(float, words_[RowLayout::kWeight]); }
  int32_t user() const { return static_cast<int32_t>(words_[RowLayout::kUser]); }
  int32_t item() const { return static_cast<int32_t>(words_[RowLayout::kItem]); }
  int64_t time() const {
    return static_cast<int64_t>(uint64_t{words_[RowLayout::kTime]} | uint64_t{words_[RowLayout::kTime + 1]} << 32);
  }
  const uint32_t* dense() const { return words_ + RowLayout::kDense; }
  int64_t length(int64_t field) const {
    return layout_->bags ? words_[layout_->ids() + static_cast<size_t>(field)] : 1;
  }
  const uint32_t* ids() const { return words_ + (layout_->bags ? layout_->head() : layout_->ids()); }

 private:
  const RowLayout* layout_;
  const uint32_t* words_;
};

// Rows of one block, or of several.
struct RowWords {
  std::vector<uint32_t> words;
  std::vector<size_t> begin;  // of each row
  void clear() { words.clear(), begin.clear(); }
};

// What lies in the tail of a file.
struct RowFileTexts {
  std::string fingerprint, feature_map, report;
  std::vector<std::string> user_keys, item_keys, item_titles;
  bool timestamps = false;
};

class RowFileWriter {
 public:
  static constexpr size_t kBlockRows = 2048;
  RowFileWriter(const std::string& path, const RowLayout& layout);
  void add(Split split, const RowWords& rows);
  void commit(const RowFileTexts& texts);  // puts the file in place

 private:
  struct Place {
    uint64_t offset;
    uint32_t rows, words;
  };
  void flush(Split split);

  AtomicFile file_;
  RowLayout layout_;
  uint64_t offset_ = 0;
  std::array<RowWords, 3> open_;
  std::array<std::vector<Place>, 3> places_;
};

class RowFile {
 public:
  // DataError: not such a file, or damaged. IoError. Blocks are checked when they are read.
  explicit RowFile(std::string path);
  ~RowFile();
  RowFile(const RowFile&) = delete;
  RowFile& operator=(const RowFile&) = delete;

  const std::string& path() const { return path_; }
  const RowLayout& layout() const { return layout_; }
  const RowFileTexts& texts() const { return texts_; }
  RowFileTexts take_texts() { return std::move(texts_); }
  int64_t rows(Split split) const { return first_row_[static_cast<size_t>(split)].back(); }
  size_t blocks(Split split) const { return places_[static_cast<size_t>(split)].size(); }
  int64_t first_row(Split split, size_t block) const { return first_row_[static_cast<size_t>(split)][block]; }
  size_t block_of(Split split, int64_t row) const;  // the block that holds a row of the split
  size_t words(Split split, size_t block) const { return places_[static_cast<size_t>(split)][block].words; }
  // Appends the rows of a block. On any thread; no allocation where `out` has room.
  void read(Split split, size_t block, RowWords& out) const;

 private:
  struct Place {
    uint64_t offset;
    uint32_t rows, words;
  };
  void read_at(uint64_t offset, void* to, size_t bytes) const;
  void read_tail();
  [[noreturn]] void damaged(const std::string& what) const;

  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  RowLayout layout_;
  RowFileTexts texts_;
  std::array<std::vector<Place>, 3> places_;
  std::array<std::vector<int64_t>, 3> first_row_;  // of each block, and of all
};

}  // namespace winnow
