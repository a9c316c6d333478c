#include "core/cuda/matmul_plan.h"

#include <limits>
#include <map>
#include <mutex>

#include "core/cuda/current_device.h"

namespace winnow::cuda {
namespace {

constexpr size_t kMostWorkspace = size_t{32} << 20;  // what NVIDIA recommends for Hopper
constexpr uint32_t kAlignmentOfOperands = 16;

void check_blas(cublasStatus_t status, const char* what) {
  WN_CHECK(status == CUBLAS_STATUS_SUCCESS, DeviceError, "{}: {}", what, cublasLtGetStatusName(status));
}

// One a device for the life of the process, as the library advises.
cublasLtHandle_t handle_of(Device device) {
  static std::mutex mutex;
  static std::map<int, cublasLtHandle_t> handles;
  const std::lock_guard lock(mutex);
  cublasLtHandle_t& handle = handles[device.index];
  const OnDevice current(device);
  if (handle == nullptr) check_blas(cublasLtCreate(&handle), "cublasLtCreate");
  return handle;
}

// The library is column-major: it sees each operand transposed, and gives D^T = op(B)^T op(A)^T.
cublasLtMatrixLayout_t layout(int64_t rows, int64_t columns, int64_t batches, cudaDataType_t type = CUDA_R_32F) {
  cublasLtMatrixLayout_t made = nullptr;
  check_blas(
      cublasLtMatrixLayoutCreate(&made, type, static_cast<uint64_t>(columns), static_cast<uint64_t>(rows), columns),
      "cublasLtMatrixLayoutCreate");
  const auto count = static_cast<int32_t>(batches);
  const int64_t stride = rows * columns;
  check_blas(cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof count),
             "cublasLtMatrixLayoutSetAttribute");
  check_blas(
      cublasLtMatrixLayoutSetAttribute(made, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET, &stride, sizeof stride),
      "cublasLtMatrixLayoutSetAttribute");
  return made;
}

template <class T>
void set(cublasLtMatmulDesc_t description, cublasLtMatmulDescAttributes_t attribute, const T& value) {
  check_blas(cublasLtMatmulDescSetAttribute(description, attribute, &value, sizeof value),
             "cublasLtMatmulDescSetAttribute");
}
template <class T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  check_blas(cublasLtMatmulPreferenceSetAttribute(preference, attribute, &value, sizeof value),
             "cublasLtMatmulPreferenceSetAttribute");
}

cublasLtEpilogue_t epilogue_of(const Product& p) {
  if (p.relu) return p.adds_bias ? CUBLASLT_EPILOGUE_RELU_BIAS : CUBLASLT_EPILOGUE_RELU;
  return p.adds_bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

// Operands of a product's sizes, for measuring.
class Operands {
 public:
  Operands(const Product& p, size_t workspace) {
    const auto floats = [&](int64_t rows, int64_t columns) {
      return static_cast<size_t>(p.batches * rows * columns) * sizeof(float);
    };
    const size_t sizes[] = {floats(p.m, p.k), floats(p.k, p.n), floats(p.m, p.n),
                            static_cast<size_t>(p.n) * sizeof(float), workspace};
    for (size_t i = 0; i < std::size(sizes); ++i) {
      check(cudaMalloc(&data_[i], sizes[i]), "cudaMalloc");
      check(cudaMemset(data_[i], 0x3C, sizes[i]), "cudaMemset");  // about 0.011 in every element
    }
    for (cudaEvent_t& event : events_) check(cudaEventCreate(&event), "cudaEventCreate");
    check(cudaDeviceSynchronize(), "cudaDeviceSynchronize");
  }
  ~Operands() {
    for (void* data : data_) (void)cudaFree(data);
    for (const cudaEvent_t event : events_) (void)cudaEventDestroy(event);
  }
  Operands(const Operands&) = delete;
  Operands& operator=(const Operands&) = delete;

  float milliseconds(const MatmulPlan& plan) const {
    constexpr int kRuns = 4;
    const auto run = [&] { plan.run(at(0), at(1), at(2), at(3), at(2), data_[4], nullptr); };
    run();
    check(cudaEventRecord(events_[0], nullptr), "cudaEventRecord");
    for (int i = 0; i < kRuns; ++i) run();
    check(cudaEventRecord(events_[1], nullptr), "cudaEventRecord");
    check(cudaEventSynchronize(events_[1]), "cudaEventSynchronize");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, events_[0], events_[1]), "cudaEventElapsedTime");
    return ms / kRuns;
  }

 private:
  void* at(size_t i) const { return data_[i]; }
  void* data_[5] = {};
  cudaEvent_t events_[2] = {};
};

}  // namespace

MatmulPlan::MatmulPlan(const Product& p, Device device, bool measure)
    : handle_(handle_of(device)), adds_c_(p.adds_c), adds_bias_(p.adds_bias) {
  const auto compute = p.precision == Precision::TF32 ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F;
  check_blas(cublasLtMatmulDescCreate(&description_, compute, CUDA_R_32F), "cublasLtMatmulDescCreate");
  set(description_, CUBLASLT_MATMUL_DESC_TRANSA, p.trans_b ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(description_, CUBLASLT_MATMUL_DESC_TRANSB, p.trans_a ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(description_, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p));
  const auto factor = p.precision == Precision::BF16 ? CUDA_R_16BF : CUDA_R_32F;
  first_ = p.trans_b ? layout(p.n, p.k, p.batches, factor) : layout(p.k, p.n, p.batches, factor);
  second_ = p.trans_a ? layout(p.k, p.m, p.batches, factor) : layout(p.m, p.k, p.batches, factor);
  result_ = layout(p.m, p.n, p.batches, p.bf16_out ? CUDA_R_16BF : CUDA_R_32F);
  choose(p, measure);
}

void MatmulPlan::choose(const Product& p, bool measure) {
  constexpr int kProposals = 12;
  cublasLtMatmulPreference_t preference = nullptr;
  check_blas(cublasLtMatmulPreferenceCreate(&preference), "cublasLtMatmulPreferenceCreate");
  set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, uint64_t{kMostWorkspace});
  // a sum over parts of k in the output itself would depend on which part comes first
  set(preference, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      uint32_t{CUBLASLT_REDUCTION_SCHEME_MASK & ~unsigned{CUBLASLT_REDUCTION_SCHEME_INPLACE}});
  for (const auto operand : {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
                             CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES})
    set(preference, operand, kAlignmentOfOperands);
  cublasLtMatmulHeuristicResult_t found[kProposals] = {};
  int count = 0;
  const cublasStatus_t status = cublasLtMatmulAlgoGetHeuristic(handle_, description_, first_, second_, result_, result_,
                                                               preference, measure ? kProposals : 1, found, &count);
  cublasLtMatmulPreferenceDestroy(preference);
  check_blas(status, "cublasLtMatmulAlgoGetHeuristic");
  WN_CHECK(count > 0, DeviceError, "cublasLtMatmulAlgoGetHeuristic: no algorithm for [{}, {}] x [{}, {}]", p.m, p.k,
           p.k, p.n);
  const auto use = [&](const cublasLtMatmulHeuristicResult_t& proposal) {
    algorithm_ = proposal.algo;
    workspace_bytes_ = proposal.workspaceSize;
  };
  use(found[0]);
  if (!measure || count == 1) return;
  const Operands operands(p, kMostWorkspace);
  int best = 0;
  float least = std::numeric_limits<float>::infinity();
  for (int i = 0; i < count; ++i) {
    if (found[i].state != CUBLAS_STATUS_SUCCESS) continue;
    use(found[i]);
    const float ms = operands.milliseconds(*this);
    if (ms < least) least = ms, best = i;
  }
  use(found[best]);
}

MatmulPlan::~MatmulPlan() {
  for (const auto made : {first_, second_, result_}) cublasLtMatrixLayoutDestroy(made);
  cublasLtMatmulDescDestroy(description_);
}

void MatmulPlan::run(const void* a, const void* b, const void* c, const void* bias, void* d, void* workspace,
                     cudaStream_t stream) const {
  if (adds_bias_) set(description_, CUBLASLT_MATMUL_DESC_BIAS_POINTER, bias);
  const float one = 1, beta = adds_c_ ? 1.0f : 0.0f;
  check_blas(cublasLtMatmul(handle_, description_, &one, b, first_, a, second_, &beta, adds_c_ ? c : d, result_, d,
                            result_, &algorithm_, workspace, workspace_bytes_, stream),
             "cublasLtMatmul");
}

}  // namespace winnow::cuda
