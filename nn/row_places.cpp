#include "nn/row_places.h"

#include <algorithm>
#include <atomic>
#include <bit>

#include "core/parallel.h"

namespace winnow {
namespace {

constexpr int64_t kGrain = 4096, kBlocks = 64;  // ids worth a thread; parts of the table, handed out one by one

int64_t words_of(int64_t rows) { return (rows + 31) / 32; }
int64_t lists_of(int64_t rows) { return (words_of(rows) + 63) / 64; }

uint64_t bit_of(int64_t row) { return uint64_t{1} << (row & 31); }
uint64_t* data_of(Tensor& tensor) { return static_cast<uint64_t*>(tensor.raw()); }

}  // namespace

RowPlaces::RowPlaces(int64_t rows)
    : words_(Tensor::zeros({DType::I64, {words_of(rows)}})),
      touched_(Tensor::zeros({DType::I64, {lists_of(rows)}})),
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
  constexpr size_t kAhead = 16;
  auto *const words = data_of(words_), *const touched = data_of(touched_);
  for (size_t k = 0; k < rows.size(); ++k) {
    if (k + kAhead < rows.size() && rows[k + kAhead] >= 0) __builtin_prefetch(words + (rows[k + kAhead] >> 5), 1);
    const int64_t row = rows[k];
    if (row < 0) continue;
    const std::atomic_ref word(words[row >> 5]);
    if ((word.load(std::memory_order_relaxed) & bit_of(row)) != 0) continue;
    if (word.fetch_or(bit_of(row), std::memory_order_relaxed) != 0) continue;
    const int64_t list = row >> 11;
    std::atomic_ref(touched[list]).fetch_or(uint64_t{1} << (row >> 5 & 63), std::memory_order_relaxed);
  }
}

// Fills in the counts and lists the rows, block by block of the table.
void RowPlaces::number() {
  auto *const words = data_of(words_), *const touched = data_of(touched_);
  const int64_t lists = touched_.numel();
  const auto over_words = [&](int64_t block, auto&& f) {
    for (int64_t l = lists * block / kBlocks, end = lists * (block + 1) / kBlocks; l < end; ++l)
      for (uint64_t left = touched[l]; left != 0; left &= left - 1) f(l * 64 + std::countr_zero(left));
  };
  parallel_tasks(kBlocks, [&](int64_t block) {
    int64_t count = 0;
    over_words(block, [&](int64_t w) { count += std::popcount(words[w]); });
    counts_[static_cast<size_t>(block) + 1] = count;
  });
  for (size_t block = 0; block < kBlocks; ++block) counts_[block + 1] += counts_[block];
  distinct_.resize(static_cast<size_t>(counts_[kBlocks]));
  parallel_tasks(kBlocks, [&](int64_t block) {
    int64_t before = counts_[static_cast<size_t>(block)];
    over_words(block, [&](int64_t w) {
      const uint64_t bits = words[w];
      words[w] = bits | static_cast<uint64_t>(before) << 32;
      for (uint64_t left = bits; left != 0; left &= left - 1)
        distinct_[static_cast<size_t>(before++)] = w * 32 + std::countr_zero(left);
    });
    std::fill(touched + lists * block / kBlocks, touched + lists * (block + 1) / kBlocks, 0);
  });
}

}  // namespace winnow
