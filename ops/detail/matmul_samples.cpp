#include "core/samples.h"
#include "ops/detail/matmul_node.h"

namespace winnow::detail {
namespace {

// a [m,k] or transposed, b [k,n] or transposed.
std::vector<Arg> operands(int64_t m, int64_t n, int64_t k, bool trans_a, bool trans_b) {
  return {f32(trans_a ? Shape{k, m} : Shape{m, k}), f32(trans_b ? Shape{n, k} : Shape{k, n})};
}

struct Size {
  const char* name;
  int64_t m, n, k;
  bool trans_a, trans_b;
};

Sample product(const Size& z) {
  return {.name = z.name,
          .in = operands(z.m, z.n, z.k, z.trans_a, z.trans_b),
          .attrs = {{"trans_a", int64_t{z.trans_a}}, {"trans_b", int64_t{z.trans_b}}}};
}

void add_sizes(Samples& s) {
  for (const Size& z : {Size{"odd", 7, 5, 3, false, false}, Size{"odd_ta", 5, 7, 9, true, false},
                        Size{"odd_tb", 9, 33, 17, false, true}, Size{"odd_ta_tb", 6, 11, 4, true, true},
                        Size{"one_row", 1, 37, 19, false, false}, Size{"one_row_tb", 1, 37, 19, false, true},
                        Size{"one_column", 41, 1, 23, false, false}, Size{"one_column_ta", 41, 1, 23, true, false},
                        Size{"k_one", 13, 17, 1, false, false}, Size{"one_by_one", 1, 1, 1, false, false}})
    s.add(product(z));
  // k8192 and column: sizes at which oneDNN's own threading changes bits with the team.
  for (const Size& z :
       {Size{"tiles", 130, 97, 300, false, false}, Size{"skinny", 20, 300, 70, false, true},
        Size{"weight_gradient_k8192", 512, 256, 8192, true, false},
        Size{"weight_gradient_column", 256, 1, 2048, true, false}, Size{"sliced_k", 40, 24, 4100, false, false},
        Size{"ctr_forward", 256, 1024, 429, false, false}, Size{"ctr_input_gradient", 256, 429, 1024, false, true}}) {
    Sample sample = product(z);
    sample.grad = false, sample.bench = std::string_view(z.name).starts_with("ctr");
    s.add(std::move(sample));
  }
  s.add({.name = "leading_axes", .in = {f32({2, 3, 5}), f32({5, 4})}});
  s.add({.name = "no_rows", .in = {f32({0, 5}), f32({5, 4})}, .constant_ok = true});
  s.add({.name = "no_columns", .in = {f32({3, 5}), f32({5, 0})}, .constant_ok = true});
  s.add({.name = "k_zero_is_bias", .in = {f32({3, 0}), f32({0, 4}), f32({4})}, .attrs = {{"has_bias", int64_t{1}}}});
}

void add_epilogues(Samples& s) {
  for (const char* act : kActNames) {
    const bool plain = std::string(act) == "none" || std::string(act) == "relu";
    const bool differentiable = !std::string(act).starts_with("gelu");  // as its own node only
    s.add({.name = std::string("bias_") + act,
           .in = {f32({5, 6}), f32({6, 7}), f32({7}, Fill::uniform(0.5, 2))},
           .attrs = {{"has_bias", int64_t{1}}, {"act", act}},
           .grad = differentiable,
           .integers = plain});
    s.add({.name = std::string("bias_residual_") + act,
           .in = {f32({50, 6}), f32({6, 35}), f32({35}, Fill::uniform(0.5, 2)), f32({50, 35})},
           .attrs = {{"has_bias", int64_t{1}}, {"has_residual", int64_t{1}}, {"act", act}},
           .grad = false,
           .integers = plain});
  }
  s.add({.name = "residual_mask",
         .in = {f32({9, 6}), f32({7, 6}), f32({9, 7}), fixed(f32({9, 7}, Fill::uniform(-0.2, 1, {0})))},
         .attrs = {{"has_residual", int64_t{1}}, {"has_mask", int64_t{1}}, {"trans_b", int64_t{1}}}});
  for (const char* act : {"gelu", "gelu_tanh"}) {
    s.add({.name = std::string("preact_") + act,
           .in = {f32({9, 6}), f32({6, 35}), f32({35})},
           .attrs = {{"has_bias", int64_t{1}}, {"has_preact", int64_t{1}}, {"act", act}},
           .integers = false});
    s.add({.name = std::string("mask_") + act,
           .in = {f32({50, 6}), f32({33, 6}), fixed(f32({50, 33}))},
           .attrs = {{"has_mask", int64_t{1}}, {"mask_act", act}, {"trans_b", int64_t{1}}},
           .integers = false});
    s.add({.name = std::string("mask_one_column_") + act,
           .in = {f32({50, 6}), f32({1, 6}), fixed(f32({50, 1}))},
           .attrs = {{"has_mask", int64_t{1}}, {"mask_act", act}, {"trans_b", int64_t{1}}},
           .integers = false});
  }
  s.add({.name = "mask",
         .in = {f32({60, 33}), f32({40, 33}), fixed(f32({60, 40}, Fill::uniform(-0.2, 1)))},
         .attrs = {{"has_mask", int64_t{1}}, {"trans_b", int64_t{1}}},
         .grad = false});
}

void add_packed(Samples& s) {
  const auto add = [&](const char* name, int64_t m, int64_t n, int64_t k, bool bench) {
    s.add({.name = name,
           .in = {f32({m, k}), f32({packed_elements(n, k)}), f32({n})},
           .attrs = {{"packed_n", n}, {"has_bias", int64_t{1}}, {"act", "gelu"}},
           .grad = false,
           .bench = bench,
           .integers = false,
           .cpu_only = true});
  };
  add("packed", 5, 37, 19, false);
  add("packed_one_row", 1, 300, 40, false);
  add("packed_skinny", 20, 300, 1100, false);
  add("packed_tiles", 130, 97, 600, false);
  add("packed_query", 16, 1536, 384, true);
  s.add({.name = "packed_size",
         .in = {f32({5, 19}), f32({7})},
         .attrs = {{"packed_n", int64_t{37}}},
         .throws = "b has 7 elements"});
  s.add({.name = "packed_transposed",
         .in = {f32({5, 19}), f32({packed_elements(37, 19)})},
         .attrs = {{"packed_n", int64_t{37}}, {"trans_b", int64_t{1}}},
         .throws = "a packed b is not transposed"});
}

// What CompileOptions::precision makes of a product.
void add_rounded(Samples& s) {
  const auto low = [](const Shape& shape) { return Arg{{DType::BF16, shape}, Fill::normal(), false}; };
  const auto add = [&](const char* name, std::vector<Arg> in, Attrs attrs, bool integers = true, bool bench = false) {
    s.add({.name = name,
           .in = std::move(in),
           .attrs = std::move(attrs),
           .grad = false,
           .bench = bench,
           .integers = integers});
  };
  const Attrs bias = {{"has_bias", int64_t{1}}}, ta = {{"trans_a", int64_t{1}}}, tb = {{"trans_b", int64_t{1}}};
  add("bf16_odd", {low({7, 3}), low({3, 5})}, {});
  add("bf16_bias", {low({130, 300}), low({300, 97}), f32({97})}, bias);
  add("bf16_ta", {low({300, 40}), low({300, 33})}, ta);
  add("bf16_tb", {low({2, 17, 19}), low({33, 19})}, tb);
  add("bf16_deep", {low({64, 4100}), low({4100, 24})}, {});
  add("bf16_residual_relu", {low({50, 6}), low({6, 35}), f32({35}, Fill::uniform(0.5, 2)), f32({50, 35})},
      {{"has_bias", int64_t{1}}, {"has_residual", int64_t{1}}, {"act", "relu"}});
  add("bf16_preact_gelu", {low({9, 6}), low({6, 35}), f32({35})},
      {{"has_bias", int64_t{1}}, {"has_preact", int64_t{1}}, {"act", "gelu"}}, false);
  add("bf16_mask_gelu", {low({50, 6}), low({33, 6}), fixed(f32({50, 33}))},
      {{"has_mask", int64_t{1}}, {"mask_act", "gelu"}, {"trans_b", int64_t{1}}}, false);
  add("bf16_mask_relu", {low({60, 33}), low({40, 33}), fixed(f32({60, 40}, Fill::uniform(-0.2, 1)))},
      {{"has_mask", int64_t{1}}, {"trans_b", int64_t{1}}});
  const auto out = [](int64_t bits, Attrs attrs) { return attrs.set("bf16_out", bits); };
  add("bf16_out", {low({7, 3}), low({3, 5})}, out(1, {}), false);
  add("bf16_out_relu", {low({130, 6}), low({6, 96}), f32({96}, Fill::uniform(0.5, 2))},
      out(1, {{"has_bias", int64_t{1}}, {"act", "relu"}}), false);
  for (const auto& [name, bits] : {std::pair{"bf16_out_gelu", 3}, {"bf16_out_f32_preact", 1}})
    add(name, {low({33, 6}), low({6, 35}), f32({35})},
        out(bits, {{"has_bias", int64_t{1}}, {"has_preact", int64_t{1}}, {"act", "gelu"}}), false);
  add("bf16_out_mask", {low({60, 33}), low({40, 33}), fixed(low({60, 40}))},
      out(1, {{"has_mask", int64_t{1}}, {"trans_b", int64_t{1}}, {"mask_act", "gelu"}}), false);
  add("bf16_mask", {low({60, 33}), low({40, 33}), fixed({{DType::BF16, {60, 40}}, Fill::uniform(-0.2, 1), false})},
      {{"has_mask", int64_t{1}}, {"trans_b", int64_t{1}}}, false);
  // rows that are no multiples of 16 bytes, of products worth a copy
  add("bf16_padded", {low({70, 77}), low({77, 66}), f32({66})}, bias);
  add("bf16_padded_tb", {low({70, 77}), low({91, 77})}, tb);
  add("bf16_padded_ta", {low({70, 77}), low({70, 91})}, out(1, ta), false);
  add("tf32_padded", {f32({65, 66}, Fill::integers(-8, 8)), f32({66, 67}, Fill::integers(-8, 8))},
      {{"tf32", int64_t{1}}});
  s.add({.name = "bf16_out_empty_k",
         .in = {low({3, 0}), low({0, 4}), f32({4})},
         .attrs = out(1, {{"has_bias", int64_t{1}}, {"act", "tanh"}}),
         .grad = false});
  s.add({.name = "f32_bf16_out", .in = {f32({2, 3}), f32({3, 4})}, .attrs = out(1, {}), .throws = "of bf16 factors"});
  s.add({.name = "bf16_preact_alone",
         .in = {low({2, 3}), low({3, 4})},
         .attrs = out(2, {{"has_preact", int64_t{1}}, {"act", "gelu"}}),
         .throws = "not bf16 without the result"});
  s.add({.name = "bf16_out_residual",
         .in = {low({2, 3}), low({3, 4}), f32({2, 4})},
         .attrs = out(1, {{"has_residual", int64_t{1}}}),
         .throws = "no residual"});
  s.add({.name = "bf16_no_rows", .in = {low({0, 5}), low({5, 4})}, .grad = false, .constant_ok = true});
  add("bf16_transformer", {low({4096, 384}), low({384, 1536}), f32({1536})}, bias, true, true);
  add("tf32", {f32({33, 40}, Fill::integers(-8, 8)), f32({40, 50}, Fill::integers(-8, 8)), f32({50})},
      {{"has_bias", int64_t{1}}, {"tf32", int64_t{1}}});
  s.add({.name = "bf16_and_f32", .in = {low({2, 3}), f32({3, 4})}, .throws = "inputs 0 and 1 differ"});
  s.add(
      {.name = "bf16_bias_type", .in = {low({2, 3}), low({3, 4}), low({4})}, .attrs = bias, .throws = "expected f32"});
}

void add_errors(Samples& s) {
  s.add({.name = "inner_dims", .in = {f32({32, 128}), f32({64, 256})}, .throws = "inner dims 128 != 64"});
  s.add({.name = "bias_size",
         .in = {f32({2, 3}), f32({3, 4}), f32({5})},
         .attrs = {{"has_bias", int64_t{1}}},
         .throws = "input 2 is [5], expected [4]"});
  s.add({.name = "missing_bias",
         .in = {f32({2, 3}), f32({3, 4})},
         .attrs = {{"has_bias", int64_t{1}}},
         .throws = "expected 3 inputs, got 2"});
  s.add({.name = "weight_rank",
         .in = {f32({2, 3}), f32({1, 3, 4})},
         .throws = "input 1 [1, 3, 4] has rank 3, expected 2"});
  s.add({.name = "transposed_rank",
         .in = {f32({2, 3, 4}), f32({2, 4})},
         .attrs = {{"trans_a", int64_t{1}}},
         .throws = "input 0 [2, 3, 4] has rank 3, expected 2"});
  s.add({.name = "vector", .in = {f32({3}), f32({3, 4})}, .throws = "a [3] needs at least 2 axes"});
  s.add(
      {.name = "unknown_act", .in = {f32({2, 3}), f32({3, 4})}, .attrs = {{"act", "swish"}}, .throws = "act 'swish'"});
  s.add({.name = "unknown_mask_act",
         .in = {f32({2, 3}), f32({3, 4}), f32({2, 4})},
         .attrs = {{"has_mask", int64_t{1}}, {"mask_act", "tanh"}},
         .throws = "mask_act 'tanh'"});
  s.add({.name = "integer_matrix", .in = {f32({2, 3}), i64({3, 4}, Fill::integers(0, 3))}, .throws = "expected f32"});
}

}  // namespace

void matmul_samples(Samples& s) {
  add_sizes(s);
  add_epilogues(s);
  add_packed(s);
  add_rounded(s);
  add_errors(s);
}

}  // namespace winnow::detail
