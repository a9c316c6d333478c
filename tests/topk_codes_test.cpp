// Exact top-k through bounds from bytes: the rows and the bits of the scores that a product of every row would give.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <vector>

#include "core/cpu/row_codes.h"
#include "core/cpu/sgemm.h"
#include "core/cpu/topk.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/rng.h"

namespace winnow::cpu {
namespace {

constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

std::vector<const VectorKernels*> kernels() {
  std::vector<const VectorKernels*> all = {vector_kernels_avx2()};
  if (has_isa(Isa::Avx512)) all.push_back(vector_kernels_avx512());
  if (has_isa(Isa::Avx512) && __builtin_cpu_supports("avx512vnni")) all.push_back(vector_kernels_vnni());
  return all;
}

std::vector<float> normal(int64_t n, uint64_t seed, float size = 1) {
  Rng rng(seed);
  std::vector<float> x(static_cast<size_t>(n));
  for (float& v : x) v = size * static_cast<float>(rng.normal());
  return x;
}

// What dots() on every row gives.
std::vector<ScoredRow> plain(const TopkProblem& p, const VectorKernels& kernel) {
  std::vector<ScoredRow> out(static_cast<size_t>(p.count * p.k), ScoredRow{-kInf, -1});
  std::vector<const float*> at(static_cast<size_t>(p.n));
  for (int64_t r = 0; r < p.n; ++r) at[static_cast<size_t>(r)] = p.rows + r * p.d;
  std::vector<float> scores(at.size());
  for (int64_t q = 0; q < p.count; ++q) {
    kernel.dots(p.queries + q * p.d, at.data(), p.n, p.d, 0, scores.data());
    std::vector<ScoredRow> all;
    for (int32_t r = 0; r < p.n; ++r) {
      const bool allowed = p.allowed == nullptr || (p.allowed[r / 64] >> (r % 64) & 1) != 0;
      if (allowed && scores[static_cast<size_t>(r)] > -kInf && (!p.may_find || p.may_find(q, r)))
        all.push_back({scores[static_cast<size_t>(r)], r});
    }
    const auto n = std::min(p.k, static_cast<int64_t>(all.size()));
    std::partial_sort(all.begin(), all.begin() + n, all.end(), better);
    std::copy_n(all.begin(), n, out.begin() + q * p.k);
  }
  return out;
}

// Rows and queries, searched in every way: with codes and without, by every instruction set, 1 and 2 threads.
struct Search {
  std::vector<float> rows, queries;
  int64_t d, k = 10;
  int64_t n() const { return static_cast<int64_t>(rows.size()) / d; }
  const uint64_t* allowed = nullptr;
  std::function<bool(int64_t, int32_t)> may_find = {};

  void expect_exact(const char* what) const {
    RowCodes codes(d);
    codes.encode(rows.data(), 0, n());
    const int threads = num_threads();
    for (const VectorKernels* kernel : kernels())
      for (int64_t count : {int64_t{1}, int64_t{3}, int64_t{4}, static_cast<int64_t>(queries.size()) / d}) {
        TopkProblem p{queries.data(), count, rows.data(), n(), d, k, allowed, may_find, nullptr};
        const auto expected = plain(p, *kernel);
        for (const int t : {1, 2})
          for (const bool coded : {true, false}) {
            p.codes = coded ? &codes : nullptr;
            set_num_threads(t);
            std::vector<ScoredRow> found(expected.size());
            topk(p, found.data(), *kernel);
            for (size_t i = 0; i < found.size(); ++i)
              ASSERT_EQ(found[i], expected[i])
                  << what << ": " << count << " queries, " << t << " threads, coded " << coded << ", most code "
                  << kernel->most_code << ", place " << i << ": " << found[i].row << " scores " << found[i].score
                  << ", expected " << expected[i].row << " with " << expected[i].score;
          }
      }
    set_num_threads(threads);
  }
};

TEST(TopkCodes, NormalVectorsOfOddWidths) {
  for (const int64_t d : {1, 3, 17, 32, 100, 128}) {
    Search{normal(6000 * d, 1), normal(37 * d, 2), d}.expect_exact("normal");
    if (HasFatalFailure()) return;
  }
}

TEST(TopkCodes, MoreRowsThanAChunkAndManyOfThemWanted) {
  const int64_t d = 20;
  for (const int64_t k : {1, 100, 900}) {
    Search{normal(30011 * d, 3), normal(20 * d, 4), d, k}.expect_exact("many rows");
    if (HasFatalFailure()) return;
  }
}

TEST(TopkCodes, ClustersEqualRowsAndTies) {
  const int64_t d = 24, n = 20000;
  Search s{normal(n * d, 5, 0.01f), normal(33 * d, 6), d, 50};
  const auto centres = normal(10 * d, 7);
  for (int64_t r = 0; r < n; ++r)
    for (int64_t i = 0; i < d; ++i)
      s.rows[static_cast<size_t>(r * d + i)] += centres[static_cast<size_t>(r % 10 * d + i)];
  s.expect_exact("clusters");
  for (int64_t r = 0; r < n; ++r) std::copy_n(s.rows.begin() + r % 7 * d, d, s.rows.begin() + r * d);
  s.expect_exact("seven rows again and again");
  Rng rng(8);
  for (float& x : s.rows) x = static_cast<float>(rng.below(3)) - 1;
  for (float& x : s.queries) x = static_cast<float>(rng.below(3)) - 1;
  s.expect_exact("small integers");
  std::fill(s.rows.begin(), s.rows.end(), 0.1f);
  s.expect_exact("all rows equal");
  std::fill(s.queries.begin(), s.queries.begin() + 2 * d, 0.f);
  s.expect_exact("queries of zeros");
  std::fill(s.rows.begin(), s.rows.end(), 0.f);
  s.expect_exact("rows of zeros");
}

TEST(TopkCodes, RowsInTheOrderOfTheirScores) {
  const int64_t d = 8, n = 20000;
  Search s{std::vector<float>(static_cast<size_t>(n * d)), normal(20 * d, 9), d, 30};
  for (int64_t r = 0; r < n; ++r)
    for (int64_t i = 0; i < d; ++i)
      s.rows[static_cast<size_t>(r * d + i)] = static_cast<float>(r) + 0.25f * static_cast<float>(i);
  s.expect_exact("ascending and descending");
}

TEST(TopkCodes, NumbersOfEverySize) {
  const int64_t d = 20, n = 4500;
  for (const float rows : {1e-45f, 1e-30f, 1e-20f, 1e15f, 1e30f, 3e37f})
    for (const float queries : {1e-42f, 1.f, 1e20f, 1e30f}) {
      Search{normal(n * d, 10, rows), normal(18 * d, 11, queries), d}.expect_exact("size");
      if (HasFatalFailure()) FAIL() << rows << " " << queries;
    }
  Search s{normal(n * d, 12), normal(18 * d, 13), d};
  Rng rng(14);
  for (int64_t r = 0; r < n; ++r)
    s.rows[static_cast<size_t>(r * d + static_cast<int64_t>(rng.below(static_cast<uint64_t>(d))))] = 1e4f;
  s.expect_exact("one giant coordinate a row");
  for (int64_t r = 0; r < n; ++r) {
    const float size = std::pow(10.f, static_cast<float>(rng.below(60)) - 30.f);
    for (int64_t i = 0; i < d; ++i) s.rows[static_cast<size_t>(r * d + i)] *= size;
  }
  s.expect_exact("rows of every length");
}

TEST(TopkCodes, RowsAndQueriesThatAreNotFinite) {
  const int64_t d = 12, n = 8000;
  Search s{normal(n * d, 15), normal(20 * d, 16), d};
  for (int64_t r = 0; r < n; r += 700)
    s.rows[static_cast<size_t>(r * d + r % d)] = r % 3 == 0 ? kInf : r % 3 == 1 ? -kInf : kNan;
  s.expect_exact("rows");
  s.queries[5] = kNan;
  s.queries[static_cast<size_t>(d)] = kInf;
  s.expect_exact("queries");
}

TEST(TopkCodes, FiltersHoldPerRowAndPerQuery) {
  const int64_t d = 16, n = 9000;
  Search s{normal(n * d, 17), normal(40 * d, 18), d, 20};
  std::vector<uint64_t> allowed(static_cast<size_t>(n / 64 + 1));
  for (int64_t r = 0; r < n; r += r < 4000 ? 7 : 311) allowed[static_cast<size_t>(r / 64)] |= uint64_t{1} << (r % 64);
  s.allowed = allowed.data();
  s.expect_exact("allowed");
  s.may_find = [](int64_t q, int32_t r) { return (r + q) % 3 != 0; };
  s.expect_exact("both");
  s.allowed = nullptr;
  s.expect_exact("by query");
  s.may_find = [](int64_t, int32_t r) { return r % 1000 == 0; };
  s.expect_exact("few that may be found");
}

// Codes of rows that came in pieces are those of all at once.
TEST(TopkCodes, DependOnTheRowsAlone) {
  const int64_t d = 10, n = 3000;
  const auto rows = normal(n * d, 19);
  RowCodes once(d), pieces(d);
  once.encode(rows.data(), 0, n);
  for (const int64_t count : {1, 70, 64, 65, 2000, 1990, 3000}) pieces.encode(rows.data(), pieces.rows(), count);
  EXPECT_EQ(pieces.bytes(), once.bytes());
  for (int64_t r = 0; r < n; ++r) {
    ASSERT_TRUE(std::equal(once.codes(r), once.codes(r) + once.code_width(), pieces.codes(r))) << r;
    ASSERT_EQ(*once.scales(r), *pieces.scales(r));
    ASSERT_EQ(once.bounds(r).residual, pieces.bounds(r).residual);
    ASSERT_EQ(once.bounds(r).length, pieces.bounds(r).length);
    ASSERT_EQ(once.bounds(r).norm, pieces.bounds(r).norm);
  }
}

struct Counted {
  TopkWork work;
  double pairs;
};
Counted count_work(const std::vector<float>& rows, const std::vector<float>& queries, int64_t d, int64_t count,
                   int64_t k, const VectorKernels& kernel) {
  const auto n = static_cast<int64_t>(rows.size()) / d;
  RowCodes codes(d);
  codes.encode(rows.data(), 0, n);
  std::vector<ScoredRow> found(static_cast<size_t>(count * k));
  return {topk({queries.data(), count, rows.data(), n, d, k, nullptr, {}, &codes}, found.data(), kernel),
          static_cast<double>(n * count)};
}

TEST(TopkCodes, FewRowsOfNormalVectorsAreScored) {
  const int64_t d = 128, n = 60000, k = 10;
  const auto rows = normal(n * d, 20), queries = normal(20 * d, 21);
  for (const VectorKernels* kernel : kernels())
    for (const int64_t count : {1, 20}) {
      const auto [work, pairs] = count_work(rows, queries, d, count, k, *kernel);
      EXPECT_GE(static_cast<double>(work.bounded), pairs) << "every row's score is bounded";
      EXPECT_LE(work.scored, 12 * k * count) << "most code " << kernel->most_code;
      EXPECT_GE(work.scored, k * count);
    }
}

TEST(TopkCodes, WhereBoundsTellNothingRowsAreComputedInFloat) {
  const int64_t d = 16, n = 300'000, k = 10;
  const std::vector<float> rows(static_cast<size_t>(n * d), 0.1f), queries = normal(20 * d, 22);
  for (const VectorKernels* kernel : kernels())
    for (const int64_t count : {1, 20}) {
      const auto [work, pairs] = count_work(rows, queries, d, count, k, *kernel);
      EXPECT_LE(static_cast<double>(work.bounded), 0.4 * pairs);
      EXPECT_LE(static_cast<double>(work.scored), 1.1 * pairs);
    }
}

TEST(TopkCodes, OfOtherRowsAreRefused) {
  const auto rows = normal(100, 23);
  RowCodes codes(5);
  codes.encode(rows.data(), 0, 20);
  ScoredRow out;
  EXPECT_THROW(topk({rows.data(), 1, rows.data(), 19, 5, 1, nullptr, {}, &codes}, &out), ShapeError);
  EXPECT_THROW(topk({rows.data(), 1, rows.data(), 20, 4, 1, nullptr, {}, &codes}, &out), ShapeError);
}

}  // namespace
}  // namespace winnow::cpu
