// winnow doctor on machines with a device, without one, and without a driver.
#include "train/doctor.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/cuda/emulation/options.h"
#include "train/program.h"

namespace winnow {
namespace {

using emulation::Driver;
using Json = nlohmann::json;

class DoctorTest : public testing::Test {
 protected:
  void TearDown() override {
    emulation::options() = {};
    emulation::reset();
  }
};

struct Answer {
  int code = 0;
  std::string text;
};
Answer doctor(std::vector<std::string> words) {
  words.insert(words.begin(), {"winnow", "doctor"});
  std::vector<char*> arguments;
  for (std::string& w : words) arguments.push_back(w.data());
  testing::internal::CaptureStdout();
  const int code = run_program(static_cast<int>(arguments.size()), arguments.data());
  return {code, testing::internal::GetCapturedStdout()};
}
bool contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

TEST_F(DoctorTest, DescribesAndTestsEachDevice) {
  emulation::options().devices = 2;
  const Answer answer = doctor({"--json"});
  EXPECT_EQ(answer.code, 0) << answer.text;
  const Json gpu = Json::parse(answer.text)["gpu"];
  EXPECT_EQ(gpu["backend"], "CUDA");
  EXPECT_EQ(gpu["error"], 0);
  EXPECT_TRUE(gpu["libraries"].contains("cuBLASLt"));
  EXPECT_EQ(gpu["toolkit"], gpu["driver_cuda"]);
  ASSERT_EQ(gpu["devices"].size(), 2u);
  for (const Json& device : gpu["devices"]) {
    EXPECT_EQ(device["name"], "Emulated device");
    EXPECT_EQ(device["compute_capability"], "9.0");
    EXPECT_EQ(device["self_test"], "right");
    EXPECT_GT(device["memory"].get<int64_t>(), 0);
    EXPECT_TRUE(device["problem"].is_null());
  }
  EXPECT_EQ(doctor({"--device", "cuda:1"}).code, 0);
}

TEST_F(DoctorTest, NoDriverAndNoDeviceAreExplainedAlikeAndAreNoProblemUnlessAskedFor) {
  struct Case {
    Driver driver;
    int code;
    const char *words, *remedy;
  };
  const Case cases[] = {{Driver::Insufficient, 35, "there is no NVIDIA driver", "--gpus all"},
                        {Driver::Old, 35, "the NVIDIA driver is too old", "install a newer driver"},
                        {Driver::NoDevice, 100, "finds no GPU", "--gpus all"}};
  for (const auto& [driver, code, words, remedy] : cases) {
    emulation::options().driver = driver;
    const Answer text = doctor({}), json = doctor({"--json"}), asked = doctor({"--device", "cuda"});
    EXPECT_EQ(text.code, 0);
    EXPECT_EQ(asked.code, 1);
    for (const Answer& a : {text, asked}) {
      EXPECT_TRUE(contains(a.text, words)) << a.text;
      EXPECT_TRUE(contains(a.text, fmt::format("error {}", code))) << a.text;
      EXPECT_TRUE(contains(a.text, remedy)) << a.text;
      EXPECT_TRUE(contains(a.text, "or use --device cpu")) << a.text;
    }
    EXPECT_TRUE(contains(asked.text, "problem: cuda:0 is not available")) << asked.text;
    const Json gpu = Json::parse(json.text)["gpu"];
    EXPECT_EQ(gpu["error"], code);
    EXPECT_TRUE(gpu["devices"].empty());
  }
}

TEST_F(DoctorTest, ADeviceThatDoesNotExistIsAProblem) {
  const Answer answer = doctor({"--device", "cuda:3"});
  EXPECT_EQ(answer.code, 1);
  EXPECT_TRUE(contains(answer.text, "this machine has 1 device")) << answer.text;
}

TEST_F(DoctorTest, ADeviceThatFailsItsSelfTestIsAProblemUnasked) {
  emulation::options().fail_allocation = 1;
  const Answer answer = doctor({});
  EXPECT_EQ(answer.code, 1);
  EXPECT_TRUE(contains(answer.text, "problem: cuda:0: self test: ")) << answer.text;
}

}  // namespace
}  // namespace winnow
