#include <cstring>

#include "core/cpu/sgemm.h"
#include "core/samples.h"
#include "ops/detail/matmul_node.h"
#include "ops/matmul.h"

namespace winnow {

Value pack_weight(Value b, bool trans_b, Loc loc) {
  return b.graph->apply("pack_weight", {b}, {{"trans_b", int64_t{trans_b}}}, loc);
}

namespace {

struct State {
  bool trans_b;
  int64_t n, k;
  explicit State(const NodeSpec& node)
      : trans_b(node.attrs.flag("trans_b")),
        n(node.in[0].shape[trans_b ? 0 : 1]),
        k(node.in[0].shape[trans_b ? 1 : 0]) {}
};

void infer(Infer& f) {
  f.expect_inputs(1);
  f.expect_dtype(0, {DType::F32, DType::F64});
  f.expect_rank(0, 2);
  const bool trans_b = f.attrs().flag("trans_b");
  const Shape& b = f.shape(0);
  f.out(f.dtype(0), {detail::packed_elements(b[trans_b ? 0 : 1], b[trans_b ? 1 : 0])});
}
void prepare(const NodeSpec& node, Prepare& p) { p.state<State>(node); }

const char* reject_packed(const NodeSpec& node, const DeviceInfo&) {
  return node.in[0].dtype == DType::F32 ? nullptr : "f32 only";
}
void run_packed(const Call& c) {
  const auto& s = c.state<State>();
  if (s.n == 0 || s.k == 0) {
    std::memset(c.out<float>(0), 0, c.out_spec(0).bytes());
    return;
  }
  cpu::sgemm_pack_b(c.in<float>(0), static_cast<size_t>(s.trans_b ? s.k : s.n), s.trans_b, static_cast<size_t>(s.n),
                    static_cast<size_t>(s.k), c.out<float>(0));
}
void run_reference(const Call& c) {
  visit_float(c.in_spec(0).dtype, "pack_weight", [&]<class T> {
    const auto& s = c.state<State>();
    const T* b = c.in<T>(0);
    std::fill_n(c.out<T>(0), c.out_numel(0), T(0));
    if (s.n == 0) return;
    for (int64_t k = 0; k < s.k; ++k)
      for (int64_t j = 0; j < s.n; ++j)
        c.out<T>(0)[detail::packed_place(s.n, s.k, k, j)] = b[s.trans_b ? j * s.k + k : k * s.n + j];
  });
}

void samples(Samples& s) {
  const Attrs transposed = {{"trans_b", int64_t{1}}};
  s.add({.name = "odd", .in = {f32({7, 37})}});
  s.add({.name = "transposed", .in = {f32({37, 7})}, .attrs = transposed});
  s.add({.name = "one", .in = {f32({1, 1})}, .constant_ok = true});
  s.add({.name = "blocks of k", .in = {f32({1100, 40})}});
  s.add({.name = "blocks of k, transposed", .in = {f32({33, 1100})}, .attrs = transposed});
  s.add({.name = "no rows", .in = {f32({0, 5})}, .constant_ok = true});
  s.add({.name = "vector", .in = {f32({7})}, .throws = "has rank 1, expected 2"});
}

}  // namespace

void register_pack_weight(Registry& r) {
  r.add({.name = "pack_weight",
         .doc = "b [K, N] (with trans_b [N, K]) in the order in which matmul reads it, zero padded: matmul's packed_n",
         .infer = infer,
         .no_grad = "the layout belongs to a CPU; weights of frozen graphs are not trained",
         .samples = samples,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "packed", .reject = reject_packed, .prepare = prepare, .run = run_packed},
                     {.name = "reference", .prepare = prepare, .run = run_reference}}});
}

}  // namespace winnow
