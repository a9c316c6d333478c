// Each barrier of the correct kernels taken away in turn: the race checker must report it in every thread order.
#include <fstream>

#include "tests/emulation/support.h"

namespace winnow::emulation_test {
namespace {

struct Barrier {
  std::string file;
  int line;
};
std::vector<Barrier> barriers_of(const std::string& file) {
  std::ifstream in("tests/emulation/kernels/" + file);
  EXPECT_TRUE(in) << file;
  std::vector<Barrier> found;
  std::string text;
  for (int line = 1; std::getline(in, text); ++line)
    if (text.find("__syncthreads") != std::string::npos || text.find("__syncwarp") != std::string::npos)
      found.push_back({file, line});
  return found;
}

struct Case {
  const char* file;
  std::size_t barriers;
  std::function<double(cudaStream_t)> run;
};
const std::vector<Case>& cases() {
  static const std::vector<Case> list = {
      {"layernorm.cu", 3, [](cudaStream_t s) { return layernorm_error(3, 1000, s); }},
      {"softmax.cu", 3, [](cudaStream_t s) { return softmax_error(3, 1000, s); }},
      {"gemm.cu", 2, [](cudaStream_t s) { return gemm_error(33, 17, 40, s); }},
      {"tensor_core_gemm.cu", 2, [](cudaStream_t s) { return tensor_core_error(true, s); }},
      {"transpose.cu", 1, [](cudaStream_t s) { return transpose_error(kernels::Transpose::PaddedTile, s); }},
      {"elementwise.cu", 2, [](cudaStream_t s) { return count_positive_error(1000, s); }},
  };
  return list;
}

TEST_F(Machine, EveryMissingBarrierIsReported) {
  int mutants = 0, wrong_results = 0;
  for (const Case& c : cases()) {
    const auto barriers = barriers_of(c.file);
    EXPECT_EQ(barriers.size(), c.barriers) << c.file;
    for (const Barrier& b : barriers)
      for (ThreadOrder order :
           {ThreadOrder::Forward, ThreadOrder::Reverse, ThreadOrder::Random, ThreadOrder::WarpPriority}) {
        options().threads = order;
        options().drop_file = b.file.c_str();
        options().drop_line = b.line;
        reset();
        const double result = c.run(stream);
        ++mutants;
        wrong_results += !(result < 1e-5);
        if (instrumented()) {
          // the votes of elementwise.cu return 0 when dropped, which is wrong without any race
          EXPECT_TRUE(reported("race") || reported("uninitialized") || !(result < 1e-5)) << b.file << ":" << b.line;
        }
      }
  }
  options().drop_file = nullptr;
  // Without instrumentation only the schedule can show it: less than all, which is why there is a race checker.
  EXPECT_GT(wrong_results, mutants / 2);
  RecordProperty("mutants", mutants);
  RecordProperty("wrong_results", wrong_results);
}

}  // namespace
}  // namespace winnow::emulation_test
