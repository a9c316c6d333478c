#include "train/mlm_task.h"

#include <algorithm>
#include <cmath>

#include "core/parallel.h"
#include "ops/losses.h"

namespace winnow {
namespace {

constexpr int64_t kFixedEpoch = int64_t{1} << 40;  // masks of no epoch that is trained on

struct Recorded {
  Value logits, labels;
};

// The inputs of a batch in the order of MaskedBatches::feeds().
Recorded record(Graph& graph, const MaskedLm& model, int64_t rows, const MaskedBatches::Form& form,
                const StepContext& context) {
  const TokenInputs in = token_inputs(graph, rows, form.tokens);
  const Value places = graph.input("places", {DType::I64, {form.places}});
  const Value labels = graph.input("labels", {DType::I64, {form.places}});
  return {model.logits(in, places, context), labels};
}

// A fixed order, similar lengths together.
TokenBatchOptions in_order(TokenBatchOptions options) {
  options.shuffle = false;
  options.by_length = true;
  return options;
}

int64_t hits(const Tensor& logits, const Tensor& labels) {
  const int64_t rows = logits.shape()[0], classes = logits.shape()[1];
  std::vector<uint8_t> hit(static_cast<size_t>(rows));
  parallel_for(rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* x = logits.data<float>() + i * classes;
      const int64_t label = labels.data<int64_t>()[i];
      hit[static_cast<size_t>(i)] = label >= 0 && std::max_element(x, x + classes) - x == label ? 1 : 0;
    }
  });
  return std::ranges::count(hit, 1);
}

}  // namespace

std::vector<NamedMetric> MlmScore::metrics() const {
  return {{"loss", loss}, {"perplexity", perplexity}, {"accuracy", accuracy}};
}

MlmScorer::MlmScorer(const MaskedLm& model, const JaggedIds& rows, const MaskingOptions& masking,
                     const TokenBatchOptions& batches, const CompileOptions& compile)
    : masker_(model.encoder().tokenizer(), masking, batches.seed),
      batches_(rows, masker_, in_order(batches)),
      stream_(make_stream()) {
  batches_.fix_masks(kFixedEpoch);
  for (const MaskedBatches::Form& form : batches_.forms()) {
    Graph& graph = *graphs_.emplace_back(std::make_unique<Graph>());
    const Value step = graph.input("step", {DType::I64, {}});
    const Recorded r = record(graph, model, batches.batch_size, form, {step, {}, false});
    graph.output("logits", r.logits);
    graph.output("loss", softmax_cross_entropy(r.logits, r.labels));
    programs_.push_back(winnow::compile(graph, compile));
  }
}
MlmScorer::~MlmScorer() = default;

MlmScore MlmScorer::run() {
  MlmScore score;
  int64_t right = 0;
  for (batches_.start_epoch(0); batches_.next();) {
    if (batches_.masked() == 0) continue;
    feeds_ = {Tensor::of<int64_t>({0}, {})};
    feeds_.insert(feeds_.end(), batches_.feeds().begin(), batches_.feeds().end());
    Program& program = programs_[batches_.form()];
    program.run(feeds_, *stream_);
    score.loss += static_cast<double>(program.output("loss").item<float>()) * static_cast<double>(batches_.masked());
    right += hits(program.output("logits"), batches_.feeds().back());
    score.masked += batches_.masked();
  }
  const auto n = static_cast<double>(std::max<int64_t>(1, score.masked));
  score.loss /= n;
  score.perplexity = std::exp(score.loss);
  score.accuracy = static_cast<double>(right) / n;
  return score;
}

MlmTask::MlmTask(MaskedLm& model, const Corpus& corpus, const MaskingOptions& masking, const TokenBatchOptions& batches,
                 const CompileOptions& compile)
    : model_(model),
      corpus_(corpus),
      masking_(masking),
      options_(batches),
      compile_(compile),
      rows_(batches.batch_size),
      masker_(model.encoder().tokenizer(), masking, batches.seed),
      train_(corpus.train, masker_, batches) {}

std::vector<int64_t> MlmTask::forms() const {
  std::vector<int64_t> tokens;
  for (const MaskedBatches::Form& f : train_.forms()) tokens.push_back(f.tokens);
  return tokens;
}

Value MlmTask::record_loss(Graph& graph, Value step, int64_t form) {
  const auto at = std::ranges::find(train_.forms(), form, &MaskedBatches::Form::tokens);
  const Recorded r = record(graph, model_, rows_, *at, {step, {}, true});
  return softmax_cross_entropy(r.logits, r.labels);
}

std::span<const Tensor> MlmTask::next_batch() {
  if (!train_.next()) return {};
  return train_.feeds();
}

MlmScore MlmTask::score() {
  if (corpus_.valid.rows() == 0) return {};
  if (scorer_ == nullptr) scorer_ = std::make_unique<MlmScorer>(model_, corpus_.valid, masking_, options_, compile_);
  return scorer_->run();
}

std::vector<NamedMetric> MlmTask::validate() {
  if (corpus_.valid.rows() == 0) return {};
  return score().metrics();
}

}  // namespace winnow
