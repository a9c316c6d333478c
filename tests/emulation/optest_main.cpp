// optest of the operators' kernels on the emulated device: `optest_cuda_plain [--schedules] mode [options of optest]`.
// --schedules: under each order of threads and each mode of streams instead of the usual ones, without the products,
// which are the emulated library's and know no order. What the emulation reports is a failure. --drop FILE:LINE:
// without the barrier in that line, for mutation.py.
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "core/cuda/emulation/options.h"
#include "core/cuda/register.h"
#include "core/op.h"
#include "tests/optest/optest.h"

namespace {

using namespace winnow;

// A barrier by the end of its file's path and its line.
struct Barrier {
  std::string file;
  int line = 0;
};

std::vector<std::string> all_but_products() {
  std::vector<std::string> names;
  for (const OpDef* op : registry().all())
    if (std::ranges::none_of(op->kernels, [](const KernelDef& k) { return std::string_view(k.name) == "cublaslt"; }))
      names.emplace_back(op->name);
  return names;
}

int run(std::vector<char*> arguments, const Barrier& drop, emulation::ThreadOrder threads,
        emulation::StreamMode streams, const std::vector<std::string>& only = {}) {
  emulation::options() = {};
  emulation::options().threads = threads;
  emulation::options().streams = streams;
  if (!drop.file.empty()) emulation::options().drop_file = drop.file.c_str();
  emulation::options().drop_line = drop.line;
  std::printf("thread order %d, streams %d: ", static_cast<int>(threads), static_cast<int>(streams));
  const int result = optest::run(static_cast<int>(arguments.size()) - 1, arguments.data(), only);
  for (const emulation::Report& r : emulation::reports()) std::printf("FAIL %s: %s\n", r.kind.c_str(), r.text.c_str());
  if (!drop.file.empty())
    std::printf("dropped %llu times\n", static_cast<unsigned long long>(emulation::counters().dropped));
  const bool clean = emulation::reports().empty();
  emulation::reset();
  return result != 0 ? result : clean ? 0 : 1;
}

// The worst result of all. Each schedule is a process, one a core at a time, and so starts with a device on which
// nothing was allocated: freed addresses are not used again, and twelve runs would take more than a device has.
int in_processes(const std::vector<std::function<int()>>& works) {
  int worst = 0;
  size_t running = 0;
  const auto wait_for_one = [&] {
    int status = 0;
    const bool ended = wait(&status) > 0 && WIFEXITED(status);
    worst = std::max(worst, ended ? WEXITSTATUS(status) : 1);
    --running;
  };
  for (const auto& work : works) {
    if (running == std::max(std::thread::hardware_concurrency(), 1u)) wait_for_one();
    std::fflush(stdout);
    const pid_t child = fork();
    if (child == 0) {
      const int result = work();
      std::fflush(stdout);
      _exit(result);
    }
    if (child < 0) return 1;
    ++running;
  }
  while (running > 0) wait_for_one();
  return worst;
}

}  // namespace

int main(int argc, char** argv) {
  using emulation::StreamMode, emulation::ThreadOrder;
  cuda::register_backend();
  std::vector<char*> arguments;
  bool schedules = false;
  Barrier drop;
  for (int i = 0; i < argc; ++i) {
    if (std::strcmp(argv[i], "--schedules") == 0)
      schedules = true;
    else if (std::strcmp(argv[i], "--drop") == 0 && i + 1 < argc) {
      const std::string where = argv[++i];
      const size_t colon = where.rfind(':');
      drop = {where.substr(0, colon), colon == std::string::npos ? 0 : std::atoi(where.c_str() + colon + 1)};
    } else
      arguments.push_back(argv[i]);
  }
  char device[] = "--device=cuda", small[] = "--small";
  arguments.insert(arguments.end(), {device, small, nullptr});
  if (!schedules) return run(arguments, drop, ThreadOrder::Forward, StreamMode::Lazy);
  std::vector<std::function<int()>> works;
  for (const auto threads :
       {ThreadOrder::Forward, ThreadOrder::Reverse, ThreadOrder::Random, ThreadOrder::WarpPriority})
    for (const auto streams : {StreamMode::Lazy, StreamMode::Eager, StreamMode::Random})
      works.emplace_back([&, threads, streams] { return run(arguments, drop, threads, streams, all_but_products()); });
  return in_processes(works);
}
