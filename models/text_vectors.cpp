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
    : encoder_(encoder),
      max_tokens_(max_tokens > 0 ? max_tokens : std::max(kTokens, encoder.options().max_len)),
      frozen_(std::move(frozen)) {
  WN_CHECK(max_tokens_ >= encoder.options().max_len, ConfigError,
           "a batch of {} tokens is smaller than a row may be (max_len {})", max_tokens_, encoder.options().max_len);
}

TextVectors::Form& TextVectors::form(int64_t tokens, int64_t rows) {
  const std::pair key{rounded(tokens), static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(rows)))};
  if (const auto at = forms_.find(key); at != forms_.end()) return at->second;
  Graph g;
  g.output("vectors", encoder_.pooled(token_inputs(g, key.second, key.first), {}));
  CompileOptions options;
  options.arena = arena_;
  options.frozen = frozen_;
  return forms_.emplace(key, Form{compile(g, options), TokenTensors(key.second, key.first)}).first->second;
}

void TextVectors::run(const JaggedIds& rows, std::span<const int32_t> batch, int64_t tokens, Tensor& out) {
  Form& f = form(tokens, static_cast<int64_t>(batch.size()));
  f.batch.fill(rows, batch);
  const Tensor feeds[] = {f.batch.ids, f.batch.types, f.batch.positions, f.batch.offsets};
  f.program.run(feeds, *stream_);
  const Tensor vectors = f.program.output("vectors");
  const int64_t width = encoder_.width();
  for (size_t i = 0; i < batch.size(); ++i)
    std::copy_n(vectors.data<float>() + static_cast<int64_t>(i) * width, width, out.data<float>() + batch[i] * width);
}

Tensor TextVectors::operator()(std::span<const std::string_view> texts, const std::function<bool(int64_t)>& progress) {
  return (*this)(encoder_.encode(texts), progress);
}

Tensor TextVectors::operator()(const JaggedIds& rows, const std::function<bool(int64_t)>& progress) {
  const auto length = [&](int32_t r) {
    const auto i = static_cast<size_t>(r);
    return rows.offsets[i + 1] - rows.offsets[i];
  };
  std::vector<int32_t> order(static_cast<size_t>(rows.rows()));
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return length(a) > length(b); });
  Tensor out(TensorSpec{DType::F32, {rows.rows(), encoder_.width()}});
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
