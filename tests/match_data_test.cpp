// Matching data and its batches: who is asked what, and what never is a negative.
#include "data/match_data.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "data/match_batches.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

class MatchDataTest : public ::testing::Test {
 protected:
  MatchData load(const std::string& yaml) const {
    Config config = Config::parse(yaml + "\npath: '" + directory_.path() + "'\n", "data.yaml");
    const MatchSpec spec = parse_match_spec(config.root());
    config.finish();
    return load_match_data(spec);
  }
  TemporaryDirectory directory_;
};

// One token a text, so that a row's tokens tell which text it is.
JaggedIds numbered(size_t rows) {
  JaggedIds ids;
  for (size_t r = 0; r < rows; ++r) {
    ids.ids.push_back(static_cast<int32_t>(r));
    ids.types.push_back(0);
    ids.offsets.push_back(static_cast<int64_t>(r) + 1);
  }
  return ids;
}

TEST_F(MatchDataTest, PairsAreSplitByQueryAndAQueryIsInOneSplit) {
  std::string csv = "query,item,grade\n";
  for (int q = 0; q < 200; ++q)
    for (int i = 0; i < 3; ++i) csv += fmt::format("question {},answer {},{}\n", q, (q * 3 + i) % 50, i);
  directory_.write("pairs.csv", csv);
  const MatchData data = load("pairs: {file: pairs.csv, strength: grade}\nsplit: {valid: 0.2, test: 0.2}");
  EXPECT_EQ(data.queries.size(), 200u);
  EXPECT_EQ(data.items.size(), 50u);
  EXPECT_TRUE(data.graded);
  std::set<int32_t> seen;
  size_t pairs = 0;
  for (const auto& split : data.pairs) {
    std::set<int32_t> of;
    for (const auto& p : split) of.insert(p.query);
    for (const int32_t q : of) EXPECT_TRUE(seen.insert(q).second) << "query " << q << " is in two splits";
    EXPECT_GT(split.size(), 30u);
    pairs += split.size();
  }
  EXPECT_EQ(pairs, 600u);
  // strength 0 is no answer
  const auto targets = data.targets(Split::Test);
  EXPECT_EQ(targets.items.size(), targets.queries.size() * 2);
}

TEST_F(MatchDataTest, WordsOfStrengthAndAThresholdOfAnswers) {
  directory_.write("pairs.csv", "query,item,action\na,x,view\na,y,buy\nb,x,review\nb,z,view\n");
  const std::string yaml =
      "pairs: {file: pairs.csv, strength: action, strengths: {view: 1, buy: 3, review: 5}}\n"
      "split: {valid: 0, test: 0}\nanswer_from: 3";
  const MatchData data = load(yaml);
  EXPECT_EQ(data.pairs[0][1].strength, 3);
  EXPECT_EQ(data.known, (std::vector<int32_t>{1, 0}));  // a: y, b: x
  directory_.write("pairs.csv", "query,item,action\na,x,steal\n");
  EXPECT_THROW(load(yaml), DataError);
}

TEST_F(MatchDataTest, AHistoryIsTheTitlesOfEarlierBasketsLatestFirst) {
  directory_.write("log.csv",
                   "user,item,title,at,basket\n"
                   "u,1,red bag,100,b1\nu,2,blue bag,100,b1\nu,3,lamp,200,b2\nu,1,red bag,300,b3\n"
                   "v,2,blue bag,50,c1\nv,3,lamp,60,c2\n");
  const MatchData data = load(
      "interactions: {file: log.csv, title: title}\nuser_id: user\nitem_id: item\nbasket: basket\n"
      "timestamp: {column: at}\nquery: {titles: 2}\nsplit: {method: query, valid: 0, test: 0}");
  EXPECT_EQ(data.queries, (std::vector<std::string>{"red bag, blue bag", "lamp, red bag", "blue bag"}));
  EXPECT_EQ(data.report.without_answer, 2) << "the first basket of each user has nothing before it";
  EXPECT_EQ(data.known_of(0).size(), 3u) << "what a user took in the first basket is known too";
  EXPECT_EQ(data.pairs[0].size(), 3u);
}

TEST_F(MatchDataTest, TimeSplitsKeepBasketsWhole) {
  std::string csv = "user,item,title,at,basket\n";
  for (int b = 0; b < 40; ++b)
    for (int i = 0; i < 5; ++i) csv += fmt::format("u{},{},item {},{},b{}\n", b % 4, i, i, 100 + b, b);
  directory_.write("log.csv", csv);
  const MatchData data = load(
      "interactions: {file: log.csv, title: title}\nuser_id: user\nitem_id: item\nbasket: basket\n"
      "timestamp: {column: at}\nsplit: {method: time, valid: 0.1, test: 0.1}");
  for (const auto& split : data.pairs) EXPECT_EQ(split.size() % 5, 0u);
  EXPECT_LT(data.pairs[0].back().query, data.pairs[2].front().query + 1000);
  EXPECT_FALSE(data.pairs[1].empty());
  EXPECT_FALSE(data.pairs[2].empty());
}

class MatchBatchesTest : public MatchDataTest {
 protected:
  // 12 texts of 3 labels, so that a batch of 8 is full of texts of one label.
  MatchData labelled() const {
    std::string csv = "text,label\n";
    for (int i = 0; i < 13; ++i) csv += fmt::format("text {},{}\n", i, "abc"[i % 3]);
    directory_.write("texts.csv", csv);
    return load("labelled: {file: texts.csv}\nsplit: {valid: 0, test: 0}");
  }
};

TEST_F(MatchBatchesTest, NoCandidateOfTheQuerysOwnerIsANegative) {
  const MatchData data = labelled();
  const JaggedIds tokens = numbered(data.queries.size());
  MatchBatches batches(data, tokens, tokens, {.batch_size = 8, .hard_negatives = 2, .seed = 3});
  std::vector<int32_t> negatives(static_cast<size_t>(batches.rows()) * 2);
  for (size_t i = 0; i < negatives.size(); ++i) negatives[i] = static_cast<int32_t>(i % data.items.size());
  negatives[5] = -1;
  batches.set_negatives(negatives);
  int64_t counted = 0, allowed = 0, rows = 0;
  for (int64_t epoch = 0; epoch < 3; ++epoch)
    for (batches.start_epoch(epoch); batches.next();) {
      const float* excluded = batches.feeds()[4].data<float>();
      const float* weights = batches.feeds()[5].data<float>();
      for (int64_t b = 0; b < 8; ++b) {
        const int32_t query = batches.queries()[static_cast<size_t>(b)];
        EXPECT_EQ(weights[b], query < 0 ? 0.0f : 1.0f);
        if (query < 0) continue;
        ++rows;
        const int32_t positive = batches.items()[static_cast<size_t>(b)];
        EXPECT_EQ(data.owner[static_cast<size_t>(positive)], data.owner[static_cast<size_t>(query)]);
        EXPECT_NE(positive, query) << "a text is not its own answer";
        for (int64_t c = 0; c < batches.candidates(); ++c) {
          const int32_t item = batches.items()[static_cast<size_t>(c)];
          const bool other =
              item >= 0 && data.owner[static_cast<size_t>(item)] != data.owner[static_cast<size_t>(query)];
          EXPECT_EQ(excluded[b * batches.candidates() + c] == 0, c == b || other);
          ++counted;
          allowed += other;
        }
      }
    }
  EXPECT_EQ(rows, 3 * 13);
  EXPECT_GT(allowed, counted / 4);
}

TEST_F(MatchBatchesTest, EqualTextsUnderOtherIdsAreNoNegatives) {
  directory_.write("pairs.csv", "query,item,sku\na,red bag,1\nb,red bag,2\nc,lamp,3\n");
  const MatchData data = load("pairs: {file: pairs.csv, item_id: sku}\nsplit: {valid: 0, test: 0}");
  ASSERT_EQ(data.items.size(), 3u);
  const JaggedIds queries = numbered(3), items = numbered(3);
  MatchBatches batches(data, queries, items, {.batch_size = 3});
  batches.start_epoch(0);
  ASSERT_TRUE(batches.next());
  const float* excluded = batches.feeds()[4].data<float>();
  for (int64_t b = 0; b < 3; ++b)
    for (int64_t c = 0; c < 3; ++c) {
      const auto text = [&](int64_t i) {
        return data.items[static_cast<size_t>(batches.items()[static_cast<size_t>(i)])];
      };
      EXPECT_EQ(excluded[b * 3 + c] != 0, b != c && text(b) == text(c));
    }
}

TEST_F(MatchBatchesTest, TokensAreThoseOfQueriesThenCandidates) {
  const MatchData data = labelled();
  const JaggedIds tokens = numbered(data.queries.size());
  for (const bool one_tower : {true, false}) {
    MatchBatches batches(data, tokens, tokens, {.batch_size = 4, .one_tower = one_tower, .seed = 1});
    for (batches.start_epoch(0); batches.next();) {
      std::vector<int64_t> ids;
      for (const size_t set : one_tower ? std::vector<size_t>{0} : std::vector<size_t>{0, 4}) {
        const auto offsets = batches.feeds()[set + 3].span<int64_t>();
        const auto all = batches.feeds()[set].span<int64_t>();
        for (size_t r = 0; r + 1 < offsets.size(); ++r)
          ids.push_back(offsets[r + 1] > offsets[r] ? all[static_cast<size_t>(offsets[r])] : -1);
      }
      std::vector<int64_t> wanted(batches.queries().begin(), batches.queries().end());
      wanted.insert(wanted.end(), batches.items().begin(), batches.items().end());
      EXPECT_EQ(ids, wanted);
    }
  }
}

TEST_F(MatchBatchesTest, ABatchBeyondTheLargestFormHasItsLongestTextsCut) {
  const MatchData data = labelled();
  const JaggedIds queries = numbered(data.queries.size());
  JaggedIds items;  // in the first epoch every item has one token, but two negatives of later ones have hundreds
  for (int32_t r = 0; r < 13; ++r) {
    const int length = r == 4 ? 300 : 1;
    for (int i = 0; i < length; ++i) items.ids.push_back(i + 1 == length ? 99 : r), items.types.push_back(0);
    items.offsets.push_back(static_cast<int64_t>(items.ids.size()));
  }
  MatchBatches batches(data, queries, items, {.batch_size = 2, .hard_negatives = 8, .seed = 1});
  batches.set_negatives(std::vector<int32_t>(static_cast<size_t>(batches.rows()) * 8, 4));
  batches.start_epoch(0);
  ASSERT_TRUE(batches.next());
  const auto offsets = batches.feeds()[3].span<int64_t>();
  const auto ids = batches.feeds()[0].span<int64_t>();
  EXPECT_EQ(static_cast<int64_t>(ids.size()), batches.forms()[batches.form()].queries);
  EXPECT_LE(offsets.back(), static_cast<int64_t>(ids.size()));
  for (size_t r = 4; r + 1 < offsets.size(); ++r) {
    ASSERT_GT(offsets[r + 1], offsets[r]) << "no text may vanish";
    EXPECT_EQ(ids[static_cast<size_t>(offsets[r + 1]) - 1], 99) << "the token that closes a text stays";
  }
}

TEST_F(MatchBatchesTest, SeekGoesOnWithTheSameBatches) {
  const MatchData data = labelled();
  const JaggedIds tokens = numbered(data.queries.size());
  MatchBatches a(data, tokens, tokens, {.batch_size = 4, .seed = 5}),
      b(data, tokens, tokens, {.batch_size = 4, .seed = 5});
  a.start_epoch(2);
  ASSERT_TRUE(a.next());
  b.seek(Cursor::parse(a.cursor().str()));
  while (a.next()) {
    ASSERT_TRUE(b.next());
    EXPECT_TRUE(std::ranges::equal(a.items(), b.items()));
    EXPECT_TRUE(std::ranges::equal(a.queries(), b.queries()));
  }
  EXPECT_FALSE(b.next());
}

}  // namespace
}  // namespace winnow
