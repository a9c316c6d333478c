// Registers, shared memory and launch bounds of compiled kernels, and the occupancy that follows.
#include "tests/emulation/kernel_resources.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "core/error.h"

namespace winnow::kernel_page {
namespace {

Instance kernel(int registers, int threads, std::size_t shared = 0, int architecture = 90) {
  return {.symbol = "k", .architecture = architecture, .registers = registers, .shared = shared, .threads = threads};
}

TEST(KernelResources, OccupancyByRegistersSharedMemoryThreadsAndBlocks) {
  for (const int architecture : {80, 90, 100}) {
    EXPECT_EQ(resident_warps(kernel(32, 256, 0, architecture), 0), 64);
    EXPECT_EQ(resident_warps(kernel(33, 256, 0, architecture), 0), 48);  // 40 a thread are given: 12 warps a quarter
    EXPECT_EQ(resident_warps(kernel(64, 256, 0, architecture), 0), 32);
    EXPECT_EQ(resident_warps(kernel(255, 256, 0, architecture), 0), 8);
    EXPECT_EQ(resident_warps(kernel(16, 32, 0, architecture), 0), 32);  // 32 blocks
  }
  EXPECT_EQ(resident_warps(kernel(32, 256, 40 * 1024, 80), 0), 4 * 8);   // 4 of 41 KiB in 164
  EXPECT_EQ(resident_warps(kernel(32, 256, 40 * 1024, 90), 0), 5 * 8);   // 5 of 41 KiB in 228
  EXPECT_EQ(resident_warps(kernel(32, 256, 0, 90), 100 * 1024), 2 * 8);  // dynamic
}

TEST(KernelResources, AKernelKeepsWhatItStates) {
  EXPECT_EQ(defect(kernel(64, 1024)), "");
  EXPECT_NE(defect(kernel(65, 1024)), "");  // 65 x 1024 registers are more than a multiprocessor has
  EXPECT_NE(defect(kernel(32, 0)).find("__launch_bounds__"), std::string::npos);
  Instance four = kernel(64, 256);
  four.blocks = 4;
  EXPECT_EQ(defect(four), "");
  four.registers = 65;
  EXPECT_NE(defect(four).find("3 blocks of 256 threads fit, not 4"), std::string::npos) << defect(four);
  Instance spills = kernel(32, 256);
  spills.spilled = 8;
  EXPECT_EQ(defect(spills), "spills 8 bytes");
}

TEST(KernelResources, ReadsWhatTheCompilerSaysAndTheBoundsOfThePtx) {
  char directory[] = "/tmp/kernel_resources_XXXXXX";
  ASSERT_NE(mkdtemp(directory), nullptr);
  std::ofstream(std::string(directory) + "/some_op.o.resources")
      << "Compiling entry function '_ZN6winnow4rowsIfEEvPKfPf' for 'sm_80'\n"
         "0 bytes stack frame, 4 bytes spill stores, 8 bytes spill loads\n"
         "Used 30 registers, used 1 barriers, 512 bytes smem, 412 bytes cmem[0]\n"
         "Compiling entry function '_ZN6winnow4rowsIfEEvPKfPf' for 'sm_100'\n"
         "0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads\n"
         "Used 28 registers, used 0 barriers\n"
         ".visible .entry _ZN6winnow4rowsIfEEvPKfPf(\n.maxntid 128, 2, 1\n.minnctapersm 3\n";
  const auto kernels = read_kernels(directory);
  ASSERT_EQ(kernels.size(), 1u);
  EXPECT_EQ(kernels[0].file, "some_op");
  EXPECT_EQ(kernels[0].name, "rows");
  ASSERT_EQ(kernels[0].instances.size(), 2u);
  const Instance &first = kernels[0].instances[0], &second = kernels[0].instances[1];
  EXPECT_EQ(std::tie(first.architecture, first.registers, first.shared, first.spilled, first.threads, first.blocks),
            std::make_tuple(80, 30, std::size_t{512}, 12, 256, 3));
  EXPECT_EQ(std::tie(second.architecture, second.registers, second.shared, second.spilled),
            std::make_tuple(100, 28, std::size_t{0}, 0));
  std::filesystem::remove_all(directory);
  EXPECT_THROW(read_kernels(directory), IoError);
}

}  // namespace
}  // namespace winnow::kernel_page
