// core/cpu/topk.h: any floats as rows and queries, through codes and without: the rows and the bits of the scores that
// VectorKernels::dots gives on every row.
#include <algorithm>
#include <cstring>
#include <limits>
#include <utility>
#include <vector>

#include "core/cpu/row_codes.h"
#include "core/cpu/sgemm.h"
#include "core/cpu/topk.h"
#include "core/parallel.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow::cpu {
namespace {

std::vector<const VectorKernels*> kernels() {
  std::vector<const VectorKernels*> all = {vector_kernels_avx2()};
  if (has_isa(Isa::Avx512)) all.push_back(vector_kernels_avx512());
  if (&vector_kernels() == vector_kernels_vnni()) all.push_back(vector_kernels_vnni());
  return all;
}

void compare(const TopkProblem& p, const VectorKernels& kernel) {
  std::vector<const float*> at;
  for (int64_t r = 0; r < p.n; ++r) at.push_back(p.rows + r * p.d);
  std::vector<float> scores(at.size());
  std::vector<ScoredRow> found(static_cast<size_t>(p.count * p.k));
  topk(p, found.data(), kernel);
  for (int64_t q = 0; q < p.count; ++q) {
    kernel.dots(p.queries + q * p.d, at.data(), p.n, p.d, 0, scores.data());
    std::vector<ScoredRow> all;
    for (int32_t r = 0; r < p.n; ++r)
      if (scores[static_cast<size_t>(r)] > -std::numeric_limits<float>::infinity())
        all.push_back({scores[static_cast<size_t>(r)], r});
    std::sort(all.begin(), all.end(), better);
    all.resize(static_cast<size_t>(p.k), {-std::numeric_limits<float>::infinity(), -1});
    expect(std::equal(all.begin(), all.end(), found.begin() + q * p.k), "the k best of dots()");
  }
}

}  // namespace
}  // namespace winnow::cpu

// Three bytes: the width, how many are wanted, the queries; then floats, those of the queries first.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow::cpu;
  winnow::set_num_threads(1);
  if (size < 3) return 0;
  const int64_t d = 1 + data[0] % 40, k = 1 + data[1] % 4, count = data[2] % 2 == 0 ? 1 : 1 + data[2] % 20;
  std::vector<float> x((size - 3) / sizeof(float));
  if (!x.empty()) std::memcpy(x.data(), data + 3, x.size() * sizeof(float));
  const int64_t n = static_cast<int64_t>(x.size()) / d - count;
  if (n < 1) return 0;
  const float* rows = x.data() + count * d;
  RowCodes codes(d);
  codes.encode(rows, 0, n);
  for (const VectorKernels* kernel : kernels())
    for (const RowCodes* by : {&std::as_const(codes), static_cast<const RowCodes*>(nullptr)})
      compare({x.data(), count, rows, n, d, k, nullptr, {}, by}, *kernel);
  return 0;
}
