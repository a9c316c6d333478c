#include "train/mlm_training.h"

#include <algorithm>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/parallel.h"
#include "train/checkpoint.h"
#include "train/report/recorder.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

LoopOptions defaults() {
  LoopOptions loop = fine_tuning_defaults(1024, TrainOptions{}.epochs, 5e-4);
  loop.train.patience = 5;
  return loop;
}

SentencePieceTraining read_tokenizer_training(const ConfigNode& n) {
  SentencePieceTraining t;
  t.bpe = n.choice("type", "unigram", {"unigram", "bpe"}) == "bpe";
  t.vocab_size = n.get("vocab_size", t.vocab_size, between(8, 1 << 22));
  t.character_coverage = n.get("character_coverage", t.character_coverage, between(0.98, 1));
  t.max_sentences = n.get("max_sentences", t.max_sentences, at_least(0));
  t.byte_fallback = n.get("byte_fallback", t.byte_fallback);
  t.seed = n.get("seed", t.seed);
  return t;
}

std::string tokenizer_of(const std::string& out) { return out + "/tokenizer/spiece.model"; }

const MlmConfig& checked(const MlmConfig& config, const MlmTrainingOptions& options) {
  check_run_directory(options.out, options.resume);
  return config;
}

Json counts_json(const Corpus& corpus) {
  const CorpusCounts& c = corpus.counts;
  return {{"rows", c.rows},
          {"without_text", c.empty},
          {"duplicates", c.duplicates},
          {"train", {{"documents", c.train}, {"rows", corpus.train.rows()}, {"tokens", corpus.train.ids.size()}}},
          {"valid", {{"documents", c.valid}, {"rows", corpus.valid.rows()}, {"tokens", corpus.valid.ids.size()}}}};
}

}  // namespace

MlmConfig::MlmConfig(const CommonOptions& options, const std::string& out) {
  Config config = Config::load(options.config);
  for (const std::string& set : options.sets) config.apply_override(set);
  {
    Config given = Config::load(options.config);
    for (const std::string& set : options.sets) given.apply_override(set);
    if (given.root().child("tokenizer").has("train"))
      config.apply_override("encoder.tokenizer=" + Json(tokenizer_of(out)).dump());
  }
  const ConfigNode root = config.root();
  root.choice("job", "mlm", {"mlm"});
  corpus = read_corpus_options(root.child("data"));
  const ConfigNode encoder_node = root.child("encoder");
  if (root.child("tokenizer").has("train")) {
    const ConfigNode node = root.child("tokenizer").child("train");
    if (encoder_node.has("path")) node.fail("published weights (encoder.path) have a tokenizer of their own");
    tokenizer = read_tokenizer_training(node);
  }
  encoder = read_text_encoder_options(encoder_node);
  masking = read_masking_options(root.child("masking"));
  const ConfigNode train = root.child("train");
  const Monitors monitors =
      corpus.valid > 0 ? Monitors{"loss", {"accuracy"}, {"loss", "perplexity"}} : Monitors{"none", {}, {}};
  loop = read_train_options(train, monitors, defaults(), false);
  batches.batch_size = loop.batch_size;
  batches.max_tokens = train.get<int64_t>("max_tokens", 4096, at_least(0));
  batches.by_length = train.get("by_length", true);
  batches.forms = static_cast<int>(train.get<int64_t>("forms", 16, between(1, 64)));
  batches.seed = loop.train.seed;
  if (batches.max_tokens > 0 && batches.max_tokens < encoder.max_len)
    train.fail("max_tokens", fmt::format("a batch must hold a row of encoder.max_len {}", encoder.max_len));
  config.finish();
  resolved = config.emit();
}

// On the documents that training sees, a line each.
void MlmTraining::train_tokenizer(const std::function<void(const std::string&)>& message) const {
  const std::string model = tokenizer_of(options_.out);
  if (options_.resume && file_exists(model)) return;
  if (message) message("training the tokenizer");
  make_directories(parent_directory(model));
  const std::string lines = options_.out + "/tokenizer/corpus.txt";
  {
    AtomicFile file(lines);
    std::string line;
    for_each_document(config_.corpus, [&](std::string_view text, bool valid) {
      if (valid) return;
      line = text;
      std::ranges::replace(line, '\n', ' ');
      std::ranges::replace(line, '\r', ' ');
      file.write(line + "\n");
    });
    file.commit();
  }
  SentencePieceTraining training = *config_.tokenizer;
  training.inputs = {lines};
  training.output = model;
  training.threads = num_threads();
  train_sentencepiece(training);
  std::remove(lines.c_str());
}

MlmTraining::MlmTraining(const MlmConfig& config, MlmTrainingOptions options,
                         const std::function<void(const std::string&)>& message)
    : config_(checked(config, options)), options_(std::move(options)) {
  make_directories(options_.out);
  if (config_.tokenizer) train_tokenizer(message);
  model_ = std::make_unique<MaskedLm>(config_.encoder);
  if (message) message("reading the corpus");
  corpus_ = load_corpus(config_.corpus, model_->encoder().tokenizer(), config_.encoder.max_len);
  if (config_.loop.train.compile.arena == nullptr) config_.loop.train.compile.arena = std::make_shared<Arena>();
  task_ = std::make_unique<MlmTask>(*model_, corpus_, config_.masking, config_.batches, config_.loop.train.compile);
}

TrainResult MlmTraining::train(TrainListener& listener, const std::atomic<bool>& stop) {
  write_atomically(options_.out + "/config.yaml", config_.resolved);
  write_atomically(options_.out + "/data_report.json", counts_json(corpus_).dump(1) + "\n");
  TrainOptions options = config_.loop.train;
  if (corpus_.valid.rows() == 0) options.monitor.clear();
  RunRecorder recorder(options_.out, config_.resolved, listener);
  Trainer trainer(*task_, options, options_.out, recorder, stop);
  const TrainResult result = trainer.run(options_.resume);
  if (!result.interrupted) model_->save(options_.out + "/encoder");
  return result;
}

MlmReport MlmTraining::evaluate() {
  MlmReport report;
  report.rows = corpus_.valid.rows();
  if (report.rows > 0) report.score = task_->score();
  write_atomically(options_.out + "/evaluation.json", report.json() + "\n");
  finish_run(options_.out);
  return report;
}

std::string MlmReport::str() const {
  if (!score) return "no validation rows (data.valid 0): nothing was measured\n";
  return fmt::format("validation: {} rows, {} masked tokens: loss {:.4f}, perplexity {:.3f}, accuracy {:.4f}\n", rows,
                     score->masked, score->loss, score->perplexity, score->accuracy);
}

std::string MlmReport::json() const {
  Json metrics = Json::object();
  if (score)
    for (const NamedMetric& m : score->metrics()) metrics[m.name] = {{"value", m.value}};
  return Json{{"model", "masked language model"},
              {"split", "valid"},
              {"rows", rows},
              {"masked_tokens", score ? score->masked : 0},
              {"metrics", metrics}}
      .dump(1);
}

}  // namespace winnow
