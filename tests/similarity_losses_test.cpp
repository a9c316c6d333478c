// The losses of dual encoders against brute force in double.
#include "nn/similarity_losses.h"

#include <gtest/gtest.h>

#include <cmath>

#include "core/program.h"
#include "core/rng.h"

namespace winnow {
namespace {

using Kind = SimilarityLossOptions::Kind;
using Matrix = std::vector<std::vector<double>>;

constexpr int64_t kRows = 5, kColumns = 9, kWidth = 6;

struct Problem {
  Matrix queries, candidates, excluded;
  std::vector<double> weights;
  std::vector<int64_t> pairs;
  std::vector<double> pair_labels, pair_weights;
};

Matrix random_matrix(int64_t rows, int64_t columns, Rng& rng) {
  Matrix m(static_cast<size_t>(rows), std::vector<double>(static_cast<size_t>(columns)));
  for (auto& row : m)
    for (double& x : row) x = rng.normal();
  return m;
}

Problem random_problem(uint64_t seed) {
  Rng rng(seed);
  Problem p{random_matrix(kRows, kWidth, rng),
            random_matrix(kColumns, kWidth, rng),
            Matrix(kRows, std::vector<double>(kColumns)),
            {},
            {},
            {},
            {}};
  for (size_t i = 0; i < kRows; ++i) {
    p.weights.push_back(i == 3 ? 0 : rng.uniform() + 0.5);
    for (size_t j = 0; j < kColumns; ++j)
      if (i != j && rng.uniform() < 0.3) p.excluded[i][j] = kExcluded;
  }
  for (int64_t i = 0; i < 8; ++i) {
    p.pairs.push_back(static_cast<int64_t>(rng.below(kRows * kColumns)));
    p.pair_labels.push_back(static_cast<double>(rng.below(3)));
    p.pair_weights.push_back(i == 2 ? 0 : 1);
  }
  return p;
}

double cosine(const std::vector<double>& a, const std::vector<double>& b, int64_t prefix) {
  double ab = 0, aa = 0, bb = 0;
  for (size_t i = 0; i < static_cast<size_t>(prefix); ++i) {
    ab += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return ab / std::sqrt(aa * bb);
}

// The formulas of the header, with candidates left out rather than weighed down.
double brute_force(const Problem& p, const SimilarityLossOptions& o, int64_t prefix) {
  const auto s = [&](size_t i, size_t j) { return cosine(p.queries[i], p.candidates[j], prefix); };
  const auto out = [&](size_t i, size_t j) { return p.excluded[i][j] <= kExcluded / 2; };
  if (o.kind == Kind::Cosent) {
    double sum = 1;
    for (size_t a = 0; a < p.pairs.size(); ++a)
      for (size_t b = 0; b < p.pairs.size(); ++b) {
        if (!(p.pair_labels[a] > p.pair_labels[b])) continue;
        const auto score = [&](size_t k) {
          return s(static_cast<size_t>(p.pairs[k] / kColumns), static_cast<size_t>(p.pairs[k] % kColumns));
        };
        sum += p.pair_weights[a] * p.pair_weights[b] * std::exp((score(b) - score(a)) / o.temperature);
      }
    return std::log(sum);
  }
  double total = 0, weight = 0, back = 0;
  for (size_t i = 0; i < kRows; ++i) {
    double loss = 0, count = 0, hardest = 0, z = 0, z_back = 0;
    for (size_t j = 0; j < kColumns; ++j) {
      if (out(i, j)) continue;
      z += std::exp(s(i, j) / o.temperature + p.excluded[i][j]);
      if (i == j) continue;
      const double l = std::max(0.0, o.margin - s(i, i) + s(i, j));
      hardest = std::max(hardest, l);
      loss += l;
      ++count;
    }
    for (size_t k = 0; k < kRows; ++k)
      if (!out(k, i)) z_back += std::exp((s(k, i)) / o.temperature);
    if (o.kind == Kind::Softmax) loss = std::log(z) - s(i, i) / o.temperature - p.excluded[i][i];
    if (o.kind == Kind::TripletAll) loss = count > 0 ? loss / count : 0;
    if (o.kind == Kind::TripletHardest) loss = hardest;
    total += p.weights[i] * loss;
    back += p.weights[i] * (std::log(z_back) - s(i, i) / o.temperature);
    weight += p.weights[i];
  }
  return o.symmetric ? (total + back) / weight / 2 : total / weight;
}

Tensor tensor(const Matrix& m) {
  std::vector<double> flat;
  for (const auto& row : m) flat.insert(flat.end(), row.begin(), row.end());
  return Tensor::of(flat, {static_cast<int64_t>(m.size()), static_cast<int64_t>(m[0].size())});
}
Tensor tensor(const std::vector<double>& v) { return Tensor::of(v, {static_cast<int64_t>(v.size())}); }

struct Computed {
  double loss;
  Tensor dqueries, dcandidates;
};

Computed compute(const Problem& p, const SimilarityLossOptions& o) {
  Graph graph;
  const auto input = [&](const char* name, const Tensor& t) { return graph.input(name, t.spec()); };
  const std::vector<Tensor> feeds = {tensor(p.queries),
                                     tensor(p.candidates),
                                     tensor(p.excluded),
                                     tensor(p.weights),
                                     Tensor::of(p.pairs, {static_cast<int64_t>(p.pairs.size())}),
                                     tensor(p.pair_labels),
                                     tensor(p.pair_weights)};
  const SimilarityInputs in{input("q", feeds[0]), input("c", feeds[1]), input("x", feeds[2]), input("w", feeds[3]),
                            input("p", feeds[4]), input("l", feeds[5]), input("pw", feeds[6])};
  graph.require_grad(in.queries);
  graph.require_grad(in.candidates);
  const Value loss = similarity_loss(in, o);
  graph.backward(loss);
  graph.output("loss", loss);
  graph.output("dq", graph.gradient(in.queries));
  graph.output("dc", graph.gradient(in.candidates));
  Program program = compile(graph);
  const auto stream = make_stream({});
  program.run(feeds, *stream);
  return {program.output("loss").item<double>(), program.output("dq").clone(), program.output("dc").clone()};
}

std::vector<SimilarityLossOptions> all_kinds() {
  std::vector<SimilarityLossOptions> list;
  for (const Kind kind : {Kind::Softmax, Kind::TripletHardest, Kind::TripletAll, Kind::Cosent})
    list.push_back({.kind = kind, .temperature = 0.3, .margin = 0.4});
  list.push_back({.kind = Kind::Softmax, .temperature = 0.3, .symmetric = true});
  return list;
}

TEST(SimilarityLosses, AreThoseOfTheirFormulas) {
  for (const SimilarityLossOptions& o : all_kinds())
    for (const uint64_t seed : {1, 2, 3}) {
      const Problem p = random_problem(seed);
      EXPECT_NEAR(compute(p, o).loss, brute_force(p, o, kWidth), 1e-9) << static_cast<int>(o.kind);
    }
}

TEST(SimilarityLosses, MatryoshkaIsTheSumOverNormalisedPrefixes) {
  for (SimilarityLossOptions o : all_kinds()) {
    const Problem p = random_problem(4);
    o.prefixes = {2, 3, kWidth};
    o.prefix_weights = {0.5, 1, 2};
    EXPECT_NEAR(compute(p, o).loss, 0.5 * brute_force(p, o, 2) + brute_force(p, o, 3) + 2 * brute_force(p, o, kWidth),
                1e-9);
  }
}

TEST(SimilarityLosses, GradientsAreCentralDifferences) {
  for (const SimilarityLossOptions& o : all_kinds()) {
    Problem p = random_problem(5);
    const Computed at = compute(p, o);
    for (const bool of_queries : {true, false}) {
      Matrix& m = of_queries ? p.queries : p.candidates;
      for (size_t i = 0; i < m.size(); ++i)
        for (size_t k = 0; k < kWidth; ++k) {
          const double x = m[i][k], h = 1e-5;
          m[i][k] = x + h;
          const double above = brute_force(p, o, kWidth);
          m[i][k] = x - h;
          const double below = brute_force(p, o, kWidth);
          m[i][k] = x;
          const double gradient = (of_queries ? at.dqueries : at.dcandidates).data<double>()[i * kWidth + k];
          EXPECT_NEAR(gradient, (above - below) / (2 * h), 1e-6) << static_cast<int>(o.kind);
        }
    }
  }
}

TEST(SimilarityLosses, AnExcludedDuplicateChangesNothing) {
  // candidate 1 is the positive of query 0 once more, as it is when two rows of a batch have one item
  for (const SimilarityLossOptions& o : all_kinds()) {
    if (o.kind == Kind::Cosent) continue;
    Problem p = random_problem(6);
    p.candidates[1] = p.candidates[0];
    p.excluded[0][1] = kExcluded;
    const Computed with = compute(p, o);
    const double loss = brute_force(p, o, kWidth);
    EXPECT_NEAR(with.loss, loss, 1e-9);
    p.excluded[0][1] = 0;
    if (o.kind == Kind::TripletHardest) continue;  // where something harder is about, that is not seen
    EXPECT_GT(std::abs(compute(p, o).loss - loss), 1e-6) << "were it not excluded, the loss would change";
  }
}

TEST(SimilarityLosses, LogQOfTheSamplerIsSubtracted) {
  Problem p = random_problem(7);
  for (size_t j = 0; j < kColumns; ++j)
    for (size_t i = 0; i < kRows; ++i)
      if (p.excluded[i][j] == 0) p.excluded[i][j] = 0.3 * static_cast<double>(j + 1);
  for (const bool symmetric : {false, true}) {
    const SimilarityLossOptions o{.temperature = 0.3, .symmetric = symmetric};
    EXPECT_NEAR(compute(p, o).loss, brute_force(p, o, kWidth), 1e-9);
  }
}

TEST(SimilarityLosses, QueriesWithoutWeightHaveNoGradient) {
  for (const SimilarityLossOptions& o : all_kinds()) {
    if (o.kind == Kind::Cosent || o.symmetric) continue;  // symmetric: query 3 is a negative of the other items
    const Computed c = compute(random_problem(8), o);
    for (size_t k = 0; k < kWidth; ++k) EXPECT_EQ(c.dqueries.data<double>()[3 * kWidth + k], 0);
  }
}

TEST(SimilarityLosses, APrefixLongerThanTheVectorsIsAnError) {
  EXPECT_THROW(compute(random_problem(9), {.prefixes = {kWidth + 1}}), ShapeError);
  EXPECT_THROW(compute(random_problem(9), {.prefixes = {2, 3}, .prefix_weights = {1}}), ShapeError);
}

}  // namespace
}  // namespace winnow
