// data/batches.h: order, padding, exact resume, and a filling thread that neither loses nor leaks anything.
#include "data/batches.h"

#include <atomic>
#include <cstdlib>
#include <new>
#include <set>

#include "data/synthetic.h"
#include "tests/data_files.h"

namespace {
std::atomic<int64_t> allocations{0};
}  // namespace
// Not inlined: g++ would see malloc and free meet delete and new, and warn.
[[gnu::noinline]] void* operator new(size_t bytes) {
  ++allocations;
  if (void* p = std::malloc(bytes > 0 ? bytes : 1)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, size_t) noexcept { std::free(p); }

namespace winnow {
namespace {

const Dataset& store() {
  static const Dataset dataset = [] {
    const TemporaryDirectory directory;
    write_synthetic_store(directory.path(), {.users = 50, .items = 30, .impressions = 1003, .seed = 5});
    Config config = Config::load(directory.path() + "/schema.yaml");
    return load_dataset(parse_schema(config.root().child("data")));
  }();
  return dataset;
}

std::vector<int32_t> rest_of_epoch(BatchSource& source) {
  std::vector<int32_t> rows;
  for (BatchSlot slot; source.next(slot);) rows.insert(rows.end(), slot.index.begin(), slot.index.end());
  return rows;
}

TEST(Batches, AnEpochIsAPermutationThatDependsOnSeedAndEpoch) {
  BatchSource a(make_row_source(store(), Split::Train, true, 1), {64});
  BatchSource b(make_row_source(store(), Split::Train, true, 2), {64});
  const auto first = rest_of_epoch(a), other = rest_of_epoch(b);
  a.start_epoch(1);
  const auto second = rest_of_epoch(a);
  a.start_epoch(0);
  EXPECT_EQ(rest_of_epoch(a), first);
  EXPECT_NE(first, second);
  EXPECT_NE(first, other);
  EXPECT_EQ(std::set<int32_t>(first.begin(), first.end()).size(), store().train.size());
  EXPECT_EQ(first.size(), store().train.size());
}

TEST(Batches, BatchSizeAndPrefetchDoNotChangeTheOrder) {
  std::vector<std::vector<int32_t>> orders;
  for (const BatchOptions& o : {BatchOptions{64, 2}, {64, 0}, {100, 1}, {1, 5}, {5000, 2}}) {
    BatchSource source(make_row_source(store(), Split::Train, true, 1), o);
    EXPECT_EQ(source.batches(), (source.rows() + o.batch_size - 1) / o.batch_size);
    orders.push_back(rest_of_epoch(source));
    BatchSlot slot;
    EXPECT_FALSE(source.next(slot)) << "the end stays the end";
    EXPECT_EQ(orders.back(), orders.front());
  }
}

TEST(Batches, RowsHoldTheDataAndPaddingIsInert) {
  const Dataset& d = store();
  BatchSource source(make_row_source(d, Split::Test, true, 1), {64});
  const BatchSpec& spec = source.spec();
  ASSERT_EQ(spec.inputs.size(), 5u);
  EXPECT_EQ(spec.inputs[0].spec.shape, Shape({64 * d.map.ids_per_row()}));
  EXPECT_EQ(spec.inputs[1].spec.shape, Shape({64 * d.fields() + 1}));
  const auto fields = static_cast<size_t>(d.fields()), numbers = static_cast<size_t>(d.numbers());
  int64_t padded = 0;
  for (BatchSlot slot; source.next(slot);) {
    const auto feeds = slot.feeds();
    const auto ids = feeds[0].span<int64_t>(), offsets = feeds[1].span<int64_t>();
    const auto dense = feeds[2].span<float>(), label = feeds[3].span<float>(), weight = feeds[4].span<float>();
    for (size_t b = 0; b < 64; ++b) {
      const bool live = b < static_cast<size_t>(slot.rows);
      EXPECT_EQ(weight[b], live ? 1.f : 0.f);
      padded += !live;
      for (size_t f = 0; f < fields; ++f) {
        const int64_t begin = offsets[b * fields + f], end = offsets[b * fields + f + 1];
        if (!live) {
          EXPECT_EQ(begin, end);
          continue;
        }
        const size_t bag = static_cast<size_t>(slot.index[b]) * fields + f;
        ASSERT_EQ(std::vector<int64_t>(ids.begin() + begin, ids.begin() + end),
                  std::vector<int64_t>(d.ids.begin() + d.offsets[bag], d.ids.begin() + d.offsets[bag + 1]));
      }
      const auto row = live ? static_cast<size_t>(slot.index[b]) : 0;
      EXPECT_EQ(label[b], live ? d.label[row] : 0.f);
      for (size_t k = 0; k < numbers; ++k) EXPECT_EQ(dense[b * numbers + k], live ? d.dense[row * numbers + k] : 0.f);
    }
    for (auto at = ids.begin() + offsets[64 * fields]; at != ids.end(); ++at) EXPECT_EQ(*at, -1);
  }
  EXPECT_GT(padded, 0);
}

TEST(Batches, WithoutBagsIdsAreRowsOfFields) {
  const Dataset d = load(small_shop(), R"(interactions: {file: views.csv}
user_id: user
item_id: item
timestamp: {column: time}
label: {column: clicked, rule: ">= 4"}
features: [{name: user}, {name: item}]
)");
  BatchSource source(make_row_source(d, Split::Train, false), {12});
  ASSERT_EQ(source.spec().inputs.size(), 3u) << "no offsets, no numbers";
  EXPECT_EQ(source.spec().inputs[0].spec.shape, Shape({12, 2}));
  BatchSlot slot;
  ASSERT_TRUE(source.next(slot));
  ASSERT_TRUE(source.next(slot));
  EXPECT_EQ(slot.rows, 4);
  const auto ids = slot.feeds()[0].span<int64_t>();
  EXPECT_EQ(std::vector<int64_t>(ids.begin(), ids.begin() + 8),
            std::vector<int64_t>(d.ids.begin() + 24, d.ids.begin() + 32));
  for (size_t i = 8; i < 24; ++i) EXPECT_EQ(ids[i], -1);
}

TEST(Batches, ResumeIsExact) {
  BatchSource whole(make_row_source(store(), Split::Train, true, 9), {64, 3});
  whole.start_epoch(2);
  std::vector<std::string> cursors;
  std::vector<int32_t> rows;
  std::vector<size_t> read;
  BatchSlot slot;
  do {
    cursors.push_back(whole.cursor().str());
    read.push_back(rows.size());
  } while (whole.next(slot) && (rows.insert(rows.end(), slot.index.begin(), slot.index.end()), true));
  for (size_t k = 0; k < cursors.size(); ++k) {
    BatchSource resumed(make_row_source(store(), Split::Train, true, 9), {64, 3});
    resumed.seek(Cursor::parse(cursors[k]));
    EXPECT_EQ(rest_of_epoch(resumed), std::vector<int32_t>(rows.begin() + static_cast<int64_t>(read[k]), rows.end()));
  }
  EXPECT_EQ(cursors[1], "epoch=2 row=64");
  for (const char* bad : {"", "epoch=1", "epoch=1 row=", "epoch=-1 row=0", "epoch=1 row=2x", "epoch=1  row=2"})
    EXPECT_THROW(Cursor::parse(bad), DataError) << bad;
  EXPECT_THROW(whole.seek({0, 100000}), DataError);
}

// Gives row numbers; throws at one batch.
class FailingRows final : public RowSource {
 public:
  explicit FailingRows(int64_t fail_at) : fail_at_(fail_at) {}
  BatchSpec spec(int64_t batch_size) const override {
    return {batch_size, false, {{"label", {DType::F32, Shape{batch_size}}}}};
  }
  int64_t rows() const override { return 100; }
  int64_t fill(const Cursor& at, int64_t batch_size, std::span<const Tensor>, std::span<int32_t> index) override {
    if (at.epoch == 0 && at.row == fail_at_) raise<DataError>("row {} is broken", at.row);
    const int64_t live = std::min(batch_size, rows() - at.row);
    for (int64_t i = 0; i < live; ++i) index[static_cast<size_t>(i)] = static_cast<int32_t>(at.row + i);
    return live;
  }

 private:
  int64_t fail_at_;
};

TEST(Batches, ErrorsOfTheFillingThreadReachTheConsumer) {
  for (const int prefetch : {0, 1, 4}) {
    BatchSource source(std::make_unique<FailingRows>(30), {10, prefetch});
    BatchSlot slot;
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(source.next(slot)) << "what comes before the error is whole";
    for (int i = 0; i < 2; ++i) {
      try {
        source.next(slot);
        FAIL() << "no error";
      } catch (const DataError& e) { EXPECT_STREQ(e.what(), "row 30 is broken"); }
    }
    EXPECT_EQ(source.cursor(), (Cursor{0, 30}));
    source.start_epoch(1);
    EXPECT_EQ(rest_of_epoch(source).size(), 100u) << "goes on after a seek";
  }
}

TEST(Batches, SeekAndShutdownInTheMiddle) {
  for (int round = 0; round < 200; ++round) {
    BatchSource source(std::make_unique<FailingRows>(-1), {3, 1 + round % 4});
    BatchSlot slot;
    for (int i = 0; i < round % 7; ++i) source.next(slot);
    source.seek({1, round % 100});
    ASSERT_TRUE(source.next(slot));
    ASSERT_EQ(slot.index[0], round % 100);
  }
}

// A batch handed out is not written to before the next one is asked for.
TEST(Batches, AHeldBatchStaysAsItIs) {
  BatchSource source(std::make_unique<FailingRows>(-1), {10, 3});
  BatchSlot slot;
  for (int32_t first = 0; source.next(slot); first += 10) {
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
    for (int32_t i = 0; i < 10; ++i) ASSERT_EQ(slot.index[static_cast<size_t>(i)], first + i);
  }
}

TEST(Batches, NoAllocationInSteadyState) {
  BatchSource source(make_row_source(store(), Split::Train, true, 1), {64, 2});
  rest_of_epoch(source);
  BatchSlot slot;
  const int64_t before = allocations;
  int64_t batches = 0;
  for (int64_t epoch = 1; epoch < 4; ++epoch) {
    source.start_epoch(epoch);
    while (source.next(slot)) ++batches;
  }
  EXPECT_EQ(batches, 3 * source.batches());
  EXPECT_EQ(allocations - before, 0);
}

TEST(IdDropout, ShowsIdsAsUnseenAtItsRateAndTheSameAfterASeek) {
  Dataset d = store();
  BatchSource plain(make_training_source(d, 9), {64, 0});
  d.id_dropout = 0.1;
  BatchSource source(make_training_source(d, 9), {64, 0}), later(make_training_source(d, 9), {64, 0});
  int64_t shown = 0, unseen = 0;
  BatchSlot a, b, c;
  plain.start_epoch(2);
  for (source.start_epoch(2); source.next(a);) {
    ASSERT_TRUE(plain.next(b));
    later.seek({2, source.cursor().row - a.rows});
    ASSERT_TRUE(later.next(c));
    const auto ids = a.feeds()[0].span<int64_t>(), before = b.feeds()[0].span<int64_t>(),
               again = c.feeds()[0].span<int64_t>(), offsets = a.feeds()[1].span<int64_t>();
    for (int64_t cell = 0; cell < a.rows * d.fields(); ++cell)
      for (int64_t i = offsets[static_cast<size_t>(cell)]; i < offsets[static_cast<size_t>(cell) + 1]; ++i) {
        const auto at = static_cast<size_t>(i);
        const int64_t oov = d.map.field(static_cast<size_t>(cell % d.fields())).oov();
        ASSERT_EQ(ids[at], again[at]);
        ASSERT_TRUE(ids[at] == before[at] || ids[at] == oov);
        if (before[at] <= 0 || before[at] == oov || oov < 0) continue;
        ++shown;
        unseen += ids[at] != before[at];
      }
  }
  EXPECT_NEAR(static_cast<double>(unseen) / static_cast<double>(shown), 0.1, 0.015);
}

TEST(Batches, OptionsAreChecked) {
  EXPECT_THROW(BatchSource(std::make_unique<FailingRows>(-1), {0, 2}), ConfigError);
  EXPECT_THROW(BatchSource(std::make_unique<FailingRows>(-1), {1, -1}), ConfigError);
}

}  // namespace
}  // namespace winnow
