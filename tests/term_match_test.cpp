// BM25 of pairs of texts against its formula, and the features beside it.
#include "data/term_match.h"

#include <gtest/gtest.h>

#include <cmath>

#include "tests/data_files.h"

namespace winnow {
namespace {

class TermMatchTest : public ::testing::Test {
 protected:
  TermMatchTest() {
    directory_.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\nblue\nhat\nbag\n");
    tokenizer_ = load_tokenizer(directory_.path() + "/vocab.txt");
  }
  TemporaryDirectory directory_;
  std::unique_ptr<Tokenizer> tokenizer_;
};

TEST_F(TermMatchTest, IsOkapiBm25OfDistinctDocuments) {
  const std::vector<std::string> documents = {"red hat", "blue hat hat", "red hat", "bag"};  // one comes twice
  const TermMatch match(*tokenizer_, documents);
  const double mean = 2, n = 3;
  const auto idf = [&](double with) { return std::log(1 + (n - with + 0.5) / (with + 0.5)); };
  const auto weight = [&](double f, double length) { return f * 2.2 / (f + 1.2 * (0.25 + 0.75 * length / mean)); };
  EXPECT_NEAR(match.score("hat red hat", "blue hat hat"), idf(2) * weight(2, 3), 1e-12);
  EXPECT_NEAR(match.score("red hat", "red hat"), idf(2) * weight(1, 2) + idf(1) * weight(1, 2), 1e-12);
  EXPECT_EQ(match.score("blue", "red bag"), 0);
  EXPECT_EQ(match.score("", ""), 0);
}

TEST_F(TermMatchTest, FeaturesAreSharesAndLengths) {
  const std::vector<std::string> documents = {"red hat", "blue bag"};
  const TermMatch match(*tokenizer_, documents);
  std::vector<float> x;
  match.features("red bag", "red red hat", x);
  ASSERT_EQ(x.size(), TermMatch::feature_names().size());
  EXPECT_FLOAT_EQ(x[0], static_cast<float>(match.score("red bag", "red red hat")));
  EXPECT_FLOAT_EQ(x[1], 0.5f);
  EXPECT_FLOAT_EQ(x[2], 0.5f);  // both words are in one document of two
  EXPECT_FLOAT_EQ(x[3], 2.f / 3);
  EXPECT_FLOAT_EQ(x[4], 2);
  EXPECT_FLOAT_EQ(x[5], 3);
  x.clear();
  match.features("", "", x);
  for (const float v : x) EXPECT_EQ(v, 0);
}

}  // namespace
}  // namespace winnow
