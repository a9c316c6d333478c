// Every defect of kernels/wrong.cu is reported. What each build sees differs: instrumented kernels are checked access
// by access, AddressSanitizer ends the process, the plain build has guard pages, canaries and NaN.
#include "tests/emulation/support.h"

namespace winnow::emulation_test {
namespace {

using kernels::Wrong;

class WrongKernels : public Machine {
 protected:
  // Runs it to the end; true when the launch or its synchronisation failed.
  bool fails(Wrong which, float* data, float* other = nullptr, int n = 100) {
    kernels::wrong(which, data, other, n, stream);
    return cudaStreamSynchronize(stream) != cudaSuccess;
  }
  DeviceBuffer<float> p{std::vector<float>(100, 0.f)}, q{std::size_t{64}};
};

std::string all_reports() {
  std::string text;
  for (const Report& r : reports()) text += r.kind + ": " + r.text + "\n";
  return text;
}
// The report names the kernel's file and line.
void expect_line(const std::string& kind) {
  EXPECT_TRUE(reported(kind)) << all_reports();
  EXPECT_NE(all_reports().find("wrong.cu:"), std::string::npos) << all_reports();
}

TEST_F(WrongKernels, AWriteBeyondTheEndOfABlock) {
  if (address_sanitized()) {
    EXPECT_DEATH(fails(Wrong::WriteBeyondEnd, p.data()), "use-after-poison");
  } else if (instrumented()) {
    EXPECT_TRUE(fails(Wrong::WriteBeyondEnd, p.data()));
    expect_line("out-of-bounds");
  } else {  // 400 bytes leave slack before the guard page: its pattern is found broken at the end
    float* data = nullptr;
    cudaMalloc(reinterpret_cast<void**>(&data), 400);
    EXPECT_FALSE(fails(Wrong::WriteBeyondEnd, data));
    EXPECT_FALSE(reported("canary"));
    cudaFree(data);
    EXPECT_TRUE(reported("canary"));
  }
}
TEST_F(WrongKernels, AWriteIntoTheGuardPage) {
  const DeviceBuffer<float> full(std::size_t{64});  // 256 bytes end at a page
  EXPECT_TRUE(fails(Wrong::WriteBeyondEnd, full.data(), nullptr, 64));
  EXPECT_TRUE(reported(instrumented() ? "out-of-bounds" : "illegal-address")) << all_reports();
  EXPECT_NE(all_reports().find("thread 64,0,0"), std::string::npos) << all_reports();
}
TEST_F(WrongKernels, AMisalignedVector) {
  if (address_sanitized()) {
    EXPECT_DEATH(fails(Wrong::MisalignedVector, p.data(), q.data()), "misaligned address");
  } else if (instrumented()) {
    EXPECT_TRUE(fails(Wrong::MisalignedVector, p.data(), q.data()));
    expect_line("misaligned");
  }  // x86-64 loads it: the plain build cannot see it
}
TEST_F(WrongKernels, AWriteBeyondASharedArray) {
  if (address_sanitized()) {
    EXPECT_DEATH(fails(Wrong::SharedBeyondEnd, p.data()), "use-after-poison");
  } else if (instrumented()) {
    EXPECT_TRUE(fails(Wrong::SharedBeyondEnd, p.data()));
    expect_line("out-of-bounds");
  }  // the red zone swallows it in the plain build
}
TEST_F(WrongKernels, AnUpdateWithoutAnAtomic) {
  fails(Wrong::LostUpdates, p.data());
  if (instrumented()) expect_line("race");
}
TEST_F(WrongKernels, BlocksThatWriteEachOthersElements) {
  fails(Wrong::NeighbourBlocks, p.data());
  if (instrumented()) expect_line("race");
}
TEST_F(WrongKernels, LanesThatExchangeThroughSharedMemoryWithoutSyncwarp) {
  fails(Wrong::WarpWithoutSync, p.data());
  if (instrumented()) {
    expect_line("race");
  } else {  // the lanes that ran first saw the fill
    EXPECT_TRUE(std::isnan(p.read(stream)[0]));
  }
}
TEST_F(WrongKernels, ABarrierInABranch) {
  EXPECT_TRUE(fails(Wrong::DivergentBarrier, p.data()));
  expect_line("barrier-divergence");
}
TEST_F(WrongKernels, TwoBarriersInOneIf) {
  EXPECT_TRUE(fails(Wrong::TwoBarriers, p.data()));
  expect_line("barrier-divergence");
}
TEST_F(WrongKernels, AShuffleWhoseLanesDoNotAllCome) {
  EXPECT_TRUE(fails(Wrong::ShuffleMask, p.data()));
  expect_line("warp-divergence");
}
TEST_F(WrongKernels, AMaskWithoutItsCaller) {
  EXPECT_TRUE(fails(Wrong::MaskWithoutSelf, p.data()));
  expect_line("bad-mask");
}
TEST_F(WrongKernels, AReadOfMemoryNeverWritten) {
  const DeviceBuffer<float> fresh(std::size_t{32});
  fails(Wrong::ReadUnwritten, fresh.data(), q.data());
  if (instrumented()) expect_line("uninitialized");
  EXPECT_TRUE(std::isnan(q.read(stream)[0]));
}
TEST_F(WrongKernels, AReadOfSharedMemoryNeverWritten) {
  fails(Wrong::UnwrittenShared, p.data());
  if (instrumented()) expect_line("uninitialized");
  EXPECT_TRUE(std::isnan(p.read(stream)[0]));
}
TEST_F(WrongKernels, UseAfterFree) {
  float* freed = nullptr;
  cudaMalloc(reinterpret_cast<void**>(&freed), 512);
  cudaFree(freed);
  if (address_sanitized()) {
    EXPECT_DEATH(fails(Wrong::WriteBeyondEnd, freed, nullptr, 1), "AddressSanitizer");
    return;
  }
  EXPECT_TRUE(fails(Wrong::WriteBeyondEnd, freed, nullptr, 1));
  EXPECT_TRUE(reported(instrumented() ? "use-after-free" : "illegal-address")) << all_reports();
  EXPECT_NE(all_reports().find("freed block of 512 bytes"), std::string::npos) << all_reports();
}
TEST_F(WrongKernels, HostCodeThatReadsDeviceMemory) {
  if (address_sanitized()) {
    EXPECT_DEATH(kernels::wrong(Wrong::HostAccess, p.data(), nullptr, 0, stream), "host-access");
    return;
  }
  EXPECT_EXIT(kernels::wrong(Wrong::HostAccess, p.data(), nullptr, 0, stream), testing::ExitedWithCode(kHostAccessExit),
              "host-access: host code");
}
TEST_F(WrongKernels, AKernelThatWritesToTheNullPage) {
  if (address_sanitized()) {
    EXPECT_DEATH(fails(Wrong::HostPointer, p.data()), "null pointer|illegal-address");
    return;
  }
  EXPECT_TRUE(fails(Wrong::HostPointer, p.data()));
  EXPECT_TRUE(reported("illegal-address")) << all_reports();
}
TEST_F(WrongKernels, AStackOverflow) {
  EXPECT_TRUE(fails(Wrong::DeepStack, p.data()));
  EXPECT_TRUE(reported("stack-overflow")) << all_reports();
}
TEST_F(WrongKernels, ACopyThatIsNotWaitedFor) {
  const double result = tensor_core_error(false, stream);
  EXPECT_FALSE(result < 1e-5) << result;
}

TEST_F(WrongKernels, AFailedKernelLeavesTheDeviceFailed) {
  EXPECT_TRUE(fails(Wrong::MaskWithoutSelf, p.data()));
  EXPECT_EQ(kernels::axpy(1, p.data(), p.data(), 1, stream), cudaSuccess);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorLaunchFailure);
  EXPECT_EQ(cudaGetLastError(), cudaErrorLaunchFailure);
  reset();
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
}

TEST_F(WrongKernels, LaunchesThatCannotBe) {
  EXPECT_EQ(kernels::layernorm(p.data(), p.data(), p.data(), p.data(), 0, 8, stream), cudaErrorInvalidConfiguration);
  EXPECT_EQ(kernels::softmax(p.data(), p.data(), 1, 20000, stream), cudaErrorInvalidValue);  // 80 KB of shared memory
  EXPECT_EQ(cudaGetLastError(), cudaErrorInvalidValue);
  EXPECT_EQ(cudaGetLastError(), cudaSuccess);
}

TEST_F(WrongKernels, ALaunchWithoutEndIsStopped) {
  if (!instrumented()) GTEST_SKIP() << "accesses are counted in the race-checked build only";
  options().max_accesses = 1000;
  EXPECT_FALSE(softmax_error(1, 1000, stream) < 1);
  EXPECT_TRUE(reported("hang")) << all_reports();
}

}  // namespace
}  // namespace winnow::emulation_test
