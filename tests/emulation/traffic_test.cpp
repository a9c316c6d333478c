// The bytes that kernels move, against counts by hand.
#include "core/cuda/emulation/traffic.h"

#include "tests/emulation/support.h"

namespace winnow::emulation_test {
namespace {

class Traffic : public Machine {
 protected:
  void SetUp() override {
    if (!instrumented()) GTEST_SKIP() << "accesses are seen in the race-checked build only";
    options().traffic = true;
    clear_kernel_traffic();
  }
  void TearDown() override { clear_kernel_traffic(); }
};

KernelTraffic of(const std::string& name) {
  for (const KernelTraffic& t : kernel_traffic())
    if (t.name == name) return t;
  ADD_FAILURE() << "no launch of " << name;
  return {};
}

TEST_F(Traffic, ATransposeMovesEachElementOnceEachWay) {
  const DeviceBuffer<float> x(normal(64 * 64, 1)), y(64 * 64);
  clear_kernel_traffic();
  kernels::transpose(x.data(), y.data(), 64, kernels::Transpose::PaddedTile, stream);
  cudaStreamSynchronize(stream);
  const KernelTraffic t = of("transpose_tiled");
  EXPECT_EQ(t.launches, 1u);
  EXPECT_EQ(t.threads, 256u);
  for (const std::uint64_t bytes : {t.asked_read, t.asked_written, t.distinct_read, t.distinct_written})
    EXPECT_EQ(bytes, 4u * 64 * 64);
}

TEST_F(Traffic, ATiledProductAsksForItsOperandsOnceATile) {
  constexpr std::uint64_t kN = 64, kBytes = 4 * kN * kN;
  const DeviceBuffer<float> a(normal(kN * kN, 1)), b(normal(kN * kN, 2)), c(kN * kN);
  clear_kernel_traffic();
  kernels::gemm(a.data(), b.data(), c.data(), kN, kN, kN, stream);
  cudaStreamSynchronize(stream);
  ASSERT_EQ(kernel_traffic().size(), 1u);
  const KernelTraffic t = kernel_traffic()[0];
  EXPECT_EQ(t.asked_read, 2 * kBytes * (kN / 16));
  EXPECT_EQ(t.distinct_read, 2 * kBytes);
  EXPECT_EQ(t.distinct_written, kBytes);
}

TEST_F(Traffic, CopiesAndFillsOfTheRuntimeCount) {
  const DeviceBuffer<float> x(100), y(100);
  clear_kernel_traffic();
  cudaMemsetAsync(x.data(), 0, 400, stream);
  cudaMemcpyAsync(y.data(), x.data(), 400, cudaMemcpyDeviceToDevice, stream);
  cudaStreamSynchronize(stream);
  const KernelTraffic t = of("");
  EXPECT_EQ(t.asked_read, 400u);
  EXPECT_EQ(t.asked_written, 800u);
}

}  // namespace
}  // namespace winnow::emulation_test
