// Ids as those of Criteo: 26 fields of very unequal size, Zipf, drawn from a seed.
#pragma once
#include <cmath>
#include <vector>

#include "core/rng.h"
#include "core/tensor.h"

namespace winnow {

inline constexpr int kClickFields = 26;

// Cardinalities that add up to `rows`: a geometric series from 1 to 1e5.
inline std::vector<int64_t> click_cardinalities(double rows) {
  std::vector<double> w(kClickFields);
  double total = 0;
  for (int f = 0; f < kClickFields; ++f) total += w[static_cast<size_t>(f)] = std::pow(1e5, f / 25.0);
  std::vector<int64_t> card;
  int64_t sum = 0;
  for (const double x : w) sum += card.emplace_back(std::max<int64_t>(4, static_cast<int64_t>(x / total * rows)));
  card.back() += static_cast<int64_t>(rows) - sum;
  return card;
}

// i64 [batch, 26], each 1 .. the field's cardinality.
inline Tensor click_ids(Rng& rng, int64_t batch, const std::vector<int64_t>& card, double zipf) {
  Tensor ids({DType::I64, {batch, kClickFields}});
  for (int64_t i = 0; i < batch; ++i)
    for (int f = 0; f < kClickFields; ++f) {
      const auto n = static_cast<double>(card[static_cast<size_t>(f)]);
      const double x = std::pow((std::pow(n, 1 - zipf) - 1) * rng.uniform() + 1, 1 / (1 - zipf));
      const auto rank = static_cast<uint64_t>(std::min(n - 1, std::floor(x) - 1));
      // spread popular ranks over the table, as hashing does
      const uint64_t id = (rank * 0x9E3779B97F4A7C15ull >> 11) % static_cast<uint64_t>(card[static_cast<size_t>(f)]);
      ids.data<int64_t>()[i * kClickFields + f] = static_cast<int64_t>(id) + 1;  // 0 is PAD
    }
  return ids;
}

}  // namespace winnow
