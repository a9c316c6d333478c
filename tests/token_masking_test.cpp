// What is masked: how much, with what, which tokens together, and that it depends on nothing but its place.
#include <gtest/gtest.h>

#include <cmath>
#include <map>

#include "core/rng.h"
#include "data/masked_batches.h"
#include "tests/error_text.h"
#include "tokenizer/wordpiece.h"

namespace winnow {
namespace {

// [PAD] 0 .. [MASK] 4, words 5 .. 24, continuations 25 .. 44, ideographs 45 .. 64, punctuation 65.
WordPiece tokenizer() {
  std::vector<std::string> v = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (int i = 0; i < 20; ++i) v.push_back(std::string("w") + static_cast<char>('a' + i));
  for (int i = 0; i < 20; ++i) v.push_back(std::string("##c") + static_cast<char>('a' + i));
  for (int i = 0; i < 20; ++i) v.push_back("\xE4\xB8" + std::string(1, static_cast<char>(0x80 + i)));  // U+4E00 ..
  v.emplace_back(",");
  return WordPiece(std::move(v));
}
constexpr int32_t kCls = 2, kSep = 3, kMask = 4, kUnk = 1, kComma = 65;
bool is_word(int32_t id) { return id >= 5 && id < 25; }
bool continues(int32_t id) { return id >= 25 && id < 45; }
bool is_ideograph(int32_t id) { return id >= 45 && id < 65; }

// [CLS], words of one to four tokens, commas, [UNK], ideographs, [SEP].
std::vector<int32_t> row(int64_t number, int64_t length, bool words = true, bool ideographs = true) {
  Rng rng(5, static_cast<uint64_t>(number));
  std::vector<int32_t> ids = {kCls};
  while (static_cast<int64_t>(ids.size()) < length - 1) {
    const double u = rng.uniform();
    if (ideographs && (u < 0.5 || !words)) {
      ids.push_back(45 + static_cast<int32_t>(rng.below(20)));
    } else if (u < 0.93) {
      ids.push_back(5 + static_cast<int32_t>(rng.below(20)));
      for (uint64_t more = rng.below(4); more > 0 && static_cast<int64_t>(ids.size()) < length - 1; --more)
        ids.push_back(25 + static_cast<int32_t>(rng.below(20)));
    } else {
      ids.push_back(u < 0.97 ? kComma : kUnk);
    }
  }
  ids.push_back(kSep);
  return ids;
}

std::vector<MaskedToken> masked(TokenMasker& masker, const std::vector<int32_t>& ids, int64_t epoch, int64_t r) {
  std::vector<MaskedToken> out;
  masker.append(ids, epoch, r, 0, out);
  return out;
}

// Four standard deviations of n draws of probability p.
double bound(double n, double p) { return 4 * std::sqrt(p * (1 - p) / n); }

TEST(TokenMasking, FifteenPerCentOfWhichEightyTenTen) {
  const WordPiece t = tokenizer();
  for (const bool whole : {false, true}) {
    MaskingOptions options;
    options.whole_words = whole;
    TokenMasker masker(t, options, 11);
    double ordinary = 0, chosen = 0, mask = 0, same = 0, other = 0;
    for (int64_t r = 0; r < 2000; ++r) {
      const auto ids = row(r, 40 + r % 60);
      for (const int32_t id : ids) ordinary += masker.is_special(id) ? 0 : 1;
      for (const MaskedToken& m : masked(masker, ids, 3, r)) {
        EXPECT_EQ(m.label, ids[static_cast<size_t>(m.place)]);
        EXPECT_FALSE(masker.is_special(m.label)) << "special tokens are never predicted";
        EXPECT_TRUE(m.input == kMask || !masker.is_special(m.input)) << "nor do they stand for others";
        ++chosen;
        mask += m.input == kMask ? 1 : 0;
        same += m.input == m.label ? 1 : 0;
        other += m.input != kMask && m.input != m.label ? 1 : 0;
      }
    }
    EXPECT_NEAR(chosen / ordinary, 0.15, bound(ordinary, 0.15)) << whole;
    const double by_chance = 0.1 / 61;  // a random token that happens to be the same, of 61 ordinary ones
    EXPECT_NEAR(mask / chosen, 0.8, bound(chosen, 0.8)) << whole;
    EXPECT_NEAR(other / chosen, 0.1 - by_chance, bound(chosen, 0.1)) << whole;
    EXPECT_NEAR(same / chosen, 0.1 + by_chance, bound(chosen, 0.1)) << whole;
  }
}

TEST(TokenMasking, WordsAreMaskedAsAWhole) {
  const WordPiece t = tokenizer();
  TokenMasker masker(t, {}, 1);
  int64_t words = 0;
  for (int64_t r = 0; r < 500; ++r) {
    const auto ids = row(r, 60, true, false);
    std::vector<bool> chosen(ids.size());
    for (const MaskedToken& m : masked(masker, ids, 0, r)) chosen[static_cast<size_t>(m.place)] = true;
    for (size_t i = 1; i < ids.size(); ++i)
      if (continues(ids[i])) {
        EXPECT_EQ(chosen[i], chosen[i - 1]) << "row " << r << " token " << i;
        words += chosen[i] ? 1 : 0;
      }
  }
  EXPECT_GT(words, 500);
  MaskingOptions tokens;
  tokens.whole_words = false;
  TokenMasker single(t, tokens, 1);
  int64_t apart = 0;
  for (int64_t r = 0; r < 100; ++r) {
    const auto ids = row(r, 60, true, false);
    std::vector<bool> chosen(ids.size());
    for (const MaskedToken& m : masked(single, ids, 0, r)) chosen[static_cast<size_t>(m.place)] = true;
    for (size_t i = 1; i < ids.size(); ++i) apart += continues(ids[i]) && chosen[i] != chosen[i - 1] ? 1 : 0;
  }
  EXPECT_GT(apart, 100) << "without whole_words tokens are chosen one by one";
}

TEST(TokenMasking, EveryTokenIsAsLikelyToBeMasked) {
  const WordPiece t = tokenizer();
  TokenMasker masker(t, {}, 8);
  const auto ids = row(4, 40);
  std::vector<double> count(ids.size());
  constexpr int64_t kEpochs = 20000;
  for (int64_t epoch = 0; epoch < kEpochs; ++epoch)
    for (const MaskedToken& m : masked(masker, ids, epoch, 4)) ++count[static_cast<size_t>(m.place)];
  for (size_t i = 0; i < ids.size(); ++i) {
    EXPECT_NEAR(count[i] / kEpochs, masker.is_special(ids[i]) ? 0 : 0.15, masker.is_special(ids[i]) ? 0 : 0.03)
        << "token " << i;
  }
}

TEST(TokenMasking, RunsOfIdeographsAreMaskedInSpans) {
  const WordPiece t = tokenizer();
  MaskingOptions single, spans;
  single.span_max = 1;
  spans.spans = MaskingOptions::Spans::Uniform;
  spans.span_max = 5;
  double joined[2] = {};
  for (const int k : {0, 1}) {
    TokenMasker masker(t, k == 0 ? single : spans, 2);
    double chosen = 0, next = 0;
    for (int64_t r = 0; r < 600; ++r) {
      const auto ids = row(r, 80, false);
      const auto m = masked(masker, ids, 0, r);
      for (size_t i = 1; i < m.size(); ++i) next += m[i].place == m[i - 1].place + 1 ? 1 : 0;
      chosen += static_cast<double>(m.size());
      for (const MaskedToken& x : m)
        EXPECT_TRUE(is_ideograph(x.label) || is_word(x.label) || x.label == kComma || continues(x.label));
    }
    joined[k] = next / chosen;
  }
  EXPECT_NEAR(joined[0], 0.15, 0.03) << "one by one, the next one is masked by chance";
  EXPECT_GT(joined[1], 0.55) << "lengths 1 .. 5 have a mean of 3, so that two of three have a neighbour";
}

TEST(TokenMasking, IsAFunctionOfSeedEpochAndRow) {
  const WordPiece t = tokenizer();
  const auto same = [](const std::vector<MaskedToken>& a, const std::vector<MaskedToken>& b) {
    return std::ranges::equal(a, b, [](const MaskedToken& x, const MaskedToken& y) {
      return x.place == y.place && x.label == y.label && x.input == y.input;
    });
  };
  TokenMasker a(t, {}, 1), b(t, {}, 1), other(t, {}, 2);
  const auto ids = row(9, 64);
  for (int64_t r = 0; r < 7; ++r) masked(a, row(r, 30), 0, r);  // what came before does not matter
  const auto want = masked(a, ids, 5, 9);
  EXPECT_TRUE(same(masked(b, ids, 5, 9), want));
  EXPECT_FALSE(same(masked(b, ids, 6, 9), want)) << "dynamic: another epoch has other masks";
  EXPECT_FALSE(same(masked(b, ids, 5, 10), want));
  EXPECT_FALSE(same(masked(other, ids, 5, 9), want));
}

TEST(TokenMasking, RowsWithoutOrdinaryTokensHaveNothingToPredict) {
  const WordPiece t = tokenizer();
  TokenMasker masker(t, {}, 1);
  EXPECT_TRUE(masked(masker, {kCls, kSep}, 0, 0).empty());
  EXPECT_TRUE(masked(masker, {kCls, kUnk, kSep}, 0, 0).empty());
  EXPECT_TRUE(masked(masker, {}, 0, 0).empty());
  EXPECT_EQ(masked(masker, {kCls, 7, kSep}, 0, 0).size(), 1u) << "one token: at least one is predicted";
  const WordPiece bare({"[UNK]", "a"});
  EXPECT_NE(text_of<ConfigError>([&] { TokenMasker(bare, {}, 1); }).find("no mask token"), std::string::npos);
}

TEST(MaskedBatches, PlacesPointAtMaskedTokensAndTheRestIsUnused) {
  const WordPiece t = tokenizer();
  TokenMasker masker(t, {}, 3);
  JaggedIds rows;
  for (int64_t r = 0; r < 400; ++r) {
    const auto ids = row(r, 4 + r % 50);
    rows.ids.insert(rows.ids.end(), ids.begin(), ids.end());
    rows.types.resize(rows.ids.size());
    rows.offsets.push_back(static_cast<int64_t>(rows.ids.size()));
  }
  MaskedBatches batches(rows, masker, {.batch_size = 64, .max_tokens = 512, .by_length = true});
  for (const int64_t epoch : {0, 1}) {
    int64_t masked = 0, places = 0, tokens = 0;
    std::map<std::pair<int64_t, int64_t>, int> changed;
    for (batches.start_epoch(epoch); batches.next();) {
      const auto f = batches.feeds();
      ASSERT_EQ(f.size(), 6u);
      const auto at = f[4].span<int64_t>(), labels = f[5].span<int64_t>(), ids = f[0].span<int64_t>();
      EXPECT_EQ(static_cast<int64_t>(at.size()), batches.forms()[batches.form()].places);
      EXPECT_EQ(static_cast<int64_t>(ids.size()), batches.forms()[batches.form()].tokens);
      for (size_t i = 0; i < at.size(); ++i) {
        if (static_cast<int64_t>(i) >= batches.masked()) {
          EXPECT_EQ(at[i], -1);
          EXPECT_EQ(labels[i], -1);
          continue;
        }
        ASSERT_GE(at[i], i == 0 ? 0 : at[i - 1] + 1);
        ASSERT_LT(at[i], batches.tokens());
        EXPECT_TRUE(labels[i] > kMask);
      }
      masked += batches.masked();
      places += static_cast<int64_t>(at.size());
      tokens += batches.tokens();
    }
    EXPECT_EQ(tokens, rows.offsets.back());
    EXPECT_NEAR(static_cast<double>(masked) / static_cast<double>(tokens), 0.14, 0.02);
    EXPECT_LT(places, 1.6 * static_cast<double>(masked));
  }
}

TEST(MaskedBatches, FixedMasksAreTheSameEveryEpoch) {
  const WordPiece t = tokenizer();
  TokenMasker masker(t, {}, 3);
  JaggedIds rows;
  for (int64_t r = 0; r < 50; ++r) {
    const auto ids = row(r, 30);
    rows.ids.insert(rows.ids.end(), ids.begin(), ids.end());
    rows.types.resize(rows.ids.size());
    rows.offsets.push_back(static_cast<int64_t>(rows.ids.size()));
  }
  const auto epoch = [&](bool fixed, int64_t e) {
    MaskedBatches batches(rows, masker, {.batch_size = 8, .shuffle = false});
    if (fixed) batches.fix_masks(77);
    std::vector<int64_t> all;
    for (batches.start_epoch(e); batches.next();)
      for (const Tensor& x : batches.feeds()) all.insert(all.end(), x.span<int64_t>().begin(), x.span<int64_t>().end());
    return all;
  };
  EXPECT_EQ(epoch(true, 0), epoch(true, 4));
  EXPECT_NE(epoch(false, 0), epoch(false, 4));
}

}  // namespace
}  // namespace winnow
