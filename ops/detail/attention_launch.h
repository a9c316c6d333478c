// How the CUDA kernels of jagged attention are launched: which tiles, how many blocks, what is refused.
#pragma once
#include "ops/detail/attention_tiles.h"

namespace winnow::detail {

// f(Attention<tile, width of a head>): small tiles where sequences are short, so that less of a tile is padding.
template <int kDim, class F>
void visit_tile_of(const AttentionSpec& s, F&& f) {
  const bool is_short = s.tokens <= 40 * std::max<int64_t>(1, s.sequences);
  is_short ? f(Attention<32, kDim>()) : f(Attention<64, kDim>());
}
template <class F>
void visit_tile(const AttentionSpec& s, F&& f) {
  if (s.dim <= 16) return visit_tile_of<16>(s, f);
  if (s.dim <= 32) return visit_tile_of<32>(s, f);
  if (s.dim <= 64) return visit_tile_of<64>(s, f);
  f(Attention<64, kWidestHead>());  // smaller tiles have too many columns a thread
}

inline dim3 attention_grid(const AttentionSpec& s, int64_t tile) {
  return dim3(static_cast<unsigned>(attention_tiles(s, tile)), static_cast<unsigned>(s.heads));
}

template <class... P>
void allow_shared(void (*kernel)(P...), size_t bytes) {
  constexpr size_t kWithoutAsking = size_t{48} << 10;
  if (bytes > kWithoutAsking)
    cuda::check(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                     static_cast<int>(bytes)),
                "jagged_attention");
}

template <bool kGradient>
const char* reject_attention(const NodeSpec& node, const DeviceInfo& device) {
  const AttentionSpec s = attention_spec(node, kGradient);
  if (s.dim > kWidestHead) return "heads wider than 128";
  if (s.heads > 65535) return "more than 65535 heads";
  if (s.tokens > INT32_MAX || s.sequences > INT32_MAX / 2 || s.reach > INT32_MAX / 4) return "2^31 tokens or sequences";
  return cuda::reject_all_but_f32(node, device);
}

}  // namespace winnow::detail
