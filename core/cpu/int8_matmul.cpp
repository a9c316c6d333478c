#include "core/cpu/int8_matmul.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "core/cpu/int8_kernels.h"
#include "core/cpu/sgemm_drivers.h"
#include "core/parallel.h"

namespace winnow::cpu {
namespace {

using std::size_t;

constexpr size_t kTaskRows = 96;  // of A, by one panel of codes

const Int8Kernels& kernels_of(Int8Isa isa) {
  static const Int8Isa best = has_int8_isa(Int8Isa::Vnni)     ? Int8Isa::Vnni
                              : has_int8_isa(Int8Isa::Avx512) ? Int8Isa::Avx512
                                                              : Int8Isa::Avx2;
  switch (isa == Int8Isa::Best ? best : isa) {
    case Int8Isa::Vnni: return *int8_kernels_vnni();
    case Int8Isa::Avx512: return *int8_kernels_avx512();
    default: return *int8_kernels_avx2();
  }
}

struct Workspace {
  char* q;
  float *low, *step;
  size_t row_bytes, bytes;
  Workspace(const Int8Problem& p, const Int8Kernels& kernels, void* at) : row_bytes(kernels.row_bytes(p.k, p.bits)) {
    const size_t rows = round_up(p.m, 16);
    low = static_cast<float*>(at), step = low + rows;
    q = reinterpret_cast<char*>(step + rows);
    bytes = rows * 2 * sizeof(float) + std::max<size_t>(64, p.m * row_bytes);
  }
};

}  // namespace

bool has_int8_isa(Int8Isa isa) {
  if (isa == Int8Isa::Best || isa == Int8Isa::Avx2) return true;
  return has_isa(Isa::Avx512) && (isa == Int8Isa::Avx512 || __builtin_cpu_supports("avx512vnni"));
}

void int8_pack(const float* b, size_t ldb, bool trans_b, size_t n, size_t k, std::int8_t* codes, float* columns) {
  std::fill_n(codes, int8_code_bytes(n, k), std::int8_t{0});
  std::fill_n(columns, 2 * int8_padded(n), 0.f);
  const auto at = [&](size_t kk, size_t j) { return trans_b ? b[j * ldb + kk] : b[kk * ldb + j]; };
  parallel_for(static_cast<int64_t>(int8_padded(n) / kInt8Panel), 1, [&](int64_t begin, int64_t end) {
    for (auto j0 = static_cast<size_t>(begin) * kInt8Panel; j0 < static_cast<size_t>(end) * kInt8Panel;
         j0 += kInt8Panel) {
      const size_t width = std::min(kInt8Panel, n - j0);
      float most[kInt8Panel] = {}, odd[kInt8Panel] = {}, by[kInt8Panel];
      int32_t sum[kInt8Panel] = {};
      for (size_t kk = 0; kk < k; ++kk)
        for (size_t j = 0; j < width; ++j) {
          const float w = at(kk, j0 + j);
          most[j] = std::max(most[j], std::fabs(w)), odd[j] += w * 0.f;
        }
      // zeros where there is nothing, or as good as nothing, and where the scale is NaN
      for (size_t j = 0; j < width; ++j) by[j] = odd[j] == 0 && std::isfinite(127.f / most[j]) ? 127.f / most[j] : 0;
      for (size_t kk = 0; kk < k; ++kk)
        for (size_t j = 0; j < width; ++j) {
          if (by[j] == 0) continue;
          const auto code = static_cast<std::int8_t>(std::lrintf(at(kk, j0 + j) * by[j]));
          codes[int8_place(k, kk, j0 + j)] = code;
          sum[j] += code;
        }
      for (size_t j = 0; j < width; ++j) {
        columns[j0 + j] = odd[j] == 0 ? most[j] / 127.f : std::numeric_limits<float>::quiet_NaN();
        columns[int8_padded(n) + j0 + j] = static_cast<float>(sum[j]);
      }
    }
  });
}

size_t int8_workspace_bytes(const Int8Problem& p) { return Workspace(p, kernels_of(p.isa), nullptr).bytes; }

void int8_matmul(const Int8Problem& p, const SgemmEpilogue& e, void* workspace) {
  if (p.m == 0 || p.n == 0) return;
  const Int8Kernels& kernels = kernels_of(p.isa);
  const SgemmKernels& f32 = sgemm_kernels(p.isa == Int8Isa::Avx2 ? Isa::Avx2 : Isa::Best);
  const Workspace ws(p, kernels, workspace);
  parallel_for(static_cast<int64_t>(p.m), 64, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i)
      kernels.quantise(p.a + i * p.k, p.k, p.bits, ws.q + i * ws.row_bytes, ws.low + i, ws.step + i);
  });
  const auto tile_rows = static_cast<size_t>(p.bits == 8 ? kernels.rows : kernels.wide_rows);
  const size_t padded = int8_padded(p.n), panels = padded / kInt8Panel,
               panel_bytes = int8_code_bytes(p.n, p.k) / panels;
  const auto task = [&](int64_t t) {
    const size_t panel = static_cast<size_t>(t) % panels, j0 = panel * kInt8Panel;
    const size_t first = static_cast<size_t>(t) / panels * kTaskRows;
    alignas(64) float acc[12 * kInt8Panel];
    for (size_t i = first; i < std::min(p.m, first + kTaskRows); i += tile_rows) {
      const size_t rows = std::min({tile_rows, p.m - i, first + kTaskRows - i});
      kernels.tile(static_cast<int>(rows), p.k, p.bits,
                   {ws.q + i * ws.row_bytes, ws.row_bytes, ws.low + i, ws.step + i}, p.codes + panel * panel_bytes,
                   p.columns + j0, padded, acc);
      for (size_t j = j0; j < std::min(p.n, j0 + kInt8Panel); j += f32.nr)
        for (size_t r = 0; r < rows; r += f32.mr)
          f32.finish({.acc = acc + r * kInt8Panel + (j - j0),
                      .acc_ld = kInt8Panel,
                      .m = static_cast<int>(std::min(f32.mr, rows - r)),
                      .n = static_cast<int>(std::min(f32.nr, p.n - j)),
                      .c = p.c + (i + r) * p.n + j,
                      .ldc = p.n,
                      .add_c = false,
                      .alpha = 1.f,
                      .ep = &e,
                      .i = i + r,
                      .j = j,
                      .colsum = nullptr,
                      .colsum_new = false});
    }
  };
  const auto tasks = static_cast<int64_t>(panels * ceil_div(p.m, kTaskRows));
  const double work = static_cast<double>(p.m) * static_cast<double>(p.n) * static_cast<double>(p.k);
  if (work < 1 << 18)  // waking the team costs more than it saves
    for (int64_t t = 0; t < tasks; ++t) task(t);
  else
    parallel_tasks(tasks, task);
}

}  // namespace winnow::cpu
