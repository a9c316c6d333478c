// The stores behind EventStore::open().
#pragma once
#include "serve/store/event_store.h"

namespace winnow::detail {

std::unique_ptr<EventStore> open_memory_store();
std::unique_ptr<EventStore> open_sqlite_store(const std::string& path, bool create);
std::unique_ptr<EventStore> open_redis_store(const std::string& url);

// What every append() checks before anything is kept.
void check_append(std::span<const UserEvent> events);
// What every read() checks: rows follow `after` one by one. `last`: where the log ends.
void check_offset(const std::string& store, int64_t after, int64_t last);
void check_follows(const std::string& store, int64_t before, int64_t sequence);
int64_t clock_us();

}  // namespace winnow::detail
