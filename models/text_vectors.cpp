#include "models/text_vectors.h"

#include <bit>
#include <numeric>

namespace winnow {
namespace {

constexpr int64_t kStep = 16;  // of small capacities: whole tiles of the matrix product

// The capacity for so many: multiples of 16, from 256 on in steps of an eighth of the power of two below.
int64_t rounded(int64_t n) {
  int64_t step = kStep;
  while (n > 16 * step) step *= 2;
  return std::max(kStep, (n + step - 1) / step * step);
}

}  // namespace

TextVectors::TextVectors(const TextEncoder& encoder, int64_t max_tokens, std::shared_ptr<FrozenWeights> frozen)
    : TextVectors([&encoder](const TokenInputs& in) { return encoder.pooled(in, {}); }, encoder.width(),
                  max_tokens > 0 ? max_tokens : std::max(kTokens, encoder.options().max_len)) {
  compile_.frozen = std::move(frozen);
  WN_CHECK(max_tokens_ >= encoder.options().max_len, ConfigError,
           "a batch of {} tokens is smaller than a row may be (max_len {})", max_tokens_, encoder.options().max_len);
}

TextVectors::TextVectors(Record record, int64_t width, int64_t max_tokens, const CompileOptions& compile)
    : record_(std::move(record)), width_(width), max_tokens_(max_tokens), compile_(compile) {
  if (compile_.arena == nullptr) compile_.arena = std::make_shared<Arena>();
}

TextVectors::Form& TextVectors::form(int64_t tokens, int64_t rows) {
  const std::pair key{rounded(tokens), static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)))};
  if (const auto at = forms_.find(key); at != forms_.end()) return at->second;
  Graph g;
  g.output("vectors", record_(token_inputs(g, key.second, key.first)));
  return forms_.emplace(key, Form{compile(g, compile_), TokenTensors(key.second, key.first)}).first->second;
}

void TextVectors::run(const JaggedIds& rows, std::span<const int32_t> batch, int64_t tokens, Tensor& out) {
  Form& f = form(tokens, static_cast<int64_t>(batch.size()));
  f.batch.fill(rows, batch);
  const Tensor feeds[] = {f.batch.ids, f.batch.types, f.batch.positions, f.batch.offsets};
  f.program.run(feeds, *stream_);
  const Tensor vectors = f.program.output("vectors");
  for (size_t i = 0; i < batch.size(); ++i)
    std::copy_n(vectors.data<float>() + static_cast<int64_t>(i) * width_, width_,
                out.data<float>() + batch[i] * width_);
}

Tensor TextVectors::operator()(const JaggedIds& rows, const Progress& progress) {
  std::vector<int32_t> all(static_cast<size_t>(rows.rows()));
  std::iota(all.begin(), all.end(), 0);
  return (*this)(rows, all, progress);
}

Tensor TextVectors::operator()(const JaggedIds& rows, std::span<const int32_t> of, const Progress& progress) {
  const auto length = [&](int32_t r) { return rows.length(r); };
  std::vector<int32_t> order(of.begin(), of.end());
  std::ranges::stable_sort(order, std::greater{}, length);
  Tensor out = Tensor::zeros({DType::F32, {rows.rows(), width_}});
  for (size_t begin = 0; begin < order.size();) {
    size_t end = begin;
    int64_t tokens = 0;
    while (end < order.size() && tokens + length(order[end]) <= max_tokens_) tokens += length(order[end++]);
    WN_CHECK(end > begin, DataError, "row {} has {} tokens, more than a batch may have ({})", order[begin] + 1,
             length(order[begin]), max_tokens_);
    run(rows, std::span(order).subspan(begin, end - begin), tokens, out);
    begin = end;
    if (progress && !progress(static_cast<int64_t>(end))) return {};
  }
  return out;
}

}  // namespace winnow
