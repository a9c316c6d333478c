// Batches of tokens: every row once an epoch, inside the bounds, in an order that a cursor finds again.
#include "data/token_batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/rng.h"
#include "tests/error_text.h"

namespace winnow {
namespace {

// Like titles: mean 20, most between 5 and 60, a few up to `most`.
std::vector<int64_t> title_lengths(int64_t rows, int64_t most = 128) {
  Rng rng(3);
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < rows; ++i)
    lengths.push_back(std::clamp<int64_t>(std::llround(std::exp(2.85 + 0.55 * rng.normal())), 3, most));
  return lengths;
}

std::vector<std::vector<int32_t>> epoch_of(TokenBatches& batches, int64_t epoch) {
  std::vector<std::vector<int32_t>> all;
  for (batches.start_epoch(epoch); batches.next();) all.emplace_back(batches.rows().begin(), batches.rows().end());
  return all;
}

struct Case {
  const char* name;
  TokenBatchOptions options;
};
const Case kCases[] = {
    {"rows", {.batch_size = 32}},
    {"rows by length", {.batch_size = 32, .by_length = true}},
    {"tokens", {.batch_size = 1000, .max_tokens = 1024}},
    {"tokens by length", {.batch_size = 1000, .max_tokens = 1024, .by_length = true}},
    {"rows and tokens", {.batch_size = 24, .max_tokens = 512, .by_length = true}},
    {"in order", {.batch_size = 32, .shuffle = false}},
};

TEST(TokenBatches, EveryRowComesOnceAnEpochInsideTheBounds) {
  const auto lengths = title_lengths(3001);
  for (const auto& [name, options] : kCases) {
    TokenBatches batches(lengths, options);
    const auto& capacities = batches.capacities();
    EXPECT_TRUE(std::ranges::is_sorted(capacities)) << name;
    EXPECT_LE(capacities.size(), static_cast<size_t>(options.forms)) << name;
    for (const int64_t epoch : {0, 1, 7}) {
      std::vector<int> seen(lengths.size());
      int64_t count = 0;
      for (batches.start_epoch(epoch); batches.next(); ++count) {
        int64_t tokens = 0;
        for (const int32_t r : batches.rows()) {
          ++seen[static_cast<size_t>(r)];
          tokens += lengths[static_cast<size_t>(r)];
        }
        EXPECT_EQ(tokens, batches.tokens());
        EXPECT_LE(static_cast<int64_t>(batches.rows().size()), options.batch_size) << name;
        EXPECT_TRUE(options.max_tokens == 0 || tokens <= options.max_tokens) << name;
        ASSERT_LT(batches.form(), capacities.size()) << name;
        EXPECT_GE(capacities[batches.form()], tokens) << name;
        EXPECT_TRUE(batches.form() == 0 || capacities[batches.form() - 1] < tokens) << name << ": not the smallest";
      }
      EXPECT_EQ(count, batches.batches(epoch)) << name;
      EXPECT_EQ(std::ranges::count(seen, 1), static_cast<int64_t>(seen.size())) << name << " epoch " << epoch;
    }
  }
}

TEST(TokenBatches, OrdersDependOnSeedAndEpochAlone) {
  const auto lengths = title_lengths(500);
  for (const auto& [name, options] : kCases) {
    TokenBatches a(lengths, options), b(lengths, options);
    const auto first = epoch_of(a, 0), second = epoch_of(a, 1);
    EXPECT_EQ(first == second, !options.shuffle) << name;
    EXPECT_EQ(epoch_of(b, 1), second) << name;  // without epoch 0 before it
    TokenBatchOptions other = options;
    other.seed = 9;
    TokenBatches c(lengths, other);
    EXPECT_EQ(epoch_of(c, 0) == first, !options.shuffle) << name;
  }
}

TEST(TokenBatches, ACursorGoesOnWithTheBatchThatFollows) {
  const auto lengths = title_lengths(700);
  for (const auto& [name, options] : kCases) {
    TokenBatches batches(lengths, options);
    const auto all = epoch_of(batches, 2);
    for (size_t at = 0; at <= all.size(); at += 5) {
      TokenBatches whole(lengths, options), resumed(lengths, options);
      whole.start_epoch(2);
      for (size_t i = 0; i < at; ++i) whole.next();
      resumed.seek(Cursor::parse(whole.cursor().str()));
      for (size_t i = at; i < all.size(); ++i) {
        ASSERT_TRUE(resumed.next()) << name;
        EXPECT_EQ(std::vector<int32_t>(resumed.rows().begin(), resumed.rows().end()), all[i]) << name;
      }
      EXPECT_FALSE(resumed.next()) << name;
    }
    EXPECT_NE(text_of<DataError>([&] { batches.seek({2, 100000}); }).find("outside epoch 2"), std::string::npos);
  }
}

TEST(TokenBatches, ByLengthPutsSimilarRowsTogether) {
  const auto lengths = title_lengths(4000);
  const auto spread = [&](bool by_length) {
    TokenBatches batches(lengths, {.batch_size = 32, .by_length = by_length});
    double padded = 0, tokens = 0;  // what a padding peer would compute
    for (const auto& rows : epoch_of(batches, 0)) {
      int64_t longest = 0;
      for (const int32_t r : rows) {
        longest = std::max(longest, lengths[static_cast<size_t>(r)]);
        tokens += static_cast<double>(lengths[static_cast<size_t>(r)]);
      }
      padded += static_cast<double>(longest) * static_cast<double>(rows.size());
    }
    return padded / tokens;
  };
  EXPECT_GT(spread(false), 2);
  EXPECT_LT(spread(true), 1.06);
}

// Places of a form that no token fills are computed for nothing.
TEST(TokenBatches, CapacitiesLeaveFewPlacesEmpty) {
  const auto lengths = title_lengths(4000);
  for (const auto& [name, options] : kCases) {
    TokenBatches batches(lengths, options);
    for (const int64_t epoch : {0, 3}) {
      double places = 0, tokens = 0;
      for (batches.start_epoch(epoch); batches.next();) {
        places += static_cast<double>(batches.capacities()[batches.form()]);
        tokens += static_cast<double>(batches.tokens());
      }
      EXPECT_LT(places / tokens, 1.09) << name << " epoch " << epoch;
    }
  }
}

TEST(TokenBatches, TheLargestCapacityHoldsAnyBatch) {
  // Three long rows among short ones: they seldom meet in a batch, but may.
  std::vector<int64_t> lengths(90, 4);
  lengths[5] = lengths[40] = lengths[77] = 100;
  TokenBatches batches(lengths, {.batch_size = 3});
  EXPECT_GE(batches.capacities().back(), 300);
  for (int64_t epoch = 0; epoch < 200; ++epoch)
    for (batches.start_epoch(epoch); batches.next();) ASSERT_LT(batches.form(), batches.capacities().size());
}

TEST(TokenBatches, ErrorsNameTheRowAndTheSetting) {
  EXPECT_NE(text_of<ConfigError>([] {
              TokenBatches({3, 9}, {.batch_size = 0});
            }).find("batch_size"),
            std::string::npos);
  EXPECT_NE(text_of<ConfigError>([] {
              TokenBatches({3, 9}, {.batch_size = 2, .max_tokens = 8});
            }).find("row 2 has 9 tokens, more than a batch may have (8)"),
            std::string::npos);
  TokenBatches none({}, {});
  EXPECT_EQ(none.batches(0), 0);
  none.start_epoch(0);
  EXPECT_FALSE(none.next());
}

TEST(TokenTensors, FillWritesRowsOneAfterAnotherAndMarksTheRest) {
  const JaggedIds source{{10, 11, 12, 20, 30, 31}, {0, 0, 1, 0, 0, 1}, {0, 3, 4, 6}};
  TokenTensors t(4, 8);
  const std::vector<int32_t> rows = {2, 0};
  t.fill(source, rows);
  const auto values = [](const Tensor& x) {
    return std::vector<int64_t>(x.span<int64_t>().begin(), x.span<int64_t>().end());
  };
  using Ids = std::vector<int64_t>;
  EXPECT_EQ(values(t.ids), (Ids{30, 31, 10, 11, 12, -1, -1, -1}));
  EXPECT_EQ(values(t.types), (Ids{0, 1, 0, 0, 1, -1, -1, -1}));
  EXPECT_EQ(values(t.positions), (Ids{0, 1, 0, 1, 2, -1, -1, -1}));
  EXPECT_EQ(values(t.offsets), (Ids{0, 2, 5, 5, 5}));
  const std::vector<int32_t> one = {1};
  t.fill(source, one);  // nothing of the batch before is left
  EXPECT_EQ(values(t.ids), (Ids{20, -1, -1, -1, -1, -1, -1, -1}));
  EXPECT_EQ(values(t.offsets), (Ids{0, 1, 1, 1, 1}));
}

}  // namespace
}  // namespace winnow
