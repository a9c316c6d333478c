// Captured work, launched again and again.
#include "tests/emulation/support.h"

namespace winnow::emulation_test {
namespace {

class Graphs : public Machine, public testing::WithParamInterface<StreamMode> {
 protected:
  Graphs() {
    cudaStreamCreateWithFlags(&side, cudaStreamNonBlocking);
    cudaEventCreateWithFlags(&fork, cudaEventDisableTiming);
    cudaEventCreateWithFlags(&join, cudaEventDisableTiming);
  }
  ~Graphs() override {
    cudaEventDestroy(fork);
    cudaEventDestroy(join);
    cudaStreamDestroy(side);
  }
  void SetUp() override { options().streams = GetParam(); }
  cudaGraphExec_t instantiate(cudaGraph_t graph) {
    cudaGraphExec_t exec = nullptr;
    EXPECT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
    cudaGraphDestroy(graph);
    return exec;
  }
  cudaStream_t side = nullptr;
  cudaEvent_t fork = nullptr, join = nullptr;
  const DeviceBuffer<float> x{std::vector<float>(64, 1.f)}, y{std::vector<float>(64, 0.f)},
      z{std::vector<float>(64, 0.f)};
};

TEST_P(Graphs, ACaptureRunsNothingAndEachLaunchRunsAll) {
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  kernels::axpy(2, x.data(), y.data(), 64, stream);
  kernels::axpy(1, y.data(), z.data(), 64, stream);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  EXPECT_EQ(y.read(stream)[0], 0);
  std::size_t nodes = 0;
  cudaGraphGetNodes(graph, nullptr, &nodes);
  EXPECT_EQ(nodes, 2u);
  cudaGraphExec_t exec = instantiate(graph);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
  EXPECT_EQ(y.read(stream)[0], 6);
  EXPECT_EQ(z.read(stream)[0], 2 + 4 + 6);
  cudaGraphExecDestroy(exec);
  expect_clean();
}

TEST_P(Graphs, AForkedStreamIsOrderedByItsEvents) {
  cudaGraph_t graph = nullptr;
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
  kernels::axpy(2, x.data(), y.data(), 64, stream);
  cudaEventRecord(fork, stream);
  cudaStreamWaitEvent(side, fork, 0);
  kernels::axpy(1, y.data(), z.data(), 64, side);
  cudaEventRecord(join, side);
  cudaStreamWaitEvent(stream, join, 0);
  kernels::axpy(10, z.data(), y.data(), 64, stream);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  cudaGraphExec_t exec = instantiate(graph);
  cudaGraphLaunch(exec, stream);
  EXPECT_EQ(y.read(stream)[0], 2 + 20);
  cudaGraphExecDestroy(exec);
  expect_clean();
}

TEST_P(Graphs, AStreamThatIsNotJoinedBackIsAnError) {
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
  kernels::axpy(2, x.data(), y.data(), 64, stream);
  cudaEventRecord(fork, stream);
  cudaStreamWaitEvent(side, fork, 0);
  kernels::axpy(1, y.data(), z.data(), 64, side);
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureUnjoined);
  EXPECT_EQ(graph, nullptr);
  EXPECT_TRUE(reported("capture"));
}

TEST_P(Graphs, WhatACaptureDoesNotAllowBreaksIt) {
  float pageable = 0;
  void* block = nullptr;
  const std::vector<std::pair<const char*, std::function<cudaError_t()>>> calls = {
      {"cudaMalloc", [&] { return cudaMalloc(&block, 16); }},
      {"cudaFree", [&] { return cudaFree(x.data()); }},
      {"cudaDeviceSynchronize", [] { return cudaDeviceSynchronize(); }},
      {"synchronisation", [&] { return cudaStreamSynchronize(stream); }},
      {"pageable", [&] { return cudaMemcpyAsync(&pageable, x.data(), 4, cudaMemcpyDeviceToHost, stream); }},
      {"cudaMemcpy", [&] { return cudaMemcpy(&pageable, x.data(), 4, cudaMemcpyDeviceToHost); }},
      {"allocation", [&] { return cudaMallocAsync(&block, 16, stream); }},
  };
  for (const auto& [name, call] : calls) {
    clear_reports();
    cudaGraph_t graph = nullptr;
    ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
    EXPECT_EQ(call(), cudaErrorStreamCaptureUnsupported) << name;
    EXPECT_TRUE(reported("capture")) << name;
    EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated) << name;
  }
  cudaGraph_t graph = nullptr;
  EXPECT_EQ(cudaStreamBeginCapture(nullptr, cudaStreamCaptureModeGlobal), cudaErrorStreamCaptureUnsupported);
  EXPECT_EQ(cudaStreamEndCapture(stream, &graph), cudaErrorIllegalState);
}

TEST_P(Graphs, AGraphOfTheSameShapeReplacesAnother) {
  cudaGraphExec_t exec = nullptr;
  for (float a : {2.f, 5.f}) {
    cudaGraph_t graph = nullptr;
    cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
    kernels::axpy(a, x.data(), y.data(), 64, stream);
    cudaStreamEndCapture(stream, &graph);
    if (!exec) {
      exec = instantiate(graph);
    } else {
      cudaGraphExecUpdateResultInfo result{};
      EXPECT_EQ(cudaGraphExecUpdate(exec, graph, &result), cudaSuccess);
      cudaGraphDestroy(graph);
    }
    cudaGraphLaunch(exec, stream);
  }
  EXPECT_EQ(y.read(stream)[0], 7);
  cudaGraph_t longer = nullptr;
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
  kernels::axpy(1, x.data(), y.data(), 64, stream);
  kernels::axpy(1, x.data(), y.data(), 64, stream);
  cudaStreamEndCapture(stream, &longer);
  cudaGraphExecUpdateResultInfo result{};
  EXPECT_EQ(cudaGraphExecUpdate(exec, longer, &result), cudaErrorGraphExecUpdateFailure);
  cudaGraphDestroy(longer);
  cudaGraphExecDestroy(exec);
}

TEST_P(Graphs, MemoryFreedBetweenCaptureAndLaunchIsReported) {
  float* data = nullptr;
  cudaMalloc(reinterpret_cast<void**>(&data), 256);
  cudaGraph_t graph = nullptr;
  cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal);
  cudaMemsetAsync(data, 0, 256, stream);
  cudaStreamEndCapture(stream, &graph);
  cudaGraphExec_t exec = instantiate(graph);
  cudaFree(data);
  cudaGraphLaunch(exec, stream);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
  EXPECT_TRUE(reported("copy-range"));
  cudaGraphExecDestroy(exec);
}

INSTANTIATE_TEST_SUITE_P(Modes, Graphs, testing::Values(StreamMode::Lazy, StreamMode::Eager, StreamMode::Random));

}  // namespace
}  // namespace winnow::emulation_test
