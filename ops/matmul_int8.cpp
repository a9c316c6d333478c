#include <cmath>
#include <cstring>
#include <limits>

#include "core/cpu/int8_matmul.h"
#include "core/graph.h"
#include "core/samples.h"
#include "ops/detail/matmul_node.h"
#include "ops/matmul.h"

namespace winnow {

std::pair<Value, Value> pack_weight_int8(Value b, bool trans_b, Loc loc) {
  const auto packed = b.graph->apply_all("pack_weight_int8", {b}, {{"trans_b", int64_t{trans_b}}}, loc);
  return {packed[0], packed[1]};
}

namespace {

constexpr int64_t kLeastK = 8;  // below, a row's range is most of its information

int64_t code_bytes(int64_t n, int64_t k) {
  return static_cast<int64_t>(cpu::int8_code_bytes(static_cast<size_t>(n), static_cast<size_t>(k)));
}
int64_t padded(int64_t n) { return static_cast<int64_t>(cpu::int8_padded(static_cast<size_t>(n))); }

// ---- pack_weight_int8

struct Weight {
  bool trans_b;
  int64_t n, k;
  explicit Weight(const NodeSpec& node)
      : trans_b(node.attrs.flag("trans_b")),
        n(node.in[0].shape[trans_b ? 0 : 1]),
        k(node.in[0].shape[trans_b ? 1 : 0]) {}
};

void infer_pack(Infer& f) {
  f.expect_inputs(1);
  f.expect_dtype(0, {DType::F32, DType::F64});
  f.expect_rank(0, 2);
  const bool trans_b = f.attrs().flag("trans_b");
  const int64_t n = f.shape(0)[trans_b ? 0 : 1], k = f.shape(0)[trans_b ? 1 : 0];
  f.out(DType::I8, {code_bytes(n, k)});
  f.out(f.dtype(0), {2, padded(n)});
}
void prepare_pack(const NodeSpec& node, Prepare& p) { p.state<Weight>(node); }
const char* reject_pack(const NodeSpec& node, const DeviceInfo&) {
  return node.in[0].dtype == DType::F32 ? nullptr : "f32 only";
}
void run_pack(const Call& c) {
  const auto& s = c.state<Weight>();
  cpu::int8_pack(c.in<float>(0), static_cast<size_t>(s.trans_b ? s.k : s.n), s.trans_b, static_cast<size_t>(s.n),
                 static_cast<size_t>(s.k), c.out<int8_t>(0), c.out<float>(1));
}
// Codes are those of the weights as f32, so that a tie is one here too.
template <class T>
void pack_column(const Call& c, const Weight& s, int64_t j) {
  const auto weight = [&](int64_t k) { return static_cast<float>(c.in<T>(0)[s.trans_b ? j * s.k + k : k * s.n + j]); };
  float most = 0;
  bool finite = true;
  for (int64_t k = 0; k < s.k; ++k) most = std::max(most, std::fabs(weight(k))), finite &= std::isfinite(weight(k));
  double sum = 0;
  for (int64_t k = 0; k < s.k && finite && std::isfinite(127.f / most); ++k) {
    const float code = std::nearbyint(weight(k) * (127.f / most));
    c.out<int8_t>(0)[cpu::int8_place(static_cast<size_t>(s.k), static_cast<size_t>(k), static_cast<size_t>(j))] =
        static_cast<int8_t>(code);
    sum += code;
  }
  c.out<T>(1)[j] = finite ? static_cast<T>(most / 127.f) : std::numeric_limits<T>::quiet_NaN();
  c.out<T>(1)[padded(s.n) + j] = static_cast<T>(sum);
}
void run_pack_reference(const Call& c) {
  visit_float(c.in_spec(0).dtype, "pack_weight_int8", [&]<class T> {
    const auto& s = c.state<Weight>();
    std::memset(c.out<int8_t>(0), 0, c.out_spec(0).bytes());
    std::fill_n(c.out<T>(1), c.out_numel(1), T(0));
    for (int64_t j = 0; j < s.n; ++j) pack_column<T>(c, s, j);
  });
}
void pack_samples(Samples& s) {
  const Attrs transposed = {{"trans_b", int64_t{1}}};
  s.add({.name = "odd", .in = {f32({7, 37})}});
  s.add({.name = "transposed", .in = {f32({37, 7})}, .attrs = transposed});
  s.add({.name = "one", .in = {f32({1, 1})}, .constant_ok = true});
  s.add({.name = "two panels", .in = {f32({130, 64})}});
  s.add({.name = "a column of zeros",
         .in = {f32({3, 2}, Fill::of({1, 0, -2, 0, 3, 0}))},
         .integers = false,
         .constant_ok = true});
  s.add({.name = "no rows", .in = {f32({0, 5})}, .constant_ok = true});
  s.add({.name = "vector", .in = {f32({7})}, .throws = "has rank 1, expected 2"});
}

// ---- matmul_int8

struct Product {
  cpu::Int8Problem problem;
  cpu::SgemmEpilogue epilogue;
  int bias = -1, residual = -1;
  explicit Product(const NodeSpec& node) {
    const Shape &a = node.in[0].shape, &y = node.out[0].shape;
    problem.m = static_cast<size_t>(y.outer(y.rank() - 1)), problem.n = static_cast<size_t>(y.back());
    problem.k = static_cast<size_t>(a.back());
    problem.bits = static_cast<int>(node.attrs.integer("bits"));
    int next = 3;
    if (node.attrs.flag("has_bias")) bias = next++;
    if (node.attrs.flag("has_residual")) residual = next++;
    epilogue.act = static_cast<cpu::Act>(detail::find_act(node.attrs.text("act", "none")));
    epilogue.ld_residual = problem.n;
  }
};

void infer(Infer& f) {
  const Attrs& at = f.attrs();
  f.expect_inputs(3 + at.flag("has_bias") + at.flag("has_residual"));
  f.expect_dtype(0, {DType::F32, DType::F64});
  f.expect_dtype(1, {DType::I8});
  for (int i = 2; i < f.inputs(); ++i) f.expect_dtype(i, {f.dtype(0)});
  const Shape& a = f.shape(0);
  f.check(a.rank() >= 2, "a {} needs at least 2 axes: reshape a vector to one row", a.str());
  const int64_t n = at.integer("n"), k = a.back(), bits = at.integer("bits");
  f.check(n >= 1 && n < int64_t{1} << 31, "n {} is not a number of columns", n);
  f.check(k <= static_cast<int64_t>(cpu::kInt8MostK), "inner dim {}: at most {}", k, cpu::kInt8MostK);
  f.check(bits == 8 || bits == 15, "bits {} is not 8 or 15", bits);
  f.expect_shape(1, Shape{code_bytes(n, k)});
  f.expect_shape(2, Shape{2, padded(n)});
  const std::string act = at.text("act", "none");
  f.check(detail::find_act(act) >= 0, "act '{}' is not one of none, relu, gelu, gelu_tanh, sigmoid, tanh", act);
  const Shape out = a.with(a.rank() - 1, n);
  int next = 3;
  if (at.flag("has_bias")) f.expect_shape(next++, Shape{n});
  if (at.flag("has_residual")) f.expect_shape(next++, out);
  f.out(f.dtype(0), out);
}

Cost cost(const NodeSpec& node) {
  const Product s(node);
  Cost c;
  c.flops =
      2.0 * static_cast<double>(s.problem.m) * static_cast<double>(s.problem.n) * static_cast<double>(s.problem.k);
  for (const auto& in : node.in) c.bytes += static_cast<double>(in.bytes());
  c.bytes += static_cast<double>(node.out[0].bytes());
  return c;
}

const char* reject_int8(const NodeSpec& node, const DeviceInfo&) {
  return node.in[0].dtype == DType::F32 ? nullptr : "f32 only";
}
void prepare_int8(const NodeSpec& node, Prepare& p) {
  p.scratch(cpu::int8_workspace_bytes(p.state<Product>(node).problem));
}
void run_int8(const Call& c) {
  const auto& s = c.state<Product>();
  cpu::Int8Problem problem = s.problem;
  cpu::SgemmEpilogue epilogue = s.epilogue;
  problem.a = c.in<float>(0), problem.codes = c.in<int8_t>(1), problem.columns = c.in<float>(2);
  problem.c = c.out<float>(0);
  if (s.bias >= 0) epilogue.bias = c.in<float>(s.bias);
  if (s.residual >= 0) epilogue.residual = c.in<float>(s.residual);
  cpu::int8_matmul(problem, epilogue, c.scratch);
}

// Codes are those of the elements as f32 too.
struct QuantisedRow {
  float low = std::numeric_limits<float>::infinity(), step = 0;
  std::vector<float> q;
  template <class T>
  QuantisedRow(const T* a, size_t k, int bits) : q(k) {
    const float levels = static_cast<float>((1 << bits) - 1);
    float high = -low, odd = 0;
    for (size_t i = 0; i < k; ++i) {
      const auto x = static_cast<float>(a[i]);
      low = std::min(low, x), high = std::max(high, x), odd += x * 0.f;
    }
    if (k == 0) low = high = 0;
    if (odd != 0 || !std::isfinite(high - low)) {
      low = step = std::numeric_limits<float>::quiet_NaN();
      return;
    }
    const float inverse = levels / (high - low);
    if (!std::isfinite(inverse)) return;
    step = (high - low) / levels;
    for (size_t i = 0; i < k; ++i) q[i] = std::nearbyint((static_cast<float>(a[i]) - low) * inverse);
  }
};
template <class T>
void reference_row(const Call& c, const Product& s, size_t i) {
  const auto& p = s.problem;
  const QuantisedRow row(c.in<T>(0) + i * p.k, p.k, p.bits);
  for (size_t j = 0; j < p.n; ++j) {
    double sum = 0;
    for (size_t k = 0; k < p.k; ++k) sum += static_cast<double>(row.q[k]) * c.in<int8_t>(1)[cpu::int8_place(p.k, k, j)];
    const auto scale = static_cast<double>(c.in<T>(2)[j]);
    const auto code_sum = static_cast<double>(c.in<T>(2)[cpu::int8_padded(p.n) + j]);
    double y = scale * (static_cast<double>(row.step) * sum + static_cast<double>(row.low) * code_sum);
    if (s.bias >= 0) y += static_cast<double>(c.in<T>(s.bias)[j]);
    if (s.residual >= 0) y += static_cast<double>(c.in<T>(s.residual)[i * p.n + j]);
    c.out<T>(0)[i * p.n + j] = static_cast<T>(detail::activation(s.epilogue.act, y));
  }
}
void prepare_reference(const NodeSpec& node, Prepare& p) { p.state<Product>(node); }
void run_reference(const Call& c) {
  visit_float(c.in_spec(0).dtype, "matmul_int8", [&]<class T> {
    const auto& s = c.state<Product>();
    for (size_t i = 0; i < s.problem.m; ++i) reference_row<T>(c, s, i);
  });
}

Sample product(const std::string& name, int64_t m, int64_t n, int64_t k, int64_t bits, Attrs more = {}) {
  more.set("n", n).set("bits", bits);
  Sample s{.name = fmt::format("{}, {} bits", name, bits),
           .in = {f32({m, k}),
                  {{DType::I8, {code_bytes(n, k)}}, Fill::integers(-127, 127), false},
                  fixed(f32({2, padded(n)}, Fill::normal(.01)))},
           .attrs = std::move(more)};
  if (s.attrs.flag("has_bias")) s.in.push_back(f32({n}));
  if (s.attrs.flag("has_residual")) s.in.push_back(f32({m, n}));
  return s;
}
void samples(Samples& s) {
  for (const int64_t bits : {8, 15}) {
    s.add(product("odd", 7, 37, 19, bits));
    s.add(product("one row", 1, 64, 40, bits));
    s.add(product("one by one", 1, 1, 1, bits));
    s.add(product("two panels, blocks of k", 27, 45, 2100, bits));
    s.add(product("rows of a task", 130, 33, 64, bits, {{"has_bias", int64_t{1}}, {"act", "tanh"}}));
    s.add(product("epilogue", 13, 40, 24, bits,
                  {{"has_bias", int64_t{1}}, {"has_residual", int64_t{1}}, {"act", "gelu"}}));
    Sample large = product("ctr_forward", 256, 1024, 429, bits, {{"has_bias", int64_t{1}}, {"act", "relu"}});
    large.bench = large.constant_ok = true;  // relu: half of it is 0
    s.add(std::move(large));
  }
  s.add(product("no rows", 0, 5, 8, 8));
  s.add(product("no inner dim", 3, 5, 0, 8, {{"has_bias", int64_t{1}}}));
  Sample wrong = product("bits of another size", 2, 5, 8, 4);
  wrong.throws = "bits 4 is not 8 or 15";
  s.add(std::move(wrong));
}

}  // namespace

namespace detail {

// Whether the columns of what it computes are of one kind: what an activation gave.
bool is_activation(const Node& node) {
  return find_act(node.op->name) > 0 || find_act(node.attrs.text("act", "none")) > 0;
}

std::optional<PackedInput> pack_int8(const NodeSpec& node, const Node* producer) {
  const bool trans_b = node.attrs.flag("trans_b");
  const int64_t k = node.in[0].shape.back();
  if (node.attrs.flag("has_mask") || k < kLeastK || k > static_cast<int64_t>(cpu::kInt8MostK)) return std::nullopt;
  Attrs attrs = {{"n", node.in[1].shape[trans_b ? 0 : 1]},
                 {"bits", int64_t{producer != nullptr && is_activation(*producer) ? 8 : 15}},
                 {"act", node.attrs.text("act", "none")}};
  for (const char* flag : {"has_bias", "has_residual"})
    if (node.attrs.flag(flag)) attrs.set(flag, int64_t{1});
  return PackedInput{1, "pack_weight_int8", {{"trans_b", int64_t{trans_b}}}, std::move(attrs), "matmul_int8"};
}

}  // namespace detail

void register_matmul_int8(Registry& r) {
  r.add({.name = "matmul_int8",
         .doc = "act(a [..., K] @ W + bias [N] + residual [..., N]) -> [..., N], W from pack_weight_int8, rows of a "
                "rounded to `bits` bits",
         .infer = infer,
         .no_grad = "for frozen weights; rounding has no gradient",
         .cost = cost,
         .samples = samples,
         // step * sum and low * code_sum may cancel: each is up to sqrt(K) or so times their difference
         .tolerance = {.ulp = 8, .sum = 256},
         .kernels = {{.name = "int8", .reject = reject_int8, .prepare = prepare_int8, .run = run_int8},
                     {.name = "reference", .prepare = prepare_reference, .run = run_reference}}});
  r.add({.name = "pack_weight_int8",
         .doc =
             "b [K, N] (with trans_b [N, K]) as bytes in the order in which matmul_int8 reads them, and [2, N padded]: "
             "scales and sums of the columns",
         .infer = infer_pack,
         .no_grad = "weights of frozen graphs are not trained",
         .samples = pack_samples,
         .tolerance = {.ulp = 0, .exact_integers = true},
         .kernels = {{.name = "packed", .reject = reject_pack, .prepare = prepare_pack, .run = run_pack},
                     {.name = "reference", .prepare = prepare_pack, .run = run_pack_reference}}});
}

}  // namespace winnow
