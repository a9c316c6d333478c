// What the tests of the emulation share: buffers, random inputs, references in double, a machine that starts clean.
#pragma once
#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/race_checker.h"
#include "core/cuda/emulation/sanitizer.h"
#include "tests/emulation/kernels/kernels.h"

namespace winnow::emulation_test {

using namespace emulation;

template <class T>
class DeviceBuffer {
 public:
  explicit DeviceBuffer(std::size_t count) : count_(count) {
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&data_), count * sizeof(T)), cudaSuccess);
  }
  explicit DeviceBuffer(const std::vector<T>& values) : DeviceBuffer(values.size()) {
    EXPECT_EQ(cudaMemcpy(data_, values.data(), count_ * sizeof(T), cudaMemcpyHostToDevice), cudaSuccess);
  }
  ~DeviceBuffer() { cudaFree(data_); }
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  T* data() const { return data_; }
  std::size_t size() const { return count_; }
  std::vector<T> read(cudaStream_t stream) const {  // NaN when the stream has failed
    std::vector<T> values(count_);
    std::memset(static_cast<void*>(values.data()), 0xFF, count_ * sizeof(T));
    cudaMemcpyAsync(values.data(), data_, count_ * sizeof(T), cudaMemcpyDeviceToHost, stream);
    cudaStreamSynchronize(stream);
    return values;
  }

 private:
  T* data_ = nullptr;
  std::size_t count_;
};

template <class T>
class PinnedBuffer {
 public:
  explicit PinnedBuffer(std::size_t count) {
    EXPECT_EQ(cudaMallocHost(reinterpret_cast<void**>(&data_), count * sizeof(T)), cudaSuccess);
  }
  ~PinnedBuffer() { cudaFreeHost(data_); }
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;
  T* data() const { return data_; }
  T& operator[](std::size_t i) const { return data_[i]; }

 private:
  T* data_ = nullptr;
};

// A test with default options, its own stream, nothing left behind from the test before.
class Machine : public testing::Test {
 protected:
  Machine() {
    options() = Options{};
    options().print = false;
    reset();
    blocks_ = live_blocks();
    EXPECT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  }
  ~Machine() override {
    cudaStreamDestroy(stream);
    EXPECT_EQ(live_blocks(), blocks_) << "device memory was not freed";
    options() = Options{};
    reset();
  }
  // No report and no error: what a correct program must end with.
  void expect_clean() const {
    for (const Report& r : reports()) ADD_FAILURE() << r.kind << ": " << r.text;
    EXPECT_EQ(cudaGetLastError(), cudaSuccess);
  }
  cudaStream_t stream = nullptr;

 private:
  std::size_t blocks_ = 0;
};

inline std::vector<float> normal(std::size_t count, unsigned seed) {
  std::mt19937 generator(seed);
  std::normal_distribution<float> distribution;
  std::vector<float> values(count);
  for (float& v : values) v = distribution(generator);
  return values;
}

// max |got - want| / (1 + |want|); NaN when any element is.
template <class T>
double error(const std::vector<T>& got, const std::vector<double>& want) {
  double largest = got.size() == want.size() ? 0 : NAN;
  for (std::size_t i = 0; i < want.size(); ++i) {
    const double e = std::abs(static_cast<double>(got[i]) - want[i]) / (1 + std::abs(want[i]));
    if (!(e <= largest)) largest = e;
  }
  return largest;
}

// Each runs a kernel on normal inputs and returns its error against the definition in double.
double layernorm_error(int rows, int width, cudaStream_t stream);
double softmax_error(int rows, int width, cudaStream_t stream);
double embedding_bag_error(bool sorted, cudaStream_t stream);
double gemm_error(int m, int n, int k, cudaStream_t stream);
double tensor_core_error(bool wait, cudaStream_t stream);
double transpose_error(kernels::Transpose how, cudaStream_t stream);
double count_positive_error(int count, cudaStream_t stream);

std::vector<double> product(const std::vector<float>& a, const std::vector<float>& b, int m, int n, int k);

}  // namespace winnow::emulation_test
