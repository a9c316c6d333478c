// Exact top-k beside a plain double search, and the kernels of every instruction set beside plain sums.
#include "core/cpu/topk.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <vector>

#include "core/cpu/sgemm.h"
#include "core/cpu/vector_kernels.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"

namespace winnow::cpu {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<float> random_floats(int64_t n, uint64_t seed) {
  Rng rng(seed);
  std::vector<float> x(static_cast<size_t>(n));
  for (float& v : x) v = static_cast<float>(rng.normal());
  return x;
}

std::vector<ScoredRow> run(const TopkProblem& p) {
  std::vector<ScoredRow> out(static_cast<size_t>(p.count * p.k), ScoredRow{7, 7});
  topk(p, out.data());
  return out;
}

double product(const float* a, const float* b, int64_t d) {
  double sum = 0;
  for (int64_t i = 0; i < d; ++i) sum += static_cast<double>(a[i]) * static_cast<double>(b[i]);
  return sum;
}

bool may(const TopkProblem& p, int64_t q, int64_t r) {
  return (p.allowed == nullptr || (p.allowed[r / 64] >> (r % 64) & 1)) &&
         (!p.may_find || p.may_find(q, static_cast<int32_t>(r)));
}

// Every returned score is the row's, the order holds, and no row left out is better than the last by more than
// rounding.
void expect_exact(const TopkProblem& p, const std::vector<ScoredRow>& found) {
  for (int64_t q = 0; q < p.count; ++q) {
    std::vector<double> scores(static_cast<size_t>(p.n), -1e300);
    int64_t candidates = 0;
    double largest = 0;
    for (int64_t r = 0; r < p.n; ++r) {
      if (!may(p, q, r)) continue;
      const double s = product(p.queries + q * p.d, p.rows + r * p.d, p.d);
      if (std::isnan(s) || s == -static_cast<double>(kInf)) continue;
      scores[static_cast<size_t>(r)] = s;
      largest = std::max(largest, std::fabs(s));
      ++candidates;
    }
    const double rounding = 1e-5 * largest + 1e-6;
    std::vector<bool> seen(static_cast<size_t>(p.n));
    double last = 1e300;
    for (int64_t i = 0; i < p.k; ++i) {
      const ScoredRow& hit = found[static_cast<size_t>(q * p.k + i)];
      if (i >= candidates) {
        EXPECT_EQ(hit, (ScoredRow{-kInf, -1}));
        continue;
      }
      ASSERT_TRUE(hit.row >= 0 && hit.row < p.n && !seen[static_cast<size_t>(hit.row)]) << q << " " << i;
      seen[static_cast<size_t>(hit.row)] = true;
      const double s = scores[static_cast<size_t>(hit.row)];
      ASSERT_GT(s, -1e299) << "row " << hit.row << " must not be found";
      if (std::isfinite(s)) { EXPECT_NEAR(hit.score, s, rounding); }
      if (i > 0) { EXPECT_TRUE(better(found[static_cast<size_t>(q * p.k + i - 1)], hit)); }
      last = s;
    }
    if (candidates > p.k)
      for (int64_t r = 0; r < p.n; ++r)
        if (!seen[static_cast<size_t>(r)]) {
          ASSERT_LE(scores[static_cast<size_t>(r)], last + rounding) << "row " << r << " was missed";
        }
  }
}

TEST(Topk, EqualsAPlainSearchOverOddSizes) {
  for (const int64_t d : {1, 3, 17, 32, 100})
    for (const int64_t n : {0, 1, 5, 63, 65, 300})
      for (const int64_t count : {1, 3, 4, 17, 33, 70})
        for (const int64_t k : {1, 100}) {
          const auto rows = random_floats(n * d, 1), queries = random_floats(count * d, 2);
          const TopkProblem p{queries.data(), count, rows.data(), n, d, k, nullptr, {}};
          expect_exact(p, run(p));
          if (HasFatalFailure()) FAIL() << d << " " << n << " " << count << " " << k;
        }
}

TEST(Topk, EqualsAPlainSearchOverManyRows) {
  const int64_t n = 100'000, d = 64;
  const auto rows = random_floats(n * d, 1), queries = random_floats(5 * d, 2);
  for (const int64_t count : {1, 5}) {
    const TopkProblem p{queries.data(), count, rows.data(), n, d, 100, nullptr, {}};
    expect_exact(p, run(p));
  }
}

TEST(Topk, TheSameBitsForAnyNumberOfThreadsAndOfQueries) {
  const int64_t n = 30'000, d = 40, k = 50;
  auto rows = random_floats(n * d, 3);
  for (int64_t i = 0; i < n; i += 3) std::copy_n(rows.begin(), d, rows.begin() + i * d);  // a third are equal
  const auto queries = random_floats(300 * d, 4);
  const TopkProblem many{queries.data(), 300, rows.data(), n, d, k, nullptr, {}};
  const int threads = num_threads();
  const auto expected = run(many);
  for (const int t : {1, 2, 3, 7}) {
    set_num_threads(t);
    EXPECT_EQ(run(many), expected) << t << " threads";
    for (const int64_t q : {0, 17, 299}) {
      TopkProblem one = many;
      one.queries += q * d;
      one.count = 1;
      const auto found = run(one);
      EXPECT_TRUE(std::equal(found.begin(), found.end(), expected.begin() + q * k)) << "query " << q << " alone";
    }
  }
  set_num_threads(threads);
}

TEST(Topk, EqualScoresGoByRow) {
  const std::vector<float> rows(200, 0.5f), query = {2};
  for (const int64_t count : {1, 40}) {
    const std::vector<float> queries(static_cast<size_t>(count), 2.f);
    const auto found = run({queries.data(), count, rows.data(), 200, 1, 5, nullptr, {}});
    for (int i = 0; i < 5 * count; ++i) EXPECT_EQ(found[static_cast<size_t>(i)], (ScoredRow{1.f, i % 5}));
  }
}

TEST(Topk, NanAndMinusInfinityAreNeverFoundInfinityIs) {
  const std::vector<float> rows = {1, kNan, kInf, -kInf, 2, -3};
  for (const int64_t count : {1, 20}) {
    const std::vector<float> queries(static_cast<size_t>(count), 1.f);
    const auto found = run({queries.data(), count, rows.data(), 6, 1, 6, nullptr, {}});
    const std::vector<ScoredRow> expected = {{kInf, 2}, {2, 4}, {1, 0}, {-3, 5}, {-kInf, -1}, {-kInf, -1}};
    for (size_t i = 0; i < found.size(); ++i) EXPECT_EQ(found[i], expected[i % 6]) << i;
  }
  const std::vector<float> nan(20, kNan);
  for (const int64_t count : {1, 20})
    for (const ScoredRow& r : run({nan.data(), count, rows.data(), 6, 1, 2, nullptr, {}})) EXPECT_EQ(r.row, -1);
}

TEST(Topk, FiltersHoldPerRowAndPerQuery) {
  const int64_t n = 5000, d = 16;
  const auto rows = random_floats(n * d, 5), queries = random_floats(40 * d, 6);
  std::vector<uint64_t> allowed(static_cast<size_t>(n / 64 + 1));
  for (int64_t r = 0; r < n; r += r < 2000 ? 7 : 311) allowed[static_cast<size_t>(r / 64)] |= uint64_t{1} << (r % 64);
  for (const int64_t count : {1, 3, 40}) {
    TopkProblem p{queries.data(), count, rows.data(), n, d, 20, allowed.data(), {}};
    expect_exact(p, run(p));
    p.may_find = [](int64_t q, int32_t r) { return (r + q) % 3 != 0; };
    expect_exact(p, run(p));
    p.may_find = [](int64_t, int32_t) { return false; };
    for (const ScoredRow& r : run(p)) EXPECT_EQ(r.row, -1);
  }
}

TEST(Topk, AsManyAsThereAreRows) {
  const int64_t n = 700, d = 9;
  const auto rows = random_floats(n * d, 7), queries = random_floats(6 * d, 8);
  for (const int64_t k : {n - 1, n, n + 5}) {
    const TopkProblem p{queries.data(), 6, rows.data(), n, d, k, nullptr, {}};
    expect_exact(p, run(p));
  }
}

TEST(Topk, RefusesNoWidthAndNoK) {
  float x = 0;
  ScoredRow out;
  EXPECT_THROW(topk({&x, 1, &x, 1, 0, 1, nullptr, {}}, &out), ShapeError);
  EXPECT_THROW(topk({&x, 1, &x, 1, 1, 0, nullptr, {}}, &out), ShapeError);
}

std::vector<const VectorKernels*> kernels() {
  std::vector<const VectorKernels*> all = {vector_kernels_avx2()};
  if (has_isa(Isa::Avx512)) all.push_back(vector_kernels_avx512());
  if (has_isa(Isa::Avx512) && __builtin_cpu_supports("avx512vnni")) all.push_back(vector_kernels_vnni());
  return all;
}

TEST(VectorKernels, AProductHasTheSameBitsWhereverItsRowStands) {
  for (const VectorKernels* kernel : kernels())
    for (const int64_t d : {1, 7, 16, 31, 32, 100, 128}) {
      const auto rows = random_floats(50 * d, 9), query = random_floats(d, 10);
      std::vector<const float*> at(50);
      for (int64_t r = 0; r < 50; ++r) at[static_cast<size_t>(r)] = rows.data() + r * d;
      std::vector<float> all(50), scanned(kScanRows), both(2 * kScanRows);
      kernel->dots(query.data(), at.data(), 50, d, 8, all.data());
      const uint64_t above = kernel->scan(query.data(), rows.data(), 50, d, 0, 0, scanned.data());
      std::vector<float> two = random_floats(d, 11);
      two.insert(two.end(), query.begin(), query.end());
      const float thresholds[] = {-kInf, 0};
      uint64_t above_two[2];
      kernel->scan_two(two.data(), rows.data(), 50, d, thresholds, 0, both.data(), above_two);
      EXPECT_EQ(above_two[0], (uint64_t{1} << 50) - 1);
      EXPECT_EQ(above_two[1], above);
      for (size_t r = 0; r < 50; ++r) {
        EXPECT_EQ(both[kScanRows + r], all[r]);
        float one = 0;
        kernel->dots(query.data(), &at[r], 1, d, 0, &one);
        EXPECT_EQ(one, all[r]);
        EXPECT_EQ(one, scanned[r]);
        EXPECT_EQ(above >> r & 1, one > 0 ? 1u : 0u);
        EXPECT_NEAR(one, product(query.data(), at[r], d), 1e-4);
      }
    }
}

TEST(VectorKernels, CodedProductsAreExactAtTheirExtremes) {
  for (const VectorKernels* kernel : kernels())
    for (const int64_t d : {4, 16, 28, 32, 60, 64, 68, 128, 132, 1000, 65536})
      for (const bool extreme : {false, true}) {
        const int64_t panel = kernel->code_panel, n = kScanRows;
        const int most = kernel->most_code;
        Rng rng(11, static_cast<uint64_t>(d));
        std::vector<uint8_t> rows(static_cast<size_t>(n * d));
        std::vector<int8_t> queries(static_cast<size_t>(panel * d)), packed(queries.size());
        for (uint8_t& v : rows) v = static_cast<uint8_t>(extreme ? 255 : rng.below(256));
        for (int8_t& v : queries)
          v = static_cast<int8_t>(extreme ? most
                                          : static_cast<int>(rng.below(2 * static_cast<uint64_t>(most) + 1)) - most);
        if (extreme) std::fill_n(queries.begin(), d, static_cast<int8_t>(-most));
        for (int64_t j = 0; j < panel; ++j)
          for (int64_t i = 0; i < d; ++i)
            packed[static_cast<size_t>((i / 4 * panel + j) * 4 + i % 4)] = queries[static_cast<size_t>(j * d + i)];
        const std::vector<float> scales = random_floats(n, 12);
        std::vector<int32_t> starts(static_cast<size_t>(panel));
        for (int64_t j = 0; j < panel; ++j) starts[static_cast<size_t>(j)] = static_cast<int32_t>(1000 * j);
        const auto expected = [&](int64_t j, int64_t r) {
          int64_t sum = starts[static_cast<size_t>(j)];
          for (int64_t i = 0; i < d; ++i)
            sum += int64_t{queries[static_cast<size_t>(j * d + i)]} * rows[static_cast<size_t>(r * d + i)];
          return static_cast<int32_t>(static_cast<uint64_t>(sum));
        };
        const auto scaled = [&](int32_t product, int64_t r) {
          return static_cast<float>(product) * scales[static_cast<size_t>(r)];
        };
        std::vector<float> thresholds(static_cast<size_t>(panel));
        for (int64_t j = 0; j < panel; ++j) thresholds[static_cast<size_t>(j)] = scaled(expected(j, j % n), j % n);
        std::vector<int32_t> scanned(static_cast<size_t>(n));
        for (const int64_t j : {int64_t{0}, panel - 1}) {
          const float threshold = thresholds[static_cast<size_t>(j)];
          const uint64_t passes =
              kernel->scan_codes(queries.data() + j * d, rows.data(), d, starts[static_cast<size_t>(j)], scales.data(),
                                 threshold, 0, scanned.data());
          for (int64_t r = 0; r < n; ++r) {
            ASSERT_EQ(scanned[static_cast<size_t>(r)], expected(j, r)) << d << " " << j << " " << r;
            EXPECT_EQ(passes >> r & 1, scaled(expected(j, r), r) >= threshold ? 1u : 0u);
          }
        }
        for (const bool half : {false, true})
          for (int64_t first = 0; first < n; first += kernel->code_rows) {
            alignas(64) int32_t out[kMaxCodeRows * kMaxPanel];
            uint32_t above[kMaxCodeRows];
            std::vector<float> least = thresholds;
            const auto tile = [&] {
              return kernel->tile_codes(rows.data() + first * d, d, packed.data(), half, starts.data(),
                                        scales.data() + first, least.data(), 0, out, above);
            };
            uint32_t any = 0;
            if (tile())
              for (int64_t r = 0; r < kernel->code_rows; ++r)
                for (int64_t j = 0; j < (half ? panel / 2 : panel); ++j) {
                  const int32_t product = out[r * panel + j];
                  ASSERT_EQ(product, expected(j, first + r)) << d << " " << j << " " << r;
                  const bool passes = scaled(product, first + r) >= thresholds[static_cast<size_t>(j)];
                  EXPECT_EQ(above[r] >> j & 1, passes ? 1u : 0u);
                  any |= above[r] >> j & 1;
                }
            else
              for (int64_t r = 0; r < kernel->code_rows; ++r)
                for (int64_t j = 0; j < (half ? panel / 2 : panel); ++j)
                  any |= scaled(expected(j, first + r), first + r) >= thresholds[static_cast<size_t>(j)] ? 2u : 0u;
            EXPECT_NE(any, 2u) << "a row that passes is told of";
            std::fill(least.begin(), least.end(), kInf);
            EXPECT_FALSE(tile());
          }
      }
}

}  // namespace
}  // namespace winnow::cpu
