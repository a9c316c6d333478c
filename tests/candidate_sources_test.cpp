// Candidate sources: each formula against a count by hand, the same for any number of threads.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <set>

#include "core/parallel.h"
#include "core/rng.h"
#include "serve/recommend/item_vectors.h"
#include "serve/recommend/popularity.h"

namespace winnow {
namespace {

constexpr int64_t kDay = 86400;

// Some users take an item twice; times rise within a user.
Interactions random_interactions(int64_t users, int64_t items, uint64_t seed) {
  Rng rng(seed, 1);
  Interactions all;
  all.users = users;
  all.items = items;
  for (int64_t u = 0; u < users; ++u) {
    int64_t time = static_cast<int64_t>(rng.below(30)) * kDay;
    for (int64_t n = static_cast<int64_t>(rng.below(9)); n > 0; --n) {
      const double x = rng.uniform();
      all.item.push_back(static_cast<int32_t>(x * x * static_cast<double>(items)));
      all.time.push_back(time += static_cast<int64_t>(rng.below(5 * kDay)));
      all.latest = std::max(all.latest, time);
    }
    all.offsets.push_back(static_cast<int64_t>(all.item.size()));
  }
  return all;
}

// w_ij straight from the header's formula; the last time of each of the latest `most` distinct items counts.
double weight_by_hand(const Interactions& all, int64_t i, int64_t j, const CoOccurrenceOptions& o) {
  double together = 0, n_i = 0, n_j = 0, total = 0;
  for (int64_t u = 0; u < all.users; ++u) {
    std::map<int64_t, int64_t> last;
    for (int64_t n = all.offsets[static_cast<size_t>(u) + 1]; n-- > all.offsets[static_cast<size_t>(u)];)
      if (static_cast<int64_t>(last.size()) < o.most_history || last.contains(all.item[static_cast<size_t>(n)]))
        last.emplace(all.item[static_cast<size_t>(n)], all.time[static_cast<size_t>(n)]);
    const double w = o.inverse_user_frequency
                         ? std::log((1.0 + static_cast<double>(all.users)) / (1.0 + static_cast<double>(last.size())))
                         : 1;
    total += w;
    n_i += last.contains(i) ? w : 0;
    n_j += last.contains(j) ? w : 0;
    if (!last.contains(i) || !last.contains(j)) continue;
    const auto apart = static_cast<double>(std::abs(last[i] - last[j])) / kDay;
    together += o.pair_half_life_days > 0 ? w * std::exp2(-apart / o.pair_half_life_days) : w;
  }
  if (together == 0) return 0;
  const double trust = together / (together + o.shrinkage);
  if (o.weight == CoOccurrenceOptions::Cosine) return trust * together / std::sqrt(n_i * n_j);
  if (o.weight == CoOccurrenceOptions::Conditional) return trust * together / (n_i * std::pow(n_j, o.alpha));
  return trust * together * total / (n_i * n_j);
}

TEST(CoOccurrence, WeightsAreThoseOfTheFormulas) {
  const Interactions all = random_interactions(60, 20, 3);
  for (const auto weight : {CoOccurrenceOptions::Cosine, CoOccurrenceOptions::Conditional, CoOccurrenceOptions::Lift})
    for (const double half_life : {0.0, 2.5})
      for (const int64_t most : {3, 500}) {
        const bool inverse = most == 500;
        const CoOccurrenceOptions o{weight, 0.3, 2.0, inverse, half_life, 100, most};
        const ItemNeighbours neighbours(all, o);
        ASSERT_EQ(neighbours.items(), 20);
        int64_t pairs = 0;
        for (int64_t i = 0; i < 20; ++i) {
          std::map<int64_t, double> found;
          const auto items = neighbours.of(i);
          for (size_t n = 0; n < items.size(); ++n) {
            found[items[n]] = static_cast<double>(neighbours.weights(i)[n]);
            if (n > 0) { EXPECT_GE(neighbours.weights(i)[n - 1], neighbours.weights(i)[n]); }
          }
          for (int64_t j = 0; j < 20; ++j) {
            const double expected = i == j ? 0 : weight_by_hand(all, i, j, o);
            EXPECT_EQ(found.contains(j), expected > 0) << i << " " << j;
            EXPECT_NEAR(found.contains(j) ? found[j] : 0, expected, 1e-6 * std::max(1.0, expected)) << i << " " << j;
            pairs += expected > 0 ? 1 : 0;
          }
        }
        EXPECT_GT(pairs, 100);
      }
}

TEST(CoOccurrence, KeepsTheBestNeighboursAndTheSameBitsForAnyNumberOfThreads) {
  const Interactions all = random_interactions(900, 700, 5);
  CoOccurrenceOptions o;
  const ItemNeighbours wide(all, o);
  o.neighbours = 4;
  const ItemNeighbours narrow(all, o);
  const int threads = num_threads();
  set_num_threads(1);
  const ItemNeighbours alone(all, o);
  set_num_threads(3);
  const ItemNeighbours three(all, o);
  set_num_threads(threads);
  for (int64_t i = 0; i < 700; ++i) {
    const auto best = wide.of(i).first(std::min<size_t>(wide.of(i).size(), 4));
    ASSERT_TRUE(std::ranges::equal(narrow.of(i), best));
    ASSERT_TRUE(std::ranges::equal(narrow.of(i), alone.of(i)) && std::ranges::equal(three.of(i), alone.of(i)));
    ASSERT_TRUE(std::ranges::equal(narrow.weights(i), alone.weights(i)));
    ASSERT_TRUE(std::ranges::equal(three.weights(i), alone.weights(i)));
  }
}

// A request over a catalogue of `items`, all of which may be named.
struct Asked {
  explicit Asked(int64_t items) : may(items, true) {}
  std::vector<Candidate> operator()(const CandidateSource& source, std::vector<TakenItem> taken, int64_t limit = 1000,
                                    int64_t now = 0) {
    history = std::move(taken);
    std::vector<Candidate> out;
    source.candidates({-1, history, now, &may, &scratch}, limit, out);
    return out;
  }
  ItemSet may;
  SourceScratch scratch;
  std::vector<TakenItem> history;
};

TEST(CoOccurrence, SourceSumsOverTheHistoryAndNamesTheItemThatCountsMost) {
  const Interactions all = random_interactions(80, 24, 7);
  CoOccurrenceOptions o;
  o.shrinkage = 1;
  const auto neighbours = std::make_shared<ItemNeighbours>(all, o);
  const HistoryWeights history{3, 10};
  const CoOccurrenceSource source(neighbours, history);
  Asked asked(24);
  asked.may.remove(2);
  // item 9 is older than the three that count, item 1 stands there twice
  const std::vector<TakenItem> taken = {
      {9, 0, 1}, {0, 10 * kDay, 1}, {1, 15 * kDay, 1}, {5, 20 * kDay, 1}, {1, 30 * kDay, 1}};
  const std::map<int64_t, double> weights = {{0, std::exp2(-2.0)}, {5, std::exp2(-1.0)}, {1, 1.0}};
  const auto found = asked(source, taken, 1000, 30 * kDay);
  std::map<int64_t, Candidate> by_item;
  for (size_t n = 0; n < found.size(); ++n) {
    by_item[found[n].item] = found[n];
    if (n > 0) { EXPECT_GE(found[n - 1].score, found[n].score); }
  }
  ASSERT_EQ(by_item.size(), found.size());
  for (int64_t j = 0; j < 24; ++j) {
    double score = 0, largest = 0;
    int64_t because = -1;
    for (const auto& [i, weight] : weights) {
      const double part = i == j ? 0 : weight * weight_by_hand(all, i, j, o);
      score += part;
      if (part > largest) largest = part, because = i;
    }
    if (j == 2) score = 0;
    ASSERT_EQ(by_item.contains(j), score > 0) << j;
    if (score == 0) continue;
    EXPECT_NEAR(by_item[j].score, score, 1e-6);
    EXPECT_EQ(by_item[j].reason.item, because);
    EXPECT_EQ(by_item[j].reason.text, "bought together with");
  }
  const auto few = asked(source, taken, 3, 30 * kDay), again = asked(source, taken, 3, 30 * kDay);
  ASSERT_EQ(few.size(), 3u);
  for (size_t n = 0; n < 3; ++n) {
    EXPECT_EQ(few[n].item, found[n].item);
    EXPECT_EQ(few[n].score, again[n].score);
  }
  EXPECT_TRUE(asked(source, {}).empty());
}

TEST(Popularity, DecaysByHalfLivesAndLeavesOutWhatMayNotBeNamed) {
  Interactions all;
  all.users = 2;
  all.items = 4;
  all.offsets = {0, 3, 5};
  all.item = {0, 0, 1, 1, 3};
  all.time = {0, 10 * kDay, 20 * kDay, 20 * kDay, 10 * kDay};
  all.latest = 20 * kDay;
  EXPECT_EQ(popularity(all, 0), (std::vector<double>{2, 2, 0, 1}));
  EXPECT_EQ(popularity(all, 10), (std::vector<double>{0.25 + 0.5, 2, 0, 0.5}));
  const PopularSource source(popularity(all, 10));
  Asked asked(4);
  const auto found = asked(source, {});
  ASSERT_EQ(found.size(), 3u);  // nobody took item 2
  EXPECT_EQ(found[0].item, 1);
  EXPECT_EQ(found[1].item, 0);
  EXPECT_EQ(found[2].item, 3);
  asked.may.remove(1);
  const auto without = asked(source, {}, 1);
  ASSERT_EQ(without.size(), 1u);
  EXPECT_EQ(without[0].item, 0);
}

TEST(Popularity, InACategoryFollowsWhatTheUserTakesMoreThanOthers) {
  // 3 dramas everybody takes, 2 comedies and 2 westerns; item 6 is both
  const ItemValues values(
      7, {{"genre", {{"drama"}, {"drama"}, {"drama"}, {"comedy"}, {"comedy"}, {"western"}, {"western", "comedy"}}}});
  const PopularInSource source({50, 40, 30, 5, 4, 3, 2}, values, 0);
  Asked asked(7);
  const auto found = asked(source, {{3, 0, 1}, {0, 0, 1}});
  // shares of the history .5 and .5, of all .896 and .082: comedy first, drama second, no western
  ASSERT_GE(found.size(), 4u);
  EXPECT_EQ(found[0].item, 3);
  EXPECT_EQ(found[0].reason.value, "comedy");
  EXPECT_EQ(found[1].item, 0);
  EXPECT_EQ(found[1].reason.value, "drama");
  EXPECT_EQ(found[2].item, 4);
  std::set<int64_t> distinct;
  for (const Candidate& c : found) distinct.insert(c.item);
  EXPECT_EQ(distinct.size(), found.size());
  EXPECT_FALSE(distinct.contains(5));
  EXPECT_TRUE(asked(source, {}).empty());
}

TEST(NewItems, AreThoseFirstTakenLatelyThenThoseNobodyTook) {
  const NewSource source({100 * kDay, 0, 95 * kDay, 10 * kDay, 98 * kDay, 0}, 4);
  Asked asked(6);
  const auto items = [&](int64_t now) {
    std::vector<int64_t> out;
    for (const Candidate& c : asked(source, {}, 1000, now)) out.push_back(c.item);
    return out;
  };
  EXPECT_EQ(items(0), (std::vector<int64_t>{0, 4, 1, 5}));
  EXPECT_EQ(items(98 * kDay), (std::vector<int64_t>{0, 4, 2, 1, 5}));
  EXPECT_EQ(items(200 * kDay), (std::vector<int64_t>{1, 5}));
  for (int64_t i = 0; i < 6; ++i) EXPECT_EQ(source.is_new(i, 0), i != 2 && i != 3) << i;
  // data without timestamps: taken items are never new
  const NewSource timeless({1, 0, 1}, 30);
  Asked three(3);
  EXPECT_EQ(three(timeless, {}).size(), 1u);
}

TEST(ItemVectors, SourceFindsWhatIsNearestToTheWeightedHistory) {
  constexpr int64_t kItems = 50, kWidth = 6;
  Tensor vectors(TensorSpec{DType::F32, {kItems, kWidth}});
  Rng rng(11, 2);
  for (float& x : vectors.span<float>()) x = static_cast<float>(rng.normal());
  for (float& x : vectors.span<float>().subspan(7 * kWidth, kWidth)) x = 0;  // item 7 has no vector
  const auto items = std::make_shared<ItemVectors>(vectors);
  const VectorSource source("text", "reads like", items, {2, 5});
  Asked asked(kItems);
  asked.may.remove(3);
  const auto found = asked(source, {{4, 0, 1}, {3, 10 * kDay, 1}, {8, 15 * kDay, 1}}, 10, 15 * kDay);
  std::vector<std::pair<double, int64_t>> expected;
  for (int64_t i = 0; i < kItems; ++i) {
    if (i == 3 || i == 7) continue;
    // normalised query: the order is that of the product
    double product = 0;
    for (int64_t d = 0; d < kWidth; ++d)
      product += double{items->of(i)[static_cast<size_t>(d)]} *
                 (0.5 * double{items->of(3)[static_cast<size_t>(d)]} + double{items->of(8)[static_cast<size_t>(d)]});
    expected.emplace_back(-product, i);
  }
  std::ranges::sort(expected);
  ASSERT_EQ(found.size(), 10u);
  for (size_t n = 0; n < found.size(); ++n) {
    EXPECT_EQ(found[n].item, expected[n].second);
    const int64_t because = 0.5 * items->cosine(3, found[n].item) > items->cosine(8, found[n].item) ? 3 : 8;
    EXPECT_EQ(found[n].reason.item, because);
  }
  EXPECT_TRUE(asked(source, {}).empty());
  EXPECT_TRUE(asked(source, {{7, 0, 1}}).empty());
  EXPECT_NEAR(items->cosine(5, 5), 1, 1e-6);
  EXPECT_EQ(items->index().size(), kItems - 1);
  EXPECT_THROW(ItemVectors(vectors, "tree"), ConfigError);
}

TEST(ItemValues, FiltersByAnyOfTheValuesAndNamesWhatIsNear) {
  const ItemValues values(
      4, {{"genre", {{"drama", "war"}, {"comedy"}, {}, {"war"}}}, {"stock", {{"yes"}, {"no"}, {"yes"}, {"no"}}}});
  const auto items = [&](const ValueFilter& filter) {
    std::vector<int64_t> out;
    const ItemSet set = values.passing(filter);
    for (int64_t i = 0; i < 4; ++i)
      if (set.has(i)) out.push_back(i);
    EXPECT_EQ(set.count(), static_cast<int64_t>(out.size()));
    return out;
  };
  EXPECT_EQ(items({"genre", {"war"}}), (std::vector<int64_t>{0, 3}));
  EXPECT_EQ(items({"genre", {"war", "comedy"}}), (std::vector<int64_t>{0, 1, 3}));
  EXPECT_EQ(items({"genre", {"war"}, true}), (std::vector<int64_t>{1, 2}));
  EXPECT_EQ(values.jaccard(0, 0, 3), 0.5);
  EXPECT_EQ(values.jaccard(0, 0, 1), 0);
  EXPECT_EQ(values.jaccard(0, 2, 2), 1);
  EXPECT_EQ(values.jaccard(0, 2, 0), 0);
  try {
    values.passing({"genre", {"comdy"}});
    FAIL();
  } catch (const DataError& e) {
    EXPECT_NE(std::string(e.what()).find("did you mean 'comedy'"), std::string::npos) << e.what();
  }
  EXPECT_THROW(values.passing({"genres", {"war"}}), DataError);
  EXPECT_THROW(values.passing({"genre", {}}), DataError);
}

}  // namespace
}  // namespace winnow
