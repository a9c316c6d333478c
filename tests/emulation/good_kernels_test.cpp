// Correct kernels give the right result and no report, whatever order threads and streams run in.
#include "tests/emulation/support.h"

namespace winnow::emulation_test {
namespace {

using Schedule = std::tuple<ThreadOrder, StreamMode>;

class GoodKernels : public Machine, public testing::WithParamInterface<Schedule> {
 protected:
  void SetUp() override {
    options().threads = std::get<0>(GetParam());
    options().streams = std::get<1>(GetParam());
  }
  void run_all() {
    for (int width : {1, 7, 32, 100, 129, 1000}) {
      // 4 float operations of 1 ulp on values near 3; the sums are over 1000 terms by a tree
      EXPECT_LT(layernorm_error(3, width, stream), 2e-6) << width;
      EXPECT_LT(softmax_error(3, width, stream), 1e-6) << width;
    }
    EXPECT_LT(embedding_bag_error(false, stream), 1e-5);
    EXPECT_LT(embedding_bag_error(true, stream), 1e-5);
    EXPECT_LT(gemm_error(16, 16, 16, stream), 1e-5);
    EXPECT_LT(gemm_error(33, 17, 40, stream), 1e-5);
    EXPECT_LT(gemm_error(1, 5, 3, stream), 1e-5);
    EXPECT_LT(tensor_core_error(true, stream), 1e-5);
    EXPECT_EQ(transpose_error(kernels::Transpose::Direct, stream), 0);
    EXPECT_EQ(transpose_error(kernels::Transpose::PaddedTile, stream), 0);
    EXPECT_LT(count_positive_error(1, stream), 1e-12);
    EXPECT_LT(count_positive_error(1000, stream), 1e-12);
    expect_clean();
  }
};

TEST_P(GoodKernels, MatchTheirDefinitionsWithoutAReport) { run_all(); }

TEST_P(GoodKernels, MatchUnderPreemption) {
  if (!instrumented()) GTEST_SKIP() << "threads are preempted in the race-checked build only";
  options().preempt_every = 50;
  run_all();
}

INSTANTIATE_TEST_SUITE_P(Schedules, GoodKernels,
                         testing::Combine(testing::Values(ThreadOrder::Forward, ThreadOrder::Reverse,
                                                          ThreadOrder::Random, ThreadOrder::WarpPriority),
                                          testing::Values(StreamMode::Lazy, StreamMode::Eager, StreamMode::Random)));

TEST_F(Machine, HalfPrecisionRowsAreNormalised) {
  const auto x = normal(64, 1);
  std::vector<__half> half(64);
  for (std::size_t i = 0; i < 64; ++i) half[i] = __float2half(x[i]);
  const DeviceBuffer<__half> dx(half), dy(std::size_t{64});
  const DeviceBuffer<float> gamma(std::vector<float>(64, 1.f)), beta(std::vector<float>(64, 0.f));
  EXPECT_EQ(kernels::layernorm_half(dx.data(), gamma.data(), beta.data(), dy.data(), 1, 64, stream), cudaSuccess);
  float sum = 0, squares = 0;
  for (const __half& h : dy.read(stream)) {
    sum += __half2float(h);
    squares += __half2float(h) * __half2float(h);
  }
  EXPECT_NEAR(sum, 0, 0.1);  // 64 roundings of 2^-11
  EXPECT_NEAR(squares, 64, 0.1);
  expect_clean();
}

TEST_F(Machine, KernelsOnBytesAreCleanWithByteGranules) {
  options().byte_granules = true;
  const DeviceBuffer<signed char> x(std::vector<signed char>(300, 3)), y(std::size_t{300});
  EXPECT_EQ(kernels::negate_bytes(x.data(), y.data(), 300, stream), cudaSuccess);
  EXPECT_EQ(y.read(stream), std::vector<signed char>(300, -3));
  expect_clean();
}

TEST_F(Machine, CountersShowThatBarriersAndCollectivesRan) {
  const Counters before = counters();
  layernorm_error(3, 100, stream);
  const Counters after = counters();
  EXPECT_EQ(after.launches - before.launches, 1u);
  EXPECT_EQ(after.threads - before.threads, 3u * 128);
  EXPECT_EQ(after.barriers - before.barriers, 3u * 3);
  EXPECT_EQ(after.collectives - before.collectives, 3u * 4 * 2 * 5);  // blocks, warps, sums, shuffles
  EXPECT_EQ(after.accesses > before.accesses, instrumented());
}

TEST_F(Machine, TheSameSeedGivesTheSameOrder) {
  options().threads = ThreadOrder::Random;
  std::vector<std::vector<float>> results;
  for (int run = 0; run < 2; ++run) {
    options().seed = 7;
    reset();
    const DeviceBuffer<float> p(std::vector<float>(1, 0.f)), q(std::size_t{1});
    EXPECT_EQ(kernels::wrong(kernels::Wrong::LostUpdates, p.data(), q.data(), 0, stream), cudaSuccess);
    results.push_back(p.read(stream));
  }
  EXPECT_EQ(results[0], results[1]);
}

}  // namespace
}  // namespace winnow::emulation_test
