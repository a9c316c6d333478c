// Several devices, several host threads, a machine without any.
#include <thread>

#include "tests/emulation/support.h"

namespace winnow::emulation_test {
namespace {

class Devices : public Machine {
 protected:
  Devices() { options().devices = 2; }
  ~Devices() override { cudaSetDevice(0); }
};

TEST_F(Devices, APointerTellsItsDevice) {
  for (int device : {0, 1}) {
    cudaSetDevice(device);
    const DeviceBuffer<float> data(std::size_t{64});
    cudaPointerAttributes attributes{};
    EXPECT_EQ(cudaPointerGetAttributes(&attributes, data.data() + 3), cudaSuccess);
    EXPECT_EQ(attributes.type, cudaMemoryTypeDevice);
    EXPECT_EQ(attributes.device, device);
  }
  EXPECT_EQ(cudaSetDevice(2), cudaErrorInvalidDevice);
}

TEST_F(Devices, AKernelReachesAnotherDevicesMemoryOnlyAsAPeer) {
  const DeviceBuffer<float> here(std::vector<float>(64, 1.f));
  cudaSetDevice(1);
  const DeviceBuffer<float> there(std::vector<float>(64, 5.f));
  cudaSetDevice(0);
  int can = 0;
  EXPECT_EQ(cudaDeviceCanAccessPeer(&can, 0, 1), cudaSuccess);
  EXPECT_EQ(can, 1);
  EXPECT_EQ(cudaDeviceEnablePeerAccess(1, 0), cudaSuccess);
  EXPECT_EQ(cudaDeviceEnablePeerAccess(1, 0), cudaErrorPeerAccessAlreadyEnabled);
  EXPECT_EQ(cudaGetLastError(), cudaErrorPeerAccessAlreadyEnabled);
  kernels::axpy(1, there.data(), here.data(), 64, stream);
  EXPECT_EQ(here.read(stream)[0], 6);
  expect_clean();
  EXPECT_EQ(cudaDeviceDisablePeerAccess(1), cudaSuccess);
  if (address_sanitized()) return;  // it cannot tell devices apart, the pages below can, and it ends the process
  kernels::axpy(1, there.data(), here.data(), 64, stream);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorLaunchFailure);
  EXPECT_TRUE(reported("illegal-address"));
  reset();
}

TEST_F(Devices, PeerCopiesNeedTheirRightDevices) {
  const DeviceBuffer<float> here(std::vector<float>(64, 1.f));
  cudaSetDevice(1);
  const DeviceBuffer<float> there(std::vector<float>(64, 5.f));
  cudaSetDevice(0);
  EXPECT_EQ(cudaMemcpyPeerAsync(here.data(), 0, there.data(), 1, 256, stream), cudaSuccess);
  EXPECT_EQ(here.read(stream)[63], 5);
  EXPECT_EQ(cudaMemcpyPeerAsync(here.data(), 1, there.data(), 0, 256, stream), cudaErrorInvalidValue);
  EXPECT_TRUE(reported("copy-kind"));
}

TEST_F(Devices, StreamsAndEventsBelongToADevice) {
  cudaSetDevice(1);
  const DeviceBuffer<float> x(std::vector<float>(64, 1.f));
  cudaEvent_t event = nullptr;
  cudaEventCreate(&event);
  EXPECT_EQ(kernels::axpy(1, x.data(), x.data(), 64, stream), cudaErrorInvalidResourceHandle);  // of device 0
  EXPECT_EQ(cudaEventRecord(event, stream), cudaErrorInvalidResourceHandle);
  EXPECT_TRUE(reported("wrong-device"));
  EXPECT_EQ(cudaEventRecord(event, nullptr), cudaSuccess);
  EXPECT_EQ(cudaStreamWaitEvent(stream, event, 0), cudaSuccess);  // waiting across devices is allowed
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  cudaEventDestroy(event);
}

TEST_F(Devices, AFailureStaysOnItsDevice) {
  const DeviceBuffer<float> x(std::vector<float>(64, 1.f));
  kernels::wrong(kernels::Wrong::MaskWithoutSelf, x.data(), nullptr, 0, stream);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaErrorLaunchFailure);
  cudaSetDevice(1);
  EXPECT_EQ(cudaDeviceSynchronize(), cudaSuccess);
}

TEST_F(Devices, HostThreadsUseTheirOwnDevices) {
  std::vector<double> errors(4, NAN);
  std::vector<std::thread> threads;
  options().devices = 4;
  for (int device = 0; device < 4; ++device)
    threads.emplace_back([device, &errors] {
      cudaSetDevice(device);
      cudaStream_t own = nullptr;
      cudaStreamCreateWithFlags(&own, cudaStreamNonBlocking);
      double worst = 0;
      for (int i = 0; i < 5; ++i) worst = std::max(worst, layernorm_error(3, 100, own));
      errors[static_cast<std::size_t>(device)] = worst;
      cudaStreamDestroy(own);
    });
  for (std::thread& t : threads) t.join();
  for (double e : errors) EXPECT_LT(e, 2e-6);
  int device = -1;
  cudaGetDevice(&device);
  EXPECT_EQ(device, 0);  // a choice is the host thread's own
  expect_clean();
}

TEST_F(Devices, PropertiesAndAttributesAgree) {
  cudaDeviceProp properties{};
  ASSERT_EQ(cudaGetDeviceProperties(&properties, 1), cudaSuccess);
  const std::pair<cudaDeviceAttr, std::size_t> same[] = {
      {cudaDevAttrComputeCapabilityMajor, static_cast<std::size_t>(properties.major)},
      {cudaDevAttrComputeCapabilityMinor, static_cast<std::size_t>(properties.minor)},
      {cudaDevAttrMultiProcessorCount, static_cast<std::size_t>(properties.multiProcessorCount)},
      {cudaDevAttrMaxSharedMemoryPerBlock, properties.sharedMemPerBlock},
      {cudaDevAttrMaxSharedMemoryPerBlockOptin, properties.sharedMemPerBlockOptin},
      {cudaDevAttrL2CacheSize, static_cast<std::size_t>(properties.l2CacheSize)},
      {cudaDevAttrWarpSize, static_cast<std::size_t>(properties.warpSize)},
  };
  for (const auto& [attribute, value] : same) {
    int got = -1;
    EXPECT_EQ(cudaDeviceGetAttribute(&got, attribute, 1), cudaSuccess);
    EXPECT_EQ(static_cast<std::size_t>(got), value) << attribute;
  }
  EXPECT_EQ(properties.major, 9);
  std::size_t free_bytes = 0, total = 0;
  const DeviceBuffer<float> data(std::size_t{1024});
  cudaMemGetInfo(&free_bytes, &total);
  EXPECT_LE(free_bytes + 4096, total);
  EXPECT_EQ(total, properties.totalGlobalMem);
}

TEST_F(Devices, AMachineWithoutDriverOrDeviceSaysSo) {
  for (const auto& [driver, code] : {std::pair{Driver::Insufficient, 35}, std::pair{Driver::NoDevice, 100}}) {
    options().driver = driver;
    int count = 77;
    void* data = nullptr;
    cudaStream_t own = nullptr;
    EXPECT_EQ(cudaGetDeviceCount(&count), code);
    EXPECT_EQ(count, 77);  // untouched: callers must not read it
    EXPECT_EQ(cudaMalloc(&data, 16), code);
    EXPECT_EQ(cudaStreamCreate(&own), code);
    EXPECT_EQ(cudaDeviceSynchronize(), code);
    EXPECT_EQ(kernels::axpy(1, nullptr, nullptr, 1, nullptr), code);
    EXPECT_STRNE(cudaGetErrorString(static_cast<cudaError_t>(code)), "unknown error");
  }
  options().driver = Driver::Present;
}

}  // namespace
}  // namespace winnow::emulation_test
