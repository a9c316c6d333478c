// Tables whose rows lie in host memory, on the emulated device: the bits of the same training with all rows there.
#include <gtest/gtest.h>

#include "core/cuda/emulation/options.h"
#include "tests/cached_training.h"

namespace winnow {
namespace {

class CachedProgramTest : public testing::Test {
 protected:
  void TearDown() override {
    EXPECT_TRUE(emulation::reports().empty());
    emulation::options() = {};
  }
};

constexpr Device kCuda{Device::CUDA, 0};

TEST_F(CachedProgramTest, TrainingHasTheBitsOfAllRowsOnTheDevice) {
  for (const char* optimizer : {"adagrad", "adam_lazy", "ftrl", "rowwise_adagrad"}) {
    for (const bool bags : {false, true}) {
      CachedClicks whole{.optimizer = optimizer, .bags = bags, .device = kCuda}, cached = whole;
      const ClickOutcome expected = train_clicks(whole);
      cached.cache_rows = most_rows(bags, cached.steps);
      for (const CachePolicy policy : {CachePolicy::Lru, CachePolicy::Lfu}) {
        cached.policy = policy;
        const ClickOutcome found = train_clicks(cached);
        EXPECT_EQ(expected.losses, found.losses) << optimizer;
        EXPECT_EQ(expected.tensors, found.tensors) << optimizer;
        EXPECT_GT(found.fewest_out, 0) << "every step evicts";
        EXPECT_GT(found.counts->hits, 0);
      }
    }
  }
}

// By another program, on another stream.
TEST_F(CachedProgramTest, PredictionsBetweenStepsSeeTheRowsAsTheyAre) {
  CachedClicks whole{.optimizer = "adam_lazy", .predict_every = 2, .device = kCuda}, cached = whole;
  cached.cache_rows = most_rows(false, cached.steps);
  const ClickOutcome expected = train_clicks(whole), found = train_clicks(cached);
  EXPECT_EQ(expected.predictions, found.predictions);
  EXPECT_EQ(expected.losses, found.losses);
  EXPECT_EQ(expected.tensors, found.tensors);
  EXPECT_GT(found.counts->bytes_out, 0);
}

// The host prepares the next batch while the device works: rows on their way back are wanted again at once.
TEST_F(CachedProgramTest, RowsOfStepsInFlightStayInOrder) {
  CachedClicks whole{.waits = false, .steps = 12, .device = kCuda}, cached = whole;
  const ClickOutcome expected = train_clicks(whole);
  cached.cache_rows = most_rows(false, cached.steps);
  for (const auto streams :
       {emulation::StreamMode::Lazy, emulation::StreamMode::Eager, emulation::StreamMode::Random}) {
    emulation::options().streams = streams;
    const ClickOutcome found = train_clicks(cached);
    EXPECT_EQ(expected.tensors, found.tensors) << static_cast<int>(streams);
    EXPECT_GT(found.fewest_out, 0);
  }
  emulation::options() = {};
  emulation::options().drop_event_waits = true;  // then rows are read in host memory before they came back
  EXPECT_NE(expected.tensors, train_clicks(cached).tensors);
}

// As the trainer does: the next batch's rows change places with those of the step that is under way.
TEST_F(CachedProgramTest, BatchesFedWhileAStepIsUnderWayTrainAsWithoutOne) {
  for (const bool waits : {false, true}) {
    CachedClicks whole{.optimizer = "adam_lazy", .waits = waits, .steps = 12, .device = kCuda}, cached = whole;
    const ClickOutcome expected = train_clicks(whole);
    cached.cache_rows = most_rows(false, cached.steps);
    cached.ahead = true;
    for (const auto streams :
         {emulation::StreamMode::Lazy, emulation::StreamMode::Eager, emulation::StreamMode::Random}) {
      emulation::options().streams = streams;
      const ClickOutcome found = train_clicks(cached);
      EXPECT_EQ(expected.losses, found.losses) << static_cast<int>(streams);
      EXPECT_EQ(expected.tensors, found.tensors) << static_cast<int>(streams);
      EXPECT_GT(found.counts->bytes_out, 0);
    }
    emulation::options() = {};
  }
}

// The trainer feeds ahead on devices alone.
TEST_F(CachedProgramTest, CheckpointsAndTheirResumeAreThoseWithoutACache) {
  set_default_device(kCuda);
  expect_same_checkpoints({.optimizer = "adam_lazy", .cache_rows = most_rows(false, 9), .device = kCuda});
  set_default_device({});
}

}  // namespace
}  // namespace winnow
