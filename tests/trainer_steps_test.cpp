// What a step of the trainer is: batches of several forms, several batches of one update, and the rate it takes.
#include <gtest/gtest.h>

#include <atomic>

#include "tests/data_files.h"
#include "tests/error_text.h"
#include "tests/toy_task.h"
#include "train/schedule.h"

namespace winnow {
namespace {

const std::atomic<bool> never{false};

class Steps : public ::testing::Test {
 protected:
  TrainOptions options() const {
    TrainOptions o;
    o.epochs = 3;
    o.monitor = "";
    o.schedule.learning_rate = 0.05;
    o.optimizer.clip_norm = 1;
    return o;
  }
  TrainResult train(ToyTask& task, const TrainOptions& options, const std::string& name = "run", bool resume = false) {
    const std::string run = directory_.path() + "/" + name;
    std::filesystem::create_directories(run);
    SilentListener silent;
    return Trainer(task, options, run, silent, never).run(resume);
  }
  void expect_near(const std::vector<float>& a, const std::vector<float>& b) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i) EXPECT_NEAR(a[i], b[i], 2e-6) << i;
  }

 private:
  TemporaryDirectory directory_;
};

TEST_F(Steps, FormsArePaddingAndNothingElse) {
  ToyTask several, one({.forms = {16}});
  train(several, options(), "several");
  train(one, options(), "one");
  expect_near(several.weights(), one.weights());
}

TEST_F(Steps, SeveralFormsResumeToTheSameBytes) {
  for (const int64_t batches : {1, 4}) {
    TrainOptions o = options();
    o.accumulate_steps = batches;
    ToyTask whole({.dropout = 0.2});
    const int64_t steps = train(whole, o, fmt::format("whole{}", batches)).steps;
    EXPECT_EQ(steps, 3 * ((9 + batches - 1) / batches));
    const std::string parts = fmt::format("parts{}", batches);
    std::vector<float> weights;
    for (int64_t at = 1; at <= steps; at += 2) {
      ToyTask part({.dropout = 0.2});
      o.max_steps = std::min(at, steps);
      train(part, o, parts, true);
      weights = part.weights();
    }
    if (o.max_steps < steps) {
      ToyTask part({.dropout = 0.2});
      o.max_steps = steps;
      train(part, o, parts, true);
      weights = part.weights();
    }
    EXPECT_EQ(weights, whole.weights()) << batches << " batches an update";
  }
}

// 3 + 7 + 6 rows of three batches weigh as those of one batch of 16: means of means would not.
TEST_F(Steps, AnUpdateOfSeveralBatchesIsThatOfTheirRowsTogether) {
  for (const char* optimizer : {"sgd", "adamw"}) {
    TrainOptions o = options();
    o.optimizer.name = optimizer;
    ToyTask together({.forms = {16}, .rows = {16}, .batches = 5}), apart({.rows = {3, 7, 6}, .batches = 15});
    const int64_t steps = train(together, o, fmt::format("together-{}", optimizer)).steps;
    o.accumulate_steps = 3;
    EXPECT_EQ(train(apart, o, fmt::format("apart-{}", optimizer)).steps, steps);
    expect_near(together.weights(), apart.weights());
  }
}

TEST_F(Steps, TheLastUpdateOfAnEpochTakesWhatIsLeft) {
  TrainOptions o = options();
  o.accumulate_steps = 4;
  ToyTask uneven({.forms = {8}, .rows = {8}, .batches = 5}), even({.forms = {8, 32}, .rows = {32, 8}, .batches = 2});
  train(uneven, o, "uneven");
  o.accumulate_steps = 1;
  train(even, o, "even");
  expect_near(uneven.weights(), even.weights());
}

TEST_F(Steps, AGradientThatIsNotFiniteDoesNotReachTheNextUpdate) {
  TrainOptions o = options();
  o.accumulate_steps = 3;
  ToyTask poisoned({.poison = 1});
  EXPECT_NE(text_of<Error>([&] { train(poisoned, o, "stops"); }).find("not finite at step 1"), std::string::npos);
  o.skip_nonfinite = true;
  ToyTask skipping({.poison = 1});
  EXPECT_EQ(train(skipping, o, "skips").steps, 9);
  for (const float w : skipping.weights()) EXPECT_TRUE(std::isfinite(w));
}

TEST_F(Steps, AnotherNumberOfBatchesAnUpdateIsRefusedAtResume) {
  TrainOptions o = options();
  ToyTask task;
  o.max_steps = 2;
  train(task, o, "run");
  o.accumulate_steps = 2;
  EXPECT_NE(text_of<Error>([&] { train(task, o, "run", true); }).find("train.accumulate_steps 1, this run has 2"),
            std::string::npos);
}

TEST(Schedule, AWarmUpByFractionIsThatShareOfAllSteps) {
  ScheduleOptions fraction{.name = "linear", .learning_rate = 1, .warmup_fraction = 0.1},
      steps{.name = "linear", .learning_rate = 1, .warmup_steps = 20};
  for (const int64_t step : {1, 10, 19, 20, 21, 110, 200})
    EXPECT_EQ(scheduled_rate(fraction, step, 200), scheduled_rate(steps, step, 200)) << step;
  EXPECT_DOUBLE_EQ(scheduled_rate(fraction, 10, 200), 0.5);
  EXPECT_DOUBLE_EQ(scheduled_rate(fraction, 20, 200), 1);
  EXPECT_DOUBLE_EQ(scheduled_rate(fraction, 110, 200), 0.5);
  EXPECT_DOUBLE_EQ(scheduled_rate(fraction, 200, 200), 0);
  fraction.name = "constant";
  EXPECT_TRUE(depends_on_total(fraction));
}

}  // namespace
}  // namespace winnow
