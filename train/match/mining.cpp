#include "train/match/mining.h"

#include <algorithm>

#include "core/rng.h"
#include "train/match/search.h"

namespace winnow {
namespace {

constexpr uint64_t kMiningStream = 0x6d696e65;  // of the random numbers

float dot(const Tensor& a, int64_t row_a, const Tensor& b, int64_t row_b) {
  const int64_t width = a.shape()[1];
  double sum = 0;
  for (int64_t i = 0; i < width; ++i)
    sum += static_cast<double>(a.data<float>()[row_a * width + i]) *
           static_cast<double>(b.data<float>()[row_b * width + i]);
  return static_cast<float>(sum);
}

// The cosine below which a negative must lie, for each query of the training split.
std::vector<float> limits(const MatchData& data, const MatchData::Targets& answers, const Tensor& queries,
                          const Tensor& items, double margin) {
  std::vector<float> limit(data.queries.size(), std::numeric_limits<float>::infinity());
  for (size_t q = 0; q < answers.queries.size(); ++q) {
    float best = -1;
    for (int64_t i = answers.begin[q]; i < answers.begin[q + 1]; ++i)
      best = std::max(best, dot(queries, answers.queries[q], items, answers.items[static_cast<size_t>(i)]));
    limit[static_cast<size_t>(answers.queries[q])] = best - static_cast<float>(margin);
  }
  return limit;
}

// `wanted` of the eligible ones, in place at the front: a partial Fisher-Yates.
void draw(std::vector<int32_t>& eligible, int64_t wanted, const MiningOptions& options, int64_t epoch, int64_t query) {
  Rng rng(options.seed, kMiningStream + static_cast<uint64_t>(query) + (static_cast<uint64_t>(epoch) << 32));
  for (size_t i = 0; i < std::min(static_cast<size_t>(wanted), eligible.size()); ++i)
    std::swap(eligible[i], eligible[i + rng.below(eligible.size() - i)]);
}

}  // namespace

std::vector<int32_t> mine_negatives(const MatchData& data, const MatchBatches& batches, const Tensor& queries,
                                    const Tensor& items, const MiningOptions& options, int64_t epoch) {
  std::vector<int32_t> query_of_group;
  std::vector<int64_t> first_row;  // rows of one query are consecutive
  for (int64_t r = 0; r < batches.rows(); ++r)
    if (query_of_group.empty() || batches.query_of(r) != query_of_group.back()) {
      query_of_group.push_back(batches.query_of(r));
      first_row.push_back(r);
    }
  first_row.push_back(batches.rows());
  const auto groups = static_cast<int64_t>(query_of_group.size());
  const int64_t width = queries.shape()[1];
  Tensor asked({DType::F32, {groups, width}});
  for (int64_t g = 0; g < groups; ++g)
    std::copy_n(queries.data<float>() + int64_t{query_of_group[static_cast<size_t>(g)]} * width, width,
                asked.data<float>() + g * width);
  std::vector<float> limit;
  if (options.margin) limit = limits(data, data.targets(Split::Train), queries, items, *options.margin);
  const auto found = nearest(asked, items, options.until, [&](int64_t group, int32_t item) {
    return !data.is_known(query_of_group[static_cast<size_t>(group)], item);
  });
  const auto each = static_cast<size_t>(options.negatives);
  std::vector<int32_t> negatives(static_cast<size_t>(batches.rows()) * each, -1);
  std::vector<int32_t> eligible;
  for (size_t g = 0; g < query_of_group.size(); ++g) {
    eligible.clear();
    for (size_t rank = static_cast<size_t>(options.from); rank < found[g].size(); ++rank)
      if (limit.empty() || found[g][rank].cosine <= limit[static_cast<size_t>(query_of_group[g])])
        eligible.push_back(found[g][rank].item);
    const int64_t wanted = (first_row[g + 1] - first_row[g]) * options.negatives;
    if (!options.hardest) draw(eligible, wanted, options, epoch, query_of_group[g]);
    // the rows of one query share what was found: different negatives as long as there are some
    for (int64_t i = 0; i < wanted && !eligible.empty(); ++i) {
      const auto of_row = static_cast<size_t>(i % options.negatives);
      if (of_row >= eligible.size()) continue;
      negatives[static_cast<size_t>(first_row[g]) * each + static_cast<size_t>(i)] =
          eligible[options.hardest ? of_row : static_cast<size_t>(i) % eligible.size()];
    }
  }
  return negatives;
}

}  // namespace winnow
