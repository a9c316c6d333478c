// winnow doctor in a program without a GPU backend, and the rules it judges by.
#include "train/doctor.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace winnow {
namespace {

using Json = nlohmann::json;

TEST(Doctor, FindsWhatThisMachineOffers) {
  const Diagnosis d = diagnose();
  EXPECT_TRUE(d.problems.empty());
  EXPECT_EQ(d.self_tests, std::vector<std::string>{"right"});
  EXPECT_GE(d.cores, 1);
  EXPECT_GE(d.threads, 1);
  EXPECT_GT(d.free_memory, 0u);
  EXPECT_LE(d.free_memory, d.memory);
  EXPECT_GT(d.free_disk, 0u);
  EXPECT_LE(d.free_disk, d.disk);
  EXPECT_EQ(d.instruction_sets.front(), "AVX2");
  const bool avx512 = std::ranges::find(d.instruction_sets, "AVX-512 DQ") != d.instruction_sets.end();
  EXPECT_EQ(d.kernels, avx512 ? "AVX-512" : "AVX2");
}

TEST(Doctor, SaysThatTheProgramHasNoGpuBackendAndHowToGetOne) {
  const Diagnosis d = diagnose();
  EXPECT_FALSE(d.gpu_backend);
  EXPECT_NE(d.str().find("-DWINNOW_GPU=CUDA"), std::string::npos) << d.str();
  EXPECT_NE(d.str().find("everything that this program offers on this machine works"), std::string::npos);
  EXPECT_TRUE(Json::parse(d.json())["gpu"]["backend"].is_null());
}

TEST(Doctor, ADeviceThatWasAskedForAndIsMissingIsAProblem) {
  const Diagnosis d = diagnose({Device::CUDA, 0});
  ASSERT_EQ(d.problems.size(), 1u);
  EXPECT_NE(d.problems[0].find("built without a GPU backend"), std::string::npos) << d.problems[0];
  EXPECT_EQ(Json::parse(d.json())["problems"].size(), 1u);
}

TEST(Doctor, TheSelfTestSeesOneWrongElementAndOneThatIsNoNumber) {
  const Tensor y = self_test_output({});
  EXPECT_EQ(judge_self_test(y.span<float>()), "right");
  float& last = y.span<float>().back();
  const float right = last;
  last = right + 3e-5f;
  EXPECT_NE(judge_self_test(y.span<float>()), "right");
  last = std::numeric_limits<float>::quiet_NaN();
  EXPECT_NE(judge_self_test(y.span<float>()), "right");
}

TEST(Doctor, KernelsRunOnLaterMinorVersionsOfTheirMajorOne) {
  EXPECT_TRUE(binary_runs_on(80, 80));
  EXPECT_TRUE(binary_runs_on(80, 89));
  EXPECT_FALSE(binary_runs_on(86, 80));
  EXPECT_FALSE(binary_runs_on(80, 90));
  EXPECT_FALSE(binary_runs_on(90, 75));
  EXPECT_TRUE(binary_runs_on(100, 103));
  EXPECT_FALSE(binary_runs_on(100, 120));
}

}  // namespace
}  // namespace winnow
