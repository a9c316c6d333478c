#include "train/match/vectors.h"

#include <algorithm>
#include <numeric>

#include "data/token_batches.h"
#include "ops/l2_normalize.h"

namespace winnow {
namespace {

constexpr int64_t kRows = 128, kTokens = 4096;  // of a batch

}  // namespace

VectorEncoder::VectorEncoder(Tower tower, const CompileOptions& options)
    : tower_(std::move(tower)), options_(options), stream_(make_stream({})) {
  if (options_.arena == nullptr) options_.arena = std::make_shared<Arena>();
}

Program& VectorEncoder::program(int64_t capacity) {
  auto& [graph, program] = programs_[capacity];
  if (program != nullptr) return *program;
  graph = std::make_unique<Graph>();
  const TokenInputs in = token_inputs(*graph, kRows, capacity);
  const StepContext inference{graph->input("step", {DType::I64, {}}), {}, false};
  graph->output("vectors", l2_normalize(tower_(in, inference)));
  program = std::make_unique<Program>(compile(*graph, options_));
  return *program;
}

Tensor VectorEncoder::encode(const JaggedIds& rows) {
  std::vector<int32_t> all(static_cast<size_t>(rows.rows()));
  std::iota(all.begin(), all.end(), 0);
  return encode(rows, all);
}

Tensor VectorEncoder::encode(const JaggedIds& rows, std::span<const int32_t> of) {
  WN_CHECK(!of.empty(), DataError, "there are no texts to encode");
  std::vector<int64_t> lengths;
  for (const int32_t r : of)
    lengths.push_back(rows.offsets[static_cast<size_t>(r) + 1] - rows.offsets[static_cast<size_t>(r)]);
  TokenBatches batches(lengths, {.batch_size = kRows,
                                 .max_tokens = std::max(kTokens, *std::ranges::max_element(lengths)),
                                 .by_length = true,
                                 .shuffle = false,
                                 .forms = 4});
  std::map<int64_t, TokenTensors> tensors;
  const Tensor step = Tensor::of<int64_t>({0}, {});
  Tensor out;
  std::vector<int32_t> batch;
  for (batches.start_epoch(0); batches.next();) {
    const int64_t capacity = batches.capacities()[batches.form()];
    Program& run = program(capacity);
    TokenTensors& t = tensors.try_emplace(capacity, kRows, capacity).first->second;
    batch.clear();
    for (const int32_t i : batches.rows()) batch.push_back(of[static_cast<size_t>(i)]);
    t.fill(rows, batch);
    const Tensor feeds[] = {t.ids, t.types, t.positions, t.offsets, step};
    run.run(feeds, *stream_);
    const Tensor vectors = run.output("vectors");
    const int64_t width = vectors.shape()[1];
    if (!out.defined()) out = Tensor::zeros({DType::F32, {rows.rows(), width}});
    for (size_t i = 0; i < batch.size(); ++i)
      std::copy_n(vectors.data<float>() + static_cast<int64_t>(i) * width, width,
                  out.data<float>() + int64_t{batch[i]} * width);
  }
  return out;
}

VectorEncoder::Tower query_tower(const DualEncoder& model) {
  return [&model](const TokenInputs& in, const StepContext& context) { return model.queries(in, context); };
}
VectorEncoder::Tower item_tower(const DualEncoder& model) {
  return [&model](const TokenInputs& in, const StepContext& context) { return model.items(in, context); };
}

Tensor prefix_vectors(const Tensor& vectors, int64_t prefix) {
  const int64_t rows = vectors.shape()[0], width = vectors.shape()[1];
  WN_CHECK(prefix >= 1 && prefix <= width, ConfigError, "vectors of {} elements have no prefix of {}", width, prefix);
  if (prefix == width) return vectors;
  Tensor cut({DType::F32, {rows, prefix}});
  for (int64_t r = 0; r < rows; ++r)
    std::copy_n(vectors.data<float>() + r * width, prefix, cut.data<float>() + r * prefix);
  const Tensor in[] = {cut};
  return run_eager("l2_normalize", in, {{"eps", 1e-12}})[0];
}

}  // namespace winnow
