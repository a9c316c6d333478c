// The funnel: what may be named, how sources are merged, what the ranker and the rules make of it, and its edges.
#include "serve/recommend/recommender.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <set>
#include <thread>

#include "serve/recommend/build.h"
#include "tests/error_text.h"
#include "tests/small_catalogue.h"

namespace winnow {
namespace {

// A ranker by hand: of item i the logit -i / 10, so that the first items are the best.
void rank_by_number(const EncodedSide&, std::span<const int64_t> items, std::span<float> logits) {
  for (size_t n = 0; n < items.size(); ++n) logits[n] = -static_cast<float>(items[n]) / 10;
}

class RecommenderTest : public ::testing::Test {
 protected:
  RecommenderTest() : items_{std::make_shared<ItemValues>(catalogue(), shop_.dataset.map), nullptr, nullptr} {}
  const Catalogue& catalogue() const { return *shop_.catalogue; }
  std::unique_ptr<Recommender> make(const std::string& yaml = "", RankItems rank = rank_by_number) const {
    Config config = Config::parse(yaml.empty() ? "{}" : yaml, "recommend.yaml");
    RecommendOptions options = read_recommend_options(config.root());
    config.finish();
    return make_recommender(std::move(options), catalogue(), shop_.dataset.map, items_, std::move(rank));
  }
  std::vector<RecommendedItem> ask(const Recommender& r, const RecommendRequest& request) {
    std::vector<RecommendedItem> out;
    r.recommend(request, scratch_, out);
    return out;
  }
  static std::vector<int64_t> numbers(const std::vector<RecommendedItem>& items) {
    std::vector<int64_t> out;
    for (const RecommendedItem& i : items) out.push_back(i.item);
    return out;
  }
  std::set<int64_t> seen(int64_t user) const {
    const auto items = catalogue().taken_items(user);
    return {items.begin(), items.end()};
  }
  bool has(int64_t item, const std::string& feature, const std::string& value) const {
    return items_.values->passing({feature, {value}}).has(item);
  }
  SmallCatalogue shop_;
  ItemKnowledge items_;
  RecommendScratch scratch_;
};

TEST_F(RecommenderTest, NamesTheBestByTheRankerThatTheUserHasNotSeen) {
  const auto r = make();
  for (int64_t user = 0; user < catalogue().users(); ++user) {
    std::vector<int64_t> expected;
    const auto taken = seen(user);
    for (int64_t i = 0; i < catalogue().items() && expected.size() < 5; ++i)
      if (!taken.contains(i)) expected.push_back(i);
    const auto found = ask(*r, {.user = user, .k = 5});
    EXPECT_EQ(numbers(found), expected) << user;
    for (const RecommendedItem& item : found) {
      EXPECT_NEAR(item.score, -static_cast<float>(item.item) / 10, 1e-6);
      EXPECT_NEAR(item.probability, 1 / (1 + std::exp(-item.score)), 1e-6);
      EXPECT_FALSE(item.causes.empty());
    }
  }
}

TEST_F(RecommenderTest, CausesAreThoseOfTheSourcesWithReasonsForPeople) {
  const auto r = make();
  RecommendScratch scratch;
  const int64_t user = shop_.user(3);
  std::map<std::string, std::map<int64_t, size_t>> ranks;
  for (const std::string_view name : r->sources()) {
    std::vector<Candidate> found;
    r->from_source(name, {.user = user, .k = 1000}, scratch, found);
    for (size_t n = 0; n < found.size(); ++n) ranks[std::string(name)][found[n].item] = n + 1;
  }
  EXPECT_EQ(r->sources(), (std::vector<std::string_view>{"co_occurrence", "popular", "popular_in", "new"}));
  std::set<std::string> reasons;
  for (const RecommendedItem& item : ask(*r, {.user = user, .k = 30})) {
    std::set<std::string> named_by, expected;
    for (const Cause& cause : item.causes) {
      named_by.emplace(cause.source);
      EXPECT_EQ(ranks[std::string(cause.source)][item.item], static_cast<size_t>(cause.rank));
      reasons.insert(r->text(cause.reason));
    }
    for (const auto& [name, list] : ranks)
      if (list.contains(item.item)) expected.insert(name);
    EXPECT_EQ(named_by, expected);
  }
  EXPECT_TRUE(reasons.contains("popular"));
  EXPECT_TRUE(std::ranges::any_of(reasons, [](const auto& s) { return s.starts_with("bought together with The "); }));
  EXPECT_TRUE(std::ranges::any_of(reasons, [](const auto& s) {
    return s == "popular in comedy" || s == "popular in war" || s == "popular in crime" || s == "popular in drama";
  }));
}

TEST_F(RecommenderTest, SourcesTakeTurnsWhereTogetherTheyNameTooMany) {
  std::vector<std::vector<int64_t>> asked;
  const auto r = make("candidates: 7\nsources: [{type: popular}, {type: new, days: 10000}]",
                      [&](const EncodedSide&, std::span<const int64_t> items, std::span<float> logits) {
                        asked.emplace_back(items.begin(), items.end());
                        std::ranges::fill(logits, 0.f);
                      });
  std::vector<Candidate> popular, fresh;
  r->from_source("popular", {.k = 1000}, scratch_, popular);
  r->from_source("new", {.k = 1000}, scratch_, fresh);
  ask(*r, {.k = 3});
  std::vector<int64_t> expected;
  for (size_t rank = 0; expected.size() < 7; ++rank)
    for (const auto* list : {&popular, &fresh})
      if (const int64_t item = (*list)[rank].item;
          expected.size() < 7 && std::ranges::find(expected, item) == expected.end())
        expected.push_back(item);
  ASSERT_EQ(asked.size(), 1u);
  EXPECT_EQ(asked[0], expected);
}

TEST_F(RecommenderTest, FiltersListsAndStockDecideWhatMayBeNamed) {
  const auto r = make("exclude: {stock: 'no'}");
  const ValueFilter comedy[] = {{"genres", {"comedy"}}}, no_war[] = {{"genres", {"war"}, true}, {"stock", {"yes"}}};
  for (const RecommendedItem& i : ask(*r, {.user = 2, .k = 100, .where = comedy})) {
    EXPECT_TRUE(has(i.item, "genres", "comedy"));
    EXPECT_FALSE(has(i.item, "stock", "no"));
    EXPECT_FALSE(seen(2).contains(i.item));
  }
  const auto without_war = ask(*r, {.user = -1, .k = 100, .where = no_war});
  EXPECT_GT(without_war.size(), 5u);
  for (const RecommendedItem& i : without_war) EXPECT_FALSE(has(i.item, "genres", "war"));
  const auto all = numbers(ask(*r, {.k = 100}));
  ASSERT_GT(all.size(), 10u);
  const int64_t deny[] = {all[0], all[2]}, allow[] = {all[1], all[2], all[5]};
  EXPECT_EQ(numbers(ask(*r, {.k = 2, .deny = deny})), (std::vector<int64_t>{all[1], all[3]}));
  EXPECT_EQ(numbers(ask(*r, {.k = 9, .allow = allow, .deny = deny})), (std::vector<int64_t>{all[1], all[5]}));
  r->set_unavailable(std::vector<int64_t>{all[0], all[1]});
  EXPECT_EQ(numbers(ask(*r, {.k = 2})), (std::vector<int64_t>{all[2], all[3]}));
  EXPECT_EQ(r->available()->count(), catalogue().items() - 4 - 2);
  r->set_unavailable({});
  EXPECT_EQ(numbers(ask(*r, {.k = 100})), all);
}

TEST_F(RecommenderTest, WhatHappenedSinceTrainingIsSeenAndCounts) {
  const auto r = make("sources: [{type: co_occurrence}]");
  EXPECT_TRUE(ask(*r, {.k = 10}).empty());  // nobody, without a history
  const TakenItem since[] = {{4, 1800000000, 1}, {5, 1800000100, 0}};
  const auto found = ask(*r, {.since = since, .k = 100});
  ASSERT_FALSE(found.empty());
  for (const RecommendedItem& i : found) {
    EXPECT_NE(i.item, 4);
    EXPECT_NE(i.item, 5);
    EXPECT_EQ(i.causes.at(0).reason.item, 4);  // what was not liked says nothing
  }
  const auto again = numbers(ask(*r, {.since = since, .k = 100, .seen_too = true}));
  EXPECT_NE(std::ranges::find(again, 5), again.end());
}

TEST_F(RecommenderTest, BoostsMoveScoresAndNotProbabilities) {
  const auto plain = make(),
             boosted =
                 make("rules: {boosts: [{where: {genres: crime}, by: 100}, {where_not: {stock: 'yes'}, by: -50}]}");
  const auto found = ask(*boosted, {.k = 100});
  bool crime = true;
  for (const RecommendedItem& i : found) {
    const float logit = -static_cast<float>(i.item) / 10;
    EXPECT_NEAR(i.probability, 1 / (1 + std::exp(-logit)), 1e-6);
    EXPECT_NEAR(i.score, logit + (has(i.item, "genres", "crime") ? 100 : 0) - (has(i.item, "stock", "yes") ? 0 : 50),
                1e-4);
    if (has(i.item, "stock", "yes")) {
      EXPECT_TRUE(crime || !has(i.item, "genres", "crime"));
      crime = has(i.item, "genres", "crime");
    }
  }
  auto sorted = numbers(found), all = numbers(ask(*plain, {.k = 100}));
  std::ranges::sort(sorted), std::ranges::sort(all);
  EXPECT_EQ(sorted, all);
}

TEST_F(RecommenderTest, WhatSourcesAgreeOnCountsByReciprocalRanks) {
  const auto alone = make("", {}), blended = make("blend: 2");
  const auto agreement = [](const RecommendedItem& i) {
    double sum = 0;
    for (const Cause& cause : i.causes) sum += 1 / (60 + static_cast<double>(cause.rank));
    return std::log(61 * sum);
  };
  double before = 1e9;
  for (const RecommendedItem& i : ask(*alone, {.user = 4, .k = 100})) {
    EXPECT_NEAR(i.score, agreement(i), 1e-5);
    EXPECT_LE(i.score, before + 1e-6);
    before = i.score;
  }
  for (const RecommendedItem& i : ask(*blended, {.user = 4, .k = 100}))
    EXPECT_NEAR(i.score, -static_cast<double>(i.item) / 10 + 2 * agreement(i), 1e-5);
}

TEST_F(RecommenderTest, PinsLimitsAndNewItemsHoldInTheAnswer) {
  const auto r = make(
      "sources: [{type: popular}, {type: new, days: 250}]\n"
      "rules: {pinned: [{item: i20, position: 2}], limits: [{feature: genres, most: 2, first: 5}],"
      " new_share: {share: 0.2, first: 5, days: 250}}");
  const NewSource fresh(first_times(catalogue()), 250);
  int64_t now = 0;
  for (int64_t u = 0; u < catalogue().users(); ++u)
    for (int64_t n = 0; n < catalogue().taken(u); ++n) now = std::max(now, catalogue().taken(u, n).time);
  for (int64_t user = 0; user < catalogue().users(); ++user) {
    const auto found = ask(*r, {.user = user, .k = 8});
    ASSERT_EQ(found.size(), 8u);
    EXPECT_EQ(found[1].item, shop_.item(20));
    EXPECT_TRUE(found[1].pinned);
    std::map<std::string, int> genres;
    int new_items = 0;
    for (size_t n = 0; n < 5; ++n) {
      for (const int32_t v : items_.values->of_item(items_.values->feature("genres"), found[n].item))
        ++genres[std::string(items_.values->text(items_.values->feature("genres"), v))];
      new_items += fresh.is_new(found[n].item, now) ? 1 : 0;
    }
    for (const auto& [genre, n] : genres) EXPECT_LE(n, 2) << genre;
    EXPECT_GE(new_items, 1);
  }
  const int64_t deny[] = {shop_.item(20)};
  for (const RecommendedItem& i : ask(*r, {.k = 8, .deny = deny})) EXPECT_NE(i.item, shop_.item(20));
}

TEST_F(RecommenderTest, DiversityTradesScoreForGenres) {
  const auto distinct = [&](const std::string& yaml) {
    const auto r = make(yaml);
    double pairs = 0;
    const size_t f = items_.values->feature("genres");
    for (int64_t user = 0; user < catalogue().users(); ++user) {
      const auto found = ask(*r, {.user = user, .k = 6});
      EXPECT_EQ(found.size(), 6u);
      for (size_t a = 0; a < found.size(); ++a)
        for (size_t b = 0; b < a; ++b) pairs += 1 - items_.values->jaccard(f, found[a].item, found[b].item);
    }
    return pairs;
  };
  const double plain = distinct("");
  EXPECT_GT(distinct("diversity: {method: mmr, weight: 0.7}"), plain * 1.02);
  EXPECT_GT(distinct("diversity: {method: dpp, weight: 0.9, by: genres}"), plain * 1.02);
  EXPECT_EQ(distinct("diversity: {method: mmr, weight: 0}"), plain);
}

TEST_F(RecommenderTest, EdgesGiveShortAnswersOrErrorsThatSayWhy) {
  const auto r = make();
  EXPECT_FALSE(ask(*r, {.user = -1, .k = 5}).empty());              // unknown user: popular, new
  EXPECT_FALSE(ask(*r, {.user = shop_.user(39), .k = 5}).empty());  // known, without a history
  std::vector<int64_t> all(static_cast<size_t>(catalogue().items()));
  std::iota(all.begin(), all.end(), 0);
  EXPECT_TRUE(ask(*r, {.k = 5, .deny = all}).empty());
  r->set_unavailable(all);
  EXPECT_TRUE(ask(*r, {.k = 5}).empty());
  r->set_unavailable({});
  const int64_t wrong[] = {1000};
  EXPECT_THROW(ask(*r, {.k = 0}), ConfigError);
  EXPECT_THROW(ask(*r, {.user = 1000}), DataError);
  EXPECT_THROW(ask(*r, {.deny = wrong}), DataError);
  EXPECT_THROW(r->set_unavailable(wrong), DataError);
  const ValueFilter filter[] = {{"genre", {"war"}}};
  EXPECT_NE(text_of<DataError>([&] { ask(*r, {.where = filter}); }).find("did you mean 'genres'"), std::string::npos);
  std::vector<Candidate> out;
  EXPECT_THROW(r->from_source("magic", {}, scratch_, out), DataError);
}

TEST_F(RecommenderTest, ConfigsThatCannotHoldAreRefused) {
  EXPECT_THROW(make("sources: [{type: embedding}]"), ConfigError);  // no model was given
  EXPECT_THROW(make("sources: [{type: text}]"), ConfigError);
  EXPECT_THROW(make("sources: [{type: popular}, {type: popular}]"), ConfigError);
  EXPECT_THROW(make("sources: [{type: popular, shrinkage: 3}]"), ConfigError);
  EXPECT_THROW(make("sources: []"), ConfigError);
  EXPECT_THROW(make("candidates: 0"), ConfigError);
  EXPECT_THROW(make("candidtes: 10"), ConfigError);
  EXPECT_THROW(make("rules: {pinned: [{item: nothing}]}"), ConfigError);
  EXPECT_THROW(make("rules: {limits: [{feature: colour}]}"), DataError);
  EXPECT_THROW(make("rules: {boosts: [{by: 1}]}"), ConfigError);
  EXPECT_THROW(make("diversity: {method: dpp, weight: 0}"), ConfigError);
  EXPECT_THROW(make("diversity: {method: mmr, by: embedding}"), ConfigError);
  EXPECT_THROW(make("exclude: {stock: perhaps}"), DataError);
}

TEST_F(RecommenderTest, RelatedItemsAreThoseOfASourceForOneItemAlone) {
  const auto r = make();
  std::vector<Candidate> together;
  r->related("co_occurrence", 3, {.user = 5, .k = 4}, scratch_, together);
  ASSERT_EQ(together.size(), 4u);
  const ItemNeighbours neighbours(liked(catalogue()), {});
  std::vector<int64_t> expected, found;
  for (const int32_t item : neighbours.of(3))
    if (!seen(5).contains(item) && expected.size() < 4) expected.push_back(item);
  for (const Candidate& c : together) {
    found.push_back(c.item);
    EXPECT_EQ(c.reason.item, 3);
  }
  EXPECT_EQ(found, expected);
  std::vector<RankedItem> similar;
  r->similar(3, {.k = 4, .seen_too = true}, scratch_, similar);
  ASSERT_EQ(similar.size(), 4u);  // of one source: its order
  for (size_t n = 0; n < 4; ++n) EXPECT_EQ(similar[n].item, neighbours.of(3)[n]);
}

// A source of the caller's own: what a campaign pays for.
class Campaign final : public CandidateSource {
 public:
  std::string_view name() const override { return "campaign"; }
  void candidates(const CandidateRequest& request, int64_t, std::vector<Candidate>& out) const override {
    if (request.may->has(33)) out.push_back({33, 1, {"on offer", -1, {}}});
  }
};

TEST_F(RecommenderTest, SourcesOfTheCallersOwnPlugIn) {
  std::vector<Recommender::Slot> more;
  more.push_back({std::make_unique<Campaign>(), 1});
  Config config = Config::parse("sources: [{type: popular, limit: 2}]", "recommend.yaml");
  const auto r = make_recommender(read_recommend_options(config.root()), catalogue(), shop_.dataset.map, items_,
                                  rank_by_number, std::move(more));
  const auto found = ask(*r, {.k = 10});
  ASSERT_EQ(found.size(), 3u);
  EXPECT_EQ(found[2].item, 33);
  EXPECT_EQ(r->text(found[2].causes.at(0).reason), "on offer");
}

TEST_F(RecommenderTest, ManyThreadsGetTheAnswersOfOne) {
  const auto r = make("diversity: {method: mmr, weight: 0.3}");
  std::vector<std::vector<int64_t>> expected;
  for (int64_t u = 0; u < catalogue().users(); ++u) expected.push_back(numbers(ask(*r, {.user = u, .k = 7})));
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      RecommendScratch scratch;
      std::vector<RecommendedItem> out;
      for (int round = 0; round < 20; ++round)
        for (int64_t u = 0; u < catalogue().users(); ++u) {
          r->recommend({.user = u, .k = 7}, scratch, out);
          if (numbers(out) != expected[static_cast<size_t>(u)]) ++wrong;
        }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

}  // namespace
}  // namespace winnow
