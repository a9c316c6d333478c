// The event log in Redis: what lies under which key, and the commands on it.
//
//   PREFIX:events          stream; the entry SEQUENCE-0 has the field "event": event_json() with the sequence
//   PREFIX:history:USER    list of the same texts, the latest at the end
//   PREFIX:writer:ID       "NUMBER LAST": the highest number of a writer that was taken, and its last sequence;
//                          goes 30 days after the last
//   PREFIX:probe           a write of no meaning
//
// A batch is taken by one script: all of it or nothing, once. No key is in another slot by itself: not for Redis
// Cluster.
#pragma once
#include <string_view>
#include <vector>

#include "serve/store/detail/redis_connection.h"
#include "serve/store/event_store.h"

namespace winnow::detail {

// Some events of one writer, in their order. Each has a number, higher than those before it, by which the log knows
// what it has taken already.
struct RedisBatch {
  std::string_view writer;  // an id of its own for each process
  std::vector<int64_t> numbers;
  std::vector<std::string_view> users, events;  // event_json() without a sequence
};

// The sequence of the last event that was taken of the writer.
int64_t append_batch(RedisConnection& redis, const RedisUrl& url, const RedisBatch& batch);
int64_t last_sequence(RedisConnection& redis, const RedisUrl& url);
// As EventStore's, without its checks of offsets.
void read_events(RedisConnection& redis, const RedisUrl& url, int64_t after, int64_t limit,
                 std::vector<UserEvent>& out);
std::vector<UserEvent> read_history(RedisConnection& redis, const RedisUrl& url, const std::string& user,
                                    int64_t limit);
// IoError where the server takes no writes: full, a replica, refused by its rights.
void probe_writes(RedisConnection& redis, const RedisUrl& url);
// What of "acknowledged survives kill -9" the server's settings do not hold; "" where they hold it.
std::string durability_note(RedisConnection& redis);

}  // namespace winnow::detail
