// sgemm against double precision, bits across thread counts, and bounds: padding between rows holds NaN (inputs: must
// not be used; outputs: must stay), the last row ends with its allocation (an access past it is the sanitizer's to
// see).
#include "core/cpu/sgemm.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <memory>
#include <vector>

#include "core/parallel.h"

namespace winnow::cpu {
namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

struct Random {
  unsigned state = 1;
  unsigned next() { return state = state * 1664525u + 1013904223u; }
  float unit() { return static_cast<float>(next() >> 8) / (1 << 23) - 1.f; }
  template <class T, size_t N>
  T pick(const T (&of)[N]) {
    return of[next() / 65536 % N];
  }
};

struct Matrix {
  size_t rows, cols, ld, size;
  std::unique_ptr<float[]> data;
  Matrix(size_t r, size_t c, size_t pad, Random* fill)
      : rows(r), cols(c), ld(c + pad), size(r != 0 ? (r - 1) * ld + c : 0), data(new float[size != 0 ? size : 1]) {
    std::fill_n(data.get(), size, kNan);
    if (fill == nullptr) return;
    for (size_t i = 0; i < r; ++i)
      for (size_t j = 0; j < c; ++j) at(i, j) = fill->unit();
  }
  float& at(size_t i, size_t j) const { return data[i * ld + j]; }
};

struct Workspace {
  std::unique_ptr<char, decltype(&std::free)> data{nullptr, &std::free};
  explicit Workspace(size_t bytes) {
    bytes = (bytes + 63) / 64 * 64;
    data.reset(static_cast<char*>(std::aligned_alloc(64, bytes)));
    std::memset(data.get(), 0xff, bytes);  // NaN: nothing may be assumed of the workspace
  }
};

double act_of(Act act, double t) {
  switch (act) {
    case Act::None: return t;
    case Act::Relu: return t > 0 ? t : 0;
    case Act::Gelu: return 0.5 * t * std::erfc(-t / std::sqrt(2.0));
    case Act::GeluTanh: return t / (1 + std::exp(-1.5957691216057308 * (t + 0.044715 * t * t * t)));
    case Act::Sigmoid: return 1 / (1 + std::exp(-t));
    case Act::Tanh: return std::tanh(t);
  }
  return t;
}

struct Case {
  size_t m, n, k, pad = 0;
  bool trans_a = false, trans_b = false, accumulate = false, packed = false;
  bool bias = false, residual = false, preact = false, mask = false, colsum_c = false, colsum_b = false;
  Act act = Act::None;
  float alpha = 1;
  std::string str() const {
    return fmt::format(
        "m{} n{} k{} pad{} ta{:d} tb{:d} acc{:d} packed{:d} bias{:d} res{:d} pre{:d} mask{:d} cc{:d} cb{:d} act{} "
        "alpha{}",
        m, n, k, pad, trans_a, trans_b, accumulate, packed, bias, residual, preact, mask, colsum_c, colsum_b,
        static_cast<int>(act), alpha);
  }
};

Case from_bits(size_t m, size_t n, size_t k, size_t pad, unsigned bits) {
  auto bit = [bits](int i) { return (bits >> i & 1) != 0; };
  Case c{m, n, k, pad};
  c.trans_a = bit(0), c.trans_b = bit(1), c.accumulate = bit(2), c.bias = bit(3), c.residual = bit(4);
  c.preact = bit(5), c.mask = bit(6), c.colsum_c = bit(7), c.colsum_b = bit(8), c.packed = bit(9) && !bit(8);
  c.alpha = bit(10) ? 0.5f : 1.f, c.act = static_cast<Act>((bits >> 11) % 6);
  return c;
}

class SgemmTest : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!has_isa(GetParam())) GTEST_SKIP() << "this CPU lacks the instruction set";
  }
  void TearDown() override { set_num_threads(threads_before_); }
  void check(const Case& c);
  int threads_before_ = num_threads();
  Random random_;
};

struct Operands {
  Matrix a, b, residual, mask, c0;
  std::vector<float> bias, packed;
  Operands(const Case& c, Isa isa, Random& r)
      : a(c.trans_a ? c.k : c.m, c.trans_a ? c.m : c.k, c.pad, &r),
        b(c.trans_b ? c.n : c.k, c.trans_b ? c.k : c.n, c.pad, &r),
        residual(c.m, c.n, c.pad, &r),
        mask(c.m, c.n, c.pad, &r),
        c0(c.m, c.n, c.pad, c.accumulate ? &r : nullptr),
        bias(c.n),
        packed(sgemm_packed_b_bytes(c.n, c.k, isa) / 4) {
    for (float& x : bias) x = r.unit();
    if (c.packed) sgemm_pack_b(b.data.get(), b.ld, c.trans_b, c.n, c.k, packed.data(), isa);
  }
};

struct Results {
  Matrix c, preact;
  std::vector<float> colsum_c, colsum_b;
  explicit Results(const Case& k)
      : c(k.m, k.n, k.pad, nullptr), preact(k.m, k.n, k.pad, nullptr), colsum_c(k.n, kNan), colsum_b(k.n, kNan) {}
  std::vector<float> all() const {
    std::vector<float> v(c.data.get(), c.data.get() + c.size);
    v.insert(v.end(), preact.data.get(), preact.data.get() + preact.size);
    v.insert(v.end(), colsum_c.begin(), colsum_c.end());
    v.insert(v.end(), colsum_b.begin(), colsum_b.end());
    return v;
  }
};

void multiply(const Case& c, const Operands& in, Isa isa, Results& out) {
  std::copy_n(in.c0.data.get(), in.c0.size, out.c.data.get());
  SgemmProblem p;
  p.m = c.m, p.n = c.n, p.k = c.k, p.trans_a = c.trans_a, p.trans_b = c.trans_b, p.alpha = c.alpha;
  p.accumulate = c.accumulate, p.a = in.a.data.get(), p.lda = in.a.ld, p.c = out.c.data.get(), p.ldc = out.c.ld;
  p.isa = isa;
  if (c.packed) {
    p.packed_b = in.packed.data();
  } else {
    p.b = in.b.data.get(), p.ldb = in.b.ld;
  }
  SgemmEpilogue e;
  e.act = c.act;
  if (c.bias) e.bias = in.bias.data();
  if (c.residual) e.residual = in.residual.data.get(), e.ld_residual = in.residual.ld;
  if (c.preact) e.preact = out.preact.data.get(), e.ld_preact = out.preact.ld;
  if (c.mask) e.mask = in.mask.data.get(), e.ld_mask = in.mask.ld;
  if (c.colsum_c) e.colsum_c = out.colsum_c.data();
  if (c.colsum_b) e.colsum_b = out.colsum_b.data();
  const Workspace w(sgemm_workspace_bytes(p, e));
  sgemm(p, e, w.data.get());
}

// |error| <= 4e-7 (0.25 sqrt(k + 1) sum |a b| + 4): the random-walk bound of a chain of k roundings with a margin of 2.
double worst_error(const Case& c, const Operands& in, const Results& out) {
  double worst = 0;
  for (size_t i = 0; i < c.m; ++i)
    for (size_t j = 0; j < c.n; ++j) {
      double sum = 0, magnitude = 0;
      for (size_t k = 0; k < c.k; ++k) {
        const double v = static_cast<double>(c.trans_a ? in.a.at(k, i) : in.a.at(i, k)) *
                         static_cast<double>(c.trans_b ? in.b.at(j, k) : in.b.at(k, j));
        sum += v, magnitude += std::fabs(v);
      }
      double t = c.alpha * sum + (c.accumulate ? in.c0.at(i, j) : 0.f);
      if (c.bias) t += in.bias[j];
      if (c.residual) t += in.residual.at(i, j);
      const double tolerance = 4e-7 * (magnitude * std::sqrt(static_cast<double>(c.k) + 1) * 0.25 + 4);
      double error = c.preact ? std::fabs(out.preact.at(i, j) - t) : 0;
      const double y = c.mask && !(in.mask.at(i, j) > 0) ? 0 : act_of(c.act, t);
      error = std::fmax(error, std::fabs(out.c.at(i, j) - y)) / tolerance;
      if (!(error <= worst)) worst = std::isnan(out.c.at(i, j)) ? 1e9 : error;
    }
  return worst;
}

void check_column_sums(const Case& c, const Operands& in, const Results& out) {
  for (size_t j = 0; j < c.n; ++j) {
    double of_c = 0, abs_c = 0, of_b = 0, abs_b = 0;
    for (size_t i = 0; i < c.m; ++i) of_c += out.c.at(i, j), abs_c += std::fabs(out.c.at(i, j));
    for (size_t k = 0; k < c.k; ++k) {
      const double v = c.trans_b ? in.b.at(j, k) : in.b.at(k, j);
      of_b += v, abs_b += std::fabs(v);
    }
    if (c.colsum_c) { ASSERT_NEAR(out.colsum_c[j], of_c, 1e-6 * abs_c + 1e-6) << c.str(); }
    if (c.colsum_b) { ASSERT_NEAR(out.colsum_b[j], of_b, 1e-6 * abs_b + 1e-6) << c.str(); }
  }
}

void SgemmTest::check(const Case& c) {
  const Operands in(c, GetParam(), random_);
  std::vector<float> first;
  for (const int threads : {1, 2, 3, 7}) {
    set_num_threads(threads);
    Results out(c);
    multiply(c, in, GetParam(), out);
    const std::vector<float> all = out.all();
    if (threads > 1) {
      ASSERT_EQ(std::memcmp(all.data(), first.data(), all.size() * sizeof(float)), 0)
          << c.str() << ": other bits with " << threads << " threads";
      continue;
    }
    first = all;
    ASSERT_LT(worst_error(c, in, out), 1) << c.str();
    check_column_sums(c, in, out);
    for (size_t i = 0; i + 1 < c.m && c.pad != 0; ++i)
      ASSERT_TRUE(std::isnan(out.c.at(i, c.n))) << c.str() << ": padding of row " << i << " written";
  }
}

TEST_P(SgemmTest, RandomSizesAndEpilogues) {
  const size_t sizes[] = {0, 1, 2, 5, 6, 7, 8, 13, 16, 17, 31, 32, 33, 48, 63, 65, 100, 129, 257};
  const size_t ks[] = {0, 1, 3, 7, 8, 17, 33, 129, 255, 257, 513, 600};
  for (unsigned round = 0; round < 250; ++round) {
    const size_t m = random_.pick(sizes), n = random_.pick(sizes), k = random_.pick(ks);
    check(from_bits(m, n, k, round % 3 != 0 ? 0 : 5, random_.next() >> 10));
    if (HasFatalFailure()) return;
  }
}

TEST_P(SgemmTest, EveryTileRemainder) {
  for (size_t m = 33; m < 33 + 16; ++m)
    for (const size_t n : {16u, 31u, 32u, 33u, 47u, 49u, 95u, 97u}) {
      check(from_bits(m, n, 9, 1, random_.next() >> 10));
      if (HasFatalFailure()) return;
    }
}

TEST_P(SgemmTest, ShortSides) {
  for (size_t m = 1; m <= 34; ++m)
    for (const size_t n : {1u, 7u, 48u, 130u, 800u}) {
      check(from_bits(m, n, 21, 0, random_.next() >> 10));
      check(from_bits(n, m, 21, 0, random_.next() >> 10));
      if (HasFatalFailure()) return;
    }
}

TEST_P(SgemmTest, SlicedSumsAndLargeSizes) {
  const unsigned nothing = 0, sums = 1u << 7 | 1u << 8, most = 0x1fcu | 1u << 11, packed = 0x2fcu;
  for (const unsigned bits : {nothing, sums, most, packed}) {
    for (unsigned t = 0; t < 4; ++t) check(from_bits(40, 37, 5000, 3, bits | t));  // k sliced
    check(from_bits(260, 530, 1100, 0, bits | 1));
    check(from_bits(260, 530, 1100, 0, bits | 2));
    for (unsigned t = 0; t < 4; ++t) {
      check(from_bits(700, 1, 1300, t, bits | t));
      check(from_bits(1, 1700, 1300, t, bits | t));
    }
    if (HasFatalFailure()) return;
  }
  check(from_bits(4500, 20, 9, 0, 0x1f8));  // more than one super-tile
  check(from_bits(40, 4500, 9, 0, 0x1fb));
}

// What serving relies on: a row scored alone has the bits that it has among thousands, packed weights or not.
TEST_P(SgemmTest, ARowsBitsDoNotDependOnHowManyRowsAPackedProductHas) {
  for (const size_t k : {19u, 512u, 624u, 1100u, 3072u})
    for (const size_t n : {2u, 48u, 130u, 700u}) {
      const size_t most = 300;
      Case c{most, n, k};
      const Operands in(c, GetParam(), random_);
      const auto rows = [&](size_t m, bool packed) {
        std::vector<float> y(m * n), packed_b(sgemm_packed_b_bytes(n, k, GetParam()) / sizeof(float));
        sgemm_pack_b(in.b.data.get(), n, false, n, k, packed_b.data(), GetParam());
        SgemmProblem p;
        p.m = m, p.n = n, p.k = k, p.a = in.a.data.get(), p.lda = k, p.b = in.b.data.get(), p.ldb = n, p.c = y.data();
        p.ldc = n, p.isa = GetParam();
        if (packed) p.packed_b = packed_b.data();
        std::vector<char> workspace(sgemm_workspace_bytes(p, {}) + 64);
        void* at = workspace.data() + (64 - reinterpret_cast<uintptr_t>(workspace.data()) % 64) % 64;
        sgemm(p, {}, at);
        return y;
      };
      const std::vector<float> all = rows(most, true);
      if (k <= 1024) { ASSERT_EQ(all, rows(most, false)) << "k " << k << " n " << n; }
      for (const size_t m : {1u, 2u, 3u, 12u, 13u, 32u, 33u, 120u})
        ASSERT_EQ(std::vector(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(m * n)), rows(m, true))
            << "m " << m << " n " << n << " k " << k;
    }
}

TEST_P(SgemmTest, NanAndInfinityPropagate) {
  constexpr size_t k = 19;
  const float inf = std::numeric_limits<float>::infinity();
  for (const size_t m : {1u, 5u, 40u})
    for (const size_t n : {1u, 20u})
      for (int act = 0; act < 6; ++act)
        for (const bool trans_b : {false, true}) {
          std::vector<float> a(m * k, 1.f), b(k * n, 0.5f), c(m * n);
          SgemmProblem p;
          p.m = m, p.n = n, p.k = k, p.trans_b = trans_b, p.isa = GetParam();
          p.a = a.data(), p.lda = k, p.b = b.data(), p.ldb = trans_b ? k : n, p.c = c.data(), p.ldc = n;
          SgemmEpilogue e;
          e.act = static_cast<Act>(act);
          const Workspace w(sgemm_workspace_bytes(p, e));
          a[(m - 1) * k + 3] = kNan;
          sgemm(p, e, w.data.get());
          for (size_t i = 0; i < m; ++i)
            for (size_t j = 0; j < n; ++j)
              ASSERT_EQ(std::isnan(c[i * n + j]), i == m - 1) << m << "x" << n << " act " << act;
          a[(m - 1) * k + 3] = inf;
          sgemm(p, e, w.data.get());
          ASSERT_EQ(c[m * n - 1], e.act >= Act::Sigmoid ? 1.f : inf) << "act " << act;
        }
}

// The bias carries x through an empty product. Bounds: 3e-7 of max(1, |y|); tanh and sigmoid also 4e-7 relative.
TEST_P(SgemmTest, ActivationsAreAccurate) {
  std::vector<float> x(40001), y(x.size());
  for (size_t i = 0; i < x.size(); ++i) x[i] = (static_cast<float>(i) - 20000) * 1e-3f;
  for (const Act act : {Act::Gelu, Act::GeluTanh, Act::Sigmoid, Act::Tanh}) {
    SgemmProblem p;
    p.m = 1, p.n = x.size(), p.c = y.data(), p.ldc = x.size(), p.isa = GetParam();
    SgemmEpilogue e;
    e.bias = x.data(), e.act = act;
    const Workspace w(sgemm_workspace_bytes(p, e));
    sgemm(p, e, w.data.get());
    double absolute = 0, relative = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      const double r = act_of(act, x[i]);
      absolute = std::fmax(absolute, std::fabs(y[i] - r) / std::fmax(1.0, std::fabs(r)));
      if (r != 0) relative = std::fmax(relative, std::fabs(y[i] / r - 1));
    }
    EXPECT_LT(absolute, 3e-7) << "act " << static_cast<int>(act);
    if (act >= Act::Sigmoid) { EXPECT_LT(relative, 4e-7) << "act " << static_cast<int>(act); }
  }
}

TEST(Sgemm, InstructionSetsAreNamed) {
  EXPECT_STREQ(isa_name(Isa::Avx2), "avx2");
  EXPECT_STREQ(isa_name(Isa::Best), has_isa(Isa::Avx512) ? "avx512" : "avx2");
}

INSTANTIATE_TEST_SUITE_P(Isas, SgemmTest, ::testing::Values(Isa::Avx2, Isa::Avx512),
                         [](const auto& param) { return std::string(isa_name(param.param)); });

}  // namespace
}  // namespace winnow::cpu
