// optest of the operators' kernels on the emulated device: `optest_cuda_plain [--schedules] mode [options of optest]`.
// --schedules: under each order of threads and each mode of streams instead of the usual ones. What the emulation
// reports is a failure.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "core/cuda/emulation/options.h"
#include "core/cuda/register.h"
#include "tests/optest/optest.h"

namespace {

using namespace winnow;

int run(std::vector<char*> arguments, emulation::ThreadOrder threads, emulation::StreamMode streams) {
  emulation::options() = {};
  emulation::options().threads = threads;
  emulation::options().streams = streams;
  std::printf("thread order %d, streams %d: ", static_cast<int>(threads), static_cast<int>(streams));
  const int result = optest::run(static_cast<int>(arguments.size()) - 1, arguments.data());
  for (const emulation::Report& r : emulation::reports()) std::printf("FAIL %s: %s\n", r.kind.c_str(), r.text.c_str());
  const bool clean = emulation::reports().empty();
  emulation::reset();
  return result != 0 ? result : clean ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  using emulation::StreamMode, emulation::ThreadOrder;
  cuda::register_backend();
  std::vector<char*> arguments;
  bool schedules = false;
  for (int i = 0; i < argc; ++i) {
    if (std::strcmp(argv[i], "--schedules") == 0)
      schedules = true;
    else
      arguments.push_back(argv[i]);
  }
  char device[] = "--device=cuda", small[] = "--small";
  arguments.insert(arguments.end(), {device, small, nullptr});
  if (!schedules) return run(arguments, ThreadOrder::Forward, StreamMode::Lazy);
  int worst = 0;
  for (const auto threads :
       {ThreadOrder::Forward, ThreadOrder::Reverse, ThreadOrder::Random, ThreadOrder::WarpPriority})
    for (const auto streams : {StreamMode::Lazy, StreamMode::Eager, StreamMode::Random})
      worst = std::max(worst, run(arguments, threads, streams));
  return worst;
}
