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
      .add({.name = "no_offsets", .in = {f32({4, 24}), offsets({})}, .attrs = attrs(2), .throws = "offsets are empty"})
      .add({.name = "alone", .in = {f32({4, 24})}, .attrs = attrs(2), .throws = "1 inputs given"});
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
      .add({.name = "few", .in = {f32({4, 8})}, .attrs = attrs(2), .throws = "1 inputs given"});
}

}  // namespace winnow::detail
