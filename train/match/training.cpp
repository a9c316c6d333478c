#include "train/match/training.h"

#include <algorithm>
#include <filesystem>

#include "core/file.h"
#include "core/safetensors.h"
#include "data/hash.h"
#include "train/checkpoint.h"
#include "train/console.h"
#include "train/ctr_training.h"
#include "train/report/recorder.h"

namespace winnow {
namespace {

// Before the data is read: a name that is taken should not cost minutes.
const MatchConfig& checked(const MatchConfig& config, const MatchTrainingOptions& options) {
  check_run_directory(options.out, options.resume);
  return config;
}

MatchVectors vectors_of(const MatchConfig& config, const MatchData& data, const DualEncoder& model, Split split) {
  const MatchTokens tokens(data, model);
  const CompileOptions& compile = config.loop.train.compile;
  return {query_vectors(model, compile)(tokens.queries, queries_of(data, split)),
          item_vectors(model, compile)(tokens.items)};
}

MatchReport evaluate(const MatchConfig& config, const MatchData& data, const DualEncoder& model, Split split) {
  WN_CHECK(!data.pairs[static_cast<size_t>(split)].empty(), DataError, "the {} split is empty: data.split says so",
           name_of(split));
  const MatchVectors vectors = vectors_of(config, data, model, split);
  if (!config.evaluation.zero_shot) return evaluate_match(config, data, split, vectors, nullptr);
  DualEncoder untrained(config.model);
  untrained.initialize(config.loop.train.seed);
  const MatchVectors before = vectors_of(config, data, untrained, split);
  return evaluate_match(config, data, split, vectors, &before);
}

constexpr const char* kHeadFile = "/model.safetensors";

void load_head(const std::string& directory, const DualEncoder& model) {
  const std::string path = directory + kHeadFile;
  const SafeTensors file = open_parameters(path);
  load_parameters(file, model.head(), path);
}

// The options of a run's config with the weights that training left.
DualEncoderOptions trained_options(const std::string& directory) {
  Config config = Config::load(directory + "/config.yaml");
  const ConfigNode root = config.root();
  DualEncoderOptions o;
  o.two_towers = root.has("item_encoder");
  o.projection = root.child("model").get("projection", o.projection);
  const auto tower = [&](const std::string& folder, const char* section) {
    TextEncoderOptions t;
    // read like the config, from the trained directory; a projection is behind what that says
    t = published_encoder_options(directory + "/" + folder);
    t.max_len = root.child(section).get("max_len", t.max_len);
    t.normalize = o.projection == 0;
    return t;
  };
  o.query = tower("encoder", "encoder");
  if (o.two_towers) o.item = tower("item_encoder", "item_encoder");
  return o;
}

uint64_t fingerprint_of(const std::string& directory) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (entry.is_regular_file()) files.push_back(entry.path().string());
  std::ranges::sort(files);
  uint64_t hash = 0;
  for (const std::string& path : files)
    hash = xxh64(MappedFile(path).text(), xxh64(path.substr(directory.size()), hash));
  return hash;
}

}  // namespace

MatchTraining::MatchTraining(const MatchConfig& config, MatchTrainingOptions options)
    : config_(checked(config, options)),
      options_(std::move(options)),
      data_(load_match_data(config_.data)),
      model_(std::make_unique<DualEncoder>(config_.model)) {}

TrainResult MatchTraining::train(TrainListener& listener, const std::atomic<bool>& stop) {
  make_directories(options_.out);
  write_atomically(options_.out + "/config.yaml", config_.resolved);
  MatchTask task(config_, data_, *model_, listener);
  RunRecorder recorder(options_.out, config_.resolved, listener);
  Trainer trainer(task, config_.loop.train, options_.out, recorder, stop);
  const TrainResult result = trainer.run(options_.resume);
  if (result.interrupted) return result;
  model_->save(options_.out);
  save_parameters(options_.out + kHeadFile, model_->head(), "match");
  return result;
}

MatchReport MatchTraining::evaluate() {
  MatchReport report = winnow::evaluate(config_, data_, *model_, options_.test ? Split::Test : Split::Valid);
  save_evaluation(options_.out, report);
  finish_run(options_.out);
  return report;
}

OpenedMatcher::OpenedMatcher(const std::string& directory) {
  const bool run = file_exists(directory + "/config.yaml");
  WN_CHECK(run || file_exists(directory + "/modules.json") || file_exists(directory + "/config.json"), IoError,
           "{}: neither a run of `winnow train match` (config.yaml) nor an encoder (modules.json, config.json)",
           directory);
  DualEncoderOptions options;
  if (run)
    options = trained_options(directory);
  else
    options.query = published_encoder_options(directory);
  model_ = std::make_unique<DualEncoder>(options);
  model_->initialize(0);
  item_fingerprint_ = fingerprint_of(run ? directory + (options.two_towers ? "/item_encoder" : "/encoder") : directory);
  if (!run) return;
  load_head(directory, *model_);
  item_fingerprint_ = xxh64(MappedFile(directory + kHeadFile).text(), item_fingerprint_);
}

MatchReport evaluate_match_run(const std::string& directory, const std::vector<std::string>& sets, Split split) {
  const MatchConfig config(CommonOptions{directory + "/config.yaml", sets});
  const MatchData data = load_match_data(config.data);
  return evaluate(config, data, OpenedMatcher(directory).model(), split);
}

}  // namespace winnow
