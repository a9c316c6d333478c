// The distinct rows of a batch and the places of its ids, against a set.
#include "nn/row_places.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/parallel.h"
#include "core/rng.h"

namespace winnow {
namespace {

class RowPlacesTest : public testing::Test {
 protected:
  void TearDown() override { set_num_threads(1); }
};

void expect_places(RowPlaces& places, const std::vector<int64_t>& rows) {
  const std::set<int64_t> distinct(rows.begin(), rows.end());
  std::vector<int64_t> sorted(distinct.begin(), distinct.end()), named = rows;
  if (!sorted.empty() && sorted[0] < 0) sorted.erase(sorted.begin());
  const auto found = places.name(named);
  ASSERT_EQ(std::vector<int64_t>(found.begin(), found.end()), sorted);
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto place = std::ranges::lower_bound(sorted, rows[i]) - sorted.begin() + 1;
    ASSERT_EQ(named[i], rows[i] < 0 ? 0 : place) << "id " << i << " of row " << rows[i];
  }
}

TEST_F(RowPlacesTest, AreThoseOfASetForAnyTableAndNumberOfThreads) {
  for (const int threads : {1, 2, 5}) {
    set_num_threads(threads);
    for (const int64_t rows : {1, 31, 32, 33, 64, 2047, 2048, 2049, 100'000, 5'000'000}) {
      RowPlaces places(rows);
      Rng rng(7, static_cast<uint64_t>(rows));
      for (const int64_t ids : {0, 1, 3, 40'000, 100, 40'000}) {  // one batch leaves nothing to the next
        std::vector<int64_t> batch(static_cast<size_t>(ids));
        for (int64_t& row : batch) {
          const double often = rng.uniform() * rng.uniform() * rng.uniform();
          row = rng.below(9) == 0 ? -1 : static_cast<int64_t>(often * static_cast<double>(rows));
        }
        if (ids > 1) batch[0] = rows - 1, batch[1] = 0;
        SCOPED_TRACE(fmt::format("{} ids of {} rows, {} threads", ids, rows, threads));
        expect_places(places, batch);
      }
    }
  }
}

TEST_F(RowPlacesTest, EveryRowOfATableAtOnce) {
  set_num_threads(3);
  constexpr int64_t kRows = 70'001;
  RowPlaces places(kRows);
  std::vector<int64_t> batch(kRows);
  for (int64_t i = 0; i < kRows; ++i) batch[static_cast<size_t>(i)] = (i * 40503) % kRows;
  expect_places(places, batch);
}

TEST_F(RowPlacesTest, MissingIdsAlone) {
  RowPlaces places(100);
  expect_places(places, {-1, -1});
  expect_places(places, {99, -1, 99});
}

}  // namespace
}  // namespace winnow
