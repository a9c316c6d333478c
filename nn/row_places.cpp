#include "nn/row_places.h"

#include <algorithm>
#include <atomic>
#include <bit>

#include "core/parallel.h"

namespace winnow {
namespace {

constexpr int64_t kGrain = 4096, kBlocks = 64;  // ids worth a thread; parts of the table, handed out one by one

int64_t lines_of(int64_t rows) { return (rows + 255) / 256; }

uint64_t bit_of(int64_t row) { return uint64_t{1} << (row & 31); }
uint64_t* data_of(Tensor& tensor) { return static_cast<uint64_t*>(tensor.raw()); }

}  // namespace

RowPlaces::RowPlaces(int64_t rows)
    : words_(Tensor::zeros({DType::I64, {lines_of(rows) * 8}})),
      touched_(Tensor::zeros({DType::U8, {(lines_of(rows) + 7) / 8 * 8}})),
      counts_(kBlocks + 1) {}

std::span<const int64_t> RowPlaces::name(std::span<int64_t> rows) {
  auto* const words = data_of(words_);
  const auto n = static_cast<int64_t>(rows.size());
  if (distinct_.capacity() < rows.size()) distinct_.reserve(rows.size());
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    mark(rows.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
  });
  number();
  parallel_for(n, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      int64_t& row = rows[static_cast<size_t>(k)];
      if (row < 0) {
        row = 0;
        continue;
      }
      const uint64_t word = words[row >> 5];
      row = static_cast<int64_t>(word >> 32) + std::popcount(word & (bit_of(row) - 1)) + 1;
    }
  });
  parallel_for(static_cast<int64_t>(distinct_.size()), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k)  // atomic: two threads may meet in a word
      std::atomic_ref(words[distinct_[static_cast<size_t>(k)] >> 5]).store(0, std::memory_order_relaxed);
  });
  return distinct_;
}

// Whether a bit is new is known only once its word has been fetched: a few ahead of the branch.
void RowPlaces::mark(std::span<const int64_t> rows) {
  constexpr size_t kAhead = 24;
  auto* const words = data_of(words_);
  auto* const touched = touched_.data<uint8_t>();
  const bool alone = num_threads() == 1;
  for (size_t k = 0; k < rows.size(); ++k) {
    if (k + kAhead < rows.size()) __builtin_prefetch(words + (std::max<int64_t>(0, rows[k + kAhead]) >> 5), 1);
    const int64_t row = rows[k];
    if (row < 0) continue;
    const std::atomic_ref word(words[row >> 5]);
    const uint64_t before = word.load(std::memory_order_relaxed);
    if ((before & bit_of(row)) != 0) continue;
    alone ? word.store(before | bit_of(row), std::memory_order_relaxed)
          : static_cast<void>(word.fetch_or(bit_of(row), std::memory_order_relaxed));
    std::atomic_ref(touched[row >> 8]).store(1, std::memory_order_relaxed);
  }
}

// Fills in the counts and lists the rows, block by block of the table.
void RowPlaces::number() {
  auto* const words = data_of(words_);
  auto* const touched = static_cast<uint64_t*>(touched_.raw());  // 8 bytes at once
  const int64_t groups = touched_.numel() / 8;
  const auto over_words = [&](int64_t block, auto&& f) {
    for (int64_t g = groups * block / kBlocks, end = groups * (block + 1) / kBlocks; g < end; ++g)
      for (uint64_t left = touched[g]; left != 0; left &= left - 1) {
        uint64_t* const line = words + (g * 8 + std::countr_zero(left) / 8) * 8;
        uint32_t used = 0;  // without a branch a word
        for (uint32_t w = 0; w < 8; ++w) used |= static_cast<uint32_t>(line[w] != 0) << w;
        for (; used != 0; used &= used - 1) f(line + std::countr_zero(used));
      }
  };
  parallel_tasks(kBlocks, [&](int64_t block) {
    int64_t count = 0;
    over_words(block, [&](const uint64_t* word) { count += std::popcount(*word); });
    counts_[static_cast<size_t>(block) + 1] = count;
  });
  for (size_t block = 0; block < kBlocks; ++block) counts_[block + 1] += counts_[block];
  distinct_.resize(static_cast<size_t>(counts_[kBlocks]));
  parallel_tasks(kBlocks, [&](int64_t block) {
    auto before = static_cast<uint64_t>(counts_[static_cast<size_t>(block)]);
    over_words(block, [&](uint64_t* word) {
      const uint64_t bits = *word;
      *word = bits | before << 32;
      for (uint64_t left = bits; left != 0; left &= left - 1)
        distinct_[before++] = (word - words) * 32 + std::countr_zero(left);
    });
    std::fill(touched + groups * block / kBlocks, touched + groups * (block + 1) / kBlocks, 0);
  });
}

}  // namespace winnow
