// Stand-in for the part of cuBLASLt that Winnow calls: matmul with layouts, epilogues, preferences and heuristics.
// Constraints are those of cublasLt.h's comments and of the cuBLAS documentation's section on each function.
#include <cublasLt.h>
#include <fmt/format.h>

#include <cstring>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/device.h"
#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/handles.h"
#include "core/cuda/emulation/matmul.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/stream.h"

struct cublasLtContext {
  int device = 0;
};

using namespace winnow::emulation;

namespace {

struct Description {
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cudaDataType_t scale = CUDA_R_32F;
  cublasLtPointerMode_t pointers = CUBLASLT_POINTER_MODE_HOST;
  cublasOperation_t transpose_a = CUBLAS_OP_N, transpose_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void* bias = nullptr;
  void* aux = nullptr;
  std::int64_t bias_stride = 0, aux_ld = 0, aux_stride = 0;
  std::int32_t bias_type = -1, aux_type = -1;  // -1: as D
};
struct Layout {
  cudaDataType_t type = CUDA_R_32F;
  std::int32_t order = CUBLASLT_ORDER_COL;
  std::uint64_t rows = 0, cols = 0;
  std::int64_t ld = 0;
  std::int32_t batches = 1;
  std::int64_t batch_stride = 0;
};
struct Preference {
  std::uint64_t workspace = 0;  // no workspace unless allowed
  std::uint32_t alignment[4] = {256, 256, 256, 256};
  std::uint32_t reductions = CUBLASLT_REDUCTION_SCHEME_MASK;  // the sums here have one order whatever is allowed
};
// What a cublasLtMatmulAlgo_t holds here: the problem that it was chosen for and what it relies on.
struct Algorithm {
  std::uint64_t magic, problem, workspace;
  std::uint32_t alignment[4];
  std::uint64_t unused[3];
};
static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t));
constexpr std::uint64_t kAlgorithmMagic = 0x77696e6e6f774c74;

Description* description(cublasLtMatmulDesc_t d) { return reinterpret_cast<Description*>(d); }
Layout* layout(cublasLtMatrixLayout_t l) { return reinterpret_cast<Layout*>(l); }
Preference* preference(cublasLtMatmulPreference_t p) { return reinterpret_cast<Preference*>(p); }

// Copies an attribute in; its size must be the documented one.
template <class T>
cublasStatus_t assign(T& member, const void* value, std::size_t bytes, const char* call) {
  if (!value || bytes != sizeof(T)) return refuse(call, "the attribute's size is not that of its type");
  std::memcpy(&member, value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

Epilogue epilogue_of(const Description& d, cudaDataType_t output) {
  const auto bits = static_cast<unsigned>(d.epilogue);
  Epilogue e;
  e.relu = bits & CUBLASLT_EPILOGUE_RELU;
  e.gelu = bits & CUBLASLT_EPILOGUE_GELU;
  e.relu_gradient = (bits & CUBLASLT_EPILOGUE_DRELU) == CUBLASLT_EPILOGUE_DRELU;
  e.gelu_gradient = (bits & CUBLASLT_EPILOGUE_DGELU) == CUBLASLT_EPILOGUE_DGELU;
  e.writes_aux = (e.relu || e.gelu) && (bits & 128);
  e.adds_bias = bits & CUBLASLT_EPILOGUE_BIAS;
  if (bits & 16) e.bias_gradient = Epilogue::BiasGradient::OfD;
  if (bits & CUBLASLT_EPILOGUE_BGRADA) e.bias_gradient = Epilogue::BiasGradient::OfA;
  if (bits & CUBLASLT_EPILOGUE_BGRADB) e.bias_gradient = Epilogue::BiasGradient::OfB;
  e.bias = d.bias;
  e.bias_type = d.bias_type < 0 ? output : static_cast<cudaDataType_t>(d.bias_type);
  e.bias_stride = d.bias_stride;
  e.aux = d.aux;
  e.aux_type = d.aux_type < 0 ? output : static_cast<cudaDataType_t>(d.aux_type);
  e.aux_ld = d.aux_ld;
  e.aux_stride = d.aux_stride;
  return e;
}

Matrix matrix_of(const Layout& l, const void* data) {
  return {data,
          l.type,
          l.order == CUBLASLT_ORDER_ROW,
          static_cast<std::int64_t>(l.rows),
          static_cast<std::int64_t>(l.cols),
          l.ld,
          l.batch_stride};
}

// FNV-1a over everything that an algorithm may depend on.
std::uint64_t problem_hash(const Description& d, std::initializer_list<const Layout*> layouts) {
  std::uint64_t hash = 1469598103934665603u;
  const auto add = [&hash](std::uint64_t value) { hash = (hash ^ value) * 1099511628211u; };
  for (const Layout* l : layouts)
    for (std::uint64_t value : {static_cast<std::uint64_t>(l->type), static_cast<std::uint64_t>(l->order), l->rows,
                                l->cols, static_cast<std::uint64_t>(l->ld), static_cast<std::uint64_t>(l->batches)})
      add(value);
  for (int value : {static_cast<int>(d.compute), static_cast<int>(d.scale), static_cast<int>(d.transpose_a),
                    static_cast<int>(d.transpose_b), static_cast<int>(d.epilogue)})
    add(static_cast<std::uint64_t>(value));
  return hash;
}

constexpr const char* kMatmul = "cublasLtMatmul";

cublasStatus_t check_algorithm(const cublasLtMatmulAlgo_t& algo, std::uint64_t problem, const void* const operands[4],
                               std::size_t workspace) {
  Algorithm a;
  std::memcpy(&a, &algo, sizeof a);
  if (a.magic != kAlgorithmMagic)
    return refuse(kMatmul, "an algorithm that cublasLtMatmulAlgoGetHeuristic did not give");
  if (a.problem != problem) return refuse(kMatmul, "an algorithm that was chosen for another problem");
  if (a.workspace > workspace) return refuse(kMatmul, "less workspace than the algorithm needs");
  for (int i = 0; i < 4; ++i)  // CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES and its like: 256 unless set
    if (reinterpret_cast<std::uintptr_t>(operands[i]) % a.alignment[i])
      return refuse(kMatmul,
                    fmt::format("{} is aligned less than the {} bytes of the preference that chose the algorithm",
                                "ABCD"[i], a.alignment[i])
                        .c_str());
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check_workspace(const void* workspace, std::size_t bytes) {
  if (bytes == 0) return CUBLAS_STATUS_SUCCESS;
  if (!device_range(workspace, bytes)) return refuse(kMatmul, "the workspace is not device memory of that size");
  // Documented are 16 bytes; an H100's library refused one at 64 and takes those of cudaMalloc.
  if (reinterpret_cast<std::uintptr_t>(workspace) % 256)
    return refuse(kMatmul, "the workspace is not aligned to 256 bytes");
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t check_description(const Description& d, std::initializer_list<const Layout*> layouts, const char* call) {
  for (const Layout* l : layouts) {
    if (l->order != CUBLASLT_ORDER_COL && l->order != CUBLASLT_ORDER_ROW)
      return refuse(call, "a memory order that is not modelled", CUBLAS_STATUS_NOT_SUPPORTED);
    if (l->batches != (*layouts.begin())->batches) return refuse(call, "layouts with different batch counts");
  }
  const cudaDataType_t wanted = d.compute == CUBLAS_COMPUTE_64F   ? CUDA_R_64F
                                : d.compute == CUBLAS_COMPUTE_32I ? CUDA_R_32I
                                                                  : CUDA_R_32F;
  if (d.scale != wanted)
    return refuse(call, "the scale type does not go with the compute type", CUBLAS_STATUS_NOT_SUPPORTED);
  return CUBLAS_STATUS_SUCCESS;
}

}  // namespace

extern "C" {

std::size_t cublasLtGetVersion() { return CUBLAS_VERSION; }

cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  ApiLock lock;
  if (check_driver() != cudaSuccess) return CUBLAS_STATUS_NOT_INITIALIZED;
  *handle = make_handle<cublasLtContext>(current_device());
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtDestroy(cublasLtHandle_t handle) {
  ApiLock lock;
  return delete_handle(handle) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_INITIALIZED;
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* desc, cublasComputeType_t compute, cudaDataType_t scale) {
  ApiLock lock;
  auto* d = make_handle<Description>(compute, scale);
  *desc = reinterpret_cast<cublasLtMatmulDesc_t>(d);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t desc) {
  ApiLock lock;
  return delete_handle(description(desc)) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t attribute,
                                              const void* value, std::size_t bytes) {
  ApiLock lock;
  constexpr const char* kCall = "cublasLtMatmulDescSetAttribute";
  if (!known(description(desc))) return refuse(kCall, "no such description");
  Description& d = *description(desc);
  switch (attribute) {
    case CUBLASLT_MATMUL_DESC_POINTER_MODE: return assign(d.pointers, value, bytes, kCall);
    case CUBLASLT_MATMUL_DESC_TRANSA: return assign(d.transpose_a, value, bytes, kCall);
    case CUBLASLT_MATMUL_DESC_TRANSB: return assign(d.transpose_b, value, bytes, kCall);
    case CUBLASLT_MATMUL_DESC_EPILOGUE: return assign(d.epilogue, value, bytes, kCall);
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER: return assign(d.bias, value, bytes, kCall);
    case CUBLASLT_MATMUL_DESC_BIAS_BATCH_STRIDE: return assign(d.bias_stride, value, bytes, kCall);
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE: return assign(d.bias_type, value, bytes, kCall);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER: return assign(d.aux, value, bytes, kCall);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD: return assign(d.aux_ld, value, bytes, kCall);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_BATCH_STRIDE: return assign(d.aux_stride, value, bytes, kCall);
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_DATA_TYPE: return assign(d.aux_type, value, bytes, kCall);
    default: return refuse(kCall, "an attribute that is not modelled");
  }
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* handle, cudaDataType type, uint64_t rows,
                                          uint64_t cols, int64_t ld) {
  ApiLock lock;
  auto* l = make_handle<Layout>();
  l->type = type;
  l->rows = rows;
  l->cols = cols;
  l->ld = ld;
  *handle = reinterpret_cast<cublasLtMatrixLayout_t>(l);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t handle) {
  ApiLock lock;
  return delete_handle(layout(handle)) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t handle,
                                                cublasLtMatrixLayoutAttribute_t attribute, const void* value,
                                                std::size_t bytes) {
  ApiLock lock;
  constexpr const char* kCall = "cublasLtMatrixLayoutSetAttribute";
  if (!known(layout(handle))) return refuse(kCall, "no such layout");
  Layout& l = *layout(handle);
  switch (attribute) {
    case CUBLASLT_MATRIX_LAYOUT_TYPE: return assign(l.type, value, bytes, kCall);
    case CUBLASLT_MATRIX_LAYOUT_ORDER: return assign(l.order, value, bytes, kCall);
    case CUBLASLT_MATRIX_LAYOUT_ROWS: return assign(l.rows, value, bytes, kCall);
    case CUBLASLT_MATRIX_LAYOUT_COLS: return assign(l.cols, value, bytes, kCall);
    case CUBLASLT_MATRIX_LAYOUT_LD: return assign(l.ld, value, bytes, kCall);
    case CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT: return assign(l.batches, value, bytes, kCall);
    case CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET: return assign(l.batch_stride, value, bytes, kCall);
    default: return refuse(kCall, "an attribute that is not modelled");
  }
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* handle) {
  ApiLock lock;
  *handle = reinterpret_cast<cublasLtMatmulPreference_t>(make_handle<Preference>());
  return CUBLAS_STATUS_SUCCESS;
}
const char* cublasLtGetStatusName(cublasStatus_t status) {
  switch (status) {
    case CUBLAS_STATUS_SUCCESS: return "CUBLAS_STATUS_SUCCESS";
    case CUBLAS_STATUS_INVALID_VALUE: return "CUBLAS_STATUS_INVALID_VALUE";
    case CUBLAS_STATUS_NOT_SUPPORTED: return "CUBLAS_STATUS_NOT_SUPPORTED";
    case CUBLAS_STATUS_NOT_INITIALIZED: return "CUBLAS_STATUS_NOT_INITIALIZED";
    case CUBLAS_STATUS_ALLOC_FAILED: return "CUBLAS_STATUS_ALLOC_FAILED";
    default: return "CUBLAS_STATUS_EXECUTION_FAILED";
  }
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t handle) {
  ApiLock lock;
  return delete_handle(preference(handle)) ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t handle,
                                                    cublasLtMatmulPreferenceAttributes_t attribute, const void* value,
                                                    std::size_t bytes) {
  ApiLock lock;
  constexpr const char* kCall = "cublasLtMatmulPreferenceSetAttribute";
  if (!known(preference(handle))) return refuse(kCall, "no such preference");
  Preference& p = *preference(handle);
  switch (attribute) {
    case CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES: return assign(p.workspace, value, bytes, kCall);
    case CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK: return assign(p.reductions, value, bytes, kCall);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES: return assign(p.alignment[0], value, bytes, kCall);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES: return assign(p.alignment[1], value, bytes, kCall);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES: return assign(p.alignment[2], value, bytes, kCall);
    case CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES: return assign(p.alignment[3], value, bytes, kCall);
    default: return refuse(kCall, "an attribute that is not modelled");
  }
}

// Two algorithms where a workspace is allowed, the first of which uses it; one without. The choice says nothing about
// what a device would choose; that the caller honours it is what is tested.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preferences, int requested,
                                              cublasLtMatmulHeuristicResult_t results[], int* returned) {
  ApiLock lock;
  constexpr const char* kCall = "cublasLtMatmulAlgoGetHeuristic";
  if (!known(handle)) return refuse(kCall, "no such handle", CUBLAS_STATUS_NOT_INITIALIZED);
  if (!known(description(desc)) || !known(preference(preferences))) return refuse(kCall, "no such description");
  for (cublasLtMatrixLayout_t l : {a, b, c, d})
    if (!known(layout(l))) return refuse(kCall, "no such layout");
  if (requested < 1 || !results || !returned) return refuse(kCall, "no place for a result");
  const std::initializer_list<const Layout*> layouts = {layout(a), layout(b), layout(c), layout(d)};
  *returned = 0;
  if (const auto status = check_description(*description(desc), layouts, kCall); status != CUBLAS_STATUS_SUCCESS)
    return status;
  const Preference& p = *preference(preferences);
  constexpr std::uint64_t kSplitK = 64 << 10;
  for (std::uint64_t workspace : {kSplitK, std::uint64_t{0}}) {
    if (workspace > p.workspace || *returned == requested) continue;
    Algorithm algorithm{kAlgorithmMagic, problem_hash(*description(desc), layouts), workspace, {}, {}};
    std::memcpy(algorithm.alignment, p.alignment, sizeof algorithm.alignment);
    cublasLtMatmulHeuristicResult_t& result = results[(*returned)++];
    result = {};
    std::memcpy(&result.algo, &algorithm, sizeof algorithm);
    result.workspaceSize = workspace;
    result.state = CUBLAS_STATUS_SUCCESS;
    result.wavesCount = 1;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t handle, cublasLtMatmulDesc_t desc, const void* alpha, const void* a,
                              cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                              const void* beta, const void* c, cublasLtMatrixLayout_t c_layout, void* d,
                              cublasLtMatrixLayout_t d_layout, const cublasLtMatmulAlgo_t* algo, void* workspace,
                              std::size_t workspace_bytes, cudaStream_t stream) {
  ApiLock lock;
  if (!known(handle)) return refuse(kMatmul, "no such handle", CUBLAS_STATUS_NOT_INITIALIZED);
  if (!known(description(desc))) return refuse(kMatmul, "no such description");
  for (cublasLtMatrixLayout_t l : {a_layout, b_layout, c_layout, d_layout})
    if (!known(layout(l))) return refuse(kMatmul, "no such layout");
  if (!valid_stream(stream) || device_of_stream(stream) != handle->device)
    return refuse(kMatmul, "no stream of the handle's device");
  const Description& x = *description(desc);
  const std::initializer_list<const Layout*> layouts = {layout(a_layout), layout(b_layout), layout(c_layout),
                                                        layout(d_layout)};
  if (const auto status = check_description(x, layouts, kMatmul); status != CUBLAS_STATUS_SUCCESS) return status;
  if (const auto status = check_workspace(workspace, workspace_bytes); status != CUBLAS_STATUS_SUCCESS) return status;
  const void* const operands[4] = {a, b, c, d};
  if (algo)
    if (const auto status = check_algorithm(*algo, problem_hash(x, layouts), operands, workspace_bytes);
        status != CUBLAS_STATUS_SUCCESS)
      return status;
  Matmul m;
  m.call = kMatmul;
  m.a = matrix_of(*layout(a_layout), a);
  m.b = matrix_of(*layout(b_layout), b);
  m.c = matrix_of(*layout(c_layout), c);
  m.d = matrix_of(*layout(d_layout), d);
  m.transpose_a = x.transpose_a != CUBLAS_OP_N;
  m.transpose_b = x.transpose_b != CUBLAS_OP_N;
  m.batches = layout(d_layout)->batches;
  m.compute = x.compute;
  m.tf32 = x.compute == CUBLAS_COMPUTE_32F_FAST_TF32;
  m.epilogue = epilogue_of(x, m.d.type);
  const bool device_mode = x.pointers == CUBLASLT_POINTER_MODE_DEVICE;
  if (!read_scale(alpha, device_mode, x.scale, kMatmul, &m.alpha) ||
      !read_scale(beta, device_mode, x.scale, kMatmul, &m.beta))
    return CUBLAS_STATUS_INVALID_VALUE;
  return enqueue_matmul(m, stream);
}
}
