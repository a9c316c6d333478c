// cuBLAS and cuBLASLt: results, epilogues, and the constraints of their documentation.
#include <cublasLt.h>
#include <cublas_v2.h>

#include "tests/emulation/support.h"

namespace winnow::emulation_test {
namespace {

constexpr int kM = 6, kN = 5, kK = 7;
const float kOne = 1, kZero = 0;

class Cublas : public Machine {
 protected:
  Cublas() {
    EXPECT_EQ(cublasCreate(&handle), CUBLAS_STATUS_SUCCESS);
    EXPECT_EQ(cublasSetStream(handle, stream), CUBLAS_STATUS_SUCCESS);
  }
  ~Cublas() override { cublasDestroy(handle); }
  // C[m, n] = A[m, k] B[k, n] in row-major order is B^T A^T in cuBLAS's.
  cublasStatus_t sgemm(int k, int ldb, const float* alpha = &kOne) {
    return cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, kN, kM, k, alpha, b.data(), ldb, a.data(), k, &kZero, c.data(),
                       kN);
  }
  cublasHandle_t handle = nullptr;
  const std::vector<float> host_a = normal(kM * kK, 1), host_b = normal(kK * kN, 2);
  const DeviceBuffer<float> a{host_a}, b{host_b}, c{std::size_t{kM * kN}};
};

TEST_F(Cublas, GemmMultipliesAndDoesNotReadCWhenBetaIsZero) {
  EXPECT_EQ(sgemm(kK, kN), CUBLAS_STATUS_SUCCESS);
  EXPECT_LT(error(c.read(stream), product(host_a, host_b, kM, kN, kK)), 1e-7);
  expect_clean();
}
TEST_F(Cublas, BadCallsAreRefusedWithAReason) {
  EXPECT_EQ(sgemm(kK, kN - 1), CUBLAS_STATUS_INVALID_VALUE);        // leading dimension
  EXPECT_EQ(sgemm(kK + 1, kN), CUBLAS_STATUS_INVALID_VALUE);        // beyond the allocation
  EXPECT_EQ(sgemm(kK, kN, a.data()), CUBLAS_STATUS_INVALID_VALUE);  // alpha in device memory
  EXPECT_EQ(cublasGemmEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &kOne, a.data(), CUDA_R_32F, 2, b.data(),
                         CUDA_R_16F, 2, &kZero, c.data(), CUDA_R_32F, 2, CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_NOT_SUPPORTED);
  EXPECT_EQ(cublasGemmStridedBatchedEx(handle, CUBLAS_OP_N, CUBLAS_OP_N, 2, 2, 2, &kOne, a.data(), CUDA_R_32F, 2, 4,
                                       b.data(), CUDA_R_32F, 2, 4, &kZero, c.data(), CUDA_R_32F, 2, 3, 2,
                                       CUBLAS_COMPUTE_32F, CUBLAS_GEMM_DEFAULT),
            CUBLAS_STATUS_INVALID_VALUE);  // outputs overlap
  EXPECT_EQ(reports().size(), 5u);
  const DeviceBuffer<char> workspace(std::size_t{1024});
  EXPECT_EQ(cublasSetWorkspace(handle, workspace.data() + 16, 256), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasSetWorkspace(handle, workspace.data(), 1024), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(cublasSetStream(nullptr, stream), CUBLAS_STATUS_NOT_INITIALIZED);
}
TEST_F(Cublas, AnOperandFreedBeforeTheStreamRunsIsReported) {
  float* freed = nullptr;
  cudaMallocAsync(reinterpret_cast<void**>(&freed), kM * kN * 4, stream);
  cudaStreamSynchronize(stream);
  cudaFreeAsync(freed, stream);
  cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, kN, kM, kK, &kOne, b.data(), kN, a.data(), kK, &kZero, freed, kN);
  EXPECT_EQ(cudaStreamSynchronize(stream), cudaErrorIllegalAddress);
  EXPECT_TRUE(reported("cublas"));
}
TEST_F(Cublas, DevicePointersToScalarsAreReadWhenTheProductRuns) {
  const DeviceBuffer<float> scalars(std::vector<float>{2, 0});
  cublasSetPointerMode(handle, CUBLAS_POINTER_MODE_DEVICE);
  EXPECT_EQ(cublasSgemm(handle, CUBLAS_OP_N, CUBLAS_OP_N, kN, kM, kK, scalars.data(), b.data(), kN, a.data(), kK,
                        scalars.data() + 1, c.data(), kN),
            CUBLAS_STATUS_SUCCESS);
  auto want = product(host_a, host_b, kM, kN, kK);
  for (double& w : want) w *= 2;
  EXPECT_LT(error(c.read(stream), want), 1e-6);
}
TEST_F(Cublas, Tf32RoundsItsOperands) {
  EXPECT_EQ(cublasSetMathMode(handle, CUBLAS_TF32_TENSOR_OP_MATH), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(sgemm(kK, kN), CUBLAS_STATUS_SUCCESS);
  const double e = error(c.read(stream), product(host_a, host_b, kM, kN, kK));
  EXPECT_GT(e, 1e-6);
  EXPECT_LT(e, 7 * 2 * 5e-4 * 4);  // 7 products, each operand rounded to 2^-11, values up to about 2
}

// cuBLASLt, with all of its objects; D[m, n] is column-major: m features of n rows of a batch.
class CublasLt : public Machine {
 protected:
  CublasLt() {
    cublasLtCreate(&handle);
    cublasLtMatmulDescCreate(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F);
    cublasLtMatrixLayoutCreate(&la, CUDA_R_32F, kM, kK, kM);
    cublasLtMatrixLayoutCreate(&lb, CUDA_R_32F, kK, kN, kK);
    cublasLtMatrixLayoutCreate(&ld, CUDA_R_32F, kM, kN, kM);
    cublasLtMatmulPreferenceCreate(&preference);
    want.resize(kM * kN);
    for (std::size_t i = 0; i < kM; ++i)
      for (std::size_t j = 0; j < kN; ++j)
        for (std::size_t p = 0; p < kK; ++p)
          at(want, i, j) += static_cast<double>(host_a[p * kM + i]) * static_cast<double>(host_b[j * kK + p]);
  }
  ~CublasLt() override {
    cublasLtMatmulPreferenceDestroy(preference);
    for (cublasLtMatrixLayout_t l : {la, lb, ld}) cublasLtMatrixLayoutDestroy(l);
    cublasLtMatmulDescDestroy(desc);
    cublasLtDestroy(handle);
  }
  static double& at(std::vector<double>& matrix, std::size_t i, std::size_t j) { return matrix[j * kM + i]; }
  template <class T>
  cublasStatus_t set(cublasLtMatmulDescAttributes_t attribute, T value) {
    return cublasLtMatmulDescSetAttribute(desc, attribute, &value, sizeof value);
  }
  cublasStatus_t run(const cublasLtMatmulAlgo_t* algo = nullptr, void* workspace = nullptr, std::size_t bytes = 0) {
    return cublasLtMatmul(handle, desc, &kOne, a.data(), la, b.data(), lb, &kZero, d.data(), ld, d.data(), ld, algo,
                          workspace, bytes, stream);
  }
  std::vector<cublasLtMatmulHeuristicResult_t> heuristics() {
    std::vector<cublasLtMatmulHeuristicResult_t> results(4);
    int count = 0;
    EXPECT_EQ(cublasLtMatmulAlgoGetHeuristic(handle, desc, la, lb, ld, ld, preference, 4, results.data(), &count),
              CUBLAS_STATUS_SUCCESS);
    results.resize(static_cast<std::size_t>(count));
    return results;
  }
  void use_bias(const void* pointer) { set(CUBLASLT_MATMUL_DESC_BIAS_POINTER, pointer); }
  void use_aux(const void* pointer, std::int64_t leading) {
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, pointer);
    set(CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, leading);
  }

  cublasLtHandle_t handle = nullptr;
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t la = nullptr, lb = nullptr, ld = nullptr;
  cublasLtMatmulPreference_t preference = nullptr;
  const std::vector<float> host_a = normal(kM * kK, 3), host_b = normal(kK * kN, 4), host_bias = normal(kM, 5);
  const DeviceBuffer<float> a{host_a}, b{host_b}, bias{host_bias}, d{std::size_t{kM * kN}};
  std::vector<double> want;
};

double gelu(double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
double gelu_slope(double x) { return (gelu(x + 1e-5) - gelu(x - 1e-5)) / 2e-5; }

TEST_F(CublasLt, BiasReluAndTheMaskOfItsGradient) {
  const DeviceBuffer<unsigned char> mask(std::vector<unsigned char>(128 / 8 * kN, 0));
  use_bias(bias.data());
  use_aux(mask.data(), 128);
  EXPECT_EQ(set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_RELU_AUX_BIAS), CUBLAS_STATUS_SUCCESS);
  EXPECT_EQ(run(), CUBLAS_STATUS_SUCCESS);
  auto forward = want;
  for (std::size_t j = 0; j < kN; ++j)
    for (std::size_t i = 0; i < kM; ++i)
      at(forward, i, j) = std::max(0.0, at(want, i, j) + static_cast<double>(host_bias[i]));
  EXPECT_LT(error(d.read(stream), forward), 1e-6);

  const DeviceBuffer<float> bias_gradient(std::size_t{kM});
  use_bias(bias_gradient.data());
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DRELU_BGRAD);
  EXPECT_EQ(run(), CUBLAS_STATUS_SUCCESS);
  std::vector<double> gradient = want, sums(kM);
  for (std::size_t j = 0; j < kN; ++j)
    for (std::size_t i = 0; i < kM; ++i) {
      if (at(forward, i, j) <= 0) at(gradient, i, j) = 0;
      sums[i] += at(gradient, i, j);
    }
  EXPECT_LT(error(d.read(stream), gradient), 1e-6);
  EXPECT_LT(error(bias_gradient.read(stream), sums), 1e-6);
  expect_clean();
}
TEST_F(CublasLt, BiasGeluAndItsGradient) {
  const DeviceBuffer<float> aux(std::size_t{8 * kN});
  use_bias(bias.data());
  use_aux(aux.data(), 8);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_GELU_AUX_BIAS);
  EXPECT_EQ(run(), CUBLAS_STATUS_SUCCESS);
  auto before = want, after = want, gradient = want;
  for (std::size_t j = 0; j < kN; ++j)
    for (std::size_t i = 0; i < kM; ++i) {
      at(before, i, j) += static_cast<double>(host_bias[i]);
      at(after, i, j) = gelu(at(before, i, j));
      at(gradient, i, j) = at(want, i, j) * gelu_slope(at(before, i, j));
    }
  EXPECT_LT(error(d.read(stream), after), 1e-6);
  EXPECT_NEAR(aux.read(stream)[8], static_cast<float>(at(before, 0, 1)), 1e-6);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DGELU);
  EXPECT_EQ(run(), CUBLAS_STATUS_SUCCESS);
  EXPECT_LT(error(d.read(stream), gradient), 1e-5);
  expect_clean();
}
TEST_F(CublasLt, BiasGradientsOfTheInputs) {
  const DeviceBuffer<float> of_a(std::size_t{kM}), of_b(std::size_t{kN});
  use_bias(of_a.data());
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BGRADA);
  EXPECT_EQ(run(), CUBLAS_STATUS_SUCCESS);
  use_bias(of_b.data());
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BGRADB);
  EXPECT_EQ(run(), CUBLAS_STATUS_SUCCESS);
  std::vector<double> rows(kM), columns(kN);
  for (std::size_t p = 0; p < kK; ++p) {
    for (std::size_t i = 0; i < kM; ++i) rows[i] += static_cast<double>(host_a[p * kM + i]);
    for (std::size_t j = 0; j < kN; ++j) columns[j] += static_cast<double>(host_b[j * kK + p]);
  }
  EXPECT_LT(error(of_a.read(stream), rows), 1e-6);
  EXPECT_LT(error(of_b.read(stream), columns), 1e-6);
  EXPECT_LT(error(d.read(stream), want), 1e-6);
}
TEST_F(CublasLt, RowMajorLayoutsAndBatches) {
  const std::int32_t row = CUBLASLT_ORDER_ROW, batches = 2;
  const std::int64_t leading = kN, stride_a = 0, stride_b = 0, stride_d = kM * kN;
  cublasLtMatrixLayoutSetAttribute(ld, CUBLASLT_MATRIX_LAYOUT_ORDER, &row, sizeof row);
  cublasLtMatrixLayoutSetAttribute(ld, CUBLASLT_MATRIX_LAYOUT_LD, &leading, sizeof leading);
  const std::pair<cublasLtMatrixLayout_t, const std::int64_t*> all[] = {
      {la, &stride_a}, {lb, &stride_b}, {ld, &stride_d}};
  for (const auto& [layout, stride] : all) {
    cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &batches, sizeof batches);
    cublasLtMatrixLayoutSetAttribute(layout, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, stride, sizeof *stride);
  }
  const DeviceBuffer<float> both(std::size_t{2 * kM * kN});
  EXPECT_EQ(cublasLtMatmul(handle, desc, &kOne, a.data(), la, b.data(), lb, &kZero, both.data(), ld, both.data(), ld,
                           nullptr, nullptr, 0, stream),
            CUBLAS_STATUS_SUCCESS);
  const auto got = both.read(stream);
  for (std::size_t i = 0; i < kM; ++i)
    for (std::size_t j = 0; j < kN; ++j)
      for (std::size_t batch = 0; batch < 2; ++batch)
        EXPECT_NEAR(got[batch * kM * kN + i * kN + j], static_cast<float>(at(want, i, j)), 1e-5);
  expect_clean();
}
TEST_F(CublasLt, AnAlgorithmFitsItsProblemWorkspaceAndAlignment) {
  EXPECT_EQ(heuristics().size(), 1u);  // no workspace is allowed by default
  const std::uint64_t most = 1 << 20;
  cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &most, sizeof most);
  const auto results = heuristics();
  ASSERT_EQ(results.size(), 2u);
  const auto& algo = results[0].algo;
  const std::size_t bytes = results[0].workspaceSize;
  ASSERT_GT(bytes, 0u);
  const DeviceBuffer<char> workspace(bytes + 256);
  EXPECT_EQ(run(&algo, workspace.data(), bytes), CUBLAS_STATUS_SUCCESS);
  EXPECT_LT(error(d.read(stream), want), 1e-6);
  expect_clean();
  EXPECT_EQ(run(&algo, workspace.data(), bytes - 1), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(run(&algo, workspace.data() + 8, bytes), CUBLAS_STATUS_INVALID_VALUE);  // 16 bytes
  EXPECT_EQ(run(&algo, nullptr, bytes), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(cublasLtMatmul(handle, desc, &kOne, a.data() + 1, la, b.data(), lb, &kZero, d.data(), ld, d.data(), ld,
                           &results[1].algo, nullptr, 0, stream),
            CUBLAS_STATUS_INVALID_VALUE);  // 256 bytes are assumed unless the preference says less
  const cublasLtMatmulAlgo_t invented{};
  EXPECT_EQ(run(&invented), CUBLAS_STATUS_INVALID_VALUE);
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_RELU);  // another problem than it was chosen for
  EXPECT_EQ(run(&results[1].algo), CUBLAS_STATUS_INVALID_VALUE);
  EXPECT_EQ(reports().size(), 6u);
}
TEST_F(CublasLt, ConstraintsOfTheDocumentationAreChecked) {
  std::size_t refused = 0;
  const auto expect_refused = [&](const char* what, cublasStatus_t status = CUBLAS_STATUS_INVALID_VALUE) {
    EXPECT_EQ(run(), status) << what;
    EXPECT_EQ(reports().size(), ++refused) << what;
  };
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_BIAS);
  expect_refused("a bias epilogue without a bias");
  use_bias(host_bias.data());
  expect_refused("a bias in host memory");
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_GELU_AUX);
  expect_refused("an aux epilogue without aux");
  const DeviceBuffer<float> aux(std::size_t{128 * kN});
  use_aux(aux.data(), 6);
  expect_refused("an aux leading dimension that is no multiple of 8");
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_RELU_AUX);
  use_aux(aux.data(), 64);
  expect_refused("a mask's leading dimension that is no multiple of 128");
  set(CUBLASLT_MATMUL_DESC_EPILOGUE, CUBLASLT_EPILOGUE_DEFAULT);
  set(CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  expect_refused("shapes that do not go together");
  const char small = 1;
  EXPECT_EQ(cublasLtMatmulDescSetAttribute(desc, CUBLASLT_MATMUL_DESC_TRANSA, &small, 1), CUBLAS_STATUS_INVALID_VALUE);
}

}  // namespace
}  // namespace winnow::emulation_test
