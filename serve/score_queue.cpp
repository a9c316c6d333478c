#include "serve/score_queue.h"

#include <algorithm>

#include "core/error.h"
#include "core/parallel.h"

namespace winnow {
namespace {

constexpr size_t kKept = 256;  // jobs whose memory waits for the next

}  // namespace

void ScoreJob::resize(size_t rows) {
  if (rows_.size() < rows) rows_.resize(rows), logits_.resize(rows);
  count_ = rows;
}

ScoreQueue::ScoreQueue(const ScoreQueueOptions& options) : options_(options) {
  WN_CHECK(options.batch_rows >= 1 && options.max_rows >= 1 && options.scorers >= 0, ConfigError,
           "score queue: batch_rows {} and max_rows {} must be at least 1, scorers {} not negative", options.batch_rows,
           options.max_rows, options.scorers);
  constexpr int kMostScorers = 4;
  const int threads = options.threads > 0 ? options.threads : num_threads();
  const int scorers = options.scorers > 0 ? options.scorers : std::min(threads, kMostScorers);
  for (int s = 0; s < scorers; ++s)
    threads_.emplace_back([this, s, team = std::max(threads / scorers, 1)] { run(static_cast<size_t>(s), team); });
}

ScoreQueue::~ScoreQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  arrived_.notify_all();
  for (std::thread& t : threads_) t.join();
  for (; any(); ++next_) finish(std::move(waiting_[next_]), ScoreOutcome::Expired);
}

std::unique_ptr<ScoreJob> ScoreQueue::job() {
  const std::lock_guard lock(mutex_);
  if (free_.empty()) return std::make_unique<ScoreJob>();
  auto job = std::move(free_.back());
  free_.pop_back();
  return job;
}

bool ScoreQueue::submit(std::unique_ptr<ScoreJob>& job) {
  WN_CHECK(job->model != nullptr && job->done != nullptr, ConfigError, "a job needs a model and somebody to tell");
  const auto rows = static_cast<int64_t>(job->count_);
  {
    const std::lock_guard lock(mutex_);
    const double wait = wait_us();
    const auto until = [&](double microseconds) {
      return std::chrono::steady_clock::now() + std::chrono::microseconds(static_cast<int64_t>(microseconds));
    };
    const bool late = job->deadline != std::chrono::steady_clock::time_point::max() &&
                      until(wait + static_cast<double>(rows) * counts_.row_microseconds) > job->deadline;
    if (full() || late || counts_.waiting_rows + rows > std::max(options_.max_rows, rows)) {
      ++counts_.refused;
      return false;
    }
    counts_.waiting_rows += rows;
    ++counts_.jobs;
    waiting_.push_back(std::move(job));
  }
  arrived_.notify_one();
  return true;
}

// Of a job that comes now.
double ScoreQueue::wait_us() const {
  return static_cast<double>(counts_.waiting_rows) * counts_.row_microseconds / static_cast<double>(threads_.size());
}

bool ScoreQueue::full() const {
  return stopping_ || wait_us() > static_cast<double>(std::chrono::microseconds(options_.max_wait).count());
}

bool ScoreQueue::is_full() const {
  const std::lock_guard lock(mutex_);
  return full();
}

ScoreCounts ScoreQueue::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

void ScoreQueue::run(size_t scorer, int team) {
  set_num_threads(team);
  Work work;
  while (true) {
    {
      std::unique_lock lock(mutex_);
      arrived_.wait(lock, [&] { return stopping_ || any(); });
      if (stopping_) return;
      if (options_.linger.count() > 0 && counts_.waiting_rows < options_.batch_rows)
        arrived_.wait_for(lock, options_.linger,
                          [&] { return stopping_ || counts_.waiting_rows >= options_.batch_rows; });
      take(work);
    }
    if (!work.batch.empty()) compute(scorer, work);
  }
}

// The first that wait, of one model: what is theirs of the rows that wait, so that no scorer idles while another has a
// long batch, and at most batch_rows.
void ScoreQueue::take(Work& work) {
  const auto scorers = static_cast<int64_t>(threads_.size());
  const int64_t most = std::min(options_.batch_rows, (counts_.waiting_rows + scorers - 1) / scorers);
  int64_t rows = 0;
  for (; any(); ++next_) {
    std::unique_ptr<ScoreJob>& first = waiting_[next_];
    const auto next = static_cast<int64_t>(first->count_);
    const bool fits = work.batch.empty() || (rows + next <= most && first->model == work.batch.front()->model);
    if (!fits) break;
    rows += next;
    work.batch.push_back(std::move(first));
  }
  if (next_ >= waiting_.size() / 2) {
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<int64_t>(next_));
    next_ = 0;
  }
}

void ScoreQueue::compute(size_t scorer, Work& work) {
  auto& batch = work.batch;
  const auto start = std::chrono::steady_clock::now();
  int64_t waited = 0, rows = 0;
  size_t live = 0;
  for (auto& job : batch) {
    waited += static_cast<int64_t>(job->count_);
    if (job->deadline < start) {
      finish(std::move(job), ScoreOutcome::Expired);
    } else {
      rows += static_cast<int64_t>(job->count_);
      batch[live++] = std::move(job);  // onto itself, or a place before it
    }
  }
  batch.resize(live);
  ScoreOutcome outcome = ScoreOutcome::Scored;
  std::string error;
  try {
    work.parts.clear();
    for (const auto& job : batch) work.parts.push_back({job->rows(), job->logits()});
    if (live > 0) batch.front()->model->predictor(scorer).logits(work.parts);
  } catch (const std::exception& e) {
    outcome = ScoreOutcome::Failed;
    error = e.what();
  }
  const double spent = std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - start).count();
  {
    const std::lock_guard lock(mutex_);
    counts_.waiting_rows -= waited;
    counts_.rows += rows;
    counts_.batches += live > 0 ? 1 : 0;
    if (rows > 0) {
      const double row = spent / static_cast<double>(rows);
      counts_.row_microseconds = counts_.row_microseconds == 0 ? row : 0.9 * counts_.row_microseconds + 0.1 * row;
    }
  }
  for (auto& job : batch) {
    job->error = error;
    finish(std::move(job), outcome);
  }
  batch.clear();
}

void ScoreQueue::finish(std::unique_ptr<ScoreJob> job, ScoreOutcome outcome) {
  {
    const std::lock_guard lock(mutex_);
    if (outcome == ScoreOutcome::Expired) ++counts_.expired;
    if (outcome == ScoreOutcome::Failed) ++counts_.failed;
  }
  job->done(*job, outcome);
  job->model = nullptr;
  job->done = nullptr;
  job->deadline = std::chrono::steady_clock::time_point::max();
  const std::lock_guard lock(mutex_);
  if (free_.size() < kKept) free_.push_back(std::move(job));
}

}  // namespace winnow
