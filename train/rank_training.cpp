#include "train/rank_training.h"

#include <algorithm>
#include <numeric>

#include "core/file.h"
#include "core/safetensors.h"
#include "train/checkpoint.h"
#include "train/rank_task.h"
#include "train/report/recorder.h"

namespace winnow {
namespace {

// Before the data is read: a name that is taken should not cost minutes.
const RankConfig& checked(const RankConfig& config, const RankTrainingOptions& options) {
  check_run_directory(options.out, options.resume);
  return config;
}

std::unique_ptr<RankModel> make_model(const RankConfig& config, int64_t width, int64_t thresholds) {
  if (config.texts()) return std::make_unique<CrossEncoder>(config.cross_encoder, thresholds);
  return make_feature_ranker(width, config.features, thresholds);
}

// What model.safetensors holds: all but the encoder, which has a directory of its own.
std::vector<Parameter> own_parameters(const RankModel& model) {
  std::vector<Parameter> own = model.parameters();
  std::erase_if(own, [](const Parameter& p) { return p.name().starts_with("encoder."); });
  return own;
}

// The config of a run whose encoder lies in its directory.
RankConfig config_of_run(const std::string& directory, const std::vector<std::string>& sets) {
  RankConfig config(CommonOptions{directory + "/config.yaml", sets});
  if (config.texts()) {
    TextEncoderOptions& encoder = config.cross_encoder.encoder;
    encoder.path = directory + "/encoder";
    encoder.tokenizer.clear();
  }
  return config;
}

}  // namespace

RankTraining::RankTraining(const RankConfig& config, RankTrainingOptions options)
    : config_(checked(config, options)),
      options_(std::move(options)),
      data_(load_ranking_data(config_.schema)),
      model_(make_model(config_, data_.width(), thresholds_of(config_.loss, data_.split(Split::Train).rows))) {}

TrainResult RankTraining::train(TrainListener& listener, const std::atomic<bool>& stop) {
  make_directories(options_.out);
  write_atomically(options_.out + "/config.yaml", config_.resolved);
  RankTask task(data_, config_, *model_, config_.loop.train.seed);
  RunRecorder recorder(options_.out, config_.resolved, listener);
  Trainer trainer(task, config_.loop.train, options_.out, recorder, stop);
  const TrainResult result = trainer.run(options_.resume);
  if (result.interrupted) return result;
  if (const auto* texts = dynamic_cast<const CrossEncoder*>(model_.get()))
    texts->encoder().save(options_.out + "/encoder");
  else
    data_.map.save(options_.out + "/feature_map.json");
  save_parameters(options_.out + "/model.safetensors", own_parameters(*model_), config_.model_name);
  return result;
}

RankReport RankTraining::evaluate() {
  const Split split = options_.test ? Split::Test : Split::Valid;
  RankPredictor predictor(*model_, data_.split(split), data_.width(), config_.loop.train.compile);
  RankReport report = evaluate_ranking(config_, data_, *model_, predictor.scores(), split);
  save_evaluation(options_.out, report);
  finish_run(options_.out);
  return report;
}

OpenedRankRun::OpenedRankRun(const std::string& directory, const std::vector<std::string>& sets)
    : config_(config_of_run(directory, sets)) {
  const std::string path = directory + "/model.safetensors";
  const SafeTensors file = open_parameters(path);
  if (!config_.texts()) map_ = FeatureMap::load(directory + "/feature_map.json");
  map_.index();
  const TensorSpec* thresholds = file.spec("thresholds");
  model_ = make_model(config_, map_.dense_width(), thresholds == nullptr ? 0 : thresholds->shape.numel());
  model_->initialize(config_.loop.train.seed);
  load_parameters(file, own_parameters(*model_), path);
}

RankReport OpenedRankRun::evaluate(Split split) const {
  const RankingData data = load_ranking_data(config_.schema, config_.texts() ? nullptr : &map_);
  RankPredictor predictor(*model_, data.split(split), data.width(), config_.loop.train.compile);
  return evaluate_ranking(config_, data, *model_, predictor.scores(), split);
}

OpenedRankRun::Scored OpenedRankRun::score(const RankingSource& source) const {
  const RankingSplit split = load_ranking_table(config_.schema, source, map_);
  const std::vector<float> scores =
      RankPredictor(*model_, split, map_.dense_width(), config_.loop.train.compile).scores();
  Scored out;
  out.queries.resize(scores.size());
  out.ranks.resize(scores.size());
  out.scores.resize(scores.size());
  std::vector<int64_t> order;
  for (size_t q = 0; q < split.rows.queries.size(); ++q) {
    order.resize(static_cast<size_t>(split.rows.offsets[q + 1] - split.rows.offsets[q]));
    std::iota(order.begin(), order.end(), split.rows.offsets[q]);
    std::ranges::stable_sort(order, std::greater{}, [&](int64_t r) { return scores[static_cast<size_t>(r)]; });
    for (size_t rank = 0; rank < order.size(); ++rank) {
      const auto r = static_cast<size_t>(order[rank]), to = static_cast<size_t>(split.rows.source_rows[r]);
      out.queries[to] = split.rows.queries[q];
      out.ranks[to] = static_cast<int64_t>(rank) + 1;
      out.scores[to] = scores[r];
    }
  }
  return out;
}

}  // namespace winnow
