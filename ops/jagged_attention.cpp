#include "ops/jagged_attention.h"

#include <omp.h>

#include <cmath>

#include "core/cpu/attention.h"
#include "core/parallel.h"
#include "ops/detail/attention_spec.h"
#include "ops/detail/dropout_bits.h"
#include "ops/detail/factors.h"
#include "ops/detail/jagged_rows.h"

namespace winnow {

using namespace detail;

namespace {

constexpr int64_t kMaxDim = 256, kDimStep = 16, kTasks = 64;

}  // namespace

AttentionSpec detail::attention_spec(const NodeSpec& node, bool gradient) {
  const Attrs& a = node.attrs;
  AttentionSpec s;
  s.first = gradient ? 1 : 0;
  const Shape& qkv = node.in[static_cast<size_t>(s.first)].shape;
  s.tokens = qkv[0];
  s.sequences = node.in[static_cast<size_t>(s.first) + 1].shape[0] - 1;
  s.heads = a.integer("heads");
  s.dim = qkv[1] / (3 * s.heads);
  s.scale = a.number("scale");
  s.causal = a.flag("causal");
  int next = gradient ? 5 : 2;
  if (const double p = a.number("p"); p > 0) {
    s.threshold = dropout_threshold(p);
    s.keep_scale = dropout_scale(s.threshold);
    s.philox = {static_cast<uint64_t>(a.integer("seed")), static_cast<uint64_t>(a.integer("stream"))};
    s.step = next++;
  }
  s.has_bias = a.flag("has_bias");
  if (s.has_bias) {
    s.bias = next;
    s.reach = (node.in[static_cast<size_t>(next)].shape[1] - 1) / 2;
  }
  return s;
}

namespace {

// Checks qkv, offsets, step and bias; `first`: of qkv; `last`: of step.
void check_inputs(Infer& i, int first, int last) {
  const Attrs& a = i.attrs();
  const double p = a.number("p");
  const bool dropout = p > 0, bias = a.flag("has_bias");
  a.flag("causal");
  a.number("scale");
  i.expect_inputs(last + (dropout ? 1 : 0) + (bias ? 1 : 0));
  i.expect_dtype(first, {DType::F32, DType::BF16, DType::F64});
  i.expect_rank(first, 2);
  i.expect_dtype(first + 1, {DType::I64});
  i.expect_rank(first + 1, 1);
  i.check(i.shape(first + 1)[0] >= 1, "offsets are empty, B + 1 of them are needed");
  const int64_t heads = a.integer("heads"), width = i.shape(first)[1];
  i.check(heads >= 1 && width >= 3 && width % (3 * std::min(heads, width)) == 0 && width / 3 % heads == 0,
          "qkv {} does not hold queries, keys and values of {} heads", i.shape(first).str(), heads);
  i.check(p >= 0 && p < 1, "p = {} is not in [0, 1)", p);
  if (dropout) {
    i.expect_dtype(last, {DType::I64});
    i.expect_rank(last, 0);
    a.integer("seed");
    a.integer("stream");
  }
  if (!bias) return;
  const int b = last + (dropout ? 1 : 0);
  i.expect_dtype(b, {sum_of_factors(i.dtype(first))});
  i.expect_rank(b, 2);
  i.check(i.shape(b)[0] == heads && i.shape(b)[1] % 2 == 1, "bias {} is not [{}, 2 R + 1]", i.shape(b).str(), heads);
}

// Whether output 0 is bf16; `qkv` is the input of that name.
bool stores_bf16(const Infer& i, int qkv) {
  const int64_t low = i.attrs().integer("bf16_out", 0);
  i.check(low == 0 || low == 1, "bf16_out is {}: only output 0 can be bf16", low);
  i.check(low == 0 || i.dtype(qkv) == DType::BF16, "results in bf16 are of bf16 factors");
  return low == 1;
}

void infer(Infer& i) {
  i.check(i.inputs() >= 2, "{} inputs given, at least qkv and offsets are needed", i.inputs());
  check_inputs(i, 0, 2);
  const Shape& qkv = i.shape(0);
  const DType sum = sum_of_factors(i.dtype(0));
  i.out(stores_bf16(i, 0) ? DType::BF16 : sum, {qkv[0], qkv[1] / 3});
  i.out(sum, {qkv[0], i.attrs().integer("heads")});
}

void infer_grad(Infer& i) {
  i.check(i.inputs() >= 5, "{} inputs given, at least dy, qkv, offsets, y and lse are needed", i.inputs());
  check_inputs(i, 1, 5);
  const Shape& qkv = i.shape(1);
  const DType sum = sum_of_factors(i.dtype(1));
  for (const int k : {0, 3, 4}) {
    if (k == 3 && i.dtype(1) == DType::BF16)
      i.expect_dtype(k, {sum, DType::BF16});
    else
      i.expect_dtype(k, {k == 0 ? i.dtype(1) : sum});
    i.expect_shape(k, {qkv[0], k == 4 ? i.attrs().integer("heads") : qkv[1] / 3});
  }
  i.out(stores_bf16(i, 1) ? DType::BF16 : sum, qkv);
  if (i.attrs().flag("has_bias")) i.out(i.in(i.inputs() - 1));
}

void grad(Grad& g) {
  WN_CHECK(!g.dy(1), Error, "jagged_attention(): output 1 is a saved statistic and has no gradient ({})",
           at_source(g.loc()));
  expect_f32_factors(g, "jagged_attention");
  std::vector<Value> in = {g.dy(), g.x(0), g.x(1), g.y(0), g.y(1)};
  for (int i = 2; i < g.inputs(); ++i) in.push_back(g.x(i));
  const auto dx = g.graph().apply_all("jagged_attention_grad", in, g.attrs(), g.loc());
  g.dx(0, dx[0]);
  if (dx.size() > 1) g.dx(g.inputs() - 1, dx[1]);
}

// The tiled kernels: float, heads of a multiple of 16.
struct Tiled {
  AttentionSpec spec;
  int64_t workspace = 0;  // floats a thread
};
template <bool kGradient>
const char* reject_tiled(const NodeSpec& node, const DeviceInfo&) {
  const AttentionSpec s = attention_spec(node, kGradient);
  if (const char* reason = reject_all_but_f32_factors(node)) return reason;
  if (s.dim % kDimStep != 0 || s.dim > kMaxDim) return "heads whose width is no multiple of 16 up to 256";
  return nullptr;
}
template <bool kGradient>
void prepare_tiled(const NodeSpec& node, Prepare& p) {
  Tiled& t = p.state<Tiled>();
  t.spec = attention_spec(node, kGradient);
  t.workspace = cpu::attention_workspace(static_cast<int>(t.spec.dim), t.spec.tokens);
  const int64_t parts = kGradient && t.spec.has_bias ? t.spec.items() * (2 * t.spec.reach + 1) : 0;
  p.scratch(static_cast<size_t>(t.workspace * std::max(1, p.device().threads) + parts) * sizeof(float));
}

struct FillState {
  Philox philox;
  uint64_t step;
};
void fill_bits(const void* state, int64_t group, uint16_t* bits) {
  const auto& f = *static_cast<const FillState*>(state);
  dropout_bits_of_group(f.philox, f.step, group, bits);
}

// The item's description but for what differs between the two directions.
cpu::AttentionItem describe(const AttentionSpec& s, const Call& c, int64_t item, const FillState& fill,
                            const RowRange& rows) {
  const int64_t head = item % s.heads;
  cpu::AttentionItem it;
  it.length = rows.end - rows.begin;
  it.row = 3 * s.hidden();
  it.hidden = s.hidden();
  it.heads = s.heads;
  it.dim = static_cast<int>(s.dim);
  it.scale = static_cast<float>(s.scale);
  it.causal = s.causal;
  it.q = c.in<float>(s.first) + rows.begin * it.row + head * s.dim;
  it.reach = s.reach;
  if (s.has_bias) it.bias = c.in<float>(s.bias) + head * (2 * s.reach + 1);
  it.threshold = s.threshold;
  it.keep_scale = static_cast<float>(s.keep_scale);
  it.first_element = first_element(item);
  it.fill = fill_bits;
  it.fill_state = &fill;
  return it;
}

// Zero in the rows before the first and behind the last sequence, `width` floats each.
void clear_dead(const AttentionSpec& s, const int64_t* offsets, int64_t width, float* y) {
  const int64_t begin = s.sequences == 0 ? s.tokens : std::clamp<int64_t>(offsets[0], 0, s.tokens),
                end = s.sequences == 0 ? s.tokens : std::clamp<int64_t>(offsets[s.sequences], begin, s.tokens);
  std::fill(y, y + begin * width, 0.f);
  std::fill(y + end * width, y + s.tokens * width, 0.f);
}

template <class F>
void each_item(const Call& c, F&& f) {
  const auto& t = c.state<Tiled>();
  const AttentionSpec& s = t.spec;
  const FillState fill{s.philox, s.step >= 0 ? static_cast<uint64_t>(*c.in<int64_t>(s.step)) : 0};
  // A task is some heads of one sequence: many tasks for balance, long ones because handing out costs as much as a
  // head of a short title.
  const int64_t heads = std::clamp<int64_t>(s.items() / kTasks, 1, s.heads), parts = (s.heads + heads - 1) / heads;
  parallel_tasks(s.sequences * parts, [&](int64_t task) {
    const RowRange rows = rows_of_bag(c.in<int64_t>(s.first + 1), task / parts, s.tokens);
    if (rows.begin == rows.end) return;
    float* workspace = c.scratch_as<float>() + omp_get_thread_num() * t.workspace;
    const int64_t first = task / parts * s.heads, begin = task % parts * heads;
    const int64_t last = first + std::min(s.heads, begin + heads) - 1;
    for (int64_t item = first + begin; item <= last; ++item)
      f(describe(s, c, item, fill, rows), rows.begin, item, item < last, workspace);
  });
}

void run_tiled(const Call& c) {
  const AttentionSpec& s = c.state<Tiled>().spec;
  clear_dead(s, c.in<int64_t>(1), s.hidden(), c.out<float>(0));
  clear_dead(s, c.in<int64_t>(1), s.heads, c.out<float>(1));
  each_item(c, [&](cpu::AttentionItem it, int64_t token, int64_t item, bool more, float* workspace) {
    const int64_t head = item % s.heads;
    it.out = c.out<float>(0) + token * s.hidden() + head * s.dim;
    it.lse = c.out<float>(1) + token * s.heads + head;
    if (more) cpu::prefetch_next_head(it);
    cpu::attention_kernels().forward(it, workspace);
  });
}

void run_tiled_grad(const Call& c) {
  const auto& t = c.state<Tiled>();
  const AttentionSpec& s = t.spec;
  const int64_t width = 2 * s.reach + 1;
  float* parts = c.scratch_as<float>() + t.workspace * num_threads();
  clear_dead(s, c.in<int64_t>(2), 3 * s.hidden(), c.out<float>(0));
  if (s.has_bias) std::fill(parts, parts + s.items() * width, 0.f);
  each_item(c, [&](cpu::AttentionItem it, int64_t token, int64_t item, bool more, float* workspace) {
    const int64_t at = token * s.hidden() + item % s.heads * s.dim;
    it.dout = c.in<float>(0) + at;
    it.out = const_cast<float*>(c.in<float>(3)) + at;  // only read in this direction
    it.lse = const_cast<float*>(c.in<float>(4)) + token * s.heads + item % s.heads;
    it.dq = c.out<float>(0) + token * it.row + item % s.heads * s.dim;
    if (s.has_bias) it.dbias = parts + item * width;
    if (more) cpu::prefetch_next_head(it);
    cpu::attention_kernels().backward(it, workspace);
  });
  if (s.has_bias) add_up_bias(s, parts, c.out<float>(1));
}

template <bool kGradient>
void prepare_reference(const NodeSpec& node, Prepare& p) {
  const AttentionSpec& s = p.state<AttentionSpec>() = attention_spec(node, kGradient);
  p.scratch(attention_reference_scratch(s, node.out[0], std::max(1, p.device().threads)));
}

// Of sequences of equal length.
Cost cost_of_products(const NodeSpec& node, bool gradient, double products) {
  const AttentionSpec s = attention_spec(node, gradient);
  const double length = static_cast<double>(s.tokens) / static_cast<double>(std::max<int64_t>(1, s.sequences));
  double bytes = 0;
  for (const auto* list : {&node.in, &node.out})
    for (const TensorSpec& spec : *list) bytes += static_cast<double>(spec.bytes());
  return {
      2 * products * static_cast<double>(s.tokens) * length * static_cast<double>(s.hidden()) * (s.causal ? 0.5 : 1),
      bytes};
}
Cost cost(const NodeSpec& node) { return cost_of_products(node, false, 2); }
Cost cost_grad(const NodeSpec& node) { return cost_of_products(node, true, 5); }

}  // namespace

Value jagged_attention(Value qkv, Value offsets, const AttentionOptions& o, Loc loc) {
  Graph& graph = *qkv.graph;
  WN_CHECK(o.dropout >= 0 && o.dropout < 1, ShapeError, "jagged_attention(): dropout {} is not in [0, 1) ({})",
           o.dropout, at_source(loc));
  WN_CHECK(o.dropout == 0 || o.step, ShapeError, "jagged_attention(): dropout needs the step ({})", at_source(loc));
  std::vector<Value> in = {qkv, offsets};
  if (o.dropout > 0) in.push_back(o.step);
  if (o.bias) in.push_back(o.bias);
  const bool sized = qkv.shape().rank() == 2 && o.heads > 0;
  const double dim = sized ? static_cast<double>(qkv.shape()[1]) / static_cast<double>(3 * o.heads) : 1;
  Attrs a = {{"heads", o.heads},
             {"scale", o.scale != 0 ? o.scale : 1 / std::sqrt(dim)},
             {"causal", int64_t{o.causal}},
             {"p", o.dropout},
             {"seed", o.dropout > 0 ? static_cast<int64_t>(graph.seed()) : 0},
             {"stream", o.dropout > 0 ? graph.next_random_stream() : 0},
             {"has_bias", int64_t{static_cast<bool>(o.bias)}}};
  return graph.apply_all("jagged_attention", in, std::move(a), loc)[0];
}

void register_jagged_attention(Registry& r) {
  const Tolerance tolerance{.ulp = 32, .sum = 64};
  OpDef op;
  op.name = "jagged_attention";
  op.doc =
      "y [T, H D], lse [T, H]: softmax(scale q k^T + bias) v over each sequence of qkv [T, 3 H D], offsets [B + 1]";
  op.infer = infer;
  op.grad = grad;
  op.cost = cost;
  op.samples = attention_samples;
  op.tolerance = tolerance;
  op.factors = {0};
  op.kernels = {{.name = "tiled", .reject = reject_tiled<false>, .prepare = prepare_tiled<false>, .run = run_tiled},
                {.name = "reference", .prepare = prepare_reference<false>, .run = attention_reference}};
  r.add(op);
  op.name = "jagged_attention_grad";
  op.doc = "dqkv, and dbias with a bias, of jagged_attention from (dy, qkv, offsets, y, lse, [step], [bias])";
  op.infer = infer_grad;
  op.grad = nullptr;
  op.no_grad = "first-order only";
  op.cost = cost_grad;
  op.samples = attention_grad_samples;
  op.factors = {0, 1};
  op.kernels = {{.name = "tiled", .reject = reject_tiled<true>, .prepare = prepare_tiled<true>, .run = run_tiled_grad},
                {.name = "reference", .prepare = prepare_reference<true>, .run = attention_grad_reference}};
  r.add(std::move(op));
}

}  // namespace winnow
