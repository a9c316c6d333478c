// How the CUDA kernels of jagged attention are launched: which tiles, how many blocks, what is refused.
#pragma once
#include "ops/detail/attention_tiles.h"

namespace winnow::detail {

// f(Tile<tile, width of a head>): small tiles where sequences are short, so that less of a tile is padding.
template <template <int, int> class Tile, int kDim, class F>
void visit_tile_of(const AttentionSpec& s, F&& f) {
  const bool is_short = s.tokens <= 40 * std::max<int64_t>(1, s.sequences);
  is_short ? f(Tile<32, kDim>()) : f(Tile<64, kDim>());
}
template <template <int, int> class Tile, class F>
void visit_tile(const AttentionSpec& s, F&& f) {
  if (s.dim <= 16) return visit_tile_of<Tile, 16>(s, f);
  if (s.dim <= 32) return visit_tile_of<Tile, 32>(s, f);
  if (s.dim <= 64) return visit_tile_of<Tile, 64>(s, f);
  f(Tile<64, kWidestHead>());  // smaller tiles have too many columns a thread
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

// Kernels for qkv (and dy) of `kFactors`, with everything else f32.
template <bool kGradient, DType kFactors = DType::F32>
const char* reject_attention(const NodeSpec& node, const DeviceInfo&) {
  const AttentionSpec s = attention_spec(node, kGradient);
  if (s.dim > kWidestHead) return "heads wider than 128";
  if (s.heads > 65535) return "more than 65535 heads";
  if (s.tokens > INT32_MAX || s.sequences > INT32_MAX / 2 || s.items() > INT32_MAX || s.reach > INT32_MAX / 4)
    return "2^31 tokens or heads of sequences";
  if (node.attrs.flag("tf32")) return "no TF32";
  if (node.in[0].dtype == kFactors) return nullptr;
  return kFactors == DType::F32 ? "f32 only" : "bf16 only";
}

}  // namespace winnow::detail
