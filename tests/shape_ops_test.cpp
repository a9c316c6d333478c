// Shape and jagged operators against index arithmetic written out here.
#include "ops/shape_ops.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "core/parallel.h"
#include "core/program.h"
#include "core/rng.h"
#include "ops/jagged.h"

namespace winnow {
namespace {

using List = std::vector<int64_t>;

Tensor random(const Shape& shape, uint64_t seed) {
  Tensor t({DType::F32, shape});
  Rng rng(seed);
  for (float& x : t.span<float>()) x = static_cast<float>(rng.normal());
  return t;
}
Tensor indices(const List& list) { return Tensor::of(list, {static_cast<int64_t>(list.size())}); }
Tensor run(const std::string& op, const std::vector<Tensor>& in, const Attrs& attrs = {}) {
  return run_eager(op, in, attrs)[0];
}
bool equal(const Tensor& a, const Tensor& b) {
  return a.spec() == b.spec() && std::equal(a.span<float>().begin(), a.span<float>().end(), b.span<float>().begin());
}

template <class T>
void check_permutations(const Shape& shape) {
  Tensor x({dtype_of<T>(), shape});
  std::iota(x.span<T>().begin(), x.span<T>().end(), T(0));
  List perm{0, 1, 2, 3};
  do {
    const Tensor y = run("transpose", {x}, {{"perm", perm}});
    for (int64_t i = 0; i < y.numel(); ++i) {
      int64_t left = i, at = 0;
      for (int k = 3; k >= 0; --k) {
        const int axis = static_cast<int>(perm[static_cast<size_t>(k)]);
        at += left % shape[axis] * shape.inner(axis);
        left /= shape[axis];
      }
      ASSERT_EQ(y.data<T>()[i], x.data<T>()[at]) << shape.str() << " perm " << fmt::format("{}", fmt::join(perm, ","));
    }
  } while (std::next_permutation(perm.begin(), perm.end()));
}
TEST(Transpose, EveryPermutationPutsEveryElementInItsPlace) {
  check_permutations<float>({2, 3, 4, 5});
  check_permutations<float>({1, 41, 2, 37});
  check_permutations<int64_t>({3, 1, 17, 2});
}

TEST(Shape, SplitUndoesConcatAlongEveryAxis) {
  for (int axis = 0; axis < 3; ++axis) {
    const Shape shape{20, 3, 4};
    const List sizes{2, 1, 5};
    std::vector<Tensor> pieces;
    for (const int64_t n : sizes) pieces.push_back(random(shape.with(axis, n), static_cast<uint64_t>(n)));
    const Tensor whole = run("concat", pieces, {{"axis", int64_t{axis - 3}}});
    const auto again = run_eager("split", std::vector{whole}, {{"axis", int64_t{axis}}, {"sizes", sizes}});
    for (size_t k = 0; k < sizes.size(); ++k) EXPECT_TRUE(equal(pieces[k], again[k])) << axis;
    const Tensor last = run("slice", {whole}, {{"axis", int64_t{axis}}, {"begin", int64_t{-5}}, {"end", int64_t{8}}});
    EXPECT_TRUE(equal(last, pieces[2]));
  }
}

TEST(ScatterAdd, ThreadsAddInTheOrderOfOne) {
  const int64_t n = 5000, width = 17, rows = 40;
  const Tensor x = random({n, width}, 5);
  List list;
  Rng rng(6);
  for (int64_t i = 0; i < n; ++i) list.push_back(static_cast<int64_t>(rng.below(44)) - 2);
  std::vector<float> expected(static_cast<size_t>(rows * width));
  for (int64_t i = 0; i < n; ++i)
    if (const int64_t r = list[static_cast<size_t>(i)]; r >= 0 && r < rows)
      for (int64_t j = 0; j < width; ++j)
        expected[static_cast<size_t>(r * width + j)] += x.data<float>()[i * width + j];
  const int usual = num_threads();
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    EXPECT_TRUE(equal(run("scatter_add", {x, indices(list)}, {{"rows", rows}}), Tensor::of(expected, {rows, width})))
        << threads;
  }
  set_num_threads(usual);
}

TEST(Gather, MissingRowsAreZero) {
  const Tensor x = random({3, 2}, 7), y = run("gather", {x, indices({2, -1, 0, 3})});
  for (int64_t j = 0; j < 2; ++j) {
    EXPECT_EQ(y.data<float>()[j], x.data<float>()[4 + j]);
    EXPECT_EQ(y.data<float>()[2 + j], 0);
    EXPECT_EQ(y.data<float>()[4 + j], x.data<float>()[j]);
    EXPECT_EQ(y.data<float>()[6 + j], 0);
  }
}

TEST(Jagged, UnpadUndoesPadAndClearsDeadRows) {
  const Tensor values = random({9, 3}, 8), offsets = indices({0, 2, 2, 6});
  const Tensor dense = run("jagged_pad", {values, offsets}, {{"max_len", int64_t{4}}, {"padding", -7.0}});
  EXPECT_EQ(dense.shape(), (Shape{3, 4, 3}));
  EXPECT_EQ(dense.data<float>()[2 * 3], -7);  // behind the two rows of bag 0
  EXPECT_EQ(dense.data<float>()[4 * 3], -7);  // bag 1 is empty
  EXPECT_EQ(dense.data<float>()[8 * 3], values.data<float>()[2 * 3]);
  const Tensor again = run("jagged_unpad", {dense, offsets}, {{"capacity", int64_t{9}}});
  for (int64_t i = 0; i < 27; ++i) EXPECT_EQ(again.data<float>()[i], i < 18 ? values.data<float>()[i] : 0.0f);
}

TEST(Jagged, PoolingMatchesTheBags) {
  const Tensor values = Tensor::of({1.0f, 5.0f, 3.0f, -2.0f, 9.0f}, {5, 1}), offsets = indices({0, 3, 3, 4});
  const auto pooled = [&](const std::string& mode) {
    const Tensor y = run("jagged_pool", {values, offsets}, {{"mode", mode}});
    return std::vector<float>(y.span<float>().begin(), y.span<float>().end());
  };
  EXPECT_EQ(pooled("sum"), (std::vector<float>{9, 0, -2}));
  EXPECT_EQ(pooled("mean"), (std::vector<float>{3, 0, -2}));
  EXPECT_EQ(pooled("max"), (std::vector<float>{5, 0, -2}));
}

TEST(Jagged, TheGradientOfTheMaximumGoesToTheFirstLargestRow) {
  const Tensor dy = Tensor::of({10.0f, 20.0f}, {2, 1}), values = Tensor::of({1.0f, 5.0f, 5.0f, 4.0f, 9.0f}, {5, 1});
  const Tensor offsets = indices({0, 3, 4}), y = Tensor::of({5.0f, 4.0f}, {2, 1});
  const Tensor dx = run("jagged_pool_grad", {dy, values, offsets, y}, {{"mode", std::string("max")}});
  EXPECT_TRUE(equal(dx, Tensor::of({0.0f, 10.0f, 0.0f, 20.0f, 0.0f}, {5, 1})));
}

TEST(Jagged, BrokenOffsetsNeverReachOutside) {
  const int64_t most = std::numeric_limits<int64_t>::max(), least = std::numeric_limits<int64_t>::min();
  for (const List& list : {List{0, most, 2}, List{5, 3, 1}, List{least, most, least}, List{-4, 2, 100}}) {
    const Tensor values = random({4, 2}, 9), offsets = indices(list);
    const Tensor dense = run("jagged_pad", {values, offsets}, {{"max_len", int64_t{3}}, {"padding", 0.0}});
    (void)run("jagged_unpad", {dense, offsets}, {{"capacity", int64_t{4}}});
    for (const char* mode : {"sum", "mean", "max"}) {
      const Tensor y = run("jagged_pool", {values, offsets}, {{"mode", std::string(mode)}});
      const Tensor dx = run("jagged_pool_grad", {y, values, offsets, y}, {{"mode", std::string(mode)}});
      EXPECT_EQ(dx.shape(), values.shape());
    }
  }
}

}  // namespace
}  // namespace winnow
