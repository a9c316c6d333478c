// Tiled attention of one head over one sequence, forward and backward; one form per instruction set. The operator is
// ops/jagged_attention.h. No score matrix is stored: a tile of keys meets a tile of queries, sums of exponentials are
// rescaled as the maximum grows (Dao et al. 2022, "FlashAttention", algorithm 1).
#pragma once
#include <cstdint>

namespace winnow::cpu {

constexpr int kKeyTile = 128, kQueryTile = 64;
constexpr int kScoreRow = kKeyTile + 16;  // floats of a row of scores; + 16 spreads the rows over L1 sets
constexpr int kBitsRow = kKeyTile + 64;   // random bits of a row: its keys and what precedes them in a group of 64
constexpr int64_t kBitsFloats = (kQueryTile * kBitsRow + 64) / 2;

// One (sequence, head). Token t's query lies at q + t * row, its key `hidden` floats on, its value 2 `hidden` on.
struct AttentionItem {
  int64_t length = 0;  // tokens
  int64_t row = 0;     // floats between tokens of q and of dq
  int64_t hidden = 0;  // floats between tokens of out and dout
  int64_t heads = 0;   // floats between tokens of lse
  int dim = 0;         // of the head, a multiple of 16 up to 256
  float scale = 1;
  bool causal = false;
  const float* q = nullptr;
  float* out = nullptr;  // backward: read
  float* lse = nullptr;  // log of the sum of exponentials; backward: read
  const float* dout = nullptr;
  float* dq = nullptr;
  const float* bias = nullptr;  // of key j for query i: bias[clamp(j - i, -reach, reach) + reach]; null: none
  float* dbias = nullptr;       // is added to
  int64_t reach = 0;
  // Dropout: weight (i, j) stays where its 16 bits are at least `threshold`. Bits of group g, 64 elements: fill(...).
  int32_t threshold = 0;  // 0: none
  float keep_scale = 1;
  uint64_t first_element = 0;  // a multiple of 64; element of (i, j): first_element + i * round_up(length, 8) + j
  void (*fill)(const void* state, int64_t group, uint16_t* bits) = nullptr;
  const void* fill_state = nullptr;
};

struct AttentionKernels {
  void (*forward)(const AttentionItem& item, float* workspace);
  void (*backward)(const AttentionItem& item, float* workspace);
};
const AttentionKernels* attention_kernels_avx2();
const AttentionKernels* attention_kernels_avx512();
const AttentionKernels& attention_kernels();  // the widest that this CPU runs

// Into L2, what the next head of the item's sequence reads and writes: a head's rows lie a whole token apart, which no
// hardware prefetcher follows. For titles of 20 tokens the items then take 0.6 of the time.
void prefetch_next_head(const AttentionItem& item);

// Floats that forward and backward need for sequences of up to `longest` tokens.
constexpr int64_t attention_workspace(int dim, int64_t longest) {
  return 2 * ((longest + 15) / 16 * 16) + 2 * kQueryTile * kScoreRow + 2 * dim * kScoreRow + kKeyTile * dim +
         2 * kQueryTile * dim + kQueryTile + kBitsFloats;
}

}  // namespace winnow::cpu
