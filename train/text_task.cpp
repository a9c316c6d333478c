#include "train/text_task.h"

#include <algorithm>

namespace winnow {
namespace {

constexpr int kInferenceForms = 5;

TokenBatchOptions inference_batches() {
  TokenBatchOptions o;
  o.batch_size = TextPredictor::kBatch;
  o.by_length = true;
  o.shuffle = false;
  o.forms = kInferenceForms;
  return o;
}

TensorSpec target_spec(const TextTargets& targets, int64_t rows) {
  return targets.width == 0 ? TensorSpec{DType::I64, {rows}} : TensorSpec{DType::F32, {rows, targets.width}};
}

}  // namespace

// One capacity in tokens, ready to run.
struct TextPredictor::Form {
  Form(const RecordOutputs& record, int64_t rows, int64_t capacity, const CompileOptions& compile_options)
      : tensors(rows, capacity) {
    const Value step = graph.input("step", {DType::I64, {}});
    const TokenInputs in = token_inputs(graph, rows, capacity);
    const Value weights = graph.input("weights", {DType::F32, {rows}});
    const Value outputs = record(in, {step, weights, false});
    width = outputs.shape().inner(0);
    graph.output("outputs", outputs);
    program = std::make_unique<Program>(compile(graph, compile_options));
    Tensor ones(TensorSpec{DType::F32, {rows}});
    std::ranges::fill(ones.span<float>(), 1.f);
    feeds = {Tensor::of<int64_t>({0}, {}), tensors.ids, tensors.types, tensors.positions, tensors.offsets, ones};
  }
  Graph graph;
  TokenTensors tensors;
  int64_t width = 0;
  std::unique_ptr<Program> program;
  std::vector<Tensor> feeds;
};

TextPredictor::TextPredictor(const RecordOutputs& record, const JaggedIds& tokens, const CompileOptions& compile)
    : tokens_(tokens),
      batches_(tokens.lengths(), inference_batches()),
      rows_(std::clamp<int64_t>(tokens.rows(), 1, kBatch)),
      stream_(make_stream()) {
  CompileOptions shared = compile;
  if (shared.arena == nullptr) shared.arena = std::make_shared<Arena>();
  for (const int64_t capacity : batches_.capacities())
    forms_.push_back(std::make_unique<Form>(record, rows_, capacity, shared));
  width_ = forms_.front()->width;
}
TextPredictor::~TextPredictor() = default;

std::vector<float> TextPredictor::run() {
  std::vector<float> out(static_cast<size_t>(tokens_.rows() * width_));
  for (batches_.start_epoch(0); batches_.next();) {
    Form& form = *forms_[batches_.form()];
    form.tensors.fill(tokens_, batches_.rows());
    form.program->run(form.feeds, *stream_);
    const Tensor host = form.program->output("outputs");  // a copy where the program runs on a device
    const auto outputs = host.span<float>();
    for (size_t i = 0; i < batches_.rows().size(); ++i)
      std::copy_n(outputs.begin() + static_cast<int64_t>(i) * width_, width_,
                  out.begin() + batches_.rows()[i] * width_);
  }
  return out;
}

// The tensors of one capacity.
struct TextTask::Slot {
  Slot(const TextTargets& target, int64_t rows, int64_t capacity)
      : tokens(rows, capacity),
        targets(target_spec(target, rows)),
        weights(TensorSpec{DType::F32, {rows}}),
        feeds{tokens.ids, tokens.types, tokens.positions, tokens.offsets, targets, weights} {}

  void fill(const TextRows& source, std::span<const int32_t> rows) {
    tokens.fill(source.tokens, rows);
    const TextTargets& t = source.targets;
    const auto w = weights.span<float>();
    std::ranges::fill(w, 0.f);
    for (size_t i = 0; i < rows.size(); ++i) w[i] = t.weights.empty() ? 1.f : t.weights[static_cast<size_t>(rows[i])];
    if (t.width == 0) {
      const auto label = targets.span<int64_t>();
      std::ranges::fill(label, int64_t{-1});
      for (size_t i = 0; i < rows.size(); ++i) label[i] = t.labels[static_cast<size_t>(rows[i])];
      return;
    }
    const auto value = targets.span<float>();
    std::ranges::fill(value, 0.f);
    for (size_t i = 0; i < rows.size(); ++i)
      std::copy_n(t.values.begin() + rows[i] * t.width, t.width, value.begin() + static_cast<int64_t>(i) * t.width);
  }

  TokenTensors tokens;
  Tensor targets, weights;
  std::vector<Tensor> feeds;
};

TextTask::TextTask(Module& model, const TextRows& train, const JaggedIds& valid, TextTaskOptions options)
    : model_(model),
      train_(train),
      valid_(valid),
      options_(std::move(options)),
      batches_(train.tokens.lengths(), options_.batches) {
  WN_CHECK(train.tokens.rows() == train.targets.rows(), Error, "{} rows of tokens, {} targets", train.tokens.rows(),
           train.targets.rows());
  for (const int64_t capacity : batches_.capacities())
    slots_.push_back(std::make_unique<Slot>(train.targets, options_.batches.batch_size, capacity));
}
TextTask::~TextTask() = default;

Value TextTask::record_loss(Graph& graph, Value step, int64_t form) {
  const int64_t rows = options_.batches.batch_size;
  const TokenInputs in = token_inputs(graph, rows, form);
  const Value targets = graph.input("targets", target_spec(train_.targets, rows));
  const Value weights = graph.input("weights", {DType::F32, {rows}});
  return options_.loss(options_.outputs(in, {step, weights, true}), targets, weights);
}

std::span<const Tensor> TextTask::next_batch() {
  if (!batches_.next()) return {};
  Slot& slot = *slots_[batches_.form()];
  slot.fill(train_, batches_.rows());
  return slot.feeds;
}

std::vector<NamedMetric> TextTask::validate() {
  if (valid_.rows() == 0) return {};
  if (predictor_ == nullptr) predictor_ = std::make_unique<TextPredictor>(options_.outputs, valid_, options_.compile);
  return options_.validate(predictor_->run());
}

}  // namespace winnow
