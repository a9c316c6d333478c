// A finished training that is given more epochs or steps goes on as if it had had them from the start.
#include <gtest/gtest.h>

#include <atomic>

#include "core/file.h"
#include "data/synthetic.h"
#include "tests/data_files.h"
#include "train/ctr_training.h"

namespace winnow {
namespace {

const std::atomic<bool> never{false};

class TrainerResume : public ::testing::Test {
 protected:
  TrainerResume() { write_synthetic_store(store(), {.users = 60, .items = 40, .impressions = 1500}); }
  std::string store() const { return directory_.path() + "/store"; }
  std::string run(const std::string& name) const { return directory_.path() + "/" + name; }

  TrainResult train(const std::string& name, std::vector<std::string> sets, bool resume = false) const {
    sets.insert(sets.begin(), {"data.path='" + store() + "'", "train.batch_size=64", "train.monitor=logloss",
                               "model.hidden_units=[8]", "model.embedding_dim=4", "model.net_dropout=0.2"});
    const CtrConfig config({"examples/ctr/synthetic.yaml", sets});
    CtrTraining training(config, {.out = run(name), .resume = resume});
    SilentListener silent;
    return training.train(silent, never);
  }
  void expect_same(const std::string& a, const std::string& b) const {
    EXPECT_EQ(read_text(run(a) + "/model.safetensors", 1 << 26), read_text(run(b) + "/model.safetensors", 1 << 26));
    EXPECT_EQ(without_wall_time(a), without_wall_time(b));
  }
  std::string without_wall_time(const std::string& name) const {
    std::string text = read_text(run(name) + "/metrics.jsonl", 1 << 20);
    for (const char* key : {"\"seconds\":", "\"rows_per_second\":", "\"time\":"})
      for (size_t at = 0; (at = text.find(key, at)) != std::string::npos; ++at)
        text.erase(at, text.find_first_of(",}", at) - at);
    return text;
  }

 private:
  TemporaryDirectory directory_;
};

TEST_F(TrainerResume, MoreEpochsGiveTheBytesOfARunThatHadThemFromTheStart) {
  train("whole", {"train.epochs=5", "train.patience=9"});
  for (const char* epochs : {"2", "4", "5"})
    EXPECT_EQ(train("parts", {fmt::format("train.epochs={}", epochs), "train.patience=9"}, true).epochs,
              std::stoi(epochs));
  expect_same("whole", "parts");
}

TEST_F(TrainerResume, MoreStepsGoOnInTheMiddleOfAnEpoch) {
  train("whole", {"train.max_steps=47", "train.patience=9"});
  for (const char* steps : {"7", "7", "19", "31", "47"})
    EXPECT_EQ(train("parts", {fmt::format("train.max_steps={}", steps), "train.patience=9"}, true).steps,
              std::stoi(steps));
  expect_same("whole", "parts");
}

TEST_F(TrainerResume, EarlyStoppingIsNotUndone) {
  const std::vector<std::string> stops = {"train.learning_rate=1", "train.patience=1", "train.plateau_factor=1"};
  auto few = stops, many = stops;
  few.emplace_back("train.epochs=8");
  many.emplace_back("train.epochs=12");
  const TrainResult first = train("run", few);
  ASSERT_LT(first.epochs, 8) << "the training was to stop early";
  EXPECT_EQ(train("run", many, true).epochs, first.epochs);
}

TEST_F(TrainerResume, AScheduleThatEndsAtTheLastStepRefusesAnotherLength) {
  train("run", {"train.epochs=1", "train.schedule=cosine"});
  EXPECT_EQ(train("run", {"train.epochs=1", "train.schedule=cosine"}, true).epochs, 1);
  try {
    train("run", {"train.epochs=3", "train.schedule=cosine"}, true);
    FAIL() << "three epochs of a cosine schedule have other rates than one";
  } catch (const ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("train.schedule 'cosine'"), std::string::npos) << error.what();
  }
}

}  // namespace
}  // namespace winnow
