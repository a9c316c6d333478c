// Looks into a run's deltas from time to time, for a server that loads new versions as they come.
//
//   DeltaWatcher watcher(run, model_version, {}, [&](int64_t version) { spare.go_to(version); exchange(); },
//                        [&](const std::string& problem) { log(problem); });
#pragma once
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>

#include "serve/delta/versions.h"

namespace winnow {

struct WatcherOptions {
  std::chrono::milliseconds every{200};
};

class DeltaWatcher {
 public:
  using OnVersion = std::function<void(int64_t version)>;
  using OnProblem = std::function<void(const std::string& text)>;
  // From a thread of its own: on_version with the newest version, ascending from above `from`, one call at a time;
  // several that came between two looks are one call. An Error that it throws goes to on_problem, once for each text,
  // and the version is offered again at the next look: a delta that is being replaced or damaged does not end the
  // watch. The constructor does not look: the caller has loaded what is there.
  DeltaWatcher(const std::string& run_directory, int64_t from, const WatcherOptions& options, OnVersion on_version,
               OnProblem on_problem);
  ~DeltaWatcher();  // after the call in progress
  DeltaWatcher(const DeltaWatcher&) = delete;
  DeltaWatcher& operator=(const DeltaWatcher&) = delete;
  // After a rollback: what is there now is not offered, only what is newer than all of it. follow(): everything is.
  void hold();
  void follow();

 private:
  void watch(const std::stop_token& stop);
  VersionFolder folder_;
  WatcherOptions options_;
  OnVersion on_version_;
  OnProblem on_problem_;
  std::mutex mutex_;
  std::condition_variable_any changed_;
  int64_t seen_, passed_over_ = 0;
  std::string problem_;
  std::jthread thread_;
};

}  // namespace winnow
