// Rows of many requests, scored by one thread: what waits together shares batches, and what waits in vain is let go.
//
//   ScoreQueue queue({.threads = 2});
//   auto job = queue.job();                       // recycled: no allocation once warm
//   job->model = model; job->resize(100); ... encode into job->rows() ...
//   job->done = [](ScoreJob& job, ScoreOutcome outcome) { ... job.logits() ... };
//   if (!queue.submit(std::move(job))) -> 503, Retry-After
//
// Admission: a job is refused when what is waiting would keep it longer than max_wait, by the measured time of a row,
// or when it cannot be computed before its deadline. So an overload is answered at once and what was accepted stays
// quick.
#pragma once
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "serve/served_model.h"

namespace winnow {

enum class ScoreOutcome : uint8_t { Scored, Expired, Failed };  // Expired: its deadline passed before it was computed

class ScoreJob {
 public:
  std::shared_ptr<const ServedModel> model;  // whose feature map encoded the rows
  std::chrono::steady_clock::time_point deadline = std::chrono::steady_clock::time_point::max();
  // Called once, on the computing thread, which should not be kept. error: of Failed.
  std::function<void(ScoreJob&, ScoreOutcome)> done;
  std::string error;

  void resize(size_t rows);  // rows keep their memory
  std::span<EncodedRow> rows() { return std::span(rows_).first(count_); }
  std::span<float> logits() { return std::span(logits_).first(count_); }

 private:
  friend class ScoreQueue;
  std::vector<EncodedRow> rows_;
  std::vector<float> logits_;
  size_t count_ = 0;
};

struct ScoreQueueOptions {
  int threads = 0;           // of the computing thread's team; 0: as set_num_threads() of the process
  int64_t batch_rows = 512;  // jobs are computed together up to so many rows
  // A job that finds the thread idle waits for company so long, 0: not at all.
  std::chrono::microseconds linger{0};
  std::chrono::milliseconds max_wait{50};
  int64_t max_rows = 1 << 20;  // that wait at the same time
};

struct ScoreCounts {
  int64_t jobs = 0, rows = 0, batches = 0, refused = 0, expired = 0, failed = 0, waiting_rows = 0;
  double row_microseconds = 0;  // the moving mean that admission goes by
};

class ScoreQueue {
 public:
  explicit ScoreQueue(const ScoreQueueOptions& options = {});
  ~ScoreQueue();  // jobs that wait are Expired
  std::unique_ptr<ScoreJob> job();
  // False: not taken, and `job` is as it was. ConfigError: a job without a model or done.
  bool submit(std::unique_ptr<ScoreJob>& job);
  ScoreCounts counts() const;

 private:
  void run();
  void compute(std::vector<std::unique_ptr<ScoreJob>>& batch);
  void finish(std::unique_ptr<ScoreJob> job, ScoreOutcome outcome);
  bool any() const { return next_ < waiting_.size(); }
  ScoreQueueOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::vector<std::unique_ptr<ScoreJob>> waiting_;  // those from next_ on, in order of arrival
  size_t next_ = 0;
  std::vector<std::unique_ptr<ScoreJob>> free_;
  ScoreCounts counts_;
  bool stopping_ = false;
  std::vector<RowsToScore> parts_;
  std::thread thread_;
};

}  // namespace winnow
