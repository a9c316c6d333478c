#include "serve/delta/watcher.h"

namespace winnow {

DeltaWatcher::DeltaWatcher(const std::string& run_directory, int64_t from, const WatcherOptions& options,
                           OnVersion on_version, OnProblem on_problem)
    : folder_(run_directory),
      options_(options),
      on_version_(std::move(on_version)),
      on_problem_(std::move(on_problem)),
      seen_(from),
      thread_([this](const std::stop_token& stop) { watch(stop); }) {}

DeltaWatcher::~DeltaWatcher() {
  thread_.request_stop();
  thread_.join();
}

void DeltaWatcher::hold() {
  const std::lock_guard lock(mutex_);
  passed_over_ = folder_.newest();
}

void DeltaWatcher::follow() {
  const std::lock_guard lock(mutex_);
  passed_over_ = 0;
  seen_ = 0;
}

void DeltaWatcher::watch(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  while (!stop.stop_requested()) {
    changed_.wait_for(lock, stop, options_.every, [] { return false; });
    const int64_t newest = folder_.newest();
    if (stop.stop_requested() || newest <= seen_ || newest <= passed_over_) continue;
    lock.unlock();
    std::string problem;
    try {
      on_version_(newest);
    } catch (const Error& e) { problem = e.what(); }
    lock.lock();
    if (problem.empty()) seen_ = newest;
    if (!problem.empty() && problem != problem_) on_problem_(problem);
    problem_ = problem;
  }
}

}  // namespace winnow
