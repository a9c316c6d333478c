// Streams, events, copies and memory: what runs when, and what is refused.
#include "tests/emulation/support.h"

namespace winnow::emulation_test {
namespace {

constexpr std::size_t kBytes = 64 * sizeof(float);

class Streams : public Machine {
 protected:
  Streams() { cudaStreamCreateWithFlags(&second, cudaStreamNonBlocking); }
  ~Streams() override { cudaStreamDestroy(second); }
  cudaStream_t second = nullptr;
};

TEST_F(Streams, AReusedPinnedBufferShowsItsLaterContents) {
  const PinnedBuffer<float> host(64);
  const DeviceBuffer<float> device(std::size_t{64});
  host[0] = 1;
  cudaMemcpyAsync(device.data(), host.data(), kBytes, cudaMemcpyHostToDevice, stream);
  host[0] = 2;  // before the copy was waited for
  EXPECT_EQ(device.read(stream)[0], 2);
}
TEST_F(Streams, APageableSourceIsReadAtTheCall) {
  std::vector<float> host(64, 1.f);
  const DeviceBuffer<float> device(std::size_t{64});
  cudaMemcpyAsync(device.data(), host.data(), kBytes, cudaMemcpyHostToDevice, stream);
  host[0] = 2;
  EXPECT_EQ(device.read(stream)[0], 1);
}
TEST_F(Streams, AMissingEventShowsAndAWaitOrders) {
  const DeviceBuffer<float> x(std::vector<float>(64, 1.f));
  for (bool waits : {false, true}) {
    const DeviceBuffer<float> y(std::vector<float>(64, 0.f));
    cudaEvent_t done = nullptr;
    cudaEventCreateWithFlags(&done, cudaEventDisableTiming);
    kernels::axpy(2, x.data(), y.data(), 64, stream);
    cudaEventRecord(done, stream);
    if (waits) cudaStreamWaitEvent(second, done, 0);
    EXPECT_EQ(y.read(second)[0], waits ? 2 : 0);
    cudaEventDestroy(done);
  }
  expect_clean();
}
TEST_F(Streams, DroppedWaitsAreSeenByTheSameProgram) {  // the mutation switch that tests of whole steps use
  options().drop_event_waits = true;
  const DeviceBuffer<float> x(std::vector<float>(64, 1.f)), y(std::vector<float>(64, 0.f));
  cudaEvent_t done = nullptr;
  cudaEventCreate(&done);
  kernels::axpy(2, x.data(), y.data(), 64, stream);
  cudaEventRecord(done, stream);
  cudaStreamWaitEvent(second, done, 0);
  EXPECT_EQ(y.read(second)[0], 0);
  cudaEventDestroy(done);
}
TEST_F(Streams, ADeviceSynchronisationRunsTheLatestWorkFirst) {
  const DeviceBuffer<float> x(std::vector<float>(64, 1.f)), y(std::vector<float>(64, 0.f)),
      z(std::vector<float>(64, 0.f));
  kernels::axpy(2, x.data(), y.data(), 64, stream);
  kernels::axpy(1, y.data(), z.data(), 64, second);  // no event between: must not be right by luck
  cudaDeviceSynchronize();
  EXPECT_EQ(z.read(second)[0], 0);
}
TEST_F(Streams, EagerStreamsRunAtOnce) {
  options().streams = StreamMode::Eager;
  const PinnedBuffer<float> host(64);
  const DeviceBuffer<float> device(std::vector<float>(64, 3.f));
  host[0] = 0;
  cudaMemcpyAsync(host.data(), device.data(), kBytes, cudaMemcpyDeviceToHost, stream);
  EXPECT_EQ(host[0], 3);
}
TEST_F(Streams, LazyResultsArriveAtTheSynchronisation) {
  const PinnedBuffer<float> host(64);
  const DeviceBuffer<float> device(std::vector<float>(64, 3.f));
  host[0] = 0;
  cudaMemcpyAsync(host.data(), device.data(), kBytes, cudaMemcpyDeviceToHost, stream);
  EXPECT_EQ(host[0], 0);
  cudaStreamSynchronize(stream);
  EXPECT_EQ(host[0], 3);
}

TEST_F(Streams, TheLegacyStreamIsOrderedWithBlockingStreamsOnly) {
  const DeviceBuffer<float> x(std::vector<float>(64, 1.f));
  cudaStream_t blocking = nullptr;
  cudaStreamCreate(&blocking);
  for (cudaStream_t producer : {blocking, stream}) {
    const DeviceBuffer<float> y(std::vector<float>(64, 0.f));
    kernels::axpy(2, x.data(), y.data(), 64, producer);
    float first = -1;
    cudaMemcpy(&first, y.data(), sizeof first, cudaMemcpyDeviceToHost);
    EXPECT_EQ(first, producer == blocking ? 2 : 0);
    cudaDeviceSynchronize();
  }
  cudaStreamDestroy(blocking);
}

TEST_F(Streams, EventsTellWhenTheyAreDoneAndHowLongItTook) {
  const DeviceBuffer<float> x(std::vector<float>(64, 1.f)), y(std::vector<float>(64, 0.f));
  cudaEvent_t start = nullptr, end = nullptr, untimed = nullptr;
  cudaEventCreate(&start);
  cudaEventCreate(&end);
  cudaEventCreateWithFlags(&untimed, cudaEventDisableTiming);
  cudaEventRecord(start, stream);
  kernels::axpy(2, x.data(), y.data(), 64, stream);
  cudaEventRecord(end, stream);
  float milliseconds = -1;
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorNotReady);
  EXPECT_EQ(cudaEventQuery(end), cudaErrorNotReady);
  EXPECT_EQ(cudaEventSynchronize(end), cudaSuccess);
  EXPECT_EQ(cudaEventQuery(end), cudaSuccess);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, end), cudaSuccess);
  EXPECT_GE(milliseconds, 0);
  cudaEventRecord(untimed, stream);
  cudaEventSynchronize(untimed);
  EXPECT_EQ(cudaEventElapsedTime(&milliseconds, start, untimed), cudaErrorInvalidResourceHandle);
  for (cudaEvent_t e : {start, end, untimed}) cudaEventDestroy(e);
  EXPECT_EQ(cudaEventRecord(start, stream), cudaErrorInvalidResourceHandle);
}
TEST_F(Streams, AQueryLoopEnds) {
  const DeviceBuffer<float> x(std::vector<float>(64, 1.f)), y(std::vector<float>(64, 0.f));
  for (int i = 0; i < 5; ++i) kernels::axpy(1, x.data(), y.data(), 64, stream);
  int queries = 0;
  while (cudaStreamQuery(stream) == cudaErrorNotReady) ++queries;
  EXPECT_EQ(queries, 5);
  expect_clean();
}
TEST_F(Streams, HostFunctionsRunInOrder) {
  const DeviceBuffer<float> x(std::vector<float>(64, 1.f)), y(std::vector<float>(64, 0.f));
  const PinnedBuffer<float> host(64);
  kernels::axpy(1, x.data(), y.data(), 64, stream);
  cudaMemcpyAsync(host.data(), y.data(), kBytes, cudaMemcpyDeviceToHost, stream);
  cudaLaunchHostFunc(
      stream, [](void* data) { *static_cast<float*>(data) += 10; }, host.data());
  cudaStreamSynchronize(stream);
  EXPECT_EQ(host[0], 11);
}

TEST_F(Streams, CopiesAreCheckedAgainstTheirBlocks) {
  const DeviceBuffer<float> device(std::size_t{64});
  std::vector<float> host(65);
  EXPECT_EQ(cudaMemcpyAsync(device.data(), host.data(), kBytes + 4, cudaMemcpyHostToDevice, stream),
            cudaErrorInvalidValue);
  EXPECT_TRUE(reported("copy-range"));
  EXPECT_EQ(cudaMemcpyAsync(device.data(), host.data(), kBytes, cudaMemcpyDeviceToHost, stream), cudaErrorInvalidValue);
  EXPECT_TRUE(reported("copy-kind"));
  EXPECT_EQ(cudaMemsetAsync(device.data() + 1, 0, kBytes, stream), cudaErrorInvalidValue);
  EXPECT_EQ(cudaMemcpyAsync(device.data(), host.data(), kBytes, cudaMemcpyHostToDevice, stream), cudaSuccess);
  EXPECT_EQ(cudaMemcpyAsync(device.data(), host.data(), 0, cudaMemcpyHostToDevice, stream), cudaSuccess);
}
TEST_F(Streams, ACopyWhoseMemoryIsGoneFailsWhenItRuns) {
  float* freed = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&freed), kBytes, stream);
  cudaStreamSynchronize(stream);
  const PinnedBuffer<float> host(64);
  cudaFreeAsync(freed, stream);
  cudaMemcpyAsync(host.data(), freed, kBytes, cudaMemcpyDeviceToHost, stream);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
  EXPECT_TRUE(reported("copy-range"));
}
TEST_F(Streams, RectanglesAreCopiedRowByRow) {
  std::vector<float> host{1, 2, 3, 4, 5, 6};  // two rows of three
  const DeviceBuffer<float> device(std::vector<float>(8, 0.f));
  EXPECT_EQ(cudaMemcpy2DAsync(device.data(), 16, host.data(), 12, 8, 2, cudaMemcpyHostToDevice, stream), cudaSuccess);
  EXPECT_EQ(device.read(stream), (std::vector<float>{1, 2, 0, 0, 4, 5, 0, 0}));
  EXPECT_EQ(cudaMemcpy2DAsync(device.data(), 4, host.data(), 12, 8, 2, cudaMemcpyHostToDevice, stream),
            cudaErrorInvalidPitchValue);
}

TEST_F(Streams, StreamOrderedMemoryExistsFromItsAllocationToItsFree) {
  cudaMemPool_t pool = nullptr;
  ASSERT_EQ(cudaDeviceGetDefaultMemPool(&pool, 0), cudaSuccess);
  std::uint64_t threshold = UINT64_MAX, used = 1;
  EXPECT_EQ(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &threshold), cudaSuccess);
  float* data = nullptr;
  ASSERT_EQ(cudaMallocAsync(reinterpret_cast<void**>(&data), kBytes, stream), cudaSuccess);
  cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used);
  EXPECT_EQ(used, kBytes);
  cudaMemsetAsync(data, 0, kBytes, stream);
  std::vector<float> host(64, 1.f);
  cudaMemcpyAsync(host.data(), data, kBytes, cudaMemcpyDeviceToHost, stream);
  EXPECT_EQ(host[63], 0);
  EXPECT_EQ(cudaFreeAsync(data, stream), cudaSuccess);
  cudaStreamSynchronize(stream);
  cudaMemPoolGetAttribute(pool, cudaMemPoolAttrUsedMemCurrent, &used);
  EXPECT_EQ(used, 0u);
  expect_clean();
}
TEST_F(Streams, StreamOrderedMemoryInAnotherStreamNeedsAnEvent) {
  float* data = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&data), kBytes, stream);
  cudaMemsetAsync(data, 0, kBytes, second);  // the allocation has not run
  EXPECT_EQ(cudaStreamSynchronize(second), cudaErrorIllegalAddress);
  EXPECT_TRUE(reported("copy-range"));
  reset();
  cudaFree(data);
}

TEST_F(Streams, BadFreesAreReported) {
  float* data = nullptr;
  cudaMalloc(reinterpret_cast<void**>(&data), kBytes);
  EXPECT_EQ(cudaFree(data + 1), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(data), cudaSuccess);
  EXPECT_EQ(cudaFree(data), cudaErrorInvalidValue);
  EXPECT_EQ(cudaFree(nullptr), cudaSuccess);
  EXPECT_TRUE(reported("bad-free"));
}
TEST_F(Streams, AllocationsCanBeMadeToFail) {
  options().fail_allocation = 2;
  void *first = nullptr, *second_block = nullptr;
  EXPECT_EQ(cudaMalloc(&first, 16), cudaSuccess);
  EXPECT_EQ(cudaMalloc(&second_block, 16), cudaErrorMemoryAllocation);
  EXPECT_EQ(cudaMalloc(&second_block, 16), cudaSuccess);
  cudaFree(first);
  cudaFree(second_block);
  EXPECT_EQ(cudaMalloc(&first, std::size_t{1} << 40), cudaErrorMemoryAllocation);
}
TEST_F(Streams, RegisteredMemoryIsPinned) {
  std::vector<float> host(64, 1.f);
  cudaPointerAttributes attributes{};
  EXPECT_EQ(cudaHostRegister(host.data(), kBytes, cudaHostRegisterDefault), cudaSuccess);
  cudaPointerGetAttributes(&attributes, host.data());
  EXPECT_EQ(attributes.type, cudaMemoryTypeHost);
  const DeviceBuffer<float> device(std::size_t{64});
  cudaMemcpyAsync(device.data(), host.data(), kBytes, cudaMemcpyHostToDevice, stream);
  host[0] = 2;
  EXPECT_EQ(device.read(stream)[0], 2);
  EXPECT_EQ(cudaHostUnregister(host.data()), cudaSuccess);
  EXPECT_EQ(cudaHostUnregister(host.data()), cudaErrorHostMemoryNotRegistered);
}
TEST_F(Streams, CoarseProtectionStillRunsKernels) {
  options().page_guards = false;
  EXPECT_LT(layernorm_error(3, 100, stream), 2e-6);
  expect_clean();
}

}  // namespace
}  // namespace winnow::emulation_test
