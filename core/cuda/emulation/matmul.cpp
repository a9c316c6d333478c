#include "core/cuda/emulation/matmul.h"

#include <fmt/format.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "core/cuda/emulation/device.h"
#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/element.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/race_checker.h"
#include "core/cuda/emulation/stream.h"

namespace winnow::emulation {

namespace {

double round_tf32(double value) {
  const float single = static_cast<float>(value);
  std::uint32_t bits;
  std::memcpy(&bits, &single, sizeof bits);
  bits = (bits + 0xFFFu + (bits >> 13 & 1)) & ~0x1FFFu;
  float rounded;
  std::memcpy(&rounded, &bits, sizeof rounded);
  return static_cast<double>(rounded);
}

constexpr double kGeluScale = 0.7978845608028654;  // sqrt(2 / pi)
double gelu(double x) { return 0.5 * x * (1 + std::tanh(kGeluScale * (x + 0.044715 * x * x * x))); }
double gelu_derivative(double x) {
  const double t = std::tanh(kGeluScale * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * kGeluScale * (1 + 3 * 0.044715 * x * x);
}

double read_now(const Scale& scale) { return scale.device ? load_element(scale.device, scale.type, 0) : scale.value; }

std::size_t aux_bytes(const Matmul& x) {
  const Epilogue& e = x.epilogue;
  const auto last = static_cast<std::size_t>((x.batches - 1) * e.aux_stride + (x.n() - 1) * e.aux_ld);
  return e.aux_is_bits() ? (last + static_cast<std::size_t>(x.m()) + 7) / 8
                         : (last + static_cast<std::size_t>(x.m())) * element_bytes(e.aux_type);
}
std::size_t bias_bytes(const Matmul& x) {
  const std::int64_t length = x.epilogue.bias_gradient == Epilogue::BiasGradient::OfB ? x.n() : x.m();
  return static_cast<std::size_t>((x.batches - 1) * x.epilogue.bias_stride + length) *
         element_bytes(x.epilogue.bias_type);
}
bool uses_bias(const Epilogue& e) { return e.adds_bias || e.bias_gradient != Epilogue::BiasGradient::None; }

// The first operand that is not inside one live device allocation, or null.
const char* misplaced_operand(const Matmul& x) {
  if (!device_range(x.a.data, x.a.bytes(x.batches))) return "A";
  if (!device_range(x.b.data, x.b.bytes(x.batches))) return "B";
  if (!device_range(x.d.data, x.d.bytes(x.batches))) return "D";
  const bool reads_c = x.beta.device || x.beta.value != 0;
  if (reads_c && !device_range(x.c.data, x.c.bytes(x.batches))) return "C";
  if (uses_bias(x.epilogue) && !device_range(x.epilogue.bias, bias_bytes(x))) return "bias";
  if (x.epilogue.uses_aux() && !device_range(x.epilogue.aux, aux_bytes(x))) return "epilogue aux";
  for (const Scale* scale : {&x.alpha, &x.beta})
    if (scale->device && !device_range(scale->device, element_bytes(scale->type))) return "alpha or beta";
  return nullptr;
}

// The combinations that Winnow uses of the table in the cuBLAS documentation, section cublasLtMatmul (and
// cublasGemmEx).
bool supported_types(const Matmul& x) {
  const cudaDataType_t in = x.a.type, out = x.d.type;
  if (in != x.b.type || x.c.type != out) return false;
  switch (x.compute) {
    case CUBLAS_COMPUTE_64F: return in == CUDA_R_64F && out == CUDA_R_64F;
    case CUBLAS_COMPUTE_32F:
      if (in == CUDA_R_32F) return out == CUDA_R_32F;
      return (in == CUDA_R_16F || in == CUDA_R_16BF) && (out == in || out == CUDA_R_32F);
    case CUBLAS_COMPUTE_32F_FAST_TF32:
    case CUBLAS_COMPUTE_32F_FAST_16BF: return in == CUDA_R_32F && out == CUDA_R_32F;
    case CUBLAS_COMPUTE_32I: return in == CUDA_R_8I && out == CUDA_R_32I;
    default: return false;
  }
}

const char* bad_matrix(const Matrix& m, std::int64_t batches) {
  if (m.rows < 0 || m.cols < 0) return "a negative dimension";
  if (m.ld < std::max<std::int64_t>(1, m.least_ld())) return "a leading dimension below the matrix's own";
  if (reinterpret_cast<std::uintptr_t>(m.data) % std::max<std::size_t>(1, element_bytes(m.type)))
    return "a matrix that is not aligned to its element";
  if (batches > 1 && m.batch_stride < 0) return "a negative batch stride";
  return nullptr;
}

const char* bad_epilogue(const Matmul& x) {
  const Epilogue& e = x.epilogue;
  if (uses_bias(e) && !e.bias) return "the epilogue needs a bias pointer";
  if (x.compute == CUBLAS_COMPUTE_64F && (uses_bias(e) || e.uses_aux() || e.relu || e.gelu))
    return "no epilogue works in double precision";
  if (!e.uses_aux()) return nullptr;
  if (!e.aux) return "the epilogue needs CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER";
  const std::int64_t multiple = e.aux_is_bits() ? 128 : 8;  // cublasLt.h, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD
  if (e.aux_ld < x.m() || e.aux_ld % multiple)
    return e.aux_is_bits() ? "EPILOGUE_AUX_LD of a ReLU mask: at least the rows of D and a multiple of 128"
                           : "EPILOGUE_AUX_LD of GELU: at least the rows of D and a multiple of 8";
  if (x.batches > 1 && e.aux_stride % multiple) return "EPILOGUE_AUX_BATCH_STRIDE: a multiple as of EPILOGUE_AUX_LD";
  return nullptr;
}

cublasStatus_t check(const Matmul& x) {
  if (x.batches < 0) return refuse(x.call, "a negative batch count");
  for (const Matrix* m : {&x.a, &x.b, &x.c, &x.d})
    if (const char* problem = bad_matrix(*m, x.batches)) return refuse(x.call, problem);
  if ((x.transpose_b ? x.b.cols : x.b.rows) != x.k()) return refuse(x.call, "op(A) and op(B) differ in k");
  for (const Matrix* m : {&x.c, &x.d})
    if (m->rows != x.m() || m->cols != x.n()) return refuse(x.call, "C or D is not [m, n]");
  if (!supported_types(x))
    return refuse(x.call, "a combination of types that the table of cublasLtMatmul does not have",
                  CUBLAS_STATUS_NOT_SUPPORTED);
  if (x.c.data == x.d.data && (x.c.ld != x.d.ld || x.c.row_major != x.d.row_major))
    return refuse(x.call, "in place with two layouts");
  if (const char* problem = bad_epilogue(x)) return refuse(x.call, problem);
  const std::int64_t one = (x.d.row_major ? x.d.rows - 1 : x.d.cols - 1) * x.d.ld + x.d.least_ld();
  if (x.batches > 1 && x.d.batch_stride < one) return refuse(x.call, "outputs of the batch overlap");
  return CUBLAS_STATUS_SUCCESS;
}

// One batch's product, with its epilogue.
class Run {
 public:
  Run(const Matmul& x, std::int64_t batch)
      : x_(x), e_(x.epilogue), batch_(batch), alpha_(read_now(x.alpha)), beta_(read_now(x.beta)) {}

  void operator()() {
    std::vector<double> row_sums(static_cast<std::size_t>(x_.m()));
    for (std::int64_t j = 0; j < x_.n(); ++j)
      for (std::int64_t i = 0; i < x_.m(); ++i) {
        const double value = finish(alpha_ * dot(i, j) + beta_term(i, j), i, j);
        store_element(const_cast<void*>(x_.d.data), x_.d.type, x_.d.index(i, j, batch_), value);
        row_sums[static_cast<std::size_t>(i)] += value;
      }
    write_bias_gradient(row_sums);
  }

 private:
  double operand(const Matrix& m, std::int64_t row, std::int64_t col) const {
    const double value = load_element(m.data, m.type, m.index(row, col, batch_));
    return x_.tf32 ? round_tf32(value) : value;
  }
  double a(std::int64_t i, std::int64_t p) const { return x_.transpose_a ? operand(x_.a, p, i) : operand(x_.a, i, p); }
  double b(std::int64_t p, std::int64_t j) const { return x_.transpose_b ? operand(x_.b, j, p) : operand(x_.b, p, j); }
  double dot(std::int64_t i, std::int64_t j) const {
    double sum = 0;
    for (std::int64_t p = 0; p < x_.k(); ++p) sum += a(i, p) * b(p, j);
    return sum;
  }
  // C is not read when beta is 0: NaN in it must not reach D.
  double beta_term(std::int64_t i, std::int64_t j) const {
    return beta_ == 0 ? 0 : beta_ * load_element(x_.c.data, x_.c.type, x_.c.index(i, j, batch_));
  }
  std::size_t aux_index(std::int64_t i, std::int64_t j) const {
    return static_cast<std::size_t>(batch_ * e_.aux_stride + j * e_.aux_ld + i);
  }
  bool aux_bit(std::size_t at) const { return static_cast<const unsigned char*>(e_.aux)[at / 8] >> at % 8 & 1; }
  void set_aux_bit(std::size_t at, bool on) const {
    unsigned char& byte = static_cast<unsigned char*>(e_.aux)[at / 8];
    byte = static_cast<unsigned char>((byte & ~(1u << at % 8)) | static_cast<unsigned>(on) << at % 8);
  }

  double finish(double value, std::int64_t i, std::int64_t j) const {
    if (e_.adds_bias)
      value += load_element(e_.bias, e_.bias_type, static_cast<std::size_t>(batch_ * e_.bias_stride + i));
    if (e_.relu_gradient) return aux_bit(aux_index(i, j)) ? value : 0;
    if (e_.gelu_gradient) return value * gelu_derivative(load_element(e_.aux, e_.aux_type, aux_index(i, j)));
    if (e_.relu) {
      if (e_.writes_aux) set_aux_bit(aux_index(i, j), value > 0);
      return value < 0 ? 0 : value;  // NaN stays
    }
    if (e_.gelu) {
      if (e_.writes_aux) store_element(e_.aux, e_.aux_type, aux_index(i, j), value);
      return gelu(value);
    }
    return value;
  }

  void write_bias_gradient(const std::vector<double>& row_sums) const {
    if (e_.bias_gradient == Epilogue::BiasGradient::None) return;
    const bool of_b = e_.bias_gradient == Epilogue::BiasGradient::OfB;
    for (std::int64_t i = 0; i < (of_b ? x_.n() : x_.m()); ++i) {
      double sum = 0;
      if (e_.bias_gradient == Epilogue::BiasGradient::OfD) sum = row_sums[static_cast<std::size_t>(i)];
      if (e_.bias_gradient == Epilogue::BiasGradient::OfA)
        for (std::int64_t p = 0; p < x_.k(); ++p) sum += a(i, p);
      if (of_b)
        for (std::int64_t p = 0; p < x_.k(); ++p) sum += b(p, i);
      store_element(e_.bias, e_.bias_type, static_cast<std::size_t>(batch_ * e_.bias_stride + i), sum);
    }
  }

  const Matmul& x_;
  const Epilogue& e_;
  const std::int64_t batch_;
  const double alpha_, beta_;
};

void mark_outputs(const Matmul& x) {
  const Matrix& d = x.d;
  const std::size_t size = element_bytes(d.type);
  for (std::int64_t batch = 0; batch < x.batches; ++batch)
    for (std::int64_t line = 0; line < (d.row_major ? d.rows : d.cols); ++line)
      mark_written(
          static_cast<const char*>(d.data) + (d.row_major ? d.index(line, 0, batch) : d.index(0, line, batch)) * size,
          static_cast<std::size_t>(d.least_ld()) * size);
  if (x.epilogue.bias_gradient != Epilogue::BiasGradient::None) mark_written(x.epilogue.bias, bias_bytes(x));
  if (x.epilogue.writes_aux) mark_written(x.epilogue.aux, aux_bytes(x));
}

}  // namespace

std::size_t Matrix::bytes(std::int64_t batches) const {
  if (rows == 0 || cols == 0 || batches == 0) return 0;
  return (index(rows - 1, cols - 1, batches - 1) + 1) * element_bytes(type);
}

cublasStatus_t refuse(const char* call, const char* problem, cublasStatus_t status) {
  report("cublas", fmt::format("{}: {}", call, problem));
  return status;
}

bool read_scale(const void* pointer, bool device_mode, cudaDataType_t type, const char* call, Scale* scale) {
  scale->type = type;
  if (!pointer || (device_of(pointer) >= 0) != device_mode) {
    refuse(call, device_mode ? "alpha and beta must be device pointers in this pointer mode"
                             : "alpha and beta must be host pointers in this pointer mode");
    return false;
  }
  if (device_mode)
    scale->device = pointer;
  else
    scale->value = load_element(pointer, type, 0);
  return true;
}

cublasStatus_t enqueue_matmul(const Matmul& matmul, cudaStream_t stream) {
  if (const cublasStatus_t status = check(matmul); status != CUBLAS_STATUS_SUCCESS) return status;
  if (matmul.m() == 0 || matmul.n() == 0 || matmul.batches == 0) return CUBLAS_STATUS_SUCCESS;
  if (const char* operand = misplaced_operand(matmul))
    return refuse(matmul.call, fmt::format("{} is not inside one live device allocation", operand).c_str());
  const cudaError_t error = enqueue(stream, matmul.call, [matmul] {
    if (const char* operand = misplaced_operand(matmul)) {
      refuse(matmul.call, fmt::format("{} was freed before the stream got there", operand).c_str());
      set_sticky_error(device_of(matmul.d.data), cudaErrorIllegalAddress);
      return;
    }
    const AccessScope open(kAllDevices);  // the ranges are checked
    for (std::int64_t batch = 0; batch < matmul.batches; ++batch) Run(matmul, batch)();
    mark_outputs(matmul);
  });
  return error == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}

}  // namespace winnow::emulation
