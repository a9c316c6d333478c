// Jobs of many threads through one computing thread: each gets its own rows' bits, and what cannot be computed in time
// is refused or told.
#include "serve/score_queue.h"

#include <gtest/gtest.h>

#include <future>
#include <latch>

#include "data/synthetic.h"
#include "tests/data_files.h"
#include "tests/error_text.h"
#include "train/run.h"

namespace winnow {
namespace {

using namespace std::chrono_literals;

class ScoreQueueTest : public ::testing::Test {
 protected:
  ScoreQueueTest() {
    const std::string store = directory_.path() + "/store", run = directory_.path() + "/run";
    write_synthetic_store(store, {.users = 60, .items = 40, .impressions = 3000, .pictures = 0});
    const CtrConfig config(CommonOptions{
        "examples/ctr/synthetic.yaml", {"data.path='" + store + "'", "model.name=DeepFM", "model.hidden_units=[32]"}});
    const Dataset dataset = load_dataset(config.schema);
    const auto model = make_ctr_model(ctr_spec(dataset.map), config.model);
    model->initialize(3);
    save_run(run, config, dataset, *model);
    served_ = std::make_shared<const ServedModel>(run, "store", 1, ClickPredictorOptions{{1, 16, 64}}, 2);
    other_ = std::make_shared<const ServedModel>(run, "store", 2, ClickPredictorOptions{{1, 16, 64}}, 2);
    EncodedRow row;
    std::vector<EncodedRow> rows;
    for (int64_t u = 0; u < served_->catalogue->users(); ++u)
      for (int64_t i = 0; i < served_->catalogue->items(); ++i) served_->catalogue->row(u, i, row), rows.push_back(row);
    expected_.resize(rows.size());
    served_->predictor().logits(rows, expected_);
  }
  // A job that scores all items for a user.
  std::unique_ptr<ScoreJob> job(ScoreQueue& queue, int64_t user, std::shared_ptr<const ServedModel> model) {
    auto job = queue.job();
    job->model = std::move(model);
    job->resize(static_cast<size_t>(served_->catalogue->items()));
    for (size_t i = 0; i < job->rows().size(); ++i)
      served_->catalogue->row(user, static_cast<int64_t>(i), job->rows()[i]);
    return job;
  }
  TemporaryDirectory directory_;
  std::shared_ptr<const ServedModel> served_, other_;
  std::vector<float> expected_;
};

TEST_F(ScoreQueueTest, ManyThreadsGetTheBitsOfTheirOwnRows) {
  ScoreQueue queue({.threads = 2, .batch_rows = 128, .max_wait = 60s});
  std::atomic<int64_t> right = 0, wrong = 0;
  constexpr int kThreads = 6, kEach = 40;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t)
    threads.emplace_back([&, t] {
      for (int n = 0; n < kEach; ++n) {
        const int64_t user = (t * 31 + n * 7) % served_->catalogue->users();
        auto one = job(queue, user, n % 3 == 0 ? other_ : served_);
        std::promise<void> finished;
        one->done = [&, user](ScoreJob& j, ScoreOutcome outcome) {
          const size_t items = j.logits().size();
          const auto wanted = std::span(expected_).subspan(static_cast<size_t>(user) * items, items);
          ++(outcome == ScoreOutcome::Scored && std::ranges::equal(j.logits(), wanted) ? right : wrong);
          finished.set_value();
        };
        ASSERT_TRUE(queue.submit(one));
        finished.get_future().wait();
      }
    });
  for (auto& t : threads) t.join();
  EXPECT_EQ(right, kThreads * kEach);
  EXPECT_EQ(wrong, 0);
  const ScoreCounts counts = queue.counts();
  EXPECT_EQ(counts.jobs, kThreads * kEach);
  EXPECT_EQ(counts.rows, kThreads * kEach * served_->catalogue->items());
  EXPECT_EQ(counts.waiting_rows, 0);
  EXPECT_GT(counts.row_microseconds, 0);
}

TEST_F(ScoreQueueTest, JobsThatWaitTogetherShareABatch) {
  std::promise<void> entered, leave;
  std::latch all(6);
  ScoreQueue queue({.threads = 1, .scorers = 1, .batch_rows = 128, .max_wait = 60s});
  auto first = job(queue, 0, served_);
  first->done = [&](ScoreJob&, ScoreOutcome) { entered.set_value(), leave.get_future().wait(); };
  ASSERT_TRUE(queue.submit(first));
  entered.get_future().wait();  // the computing thread is held
  for (int n = 0; n < 6; ++n) {
    auto more = job(queue, n, served_);
    more->done = [&](ScoreJob&, ScoreOutcome) { all.count_down(); };
    ASSERT_TRUE(queue.submit(more));
  }
  leave.set_value();
  all.wait();
  EXPECT_EQ(queue.counts().batches, 1 + 2) << "three jobs of 40 rows fit 128";
}

TEST_F(ScoreQueueTest, WhatCannotBeInTimeIsRefusedOrTold) {
  std::promise<void> entered, leave;
  std::promise<ScoreOutcome> outcome;
  std::atomic<int> told = 0;
  ScoreQueue queue({.threads = 1, .scorers = 1, .max_wait = 1ms});
  auto first = job(queue, 0, served_);
  first->done = [&](ScoreJob&, ScoreOutcome) { entered.set_value(), leave.get_future().wait(); };
  ASSERT_TRUE(queue.submit(first));
  entered.get_future().wait();  // the computing thread is held: what comes now waits
  auto late = job(queue, 1, served_);
  late->done = [&](ScoreJob&, ScoreOutcome o) { outcome.set_value(o); };
  int64_t refused = 0;
  std::chrono::steady_clock::time_point deadline;
  for (auto time = 20ms;; time *= 2, ++refused) {  // again where this thread itself was held up until it was too late
    deadline = late->deadline = std::chrono::steady_clock::now() + time;
    if (queue.submit(late)) break;
    ASSERT_LT(time, 60s);
  }
  auto past = job(queue, 1, served_);
  past->deadline = std::chrono::steady_clock::now() - 1ms;
  past->done = [&](ScoreJob&, ScoreOutcome) { ADD_FAILURE() << "a refused job was told"; };
  EXPECT_FALSE(queue.submit(past));
  ASSERT_NE(past, nullptr);
  ++refused;
  bool is_full = false;
  for (int n = 0; n < 10000 && !is_full; ++n) {
    auto more = job(queue, 2, served_);
    more->done = [&](ScoreJob&, ScoreOutcome) { ++told; };
    if (queue.submit(more)) continue;
    ++refused;
    is_full = true;
  }
  EXPECT_TRUE(is_full);
  std::this_thread::sleep_until(deadline + 1ms);
  leave.set_value();
  EXPECT_EQ(outcome.get_future().get(), ScoreOutcome::Expired);
  while (queue.counts().waiting_rows > 0) std::this_thread::sleep_for(1ms);
  EXPECT_EQ(queue.counts().expired, 1);
  EXPECT_EQ(queue.counts().refused, refused);
}

TEST_F(ScoreQueueTest, FailuresAndTheEndAreTold) {
  std::promise<std::string> error;
  std::promise<void> entered, leave;
  std::atomic<int> expired = 0;
  std::thread release;
  {
    ScoreQueue queue({.threads = 1, .scorers = 1, .max_wait = 60s});
    auto bad = job(queue, 0, served_);
    bad->rows()[3].lengths.clear();
    bad->done = [&](ScoreJob& j, ScoreOutcome o) { error.set_value(o == ScoreOutcome::Failed ? j.error : ""); };
    ASSERT_TRUE(queue.submit(bad));
    EXPECT_NE(error.get_future().get().find("row 3 has 0 fields"), std::string::npos);
    auto first = job(queue, 0, served_);
    first->done = [&](ScoreJob&, ScoreOutcome) { entered.set_value(), leave.get_future().wait(); };
    ASSERT_TRUE(queue.submit(first));
    entered.get_future().wait();
    for (int n = 0; n < 3; ++n) {
      auto more = job(queue, 0, served_);
      more->done = [&](ScoreJob&, ScoreOutcome o) { expired += o == ScoreOutcome::Expired; };
      ASSERT_TRUE(queue.submit(more));
    }
    EXPECT_THROW(ScoreQueue({.batch_rows = 0}), ConfigError);
    release = std::thread([&] {  // once the queue is at its end, and so takes no job
      while (!queue.is_full()) std::this_thread::sleep_for(1ms);
      leave.set_value();
    });
  }
  release.join();
  EXPECT_EQ(expired, 3);
}

}  // namespace
}  // namespace winnow
