#include "tests/emulation/support.h"

namespace winnow::emulation_test {

double layernorm_error(int rows, int width, cudaStream_t stream) {
  const auto d = static_cast<std::size_t>(width), count = static_cast<std::size_t>(rows) * d;
  const auto x = normal(count, 1), gamma = normal(d, 2), beta = normal(d, 3);
  const DeviceBuffer<float> dx(x), dgamma(gamma), dbeta(beta), dy(count);
  EXPECT_EQ(kernels::layernorm(dx.data(), dgamma.data(), dbeta.data(), dy.data(), rows, width, stream), cudaSuccess);
  std::vector<double> want(count);
  for (std::size_t first = 0; first < count; first += d) {
    double mean = 0, variance = 0;
    for (std::size_t j = 0; j < d; ++j) mean += static_cast<double>(x[first + j]) / static_cast<double>(d);
    for (std::size_t j = 0; j < d; ++j) variance += std::pow(x[first + j] - mean, 2) / static_cast<double>(d);
    for (std::size_t j = 0; j < d; ++j)
      want[first + j] = (x[first + j] - mean) / std::sqrt(variance + 1e-5) * static_cast<double>(gamma[j]) +
                        static_cast<double>(beta[j]);
  }
  return error(dy.read(stream), want);
}

double softmax_error(int rows, int width, cudaStream_t stream) {
  const auto d = static_cast<std::size_t>(width), count = static_cast<std::size_t>(rows) * d;
  const auto x = normal(count, 4);
  const DeviceBuffer<float> dx(x), dy(count);
  EXPECT_EQ(kernels::softmax(dx.data(), dy.data(), rows, width, stream), cudaSuccess);
  std::vector<double> want(count);
  for (std::size_t first = 0; first < count; first += d) {
    double sum = 0;
    for (std::size_t j = 0; j < d; ++j) sum += std::exp(static_cast<double>(x[first + j]));
    for (std::size_t j = 0; j < d; ++j) want[first + j] = std::exp(static_cast<double>(x[first + j])) / sum;
  }
  return error(dy.read(stream), want);
}

double embedding_bag_error(bool sorted, cudaStream_t stream) {
  constexpr std::size_t kCount = 200, kWidth = 36, kRows = 17, kBags = 23;
  std::mt19937 generator(5);
  std::vector<int> ids(kCount), bags(kCount);
  for (std::size_t k = 0; k < kCount; ++k) {
    ids[k] = static_cast<int>(generator() % (kRows - 1));
    bags[k] = static_cast<int>(generator() % kBags);
  }
  const auto gradient = normal(kBags * kWidth, 6);
  std::vector<double> want(kRows * kWidth);
  for (std::size_t k = 0; k < kCount; ++k)
    for (std::size_t c = 0; c < kWidth; ++c)
      want[static_cast<std::size_t>(ids[k]) * kWidth + c] +=
          static_cast<double>(gradient[static_cast<std::size_t>(bags[k]) * kWidth + c]);
  const DeviceBuffer<float> dgradient(gradient), dtable(std::vector<float>(kRows * kWidth));
  if (!sorted) {
    const DeviceBuffer<int> dids(ids), dbags(bags);
    EXPECT_EQ(kernels::embedding_bag_atomic(dids.data(), dbags.data(), dgradient.data(), dtable.data(), kCount, kWidth,
                                            kRows, stream),
              cudaSuccess);
    return error(dtable.read(stream), want);
  }
  std::vector<int> rows, segments{0}, occurrences;
  for (int row = 0; row < static_cast<int>(kRows); ++row) {
    for (std::size_t k = 0; k < kCount; ++k)
      if (ids[k] == row) occurrences.push_back(bags[k]);
    if (static_cast<int>(occurrences.size()) == segments.back()) continue;
    rows.push_back(row);
    segments.push_back(static_cast<int>(occurrences.size()));
  }
  const DeviceBuffer<int> drows(rows), dsegments(segments), doccurrences(occurrences);
  EXPECT_EQ(kernels::embedding_bag_sorted(drows.data(), dsegments.data(), doccurrences.data(), dgradient.data(),
                                          dtable.data(), static_cast<int>(rows.size()), kWidth, stream),
            cudaSuccess);
  return error(dtable.read(stream), want);
}

std::vector<double> product(const std::vector<float>& a, const std::vector<float>& b, int m, int n, int k) {
  const auto rows = static_cast<std::size_t>(m), columns = static_cast<std::size_t>(n),
             inner = static_cast<std::size_t>(k);
  std::vector<double> c(rows * columns);
  for (std::size_t i = 0; i < rows; ++i)
    for (std::size_t j = 0; j < columns; ++j)
      for (std::size_t p = 0; p < inner; ++p)
        c[i * columns + j] += static_cast<double>(a[i * inner + p]) * static_cast<double>(b[p * columns + j]);
  return c;
}

double gemm_error(int m, int n, int k, cudaStream_t stream) {
  const auto a = normal(static_cast<std::size_t>(m * k), 7), b = normal(static_cast<std::size_t>(k * n), 8);
  const DeviceBuffer<float> da(a), db(b), dc(static_cast<std::size_t>(m * n));
  EXPECT_EQ(kernels::gemm(da.data(), db.data(), dc.data(), m, n, k, stream), cudaSuccess);
  return error(dc.read(stream), product(a, b, m, n, k));
}

double tensor_core_error(bool wait, cudaStream_t stream) {
  constexpr int kM = 32, kN = 24, kK = 64;
  auto a = normal(kM * kK, 21), b = normal(kK * kN, 22);
  std::vector<__nv_bfloat16> a16(a.size()), b16(b.size());  // b16 is B transposed
  for (std::size_t i = 0; i < a.size(); ++i) a[i] = __bfloat162float(a16[i] = __float2bfloat16(a[i]));
  for (std::size_t p = 0; p < kK; ++p)
    for (std::size_t j = 0; j < kN; ++j)
      b[p * kN + j] = __bfloat162float(b16[j * kK + p] = __float2bfloat16(b[p * kN + j]));
  const DeviceBuffer<__nv_bfloat16> da(a16), db(b16);
  const DeviceBuffer<float> dc(kM * kN);
  EXPECT_EQ(kernels::tensor_core_gemm(da.data(), db.data(), dc.data(), kM, kN, kK, wait, stream), cudaSuccess);
  return error(dc.read(stream), product(a, b, kM, kN, kK));
}

double transpose_error(kernels::Transpose how, cudaStream_t stream) {
  constexpr std::size_t kWidth = 64;
  const auto x = normal(kWidth * kWidth, 9);
  const DeviceBuffer<float> dx(x), dy(x.size());
  EXPECT_EQ(kernels::transpose(dx.data(), dy.data(), kWidth, how, stream), cudaSuccess);
  std::vector<double> want(x.size());
  for (std::size_t i = 0; i < kWidth; ++i)
    for (std::size_t j = 0; j < kWidth; ++j) want[j * kWidth + i] = static_cast<double>(x[i * kWidth + j]);
  return error(dy.read(stream), want);
}

double count_positive_error(int count, cudaStream_t stream) {
  constexpr std::size_t kBlock = 96;
  const auto x = normal(static_cast<std::size_t>(count), 10);
  const std::size_t blocks = (x.size() + kBlock - 1) / kBlock;
  const DeviceBuffer<float> dx(x);
  const DeviceBuffer<int> counts(blocks);
  const DeviceBuffer<double> sums(blocks);
  EXPECT_EQ(kernels::count_positive(dx.data(), counts.data(), sums.data(), count, stream), cudaSuccess);
  std::vector<double> want_counts(blocks), want_sums(blocks);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (x[i] <= 0) continue;
    want_counts[i / kBlock] += 1;
    want_sums[i / kBlock] += static_cast<double>(x[i]);
  }
  return std::max(error(counts.read(stream), want_counts), error(sums.read(stream), want_sums));
}

}  // namespace winnow::emulation_test
