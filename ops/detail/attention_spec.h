// What the two operators of jagged attention share: how a node is read, and its items.
#pragma once
#include "core/op.h"
#include "core/rng.h"

namespace winnow::detail {

struct AttentionSpec {
  int64_t tokens = 0, sequences = 0, heads = 1, dim = 0, reach = 0;
  double scale = 1;
  bool causal = false, has_bias = false;
  int32_t threshold = 0;  // dropout: weights whose 16 bits are below are dropped; 0: none
  double keep_scale = 1;
  Philox philox;
  int first = 0;  // inputs: qkv is input `first`, offsets follow; step and bias are the last inputs
  int step = -1, bias = -1;

  int64_t hidden() const { return heads * dim; }
  int64_t items() const { return sequences * heads; }
};
AttentionSpec attention_spec(const NodeSpec& node, bool gradient);

// Element of weight (i, j) of an item, for its random bits.
WN_HD uint64_t first_element(int64_t item) { return static_cast<uint64_t>(item) << 34; }

void attention_samples(Samples& samples);
void attention_grad_samples(Samples& samples);
void attention_reference(const Call& call);
void attention_grad_reference(const Call& call);
size_t attention_reference_scratch(const AttentionSpec& spec, const TensorSpec& out, int threads);

// Partial gradients of the bias, [items, 2 R + 1], added over the sequences in order -> [H, 2 R + 1].
template <class T>
void add_up_bias(const AttentionSpec& s, const T* parts, T* dbias) {
  const int64_t width = 2 * s.reach + 1;
  for (int64_t h = 0; h < s.heads; ++h)
    for (int64_t d = 0; d < width; ++d) {
      T sum = 0;
      for (int64_t b = 0; b < s.sequences; ++b) sum += parts[(b * s.heads + h) * width + d];
      dbias[h * width + d] = sum;
    }
}

}  // namespace winnow::detail
