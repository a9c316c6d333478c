// serve/store/ttl_cache.h: time, bounds, single-flight and what threads see.
#include "serve/store/ttl_cache.h"

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <string>
#include <thread>

#include "tests/error_text.h"

namespace winnow {
namespace {

using namespace std::chrono_literals;
using Cache = TtlCache<std::string, std::string>;

struct Clock {
  std::chrono::steady_clock::time_point now{};
};

struct TtlCacheTest : testing::Test {
  Clock clock;
  Cache make(TtlCacheOptions options) {
    return Cache(
        options, [](const std::string& key, const std::string& value) { return key.size() + value.size(); },
        [this] { return clock.now; });
  }
  static std::string must_not_run() {
    ADD_FAILURE() << "computed";
    return "";
  }
};

TEST_F(TtlCacheTest, KeepsAValueForItsTimeAndNoLonger) {
  Cache cache = make({.ttl = 10s});
  EXPECT_EQ(*cache.get("a", [] { return "one"; }), "one");
  clock.now += 9999ms;
  EXPECT_EQ(*cache.get("a", must_not_run), "one");
  clock.now += 1ms;
  EXPECT_EQ(cache.find("a"), nullptr);
  EXPECT_EQ(*cache.get("a", [] { return "two"; }), "two");
  const TtlCacheCounts counts = cache.counts();
  EXPECT_EQ(counts.hits, 1);
  EXPECT_EQ(counts.misses, 3);
  EXPECT_EQ(counts.computed, 2);
  EXPECT_EQ(counts.expired, 1);
  EXPECT_EQ(counts.entries, 1);
}

TEST_F(TtlCacheTest, TheLeastRecentlyUsedGoesFirst) {
  Cache cache = make({.max_entries = 3, .shards = 1});
  for (const char* key : {"a", "b", "c"}) cache.put(key, key);
  EXPECT_NE(cache.find("a"), nullptr);
  cache.put("d", "d");
  EXPECT_EQ(cache.find("b"), nullptr);
  for (const char* key : {"a", "c", "d"}) EXPECT_NE(cache.find(key), nullptr) << key;
  EXPECT_EQ(cache.counts().evicted, 1);
}

TEST_F(TtlCacheTest, BytesAreBoundedAndAValueOverTheBoundIsNotKept) {
  Cache cache = make({.max_bytes = 10'000, .shards = 1});
  for (int i = 0; i < 100; ++i) {
    cache.put(std::to_string(i), std::string(900, 'x'));
    EXPECT_LE(cache.counts().bytes, 10'000);
  }
  EXPECT_EQ(cache.counts().entries, 9);
  EXPECT_EQ(*cache.get("large", [] { return std::string(20'000, 'x'); }), std::string(20'000, 'x'));
  EXPECT_EQ(cache.find("large"), nullptr);
  EXPECT_EQ(cache.counts().too_large, 1);
  EXPECT_EQ(cache.counts().entries, 9) << "what was there stays";
}

TEST_F(TtlCacheTest, ReplacingAValueCountsItsBytesOnce) {
  Cache cache = make({.shards = 1});
  cache.put("a", std::string(100, 'x'));
  cache.put("a", std::string(50, 'x'));
  EXPECT_EQ(cache.counts().bytes, static_cast<int64_t>(51 + Cache::kEntryBytes));
  EXPECT_TRUE(cache.invalidate("a"));
  EXPECT_FALSE(cache.invalidate("a"));
  EXPECT_EQ(cache.counts().bytes, 0);
  EXPECT_EQ(cache.counts().entries, 0);
}

TEST_F(TtlCacheTest, MissesOfOneKeyAtTheSameTimeComputeOnce) {
  Cache cache = make({});
  std::atomic<int> computed = 0;
  std::latch start(16);
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t)
    threads.emplace_back([&] {
      start.arrive_and_wait();
      const auto value = cache.get("a", [&] {
        ++computed;
        while (cache.counts().waited == 0) std::this_thread::yield();
        return "one";
      });
      EXPECT_EQ(*value, "one");
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(computed, 1);
  const TtlCacheCounts counts = cache.counts();
  EXPECT_EQ(counts.hits + counts.misses, 16);
  EXPECT_GT(counts.waited, 0);
}

TEST_F(TtlCacheTest, AComputationThatThrowsPoisonsNothing) {
  Cache cache = make({});
  std::latch inside(1);
  std::thread leader([&] {
    const auto fail = [&]() -> std::string {
      inside.count_down();
      while (cache.counts().waited == 0) std::this_thread::yield();
      throw IoError("the disk is gone");
    };
    EXPECT_EQ(text_of<IoError>([&] { cache.get("a", fail); }), "the disk is gone");
  });
  inside.wait();
  EXPECT_EQ(text_of<IoError>([&] { cache.get("a", must_not_run); }), "the disk is gone") << "who waited is told";
  leader.join();
  EXPECT_EQ(*cache.get("a", [] { return "one"; }), "one");
  EXPECT_EQ(cache.counts().failed, 1);
}

TEST_F(TtlCacheTest, WhatIsInvalidatedWhileItIsComputedIsNotKept) {
  Cache cache = make({});
  EXPECT_EQ(*cache.get("a",
                       [&] {
                         EXPECT_TRUE(cache.invalidate("a"));
                         return "old";
                       }),
            "old");
  EXPECT_EQ(cache.find("a"), nullptr);
  EXPECT_EQ(*cache.get("a",
                       [&] {
                         cache.put("a", "put");
                         return "older";
                       }),
            "older");
  EXPECT_EQ(*cache.find("a"), "put");
  cache.clear();
  EXPECT_EQ(cache.find("a"), nullptr);
}

TEST_F(TtlCacheTest, AStaleValueIsGivenWhileTheNextIsComputed) {
  Cache cache = make({.ttl = 10s, .stale = 5s});
  cache.put("a", "old");
  clock.now += 12s;
  EXPECT_EQ(*cache.get("a",
                       [&] {
                         std::thread([&] { EXPECT_EQ(*cache.get("a", must_not_run), "old"); }).join();
                         return "new";
                       }),
            "new");
  EXPECT_EQ(*cache.find("a"), "new");
  clock.now += 12s;
  EXPECT_EQ(*cache.get("a", []() -> std::string { throw IoError("no"); }), "new") << "better old than nothing";
  clock.now += 3s;
  EXPECT_EQ(text_of<IoError>([&] { cache.get("a", []() -> std::string { throw IoError("no"); }); }), "no");
  EXPECT_EQ(cache.counts().stale_hits, 1);
}

TEST_F(TtlCacheTest, AComputationMayUseOtherKeysButNotItsOwn) {
  Cache cache = make({.shards = 1});
  EXPECT_EQ(*cache.get("a", [&] { return *cache.get("b", [] { return "b"; }) + "a"; }), "ba");
  EXPECT_NE(
      text_of<Error>([&] { cache.get("c", [&] { return *cache.get("c", [] { return "c"; }); }); }).find("same key"),
      std::string::npos);
  EXPECT_EQ(*cache.get("c", [] { return "c"; }), "c");
}

TEST_F(TtlCacheTest, RefusesBoundsThatMakeNoSense) {
  EXPECT_THROW(make({.ttl = 0s}), ConfigError);
  EXPECT_THROW(make({.max_entries = 0}), ConfigError);
  EXPECT_THROW(make({.max_bytes = 0}), ConfigError);
  EXPECT_THROW(make({.shards = 0}), ConfigError);
  EXPECT_NO_THROW(make({.max_entries = 1}));
}

TEST_F(TtlCacheTest, ManyThreadsLeaveTheCountsExact) {
  Cache cache = make({.max_entries = 64, .max_bytes = 1 << 16});
  std::vector<std::thread> threads;
  std::atomic<int64_t> computed = 0, failed = 0;
  for (unsigned t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      uint32_t state = t + 1;
      for (int i = 0; i < 20'000; ++i) {
        state = state * 1664525 + 1013904223;
        const std::string key = std::to_string(state >> 16 & 127);
        if (state >> 24 < 8) {
          cache.invalidate(key);
          continue;
        }
        try {
          const auto value = cache.get(key, [&] {
            if (state >> 24 < 16) {
              ++failed;
              throw IoError("no");
            }
            ++computed;
            return key;
          });
          EXPECT_EQ(*value, key);
        } catch (const IoError&) {}
      }
    });
  for (std::thread& thread : threads) thread.join();
  const TtlCacheCounts counts = cache.counts();
  EXPECT_EQ(counts.computed, computed);
  EXPECT_EQ(counts.failed, failed);
  EXPECT_GT(counts.hits, 0);
  EXPECT_LE(counts.entries, 64);
  EXPECT_LE(counts.bytes, 1 << 16);
}

}  // namespace
}  // namespace winnow
