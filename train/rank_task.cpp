#include "train/rank_task.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <numeric>

#include "ops/binary.h"
#include "ops/losses.h"
#include "train/rank_evaluate.h"

namespace winnow {
namespace {

constexpr int64_t kInferenceQueries = 32;

}  // namespace

int64_t thresholds_of(const RankLoss& loss, const RankingRows& train) {
  if (loss.kind != RankLoss::Kind::Ordinal) return 0;
  float most = 1;
  for (const float y : train.labels) {
    WN_CHECK(y == std::floor(y) && y <= 100, DataError,
             "{}: the ordinal loss needs grades 0, 1, 2, .. up to 100, not {}; use another loss", train.name, y);
    most = std::max(most, y);
  }
  return static_cast<int64_t>(most);
}

RankReader::RankReader(const RankingSplit& split, int64_t width) : split_(&split), width_(width) {}

RankReader::RankReader(const RankingSplit& split, const TextEncoder& encoder) : split_(&split) {
  std::vector<std::string_view> queries, items(split.item_texts.begin(), split.item_texts.end());
  for (size_t q = 0; q < split.query_texts.size(); ++q)
    queries.insert(queries.end(), static_cast<size_t>(split.rows.offsets[q + 1] - split.rows.offsets[q]),
                   split.query_texts[q]);
  tokens_ = encoder.encode(queries, items);
}

std::vector<int64_t> RankReader::query_sizes() const {
  const std::vector<int64_t>& rows = split_->rows.offsets;
  const auto end = [&](size_t q) { return width_ > 0 ? rows[q] : tokens_.offsets[static_cast<size_t>(rows[q])]; };
  std::vector<int64_t> sizes;
  for (size_t q = 0; q + 1 < rows.size(); ++q) sizes.push_back(end(q + 1) - end(q));
  return sizes;
}

int64_t RankReader::most_rows(int64_t queries) const {
  const std::vector<int64_t>& offsets = split_->rows.offsets;
  std::vector<int64_t> rows;
  for (size_t q = 0; q + 1 < offsets.size(); ++q) rows.push_back(offsets[q + 1] - offsets[q]);
  std::ranges::sort(rows, std::greater{});
  rows.resize(std::min(rows.size(), static_cast<size_t>(queries)));
  return std::accumulate(rows.begin(), rows.end(), int64_t{0});
}

RankReader reader_for(const RankModel& model, const RankingSplit& split, int64_t width) {
  if (const auto* texts = dynamic_cast<const CrossEncoder*>(&model)) return {split, texts->encoder()};
  return {split, width};
}

RankBatch::RankBatch(const RankReader& reader, int64_t queries, int64_t capacity, int64_t thresholds)
    : reader_(&reader), thresholds_(thresholds) {
  const auto add = [&](Tensor& tensor, DType dtype, const Shape& shape) {
    tensor = Tensor::zeros({dtype, shape});
    feeds_.push_back(tensor);
  };
  const bool texts = reader.width() == 0;
  const int64_t rows = texts ? reader.most_rows(queries) : capacity;
  if (texts) {
    tokens_.emplace(rows, capacity);
    feeds_ = {tokens_->ids, tokens_->types, tokens_->positions, tokens_->offsets};
    chosen_.reserve(static_cast<size_t>(rows));
  } else {
    add(features_, DType::F32, {rows, reader.width()});
  }
  add(labels_, DType::F32, {rows});
  add(weights_, DType::F32, {rows});
  add(offsets_, DType::I64, {queries + 1});
  if (thresholds > 0) add(targets_, DType::F32, {rows, thresholds});
}

RankBatch::Values RankBatch::record(Graph& graph) const {
  Values v;
  if (tokens_)
    v.model.tokens = token_inputs(graph, labels_.numel(), tokens_->ids.numel());
  else
    v.model.features = graph.input("features", features_.spec());
  v.labels = graph.input("labels", labels_.spec());
  v.weights = graph.input("weights", weights_.spec());
  v.offsets = graph.input("query_offsets", offsets_.spec());
  if (thresholds_ > 0) v.targets = graph.input("targets", targets_.spec());
  return v;
}

void RankBatch::fill(std::span<const int32_t> queries) {
  const RankingSplit& split = reader_->split();
  const auto labels = labels_.span<float>(), weights = weights_.span<float>();
  const auto offsets = offsets_.span<int64_t>();
  const int64_t width = reader_->width();
  rows_ = 0;
  offsets[0] = 0;
  chosen_.clear();
  for (size_t q = 0; q + 1 < offsets.size(); ++q) {
    if (q < queries.size()) {
      const auto query = static_cast<size_t>(queries[q]);
      const int64_t begin = split.rows.offsets[query], end = split.rows.offsets[query + 1];
      if (tokens_)
        for (int64_t r = begin; r < end; ++r) chosen_.push_back(static_cast<int32_t>(r));
      else
        std::copy(split.features.begin() + begin * width, split.features.begin() + end * width,
                  features_.data<float>() + rows_ * width);
      std::copy(split.rows.labels.begin() + begin, split.rows.labels.begin() + end, labels.begin() + rows_);
      rows_ += end - begin;
    }
    offsets[q + 1] = rows_;
  }
  if (tokens_)
    tokens_->fill(reader_->tokens(), chosen_);
  else
    std::fill(features_.data<float>() + rows_ * width, features_.data<float>() + features_.numel(), 0.f);
  std::fill(labels.begin() + rows_, labels.end(), 0.f);
  std::fill(weights.begin(), weights.begin() + rows_, 1.f);
  std::fill(weights.begin() + rows_, weights.end(), 0.f);
  for (int64_t i = 0; i < labels_.numel() * thresholds_; ++i)
    targets_.data<float>()[i] = labels[static_cast<size_t>(i / thresholds_)] > static_cast<float>(i % thresholds_);
}

RankPredictor::RankPredictor(const RankModel& model, const RankingSplit& split, int64_t width,
                             const CompileOptions& options)
    : reader_(reader_for(model, split, width)),
      batches_(reader_.query_sizes(), {.batch_size = kInferenceQueries, .shuffle = false, .forms = 3}) {
  CompileOptions compile_options = options;
  compile_options.arena = std::make_shared<Arena>();
  for (const int64_t capacity : batches_.capacities()) {
    tensors_.emplace_back(reader_, kInferenceQueries, capacity, 0);
    Graph& graph = graphs_.emplace_back();
    const Value step = graph.input("step", {DType::I64, {}});
    const RankBatch::Values v = tensors_.back().record(graph);
    graph.output("scores", model.scores(v.model, {step, v.weights, false}));
    programs_.push_back(compile(graph, compile_options));
  }
}

std::vector<float> RankPredictor::scores() {
  std::vector<float> out;
  out.reserve(reader_.split().rows.labels.size());
  std::vector<Tensor> feeds = {Tensor::zeros({DType::I64, {}})};
  for (batches_.start_epoch(0); batches_.next();) {
    RankBatch& batch = tensors_[batches_.form()];
    batch.fill(batches_.rows());
    feeds.resize(1);
    feeds.insert(feeds.end(), batch.feeds().begin(), batch.feeds().end());
    Program& program = programs_[batches_.form()];
    program.run(feeds, *stream_);
    const Tensor host = program.output("scores");  // a copy where the program runs on a device
    const auto scores = host.span<float>();
    out.insert(out.end(), scores.begin(), scores.begin() + batch.rows());
  }
  return out;
}

RankTask::RankTask(const RankingData& data, const RankConfig& config, RankModel& model, uint64_t seed)
    : data_(data),
      config_(config),
      model_(model),
      reader_(reader_for(model, data.split(Split::Train), data.width())),
      batches_(reader_.query_sizes(),
               {.batch_size = config.loop.batch_size, .shuffle = true, .seed = seed, .forms = 3}),
      validation_(model, data.split(Split::Valid), data.width(), config.loop.train.compile) {
  const RankingSplit& train = data.split(Split::Train);
  for (const int64_t capacity : batches_.capacities())
    tensors_.emplace_back(reader_, config.loop.batch_size, capacity, thresholds_of(config.loss, train.rows));
  mean_rows_ = train.rows.rows() / std::max<int64_t>(1, steps_in_epoch(0));
}

Value RankTask::loss_of(Value scores, const RankBatch::Values& v) const {
  using Kind = RankLoss::Kind;
  const RankLoss& loss = config_.loss;
  switch (loss.kind) {
    case Kind::Mse: return mse(scores, v.labels, v.weights);
    case Kind::Ordinal: return bce_with_logits(model_.ordinal_logits(scores), v.targets, v.weights);
    case Kind::RankNet: return ranknet(scores, v.labels, v.offsets, loss.sigma);
    case Kind::LambdaRank: return lambdarank(scores, v.labels, v.offsets, loss.lambdarank);
    case Kind::ListNet: break;
  }
  return listnet(scores, v.labels, v.offsets);
}

// The sum over the members, so that each learns as it would alone.
Value RankTask::record_loss(Graph& graph, Value step, int64_t form) {
  const auto at = std::ranges::find(batches_.capacities(), form) - batches_.capacities().begin();
  const RankBatch::Values v = tensors_[static_cast<size_t>(at)].record(graph);
  Value sum;
  for (const Value& scores : model_.member_scores(v.model, {step, v.weights, true})) {
    const Value loss = loss_of(scores, v);
    sum = sum ? add(sum, loss) : loss;
  }
  return sum;
}

std::span<const Tensor> RankTask::next_batch() {
  if (!batches_.next()) return {};
  RankBatch& batch = tensors_[batches_.form()];
  batch.fill(batches_.rows());
  return batch.feeds();
}

std::vector<NamedMetric> RankTask::validate() {
  RankEvaluation options = config_.evaluation;
  options.resamples = 0;
  std::vector<NamedMetric> out;
  for (const MetricValue& m : rank_metrics(validation_.scores(), data_.split(Split::Valid).rows, options))
    if (m.value) out.push_back({m.name, *m.value});
  return out;
}

}  // namespace winnow
