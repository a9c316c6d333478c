// The product in bytes: every instruction set against the f32 product within the bound that rounding allows, rows that
// do not see one another, and frozen graphs that use it.
#include "core/cpu/int8_matmul.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "core/frozen_weights.h"
#include "core/parallel.h"
#include "core/program.h"
#include "ops/matmul.h"
#include "ops/pointwise.h"

namespace winnow::cpu {
namespace {

constexpr Int8Isa kSets[] = {Int8Isa::Avx2, Int8Isa::Avx512, Int8Isa::Vnni};

struct Case {
  size_t m, n, k;
  std::vector<float> a, b, bias;
  std::vector<int8_t> codes;
  std::vector<float> columns;
  Case(size_t rows, size_t width, size_t depth, unsigned seed = 1) : m(rows), n(width), k(depth) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    a.resize(m * k), b.resize(k * n), bias.resize(n);
    for (auto* x : {&a, &b, &bias})
      for (float& v : *x) v = normal(random);
    pack();
  }
  void pack() {
    codes.assign(int8_code_bytes(n, k), 99);
    columns.assign(2 * int8_padded(n), 99.f);
    int8_pack(b.data(), n, false, n, k, codes.data(), columns.data());
  }
  std::vector<float> run(int bits, Int8Isa isa, size_t first = 0, size_t rows = SIZE_MAX) const {
    rows = std::min(rows, m - first);
    std::vector<float> c(rows * n);
    Int8Problem p{rows, n, k, bits, a.data() + first * k, codes.data(), columns.data(), c.data(), isa};
    SgemmEpilogue e;
    e.bias = bias.data(), e.act = Act::Relu;
    const Tensor workspace({DType::U8, {static_cast<int64_t>(int8_workspace_bytes(p))}});
    int8_matmul(p, e, workspace.raw());
    return c;
  }
  // Exact, and how far rounding of the row and of the weights may take a result.
  void expect_near(const std::vector<float>& c, int bits) const {
    for (size_t i = 0; i < m; ++i) {
      const float* row = a.data() + i * k;
      double low = 0, high = 0;
      for (size_t x = 0; x < k; ++x) {
        const auto v = static_cast<double>(row[x]);
        low = x == 0 ? v : std::min(low, v), high = x == 0 ? v : std::max(high, v);
      }
      const double step = (high - low) / ((1 << bits) - 1);
      for (size_t j = 0; j < n; ++j) {
        double sum = static_cast<double>(bias[j]), slack = 0, size = std::fabs(sum);
        for (size_t x = 0; x < k; ++x) {
          const double w = static_cast<double>(b[x * n + j]), v = static_cast<double>(row[x]);
          sum += v * w, size += std::fabs(v * w);
          slack += step / 2 * std::fabs(w) + (std::fabs(v) + step) * static_cast<double>(columns[j]) / 2;
        }
        ASSERT_NEAR(static_cast<double>(c[i * n + j]), std::max(0., sum), slack + 1e-5 * size)
            << "row " << i << ", column " << j << ", " << bits << " bits";
      }
    }
  }
};

TEST(Int8Matmul, IsWithinTheRoundingOfItsFactors) {
  for (const auto& [m, n, k] : {std::tuple{1, 1, 1}, {13, 33, 7}, {97, 70, 64}, {5, 32, 1500}, {30, 5, 0}}) {
    const Case c(static_cast<size_t>(m), static_cast<size_t>(n), static_cast<size_t>(k));
    for (const Int8Isa isa : kSets)
      if (has_int8_isa(isa))
        for (const int bits : {8, 15}) c.expect_near(c.run(bits, isa), bits);
  }
}

TEST(Int8Matmul, InstructionSetsDifferInTheLastPlacesOnly) {
  const Case c(40, 65, 1200);
  for (const int bits : {8, 15}) {
    const auto expected = c.run(bits, Int8Isa::Avx2);
    for (const Int8Isa isa : kSets) {
      if (!has_int8_isa(isa)) continue;
      const auto y = c.run(bits, isa);
      for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], expected[i], 1e-4f) << i;
    }
  }
}

TEST(Int8Matmul, TheLargestCodesDoNotOverflow) {
  for (const int bits : {8, 15}) {
    Case c(2, 3, kInt8MostK);
    for (size_t i = 0; i < c.k; ++i) c.a[i] = i == 7 ? 0.f : 1.f, c.a[c.k + i] = i == 7 ? 1.f : 0.f;
    std::fill(c.b.begin(), c.b.end(), 1.f), std::fill(c.bias.begin(), c.bias.end(), 0.f);
    c.pack();
    for (const Int8Isa isa : kSets) {
      if (!has_int8_isa(isa)) continue;
      const auto y = c.run(bits, isa);
      EXPECT_NEAR(y[0], 65535.f, .05f);
      EXPECT_NEAR(y[3], 1.f, 1e-3f);
    }
  }
}

TEST(Int8Matmul, ARowHasTheSameBitsInEveryBatchAndOnAnyNumberOfThreads) {
  const Case c(131, 100, 77);
  const int before = num_threads();
  for (const int bits : {8, 15}) {
    set_num_threads(1);
    const auto all = c.run(bits, Int8Isa::Best);
    for (const int threads : {1, 2, 3}) {
      set_num_threads(threads);
      EXPECT_EQ(c.run(bits, Int8Isa::Best), all);
      for (const size_t i : {size_t{0}, size_t{50}, size_t{130}}) {
        const auto one = c.run(bits, Int8Isa::Best, i, 1);
        EXPECT_EQ(std::memcmp(one.data(), all.data() + i * c.n, c.n * sizeof(float)), 0) << "row " << i;
      }
    }
  }
  set_num_threads(before);
}

TEST(Int8Matmul, ARowThatIsNotFiniteIsNaNAndItsNeighboursAreNot) {
  for (const float odd : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity(),
                          -std::numeric_limits<float>::infinity()}) {
    Case c(9, 40, 50);
    for (const size_t at : {size_t{3}, size_t{49}}) {
      c.a[4 * c.k + at] = odd;
      for (const Int8Isa isa : kSets) {
        if (!has_int8_isa(isa)) continue;
        const auto y = c.run(15, isa);
        for (size_t i = 0; i < y.size(); ++i) ASSERT_EQ(std::isnan(y[i]), i / c.n == 4) << i;
      }
      c.a[4 * c.k + at] = 0;
    }
  }
}

}  // namespace
}  // namespace winnow::cpu

namespace winnow {
namespace {

VariablePtr variable(const char* name, const Shape& shape, unsigned seed) {
  auto v = std::make_shared<Variable>();
  v->name = name, v->value = Tensor({DType::F32, shape});
  std::mt19937 random(seed);
  for (float& x : v->value.span<float>()) x = static_cast<float>(random()) / 2147483648.f - 1.f;
  return v;
}

TEST(Int8Weights, AFrozenGraphComputesItsProductsInBytes) {
  const VariablePtr up = variable("up", {40, 90}, 1), bias = variable("bias", {90}, 2),
                    down = variable("down", {60, 90}, 3), last = variable("last", {60, 1}, 4);
  const auto logits = [&](const std::shared_ptr<FrozenWeights>& frozen, std::string* dump) {
    Graph g;
    const Value x = g.input("x", {DType::F32, {30, 40}});
    const Value h =
        relu(matmul(relu(linear(x, g.persistent(up), g.persistent(bias))), g.persistent(down), false, true));
    g.output("y", matmul(h, g.persistent(last)));
    CompileOptions options;
    options.frozen = frozen;
    Program p = compile(g, options);
    if (dump != nullptr) *dump = p.dump();
    const auto stream = make_stream({});
    const Tensor in = variable("", {30, 40}, 9)->value;
    p.run(std::span(&in, 1), *stream);
    return p.output("y").clone();
  };
  const auto frozen = std::make_shared<FrozenWeights>(WeightForm::Int8);
  std::string dump;
  const Tensor y = logits(frozen, &dump), expected = logits(nullptr, nullptr);
  EXPECT_EQ(frozen->packed.size(), 2u) << dump;
  const size_t first = dump.find("matmul_int8");
  ASSERT_NE(first, std::string::npos) << dump;
  EXPECT_LT(dump.find("bits=15", first), dump.find("bits=8", first)) << "an input of features, then an activation";
  double worst = 0, size = 0;
  for (int64_t i = 0; i < 30; ++i) {
    worst = std::max(worst, std::fabs(static_cast<double>(y.data<float>()[i] - expected.data<float>()[i])));
    size = std::max(size, std::fabs(static_cast<double>(expected.data<float>()[i])));
  }
  EXPECT_LT(worst, .02 * size);
  EXPECT_GT(worst, 0);

  for (float& w : up->value.span<float>()) w = -w;
  frozen->refresh();
  const Tensor other = logits(frozen, nullptr);
  EXPECT_NE(std::memcmp(other.raw(), y.raw(), other.bytes()), 0) << "refresh() takes over new values";
}

}  // namespace
}  // namespace winnow
