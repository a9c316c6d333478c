// Values that are good for a while, kept in the process: bounded in entries and bytes, computed once however many ask.
//
//   TtlCache<std::string, Answer> cache({.ttl = 30s, .max_bytes = 64 << 20}, [](const auto& k, const Answer& a) {
//     return k.size() + a.bytes(); });
//   std::shared_ptr<const Answer> a = cache.get(user, [&] { return recommend(user); });
//
// Misses of one key at the same time compute once (single-flight): one caller computes, the others wait for what it
// makes. A computation that throws is thrown to all who waited for it and leaves nothing behind: the next call computes
// again. With `stale`, a value that is past its time by no more than that is still given to all but the caller that
// computes the next one; if that fails, this caller too gets the old value.
//
// Every method may be called from any thread; a computation may use the cache, but not ask for its own key (Error).
#pragma once
#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <unordered_map>
#include <vector>

#include "core/error.h"

namespace winnow {

struct TtlCacheOptions {
  std::chrono::nanoseconds ttl = std::chrono::seconds(60);
  std::chrono::nanoseconds stale{0};
  size_t max_entries = 100'000, max_bytes = size_t{64} << 20;  // the least recently used go first
  size_t shards = 16;                                          // locks; bounds are kept by each shard for its share
};

struct TtlCacheCounts {
  int64_t hits = 0, stale_hits = 0, misses = 0;  // of get() and find(); a call that waits for another's is a miss
  int64_t computed = 0, failed = 0, waited = 0;  // computations that returned, that threw; calls that waited for one
  int64_t expired = 0, evicted = 0, invalidated = 0, too_large = 0;  // why values are no longer there
  int64_t entries = 0, bytes = 0;
};

template <class Key, class Value, class Hash = std::hash<Key>>
class TtlCache {
 public:
  using Pointer = std::shared_ptr<const Value>;
  using Time = std::chrono::steady_clock::time_point;
  using Size = std::function<size_t(const Key&, const Value&)>;  // bytes of an entry; kEntryBytes are added
  static constexpr size_t kEntryBytes = 128;                     // what the cache itself needs for one

  // now: a clock for tests. ConfigError: a bound of 0, a negative time.
  TtlCache(const TtlCacheOptions& options, Size size, std::function<Time()> now = std::chrono::steady_clock::now)
      : options_(checked(options)), size_(std::move(size)), now_(std::move(now)), shards_(options_.shards) {}
  TtlCache(const TtlCache&) = delete;
  TtlCache& operator=(const TtlCache&) = delete;

  // The kept value, or compute()'s, which is kept from then on.
  template <class F>
  Pointer get(const Key& key, F&& compute) {
    Shard& shard = shard_of(key);
    std::unique_lock lock(shard.mutex);
    Pointer old;
    if (Pointer fresh = look_up(shard, key, old)) return fresh;
    if (const auto found = shard.flights.find(key); found != shard.flights.end()) {
      if (old) return ++shard.counts.stale_hits, old;
      ++shard.counts.misses;
      return wait(shard, lock, found->second);
    }
    ++shard.counts.misses;
    const auto flight = std::make_shared<Flight>();
    shard.flights.emplace(key, flight);
    lock.unlock();
    return fly(shard, key, flight, old, compute);
  }

  // The kept value while it is fresh, or null.
  Pointer find(const Key& key) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    Pointer old, fresh = look_up(shard, key, old);
    if (!fresh) ++shard.counts.misses;
    return fresh;
  }

  void put(const Key& key, Value value) {
    Shard& shard = shard_of(key);
    auto kept = std::make_shared<const Value>(std::move(value));
    const std::lock_guard lock(shard.mutex);
    shard.flights.erase(key);  // what it computes is older
    keep(shard, key, std::move(kept));
  }

  // Also of what is being computed: those who wait get it, later calls compute anew. False: nothing was there.
  bool invalidate(const Key& key) {
    Shard& shard = shard_of(key);
    const std::lock_guard lock(shard.mutex);
    const bool flying = shard.flights.erase(key) > 0;
    const auto found = shard.index.find(key);
    if (found == shard.index.end()) return flying;
    drop(shard, found->second);
    ++shard.counts.invalidated;
    return true;
  }

  void clear() {
    for (Shard& shard : shards_) {
      const std::lock_guard lock(shard.mutex);
      shard.counts.invalidated += static_cast<int64_t>(shard.entries.size());
      shard.flights.clear();
      shard.index.clear();
      shard.entries.clear();
      shard.bytes = 0;
    }
  }

  TtlCacheCounts counts() const {
    TtlCacheCounts sum;
    for (const Shard& shard : shards_) {
      const std::lock_guard lock(shard.mutex);
      for (const auto member :
           {&TtlCacheCounts::hits, &TtlCacheCounts::stale_hits, &TtlCacheCounts::misses, &TtlCacheCounts::computed,
            &TtlCacheCounts::failed, &TtlCacheCounts::waited, &TtlCacheCounts::expired, &TtlCacheCounts::evicted,
            &TtlCacheCounts::invalidated, &TtlCacheCounts::too_large})
        sum.*member += shard.counts.*member;
      sum.entries += static_cast<int64_t>(shard.entries.size());
      sum.bytes += static_cast<int64_t>(shard.bytes);
    }
    return sum;
  }

 private:
  struct Entry {
    Key key;
    Pointer value;
    Time made;
    size_t bytes;
  };
  using Entries = std::list<Entry>;  // the most recently used first
  struct Flight {
    std::thread::id by = std::this_thread::get_id();
    bool done = false;
    Pointer value;
    std::exception_ptr error;
    std::condition_variable landed;
  };
  struct Shard {
    mutable std::mutex mutex;
    Entries entries;
    std::unordered_map<Key, typename Entries::iterator, Hash> index;
    std::unordered_map<Key, std::shared_ptr<Flight>, Hash> flights;
    size_t bytes = 0;
    TtlCacheCounts counts;
  };

  static TtlCacheOptions checked(TtlCacheOptions options) {
    WN_CHECK(options.max_entries > 0 && options.max_bytes > 0 && options.shards > 0, ConfigError,
             "TtlCache: max_entries, max_bytes and shards must be positive");
    WN_CHECK(options.ttl.count() > 0 && options.stale.count() >= 0, ConfigError,
             "TtlCache: ttl must be positive and stale not negative");
    options.shards = std::min(options.shards, options.max_entries);
    return options;
  }

  Shard& shard_of(const Key& key) {
    // std::hash of an integer is itself: mixed, so that strides do not meet in one shard.
    return shards_[static_cast<size_t>((static_cast<uint64_t>(Hash{}(key)) * 0x9E3779B97F4A7C15u) >> 32) %
                   shards_.size()];
  }

  // The fresh value, counted as a hit; one that may still be given while stale in `old`; what is past that goes.
  Pointer look_up(Shard& shard, const Key& key, Pointer& old) {
    const auto found = shard.index.find(key);
    if (found == shard.index.end()) return nullptr;
    const auto age = now_() - found->second->made;
    if (age >= options_.ttl + options_.stale) {
      drop(shard, found->second);
      ++shard.counts.expired;
      return nullptr;
    }
    shard.entries.splice(shard.entries.begin(), shard.entries, found->second);
    if (age >= options_.ttl) {
      old = found->second->value;
      return nullptr;
    }
    ++shard.counts.hits;
    return found->second->value;
  }

  Pointer wait(Shard& shard, std::unique_lock<std::mutex>& lock, std::shared_ptr<Flight> flight) {
    WN_CHECK(flight->by != std::this_thread::get_id(), Error,
             "TtlCache: the computation of a key asks for the same key; it would wait for itself");
    ++shard.counts.waited;
    flight->landed.wait(lock, [&] { return flight->done; });
    if (flight->error) std::rethrow_exception(flight->error);
    return flight->value;
  }

  template <class F>
  Pointer fly(Shard& shard, const Key& key, const std::shared_ptr<Flight>& flight, const Pointer& old, F& compute) {
    Pointer value;
    std::exception_ptr error;
    try {
      value = std::make_shared<const Value>(compute());
    } catch (...) { error = std::current_exception(); }
    const std::lock_guard lock(shard.mutex);
    ++(error ? shard.counts.failed : shard.counts.computed);
    if (error && old) value = old;
    flight->value = value;
    if (!value) flight->error = error;
    flight->done = true;
    flight->landed.notify_all();
    const auto found = shard.flights.find(key);
    if (found != shard.flights.end() && found->second == flight) {  // else invalidated meanwhile
      shard.flights.erase(found);
      if (!error) keep(shard, key, value);
    }
    if (!value) std::rethrow_exception(error);
    return value;
  }

  void keep(Shard& shard, const Key& key, Pointer value) {
    if (const auto found = shard.index.find(key); found != shard.index.end()) drop(shard, found->second);
    const size_t bytes = size_(key, *value) + kEntryBytes, most_bytes = options_.max_bytes / shards_.size();
    if (bytes > most_bytes) {
      ++shard.counts.too_large;
      return;
    }
    shard.entries.push_front({key, std::move(value), now_(), bytes});
    shard.index.emplace(key, shard.entries.begin());
    shard.bytes += bytes;
    while (shard.bytes > most_bytes || shard.entries.size() > options_.max_entries / shards_.size()) {
      const auto last = std::prev(shard.entries.end());
      ++(now_() - last->made >= options_.ttl ? shard.counts.expired : shard.counts.evicted);
      drop(shard, last);
    }
  }

  void drop(Shard& shard, typename Entries::iterator entry) {
    shard.bytes -= entry->bytes;
    shard.index.erase(entry->key);
    shard.entries.erase(entry);
  }

  const TtlCacheOptions options_;
  const Size size_;
  const std::function<Time()> now_;
  std::vector<Shard> shards_;
};

}  // namespace winnow
