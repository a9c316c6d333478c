// Rows of many requests, scored by a few threads: what waits together shares batches, and what waits in vain is let go.
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
  // Called once, on a computing thread, which should not be kept. error: of Failed.
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
  int threads = 0;  // in all; 0: as set_num_threads() of the process
  // Threads that compute, each with a team of threads / scorers and each with batches of its own. More of them: more
  // answers a second, as none waits for a thread of its team; fewer: one answer alone is quicker. 0: one a thread, up
  // to four.
  int scorers = 0;
  // Jobs are computed together up to so many rows: more of them would not be quicker a row, and wait for each other.
  int64_t batch_rows = 128;
  // A job that finds a thread idle waits for company so long, 0: not at all.
  std::chrono::microseconds linger{0};
  std::chrono::milliseconds max_wait{12};
  int64_t max_rows = 1 << 20;  // that wait at the same time
};

struct ScoreCounts {
  int64_t jobs = 0, rows = 0, batches = 0, refused = 0, expired = 0, failed = 0, waiting_rows = 0;
  double row_microseconds = 0;  // of one scorer: the moving mean that admission goes by
};

class ScoreQueue {
 public:
  explicit ScoreQueue(const ScoreQueueOptions& options = {});
  ~ScoreQueue();  // jobs that wait are Expired
  std::unique_ptr<ScoreJob> job();
  // False: not taken, and `job` is as it was. ConfigError: a job without a model or done.
  bool submit(std::unique_ptr<ScoreJob>& job);
  // True: submit() would refuse now, so that a request need not even be read.
  bool is_full() const;
  size_t scorers() const { return threads_.size(); }  // that a ServedModel must have predictors for
  ScoreCounts counts() const;

 private:
  struct Work {  // of one scorer
    std::vector<std::unique_ptr<ScoreJob>> batch;
    std::vector<RowsToScore> parts;
  };
  void run(size_t scorer, int team);
  void take(Work& work);
  void compute(size_t scorer, Work& work);
  double wait_us() const;  // these two with the lock held
  bool full() const;
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
  std::vector<std::thread> threads_;
};

}  // namespace winnow
