// `opbench --large`: samples of operators that memory bounds, with operands that no cache holds (200 MB and more).
#pragma once
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <string_view>
#include <vector>

#include "core/op.h"
#include "core/rng.h"
#include "core/samples.h"
#include "ops/detail/sparse_samples.h"

namespace winnow::bench {

struct Dimension {
  int64_t from, to;  // of the operator's sample; here
};
struct Large {
  const char* op;
  std::vector<Dimension> dimensions;
};

// Tokens of a transformer's batch: rows x hidden units.
inline std::vector<Large> of_rows(int64_t rows, int64_t width) {
  std::vector<Large> list;
  for (const char* op : {"layer_norm", "layer_norm_grad", "rms_norm", "rms_norm_grad", "softmax", "softmax_grad"})
    list.push_back({op, {{2048, rows}, {1024, width}}});
  for (const char* op : {"add_layer_norm", "add_layer_norm_grad", "dropout", "l2_normalize", "l2_normalize_grad"})
    list.push_back({op, {{2048, rows}, {384, width}}});
  return list;
}

inline std::vector<Large> all() {
  std::vector<Large> list = {
      {"softmax_cross_entropy", {{64, 2048}, {8000, 30522}}},
      {"softmax_cross_entropy_grad", {{64, 2048}, {8000, 30522}}},
      {"gelu", {{1024, 32768}, {512, 3072}}},
      {"gelu_grad", {{1024, 32768}, {512, 3072}}},
      {"cast", {{31, 32768}, {33, 3072}}},
      {"gather", {{100000, 4000000}, {8192, 1000000}}},
      {"scatter_add", {{65536, 1000000}}},
      {"embedding_bag", {{2048, 65536}, {16, 64}}},
      {"embedding_bag_grad", {{64, 8192}}},
      {"embedding_segments", {{2048, 65536}}},
      {"adam", {{429, 4096}, {400, 4096}}},
      {"sgd", {{429, 4096}, {400, 4096}}},
  };
  for (const auto& [rows, width] :
       {std::array<int64_t, 2>{262144, 128}, {262144, 256}, {131072, 384}, {65536, 768}, {65536, 1024}})
    for (Large& large : of_rows(rows, width)) list.push_back(std::move(large));
  return list;
}

inline int64_t enlarged(int64_t dim, const Large& large) {
  for (const Dimension& d : large.dimensions)
    if (dim == d.from) return d.to;
  return dim;
}
// Indices are drawn one by one: those of a sample repeat, and the rows that they mean would lie in the cache.
inline void draw_indices(Arg& arg) {
  Rng rng(1);
  std::vector<double> values(static_cast<size_t>(arg.spec.shape.numel()));
  const auto count = static_cast<uint64_t>(arg.fill.high - arg.fill.low) + 1;
  for (double& v : values) v = arg.fill.low + static_cast<double>(rng.below(count));
  arg.fill = Fill::of(std::move(values));
}
inline Sample enlarged(Sample sample, const Large& large) {
  sample.name = "large";
  for (Arg& arg : sample.in) {
    std::vector<int64_t> dims(arg.spec.shape.dims().begin(), arg.spec.shape.dims().end());
    for (int64_t& d : dims) d = enlarged(d, large);
    arg.spec.shape = Shape(dims);
    if (arg.fill.kind != Fill::Integers) continue;
    arg.fill.high = static_cast<double>(enlarged(static_cast<int64_t>(arg.fill.high) + 1, large) - 1);
    draw_indices(arg);
  }
  for (const Dimension& d : large.dimensions) sample.name += fmt::format("_{}", d.to);
  return sample;
}

// 65,536 samples of 26 ids on tables of 1e7 rows, each of another row: cost() cannot know of repetitions.
inline Sample large_sparse(Sample sample) {
  const auto states = static_cast<int>(sample.in.size()) - 10;
  const bool row_state = states > 0 && sample.in[1].spec.shape.rank() == 1;
  sample.name = "large_65536_samples_1e7_rows";
  sample.in = sparse_ctr_case(states, row_state, 65536, 10000000, 1);
  for (Arg& arg : sample.in)
    if (arg.fill.kind == Fill::Integers) draw_indices(arg);
  return sample;
}

// The operator's own benchmark sample with larger dimensions, named by them, in the shapes that users have; empty where
// it has none here.
inline std::vector<Sample> large_samples(const OpDef& op) {
  Samples own;
  if (op.samples) op.samples(own);
  const auto base = std::ranges::find_if(own.list(), [](const Sample& s) { return s.bench; });
  if (base == own.list().end()) return {};
  const std::string_view name = op.name;
  std::vector<Sample> list;
  static const std::vector<Large> kAll = all();
  for (const Large& large : kAll)
    if (large.op == name) list.push_back(enlarged(*base, large));
  for (const char* rule : {"sgd", "adagrad", "rowwise_adagrad", "adam_lazy", "ftrl", "adam"})
    if (name == fmt::format("sparse_{}", rule)) list.push_back(large_sparse(*base));
  return list;
}

}  // namespace winnow::bench
