#include "train/match/task.h"

#include <chrono>
#include <numeric>

#include "ops/shape_ops.h"

namespace winnow {
namespace {

CompileOptions inference_options(const MatchConfig& config) {
  CompileOptions o = config.loop.train.compile;
  o.arena = std::make_shared<Arena>();
  return o;
}

JaggedIds encode_all(const TextEncoder& encoder, const std::vector<std::string>& texts) {
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  return encoder.encode(views);
}

}  // namespace

MatchTokens::MatchTokens(const MatchData& data, const DualEncoder& model)
    : queries(encode_all(model.query_encoder(), data.queries)), items(encode_all(model.item_encoder(), data.items)) {}

std::vector<int32_t> queries_of(const MatchData& data, Split split) {
  std::vector<int32_t> queries;
  for (const MatchData::Pair& p : data.pairs[static_cast<size_t>(split)]) queries.push_back(p.query);
  std::ranges::sort(queries);
  queries.erase(std::unique(queries.begin(), queries.end()), queries.end());
  return queries;
}

MatchBatchOptions batch_options(const MatchConfig& config, const MatchData& data) {
  MatchBatchOptions o;
  o.batch_size = config.loop.batch_size;
  o.hard_negatives = config.mining.negatives;
  o.one_tower = !config.model.two_towers;
  o.log_q = config.log_q;
  o.pairs = config.loss.kind == SimilarityLossOptions::Kind::Cosent;
  o.other_items = config.other_items >= 0 ? config.other_items : data.graded ? 0 : 1;
  o.excluded = static_cast<float>(kExcluded);
  o.seed = config.loop.train.seed;
  WN_CHECK(!o.pairs || data.graded || o.other_items + o.hard_negatives > 0, ConfigError,
           "loss.name cosent orders pairs by their strengths, and all strengths are equal: set loss.other_items or "
           "mining.negatives, whose pairs have the strength 0");
  return o;
}

MatchTask::MatchTask(const MatchConfig& config, const MatchData& data, DualEncoder& model, TrainListener& listener)
    : config_(config),
      data_(data),
      model_(model),
      listener_(listener),
      tokens_(data, model),
      batches_(data, tokens_.queries, tokens_.items, batch_options(config, data)),
      query_vectors_(winnow::query_vectors(model, inference_options(config))),
      item_vectors_(winnow::item_vectors(model, inference_options(config))) {
  if (config_.mining.negatives == 0) return;
  Tensor none({DType::I32, {batches_.rows(), config_.mining.negatives}});
  std::ranges::fill(none.span<int32_t>(), -1);
  negatives_ = std::make_shared<Variable>(Variable{"negatives", none, false, false});
}

std::vector<int64_t> MatchTask::forms() const {
  std::vector<int64_t> forms(batches_.forms().size());
  std::iota(forms.begin(), forms.end(), 0);
  return forms;
}

Value MatchTask::record_loss(Graph& graph, Value step, int64_t form) {
  const MatchBatches::Form& size = batches_.forms()[static_cast<size_t>(form)];
  const MatchBatchOptions o = batch_options(config_, data_);
  const int64_t rows = o.batch_size, columns = batches_.candidates();
  const StepContext context{step, {}, true};
  SimilarityInputs in;
  if (o.one_tower) {
    const Value all = model_.queries(token_inputs(graph, rows + columns, size.queries), context);
    in.queries = slice(all, 0, 0, rows);
    in.candidates = slice(all, 0, rows, rows + columns);
  } else {
    const TokenInputs queries = token_inputs(graph, rows, size.queries, "query_"),
                      items = token_inputs(graph, columns, size.candidates, "item_");
    in.queries = model_.queries(queries, context);
    in.candidates = model_.items(items, context);
  }
  in.excluded = graph.input("excluded", {DType::F32, {rows, columns}});
  in.weights = graph.input("weights", {DType::F32, {rows}});
  if (o.pairs) {
    const int64_t pairs = batches_.listed_pairs();
    in.pairs = graph.input("pairs", {DType::I64, {pairs}});
    in.pair_labels = graph.input("pair_labels", {DType::F32, {pairs}});
    in.pair_weights = graph.input("pair_weights", {DType::F32, {pairs}});
  }
  return similarity_loss(in, config_.loss);
}

// The trainer calls seek() after start_epoch() where an epoch goes on in its middle: then the negatives of its
// beginning came with the checkpoint.
void MatchTask::start_epoch(int64_t epoch) {
  batches_.start_epoch(epoch);
  mine_for_ = negatives_ != nullptr && epoch % config_.mining.every == 0 ? epoch : -1;
  if (negatives_ != nullptr) batches_.set_negatives(negatives_->value.span<int32_t>());
}
void MatchTask::seek(const std::string& cursor) {
  const Cursor to = Cursor::parse(cursor);
  batches_.seek(to);
  if (to.row > 0) mine_for_ = -1;
}

std::vector<VariablePtr> MatchTask::state() {
  if (negatives_ == nullptr) return {};
  return {negatives_};
}

std::span<const Tensor> MatchTask::next_batch() {
  if (mine_for_ >= 0) mine(mine_for_);
  mine_for_ = -1;
  if (!batches_.next()) return {};
  return batches_.feeds();
}

void MatchTask::mine(int64_t epoch) {
  using Clock = std::chrono::steady_clock;
  const auto start = Clock::now();
  const MatchVectors v = vectors(Split::Train);
  const auto encoded = Clock::now();
  const std::vector<int32_t> found = mine_negatives(data_, batches_, v.queries, v.items, config_.mining, epoch);
  std::ranges::copy(found, negatives_->value.data<int32_t>());
  batches_.set_negatives(found);
  const auto seconds = [](Clock::duration d) { return std::chrono::duration<double>(d).count(); };
  listener_.on_message(fmt::format(
      "mined {} hard negatives for {} rows ({} not found) in {:.1f} s: {:.1f} s encoding, {:.1f} s searching",
      config_.mining.negatives, batches_.rows(), std::ranges::count(found, -1), seconds(Clock::now() - start),
      seconds(encoded - start), seconds(Clock::now() - encoded)));
}

MatchVectors MatchTask::vectors(Split split) {
  return {query_vectors_(tokens_.queries, queries_of(data_, split)), item_vectors_(tokens_.items)};
}

std::vector<NamedMetric> MatchTask::validate() {
  if (data_.pairs[static_cast<size_t>(Split::Valid)].empty()) return {};
  std::vector<NamedMetric> out;
  for (const MetricValue& m :
       match_metrics(data_, config_.evaluation, Split::Valid, vectors(Split::Valid), config_.evaluation.valid_queries))
    if (m.value && !m.name.starts_with("gini") && !m.name.starts_with("coverage")) out.push_back({m.name, *m.value});
  return out;
}

}  // namespace winnow
