#include "ops/matmul.h"

#include <cstring>

#include "core/frozen_weights.h"
#include "core/passes.h"
#include "core/samples.h"
#include "ops/detail/factors.h"
#include "ops/detail/matmul_node.h"

namespace winnow {

using detail::find_act;

Value matmul(Value a, Value b, bool trans_a, bool trans_b, Loc loc) {
  return a.graph->apply("matmul", {a, b}, {{"trans_a", int64_t{trans_a}}, {"trans_b", int64_t{trans_b}}}, loc);
}
Value linear(Value x, Value weight, Value bias, Loc loc) {
  if (!bias) return matmul(x, weight, false, false, loc);
  return x.graph->apply("matmul", {x, weight, bias},
                        {{"trans_a", int64_t{0}}, {"trans_b", int64_t{0}}, {"has_bias", int64_t{1}}}, loc);
}

namespace {

void infer(Infer& f) {
  const Attrs& at = f.attrs();
  const bool trans_a = at.flag("trans_a"), trans_b = at.flag("trans_b");
  f.expect_inputs(2 + at.flag("has_bias") + at.flag("has_residual") + at.flag("has_mask"));
  const DType sum = detail::expect_factors(f);
  const int64_t low = at.integer("bf16_out", 0);
  f.check(low == 0 || f.dtype(0) == DType::BF16, "results in bf16 are of bf16 factors");
  f.check(low == 0 || !at.flag("has_residual"), "results in bf16 take no residual");
  f.check(low != 2, "the value before the activation is not bf16 without the result");
  for (int i = 2; i < f.inputs(); ++i) {
    if (at.flag("has_mask") && i + 1 == f.inputs() && f.dtype(0) == DType::BF16)
      f.expect_dtype(i, {sum, DType::BF16});
    else
      f.expect_dtype(i, {sum});
  }
  const int64_t packed_n = at.integer("packed_n", 0);
  f.expect_rank(1, packed_n > 0 ? 1 : 2);
  f.check(packed_n == 0 || !(trans_a || trans_b), "a packed b is not transposed, and a must not be");
  f.check(packed_n == 0 || f.dtype(0) == sum, "a packed b is not bf16");
  if (trans_a) f.expect_rank(0, 2);
  const Shape &a = f.shape(0), &b = f.shape(1);
  f.check(a.rank() >= 2, "a {} needs at least 2 axes: reshape a vector to one row", a.str());
  const int64_t ka = trans_a ? a[0] : a.back(), kb = packed_n > 0 ? ka : trans_b ? b[1] : b[0];
  f.check(packed_n == 0 || b[0] == detail::packed_elements(packed_n, ka),
          "a {} @ packed b of {} columns: b has {} elements, expected {}", a.str(), packed_n, b[0],
          detail::packed_elements(packed_n, ka));
  f.check(ka == kb, "{} {} @ {} {}: inner dims {} != {}", trans_a ? "a^T" : "a", a.str(), trans_b ? "b^T" : "b",
          b.str(), ka, kb);
  const std::string act = at.text("act", "none");
  f.check(find_act(act) >= 0, "act '{}' is not one of none, relu, gelu, gelu_tanh, sigmoid, tanh", act);
  const int mask_act = find_act(at.text("mask_act", "relu"));
  f.check(mask_act >= static_cast<int>(cpu::Act::Relu) && mask_act <= static_cast<int>(cpu::Act::GeluTanh),
          "mask_act '{}' is not one of relu, gelu, gelu_tanh", at.text("mask_act", "relu"));
  const int64_t n = packed_n > 0 ? packed_n : trans_b ? b[0] : b[1];
  const Shape out = trans_a ? Shape{a[1], n} : a.with(a.rank() - 1, n);
  int next = 2;
  if (at.flag("has_bias")) f.expect_shape(next++, Shape{n});
  if (at.flag("has_residual")) f.expect_shape(next++, out);
  if (at.flag("has_mask")) f.expect_shape(next++, out);
  f.out(low & 1 ? DType::BF16 : sum, out);
  if (at.flag("has_preact")) f.out(low & 2 ? DType::BF16 : sum, out);
}

Value before_activation(Grad& g, const std::string& act, Value dy) {
  const bool from_output = act == "relu" || act == "sigmoid" || act == "tanh", saved = g.attrs().flag("has_preact");
  WN_CHECK(from_output || saved, Error,
           "matmul(): no gradient through a fused {}, which needs the value before it; record {} as its own node ({})",
           act, act, at_source(g.loc()));
  return g.apply(act + "_grad", {dy, g.y(from_output ? 0 : 1)});
}
// The gradient at the sum a @ b + bias + residual.
Value gradient_before_activation(Grad& g, int mask) {
  Value dy = g.dy(), dpreact = g.attrs().flag("has_preact") ? g.dy(1) : Value{};
  if (!dy) return dpreact;
  if (mask >= 0) dy = g.apply(g.attrs().text("mask_act", "relu") + "_grad", {dy, g.x(mask)});
  const std::string act = g.attrs().text("act", "none");
  if (act != "none") dy = before_activation(g, act, dy);
  return dpreact ? g.apply("add", {dy, dpreact}) : dy;
}
void grad(Grad& g) {
  const Attrs& at = g.attrs();
  detail::expect_f32_factors(g, "matmul");
  int next = 2;
  const int bias = at.flag("has_bias") ? next++ : -1, residual = at.flag("has_residual") ? next++ : -1;
  const Value dy = gradient_before_activation(g, at.flag("has_mask") ? next : -1);
  const bool trans_a = at.flag("trans_a"), trans_b = at.flag("trans_b");
  WN_CHECK(at.integer("packed_n", 0) == 0, Error, "matmul(): no gradient through a packed weight ({})",
           at_source(g.loc()));
  const Value a = g.x(0), b = g.x(1);
  if (residual >= 0) g.dx(residual, dy);
  if (g.needs(0)) g.dx(0, trans_a ? matmul(b, dy, trans_b, true, g.loc()) : matmul(dy, b, false, !trans_b, g.loc()));
  bool bias_done = bias < 0 || !g.needs(bias);
  if (g.needs(1)) {
    if (trans_a) {
      g.dx(1, trans_b ? matmul(dy, a, true, true, g.loc()) : matmul(a, dy, false, false, g.loc()));
    } else if (trans_b) {
      g.dx(1, linear_weight_grad(dy, a, false, g.loc()).weight);
    } else {
      const WeightGradient w = linear_weight_grad(a, dy, !bias_done, g.loc());
      g.dx(1, w.weight);
      if (!bias_done) g.dx(bias, w.bias);
      bias_done = true;
    }
  }
  if (!bias_done) g.dx(bias, g.apply("sum_to", {dy}, {{"shape", std::vector<int64_t>{dy.shape().back()}}}));
}

Cost cost(const NodeSpec& node) {
  const detail::MatmulNode s(node);
  Cost c;
  c.flops = 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
  for (const auto& in : node.in) c.bytes += static_cast<double>(in.bytes());
  c.bytes += static_cast<double>(node.out[0].bytes());
  return c;
}

// The activations whose gradient needs the value before them.
bool keep_and_activate(Node& producer, const Node& consumer) {
  const std::string name = consumer.op->name;
  Attrs& at = producer.attrs;
  if ((name != "gelu" && name != "gelu_tanh") || at.flag("has_mask") || at.text("act", "none") != "none") return false;
  at.set("act", name);
  at.set("has_preact", int64_t{1});
  return true;
}

// A weight is packed once instead of at every run (ops/matmul.h, packed_n; ops/matmul_int8.h). One of a single column
// is read as it is: its sums have the bits of unfrozen graphs then, as those of all others have with more than 32 rows.
std::optional<PackedInput> pack(const NodeSpec& node, WeightForm form, const Node* producer) {
  const bool trans_b = node.attrs.flag("trans_b");
  if (node.in[1].shape.rank() == 2 && node.in[1].shape[trans_b ? 0 : 1] == 1) return std::nullopt;
  if (node.attrs.flag("trans_a") || node.attrs.flag("has_preact") || node.attrs.integer("packed_n", 0) > 0 ||
      node.in[1].dtype != DType::F32)
    return std::nullopt;
  if (form == WeightForm::Int8) return detail::pack_int8(node, producer);
  Attrs attrs = node.attrs;
  attrs.set("packed_n", node.in[1].shape[trans_b ? 0 : 1]).set("trans_b", int64_t{0});
  return PackedInput{1, "pack_weight", {{"trans_b", int64_t{trans_b}}}, std::move(attrs)};
}

// Takes over what the epilogue can do, in the epilogue's order: bias, residual, act, mask.
bool absorb(Node& producer, const Node& consumer, int operand, const std::deque<ValueInfo>& values) {
  if (operand == kBeside) return keep_and_activate(producer, consumer);
  const std::string name = consumer.op->name;
  Attrs& at = producer.attrs;
  if (at.flag("has_mask") || at.flag("has_preact")) return false;
  const auto spec_of = [&](int32_t id) -> const TensorSpec& { return values[static_cast<size_t>(id)].spec; };
  const TensorSpec &mine = spec_of(producer.outputs[0]), &result = spec_of(consumer.outputs[0]);
  if (!(mine == result)) return false;
  const bool no_act = at.text("act", "none") == "none";
  if (consumer.inputs.size() == 1) {
    if (!no_act || find_act(name) <= 0) return false;
    at.set("act", name);
    return true;
  }
  if (consumer.inputs.size() != 2) return false;
  const int32_t other = consumer.inputs[static_cast<size_t>(1 - operand)];
  if (operand == 0 && (name == "relu_grad" || name == "gelu_grad" || name == "gelu_tanh_grad")) {
    at.set("has_mask", int64_t{1});
    at.set("mask_act", name.substr(0, name.size() - std::strlen("_grad")));
    producer.inputs.push_back(other);
    return true;
  }
  if (name != "add" || !no_act || at.flag("has_residual")) return false;
  if (spec_of(other) == mine) {
    at.set("has_residual", int64_t{1});
    producer.inputs.push_back(other);
    return true;
  }
  if (at.flag("has_bias") || spec_of(other).shape != Shape{mine.shape.back()}) return false;
  at.set("has_bias", int64_t{1});
  producer.inputs.push_back(other);
  return true;
}

}  // namespace

void register_matmul(Registry& r) {
  r.add({.name = "matmul",
         .doc = "act(op(a) [..., K] @ op(b) [K, N] + bias [N] + residual [..., N]) [times act'(mask)] -> [..., N]",
         .infer = infer,
         .grad = grad,
         .cost = cost,
         .samples = detail::matmul_samples,
         // RELIABILITY N4: 2 sqrt(K) eps |A||B|, with K = 8192 and normal inputs about 64 eps of the largest element.
         .tolerance = {.ulp = 4, .sum = 64, .exact_integers = true},
         .kernels = detail::matmul_kernels(),
         .absorb = absorb,
         .factors = {0, 1},
         .pack = pack});
}

}  // namespace winnow
