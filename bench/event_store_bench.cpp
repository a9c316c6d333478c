// Appends to an event log by concurrent callers: events/s, and how long a caller waits.
//   event_store_bench STORE [callers 64] [seconds 5] [events of an append 1]
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <thread>
#include <vector>

#include "core/error.h"
#include "serve/store/event_store.h"

namespace {

using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<double> append_for(winnow::EventStore& store, int caller, double seconds, int batch) {
  std::vector<winnow::UserEvent> events(static_cast<size_t>(batch));
  std::vector<double> waits;
  for (const auto start = Clock::now(); seconds_since(start) < seconds;) {
    for (winnow::UserEvent& e : events) {
      e.user = "user " + std::to_string((caller * 7919 + waits.size()) % 10'000);
      e.item = std::to_string(waits.size() % 1000);
      e.kind = "click";
      e.request = "0123456789abcdef";
      e.position = caller;
    }
    const auto before = Clock::now();
    store.append(events);
    waits.push_back(seconds_since(before));
  }
  return waits;
}

double percentile(const std::vector<double>& sorted, double p) {
  return sorted[std::min(sorted.size() - 1, static_cast<size_t>(p * static_cast<double>(sorted.size())))];
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fputs("event_store_bench STORE [callers] [seconds] [events of an append]\n", stderr);
    return 2;
  }
  const int callers = argc > 2 ? std::atoi(argv[2]) : 64, batch = argc > 4 ? std::atoi(argv[4]) : 1;
  const double seconds = argc > 3 ? std::atof(argv[3]) : 5;
  try {
    const auto store = winnow::EventStore::open(argv[1]);
    std::vector<std::vector<double>> waits(static_cast<size_t>(callers));
    std::vector<std::thread> threads;
    const auto start = Clock::now();
    for (int c = 0; c < callers; ++c)
      threads.emplace_back([&, c] { waits[static_cast<size_t>(c)] = append_for(*store, c, seconds, batch); });
    for (std::thread& thread : threads) thread.join();
    const double taken = seconds_since(start);
    std::vector<double> all;
    for (const auto& some : waits) all.insert(all.end(), some.begin(), some.end());
    std::sort(all.begin(), all.end());
    std::printf("%d callers: %.0f events/s, wait p50 %.2f ms, p99 %.2f ms, most %.1f ms\n", callers,
                static_cast<double>(all.size()) * batch / taken, 1e3 * percentile(all, .5), 1e3 * percentile(all, .99),
                1e3 * all.back());
    const auto read_start = Clock::now();
    std::vector<winnow::UserEvent> page;
    int64_t read = 0;
    for (int64_t at = 0; store->read(at, 1000, page), !page.empty(); at = page.back().sequence)
      read += static_cast<int64_t>(page.size());
    std::printf("read: %.0f events/s\n", static_cast<double>(read) / seconds_since(read_start));
  } catch (const winnow::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
