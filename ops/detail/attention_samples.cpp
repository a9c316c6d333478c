// The inputs that the two operators of jagged attention are tested and timed with.
#include "core/samples.h"
#include "ops/detail/attention_spec.h"

namespace winnow::detail {
namespace {

Arg offsets(std::vector<double> list) {
  const auto n = static_cast<int64_t>(list.size());
  return i64({n}, Fill::of(std::move(list)));
}
Arg sixteen_of_128() {
  std::vector<double> list;
  for (int i = 0; i <= 16; ++i) list.push_back(128 * i);
  return offsets(std::move(list));
}
Attrs attrs(int64_t heads, double scale = 0.4, bool causal = false, double p = 0, bool bias = false) {
  return {{"heads", heads},     {"scale", scale},       {"causal", int64_t{causal}}, {"p", p},
          {"seed", int64_t{7}}, {"stream", int64_t{3}}, {"has_bias", int64_t{bias}}};
}

// What CompileOptions::precision makes of the operator: kernels round weights and their gradients to bf16, by 2^-8 of
// each at most; twice that, as the largest element of a result may be smaller than what it is a sum of.
constexpr double kRounding = 0x1p-7;
Arg low(const Shape& shape, Fill fill = Fill::normal()) { return {{DType::BF16, shape}, std::move(fill), false}; }

// One sample of both directions: qkv [tokens, 3 H D] or the gradient's inputs, then step and bias.
struct Rounded {
  const char* name;
  int64_t tokens, heads, dim;
  Arg offsets;
  double scale = 0.3;
  bool causal = false;
  double p = 0;
  int64_t reach = 0;  // 0: no bias
  bool bench = false;
  bool stored = false;  // in bf16: y, of the gradient too, and the gradient of qkv
};
std::vector<Rounded> rounded_samples() {
  return {{"bf16_plain", 9, 2, 4, offsets({0, 2, 2, 5, 9})},
          {"bf16_dead_rows", 70, 1, 16, offsets({1, 4, 67})},
          {"bf16_all", 41, 2, 16, offsets({1, 18, 40}), 0.3, true, 0.2, 4},
          {"bf16_several_tiles", 421, 2, 16, offsets({0, 129, 130, 417}), 0.2, false, 0.1, 16},
          {"bf16_several_tiles_causal", 421, 1, 16, offsets({0, 129, 417}), 0.2, true, 0.1},
          {"bf16_heads_of_20", 21, 2, 20, offsets({0, 17, 21})},
          {"bf16_heads_of_32", 150, 3, 32, offsets({0, 64, 86, 150}), 0.18, false, 0.1},
          {"bf16_heads_of_32_short", 75, 3, 32, offsets({0, 33, 50, 75}), 0.18, false, 0.1},
          {"bf16_heads_of_64", 150, 2, 64, offsets({0, 60, 150}), 0.125, false, 0.1, 8},
          {"bf16_heads_of_64_short", 75, 2, 64, offsets({0, 30, 75}), 0.125, true, 0.1, 8},
          {"bf16_heads_of_64_plain", 91, 1, 64, offsets({0, 70, 91}), 0.125, true},
          {"bf16_heads_of_128", 91, 1, 128, offsets({0, 70, 91}), 0.1, false, 0.1, 4},
          {"bf16_heads_of_128_short", 75, 1, 128, offsets({0, 30, 75}), 0.1, false, 0.1},
          {"bf16_odd_width", 91, 2, 37, offsets({0, 70, 91}), 0.2},
          {"bf16_odd_width_short", 36, 1, 25, offsets({2, 30, 30, 36}), 0.2},
          {"bf16_negative_scale", 40, 1, 16, offsets({0, 24, 40}), -0.3},
          {"bf16_no_tokens", 0, 1, 16, offsets({0, 0})},
          {"bf16_no_sequences", 4, 1, 16, offsets({0})},
          {"bf16_stored", 75, 2, 64, offsets({0, 30, 75}), 0.125, false, 0.1, 8, false, true},
          {"bf16_stored_dead_rows", 70, 1, 16, offsets({1, 4, 67}), 0.3, false, 0, 0, false, true},
          {"bf16_stored_odd_width", 36, 1, 25, offsets({2, 30, 30, 36}), 0.2, false, 0, 0, false, true},
          {"bf16_minilm", 2048, 12, 32, sixteen_of_128(), 0.1767767, false, 0.1, 0, true, true},
          {"bf16_titles", 2048, 12, 32, i64({106}, Fill::bags(2048)), 0.1767767, false, 0.1, 0, true, true},
          {"bf16_bert", 2048, 12, 64, sixteen_of_128(), 0.125, false, 0.1, 0, true, true}};
}
void add_rounded(Samples& s, bool gradient) {
  for (Rounded& r : rounded_samples()) {
    const int64_t t = r.tokens, hidden = r.heads * r.dim;
    std::vector<Arg> in;
    if (gradient) in.push_back(low({t, hidden}));
    in.push_back(low({t, 3 * hidden}, Fill::normal(gradient ? 0.5 : 1)));
    in.push_back(std::move(r.offsets));
    if (gradient) {
      in.push_back(fixed({{r.stored ? DType::BF16 : DType::F32, {t, hidden}}, Fill::normal(0.3), false}));
      in.push_back(fixed(f32({t, r.heads}, Fill::uniform(2, 4))));
    }
    if (r.p > 0) in.push_back(i64({}, Fill::of({12})));
    if (r.reach > 0) in.push_back(fixed(f32({r.heads, 2 * r.reach + 1})));
    Attrs of = attrs(r.heads, r.scale, r.causal, r.p, r.reach > 0);
    if (r.stored) of.set("bf16_out", int64_t{1});
    s.add({.name = r.name,
           .in = std::move(in),
           .attrs = std::move(of),
           .grad = false,
           .bench = r.bench,
           .nonfinite = !r.causal,
           .constant_ok = t < 9,
           .rounding = kRounding});
  }
}

}  // namespace

void attention_samples(Samples& s) {
  const Arg step = i64({}, Fill::of({12}));
  s.add({.name = "plain", .in = {f32({9, 24}), offsets({0, 2, 2, 5, 9})}, .attrs = attrs(2)})
      .add({.name = "causal", .in = {f32({9, 24}), offsets({0, 4, 9})}, .attrs = attrs(2, 0.5, true)})
      .add({.name = "dead_rows", .in = {f32({9, 12}), offsets({1, 4, 7})}, .attrs = attrs(1)})
      .add({.name = "bias",
            .in = {f32({9, 24}), offsets({0, 5, 9}), f32({2, 5})},
            .attrs = attrs(2, 0.4, false, 0, true)})
      .add({.name = "dropout", .in = {f32({11, 24}), offsets({0, 6, 11}), step}, .attrs = attrs(2, 0.4, false, 0.3)})
      .add({.name = "all",
            .in = {f32({11, 12}), offsets({0, 7, 11}), step, f32({1, 7})},
            .attrs = attrs(1, 0.4, true, 0.2, true)})
      .add({.name = "tiled", .in = {f32({41, 96}), offsets({0, 17, 18, 41})}, .attrs = attrs(2)})
      .add({.name = "tiled_all",
            .in = {f32({41, 96}), offsets({1, 18, 40}), step, f32({2, 9})},
            .attrs = attrs(2, 0.3, true, 0.2, true),
            .nonfinite = false})
      .add({.name = "several_tiles",
            .in = {f32({421, 96}), offsets({0, 129, 130, 417}), step, f32({2, 33})},
            .attrs = attrs(2, 0.2, false, 0.1, true),
            .grad = false})
      .add({.name = "several_tiles_causal",
            .in = {f32({421, 96}), offsets({0, 129, 417}), step},
            .attrs = attrs(1, 0.2, true, 0.1),
            .grad = false,
            .nonfinite = false})
      .add({.name = "heads_of_20", .in = {f32({21, 120}), offsets({0, 17, 21})}, .attrs = attrs(2), .grad = false})
      .add({.name = "heads_of_64",
            .in = {f32({75, 384}), offsets({0, 30, 75}), step},
            .attrs = attrs(2, 0.125, false, 0.1),
            .grad = false})
      .add({.name = "heads_of_64_long",
            .in = {f32({91, 192}), offsets({0, 70, 91})},
            .attrs = attrs(1, 0.125, true),
            .grad = false,
            .nonfinite = false})
      .add({.name = "heads_of_128",
            .in = {f32({75, 384}), offsets({0, 30, 75}), step, f32({1, 9})},
            .attrs = attrs(1, 0.1, false, 0.1, true),
            .grad = false})
      .add({.name = "heads_of_128_long",
            .in = {f32({91, 384}), offsets({0, 70, 91})},
            .attrs = attrs(1, 0.1),
            .grad = false})
      .add({.name = "odd_width", .in = {f32({91, 222}), offsets({0, 70, 91})}, .attrs = attrs(2, 0.2), .grad = false})
      .add({.name = "odd_width_short",
            .in = {f32({36, 75}), offsets({2, 30, 30, 36})},
            .attrs = attrs(1, 0.2),
            .grad = false})
      .add({.name = "wide_range", .in = {f32({20, 48}, Fill::uniform(-9, 9)), offsets({0, 20})}, .attrs = attrs(1, 1)})
      .add({.name = "one_token", .in = {f32({1, 48}), offsets({0, 1})}, .attrs = attrs(1), .constant_ok = true})
      .add({.name = "no_tokens", .in = {f32({0, 48}), offsets({0, 0})}, .attrs = attrs(1), .constant_ok = true})
      .add({.name = "no_sequences", .in = {f32({4, 48}), offsets({0})}, .attrs = attrs(1), .constant_ok = true});
  s.add({.name = "minilm",
         .in = {f32({2048, 1152}), sixteen_of_128()},
         .attrs = attrs(12, 0.1767767),
         .grad = false,
         .bench = true})
      .add({.name = "minilm_dropout",
            .in = {f32({2048, 1152}), sixteen_of_128(), step},
            .attrs = attrs(12, 0.1767767, false, 0.1),
            .grad = false,
            .bench = true});
  s.add({.name = "titles",
         .in = {f32({2048, 1152}), i64({106}, Fill::bags(2048))},
         .attrs = attrs(12, 0.1767767),
         .grad = false,
         .bench = true})
      .add({.name = "heads", .in = {f32({4, 20}), offsets({0, 4})}, .attrs = attrs(2), .throws = "of 2 heads"})
      .add({.name = "no_heads", .in = {f32({4, 24}), offsets({0, 4})}, .attrs = attrs(0), .throws = "of 0 heads"})
      .add({.name = "bias_shape",
            .in = {f32({4, 24}), offsets({0, 4}), f32({2, 4})},
            .attrs = attrs(2, 1, false, 0, true),
            .throws = "bias [2, 4] is not [2, 2 R + 1]"})
      .add({.name = "certain",
            .in = {f32({4, 24}), offsets({0, 4}), step},
            .attrs = attrs(2, 1, false, 1),
            .throws = "p = 1 is not in [0, 1)"})
      .add({.name = "bf16_bias",
            .in = {low({4, 24}), offsets({0, 4}), low({2, 5})},
            .attrs = attrs(2, 1, false, 0, true),
            .throws = "expected f32"})
      .add({.name = "no_offsets", .in = {f32({4, 24}), offsets({})}, .attrs = attrs(2), .throws = "offsets are empty"})
      .add({.name = "alone", .in = {f32({4, 24})}, .attrs = attrs(2), .throws = "1 inputs given"});
  add_rounded(s, false);
}

// dy, qkv, offsets, y and lse as the forward pass would leave them in magnitude.
void attention_grad_samples(Samples& s) {
  const Arg step = i64({}, Fill::of({12}));
  const auto in = [](int64_t t, int64_t hidden, int64_t heads, Arg o) {
    return std::vector<Arg>{f32({t, hidden}), f32({t, 3 * hidden}, Fill::normal(0.5)), std::move(o),
                            fixed(f32({t, hidden}, Fill::normal(0.3))), fixed(f32({t, heads}, Fill::uniform(2, 4)))};
  };
  const auto with = [](std::vector<Arg> list, std::initializer_list<Arg> more) {
    list.insert(list.end(), more);
    return list;
  };
  s.add({.name = "plain", .in = in(9, 8, 2, offsets({0, 2, 2, 5, 9})), .attrs = attrs(2)})
      .add({.name = "tiled", .in = in(41, 32, 2, offsets({0, 17, 18, 41})), .attrs = attrs(2)})
      .add({.name = "tiled_all",
            .in = with(in(41, 32, 2, offsets({1, 18, 40})), {step, fixed(f32({2, 9}))}),
            .attrs = attrs(2, 0.3, true, 0.2, true),
            .nonfinite = false})
      .add({.name = "several_tiles",
            .in = with(in(421, 32, 2, offsets({0, 129, 130, 417})), {step, fixed(f32({2, 33}))}),
            .attrs = attrs(2, 0.2, false, 0.1, true)})
      .add({.name = "several_tiles_causal",
            .in = with(in(421, 32, 1, offsets({0, 129, 417})), {step}),
            .attrs = attrs(1, 0.2, true, 0.1),
            .nonfinite = false})
      .add({.name = "heads_of_20", .in = in(21, 40, 2, offsets({0, 17, 21})), .attrs = attrs(2)})
      .add({.name = "heads_of_64",
            .in = with(in(75, 128, 2, offsets({0, 30, 75})), {step}),
            .attrs = attrs(2, 0.125, false, 0.1)})
      .add({.name = "heads_of_64_long",
            .in = in(91, 64, 1, offsets({0, 70, 91})),
            .attrs = attrs(1, 0.125, true),
            .nonfinite = false})
      .add({.name = "heads_of_128",
            .in = with(in(75, 128, 1, offsets({0, 30, 75})), {step, fixed(f32({1, 9}))}),
            .attrs = attrs(1, 0.1, false, 0.1, true)})
      .add({.name = "heads_of_128_long", .in = in(91, 128, 1, offsets({0, 70, 91})), .attrs = attrs(1, 0.1)})
      .add({.name = "odd_width", .in = in(91, 74, 2, offsets({0, 70, 91})), .attrs = attrs(2, 0.2)})
      .add({.name = "odd_width_short", .in = in(36, 25, 1, offsets({2, 30, 30, 36})), .attrs = attrs(1, 0.2)})
      .add({.name = "no_tokens", .in = in(0, 16, 1, offsets({0, 0})), .attrs = attrs(1), .constant_ok = true})
      .add({.name = "minilm", .in = in(2048, 384, 12, sixteen_of_128()), .attrs = attrs(12, 0.1767767), .bench = true})
      .add({.name = "titles",
            .in = in(2048, 384, 12, i64({106}, Fill::bags(2048))),
            .attrs = attrs(12, 0.1767767),
            .bench = true})
      .add({.name = "lse_shape",
            .in = {f32({4, 8}), f32({4, 24}), offsets({0, 4}), f32({4, 8}), f32({4, 3})},
            .attrs = attrs(2),
            .throws = "input 4 is [4, 3], expected [4, 2]"})
      .add({.name = "bf16_y",
            .in = {f32({4, 8}), f32({4, 24}), offsets({0, 4}), low({4, 8}), f32({4, 2})},
            .attrs = attrs(2),
            .throws = "expected f32"})
      .add({.name = "f32_bf16_out",
            .in = {f32({4, 8}), f32({4, 24}), offsets({0, 4}), f32({4, 8}), f32({4, 2})},
            .attrs = attrs(2).set("bf16_out", int64_t{1}),
            .throws = "of bf16 factors"})
      .add({.name = "few", .in = {f32({4, 8})}, .attrs = attrs(2), .throws = "1 inputs given"});
  add_rounded(s, true);
}

}  // namespace winnow::detail
