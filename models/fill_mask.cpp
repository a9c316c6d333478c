#include "models/fill_mask.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/program.h"

namespace winnow {
namespace {

constexpr std::string_view kBlank = "\xE2\x96\x81";  // U+2581, SentencePiece's mark of a word's beginning

// A part of the text behind a mask. SentencePiece begins every text with a word; a part that does not begin with a
// blank goes on where the mask stands.
void append_part(const Tokenizer& tokenizer, std::string_view part, std::vector<int32_t>& ids) {
  const size_t at = ids.size();
  tokenizer.encode(part, ids);
  if (at == ids.size() || part.starts_with(' ')) return;
  const std::string_view first = tokenizer.token(ids[at]);
  if (!first.starts_with(kBlank)) return;
  if (first == kBlank) {
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(at));
  } else if (const int32_t bare = tokenizer.find(first.substr(kBlank.size())); bare >= 0) {
    ids[at] = bare;
  }
}

std::vector<int32_t> with_masks(const Tokenizer& tokenizer, std::string_view text) {
  const SpecialTokens& special = tokenizer.special();
  WN_CHECK(special.mask >= 0, ConfigError, "the tokenizer has no mask token");
  const std::string_view mask = tokenizer.token(special.mask);
  std::vector<int32_t> ids = {special.cls};
  for (bool first = true;; first = false) {
    const size_t at = text.find(mask);
    const std::string_view part = text.substr(0, at);
    if (first)
      tokenizer.encode(part, ids);
    else
      append_part(tokenizer, part, ids);
    if (at == std::string_view::npos) break;
    ids.push_back(special.mask);
    text.remove_prefix(at + mask.size());
  }
  ids.push_back(special.sep);
  return ids;
}

std::vector<MaskGuess> best(const Tokenizer& tokenizer, std::span<const float> logits, std::vector<int32_t> ids,
                            size_t place, int64_t k) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  order.resize(std::min(order.size(), static_cast<size_t>(tokenizer.size())));  // weights may have rows without a token
  const auto most = std::min(static_cast<size_t>(std::max<int64_t>(k, 0)), order.size());
  const auto likelier = [&](int32_t a, int32_t b) {
    const float x = logits[static_cast<size_t>(a)], y = logits[static_cast<size_t>(b)];
    return x != y ? x > y : a < b;
  };
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(most), order.end(), likelier);
  const double largest = static_cast<double>(*std::ranges::max_element(logits));
  double sum = 0;
  for (const float x : logits) sum += std::exp(static_cast<double>(x) - largest);
  std::vector<MaskGuess> guesses;
  for (size_t i = 0; i < most; ++i) {
    ids[place] = order[i];
    const std::span<const int32_t> text(ids.data() + 1, ids.size() - 2);  // without the frame
    guesses.push_back({order[i], std::string(tokenizer.token(order[i])), tokenizer.decode(text),
                       std::exp(static_cast<double>(logits[static_cast<size_t>(order[i])]) - largest) / sum});
  }
  return guesses;
}

}  // namespace

std::vector<std::vector<MaskGuess>> fill_mask(const MaskedLm& model, std::string_view text, int64_t k) {
  const Tokenizer& tokenizer = model.encoder().tokenizer();
  const std::vector<int32_t> ids = with_masks(tokenizer, text);
  const auto n = static_cast<int64_t>(ids.size()), most = model.encoder().options().max_len;
  WN_CHECK(n <= most, ConfigError, "the text has {} tokens, the model takes {}", n, most);
  std::vector<int64_t> places, values(ids.begin(), ids.end()), positions(ids.size());
  for (int64_t i = 0; i < n; ++i)
    if (ids[static_cast<size_t>(i)] == tokenizer.special().mask) places.push_back(i);
  WN_CHECK(!places.empty(), ConfigError, "the text has no {}: put one where a token is to be found",
           tokenizer.token(tokenizer.special().mask));
  std::iota(positions.begin(), positions.end(), int64_t{0});
  const auto masks = static_cast<int64_t>(places.size());

  Graph graph;
  const Value step = graph.input("step", {DType::I64, {}});
  const TokenInputs in = token_inputs(graph, 1, n);
  const Value at = graph.input("places", {DType::I64, {masks}});
  graph.output("logits", model.logits(in, at, {step, {}, false}));
  Program program = compile(graph);
  const std::vector<Tensor> feeds = {Tensor::of<int64_t>({0}, {}),     Tensor::of(values, {n}),
                                     Tensor::zeros({DType::I64, {n}}), Tensor::of(positions, {n}),
                                     Tensor::of<int64_t>({0, n}, {2}), Tensor::of(places, {masks})};
  const auto stream = make_stream();
  program.run(feeds, *stream);
  const Tensor logits = program.output("logits");
  const auto width = static_cast<size_t>(logits.shape()[1]);
  std::vector<std::vector<MaskGuess>> all;
  for (size_t m = 0; m < places.size(); ++m)
    all.push_back(
        best(tokenizer, logits.span<float>().subspan(m * width, width), ids, static_cast<size_t>(places[m]), k));
  return all;
}

}  // namespace winnow
