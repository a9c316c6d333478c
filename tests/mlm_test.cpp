// Pre-training from texts to a saved encoder: it learns, goes on where it stopped, and is what it was when opened
// again.
#include <gtest/gtest.h>

#include <atomic>
#include <cmath>

#include "core/file.h"
#include "core/rng.h"
#include "models/fill_mask.h"
#include "tests/data_files.h"
#include "tests/error_text.h"
#include "train/ctr_training.h"
#include "train/mlm_training.h"

namespace winnow {
namespace {

const std::atomic<bool> never{false};

// Sentences whose last word follows from the first: what a model can learn.
class Mlm : public ::testing::Test {
 protected:
  Mlm() {
    Rng rng(4);
    std::string text;
    const char* pairs[][2] = {{"red", "cherry"}, {"green", "leaf"}, {"blue", "sea"}, {"white", "snow"}};
    const char* verbs[] = {"looks like", "is as", "seems a", "was some", "means"};
    const char* things[] = {"bag", "shirt", "hat", "lamp", "cup", "mat", "box", "pen"};
    for (int i = 0; i < 600; ++i) {
      const auto& pair = pairs[rng.below(4)];
      text += fmt::format("{} {} {} {} {}\n", pair[0], things[rng.below(8)], verbs[rng.below(5)], pair[1],
                          things[rng.below(8)]);
    }
    folder_.write("texts.txt", text);
    folder_.write("mlm.yaml", R"(job: mlm
data: {sources: [{file: texts.txt}], valid: 0.1}
encoder: {hidden_size: 32, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 64, max_len: 24,
  max_position_embeddings: 32}
tokenizer: {train: {type: bpe, vocab_size: 110}}
train: {epochs: 2, batch_size: 64, max_tokens: 256, learning_rate: 0.01}
)");
  }
  std::string path(const std::string& name) const { return folder_.path() + "/" + name; }
  MlmConfig config(const std::string& run, std::vector<std::string> sets = {}) const {
    sets.insert(sets.begin(), "data.path='" + folder_.path() + "'");
    return MlmConfig({path("mlm.yaml"), sets}, path(run));
  }
  TrainResult train(const std::string& run, const std::vector<std::string>& sets = {}, bool resume = false) const {
    SilentListener silent;
    MlmTraining training(config(run, sets), {.out = path(run), .resume = resume});
    const TrainResult result = training.train(silent, never);
    training.evaluate();
    return result;
  }
  std::string weights(const std::string& run) const {
    return read_text(path(run) + "/encoder/model.safetensors", 1 << 26);
  }

 private:
  TemporaryDirectory folder_;
};

TEST_F(Mlm, LearnsWhatFollowsFromTheRestOfTheText) {
  SilentListener silent;
  MlmTraining training(config("run", {"train.epochs=25"}), {.out = path("run")});
  training.train(silent, never);
  const MlmReport report = training.evaluate();
  ASSERT_TRUE(report.score);
  EXPECT_GT(report.score->masked, 20);
  EXPECT_NEAR(report.score->perplexity, std::exp(report.score->loss), 1e-9);
  EXPECT_LT(report.score->perplexity, 20) << "of 110 pieces";
  EXPECT_GT(report.score->accuracy, 0.2);

  const auto model = open_masked_lm(path("run"));
  int right = 0;
  for (const auto& [first, last] :
       {std::pair{"red", "cherry"}, {"green", "leaf"}, {"blue", "sea"}, {"white", "snow"}}) {
    const auto masks = fill_mask(*model, fmt::format("{} bag looks like [MASK] hat", first), 3);
    ASSERT_EQ(masks.size(), 1u);
    ASSERT_EQ(masks[0].size(), 3u);
    EXPECT_GE(masks[0][0].probability, masks[0][1].probability);
    right += masks[0][0].text.find(last) != std::string::npos ? 1 : 0;
  }
  EXPECT_GE(right, 3);
}

TEST_F(Mlm, PartsOfATrainingGiveTheBytesOfTheWhole) {
  const std::vector<std::string> sets = {"train.accumulate_steps=2", "train.schedule=constant",
                                         "train.warmup_fraction=0"};
  auto with = [&](const std::string& more) {
    auto all = sets;
    all.push_back(more);
    return all;
  };
  const int64_t steps = train("whole", with("train.epochs=2")).steps;
  ASSERT_GT(steps, 10);
  for (const int64_t at : {int64_t{3}, steps / 2, steps - 2})
    train("parts", with(fmt::format("train.max_steps={}", at)), true);
  EXPECT_EQ(train("parts", with("train.epochs=2"), true).steps, steps);
  EXPECT_EQ(weights("parts"), weights("whole"));
}

TEST_F(Mlm, AnOpenedModelScoresWhatTheTrainedOneScored) {
  SilentListener silent;
  MlmTraining training(config("run"), {.out = path("run")});
  training.train(silent, never);
  const double want = training.evaluate().score->loss;
  const MlmConfig further(
      {path("mlm.yaml"),
       {"data.path='" + path("") + "'", "tokenizer=null", "encoder={path: '" + path("run/encoder") + "'}"}},
      path("further"));
  const MlmTraining opened(further, {.out = path("further")});
  opened.model().initialize(5);
  EXPECT_TRUE(opened.model().has_published_head());
  MlmScorer scorer(opened.model(), opened.corpus().valid, further.masking, further.batches, {});
  EXPECT_EQ(scorer.run().loss, want);
}

TEST_F(Mlm, ConfigsThatCannotWorkAreErrors) {
  const auto error = [&](const std::vector<std::string>& sets) {
    return text_of<ConfigError>([&] { config("x", sets); });
  };
  EXPECT_NE(error({"train.max_tokens=10"}).find("must hold a row of encoder.max_len 24"), std::string::npos);
  EXPECT_NE(error({"train.embedding_optimizer=adam"}).find("embedding_optimizer"), std::string::npos);
  EXPECT_NE(error({"train.monitor=auc"}).find("perplexity"), std::string::npos);
  EXPECT_NE(error({"masking.mask=0.95"}).find("more than 1"), std::string::npos);
  EXPECT_NE(error({"data.valid=0", "train.monitor=loss"}).find("none"), std::string::npos);
  train("taken");
  EXPECT_NE(text_of<ConfigError>([&] { train("taken"); }).find("--resume"), std::string::npos);
  const auto model = open_masked_lm(path("taken"));
  EXPECT_NE(text_of<ConfigError>([&] { fill_mask(*model, "no mask here", 3); }).find("[MASK]"), std::string::npos);
}

}  // namespace
}  // namespace winnow
