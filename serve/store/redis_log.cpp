#include "serve/store/detail/redis_log.h"

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "core/text.h"
#include "serve/store/json_event.h"

namespace winnow::detail {
namespace {

// KEYS: events, writer, a history for each event. ARGV: events kept of a history, number and text of each event.
// The stream itself says where the log ends: no counter that could differ from it.
constexpr std::string_view kAppend = R"lua(
local seen, last = string.match(redis.call('GET', KEYS[2]) or '0 0', '^(%d+) (%d+)$')
seen, last = tonumber(seen), tonumber(last)
local number = tonumber(ARGV[#ARGV - 1])
if number <= seen then return last end
local tail = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
last = tail[1] and tonumber(string.match(tail[1][1], '^%d+')) or 0
for i = 3, #KEYS do
  if tonumber(ARGV[2 * i - 4]) > seen then
    last = last + 1
    local id = string.format('%d', last)
    local event = '{"sequence":' .. id .. ',' .. string.sub(ARGV[2 * i - 3], 2)
    redis.call('XADD', KEYS[1], id .. '-0', 'event', event)
    redis.call('RPUSH', KEYS[i], event)
    redis.call('LTRIM', KEYS[i], -tonumber(ARGV[1]), -1)
  end
end
redis.call('SET', KEYS[2], string.format('%d %d', number, last), 'EX', 2592000)
return last
)lua";

constexpr int64_t kPage = 1000;

std::string_view text_of(const RedisConnection& redis, const redisReply* reply) {
  redis.expect(reply, REDIS_REPLY_STRING);
  return {reply->str, reply->len};
}

UserEvent event_of(const RedisConnection& redis, std::string_view json) {
  try {
    return parse_event(json, "event", true);
  } catch (const DataError& error) {
    raise<IoError>("{}: what lies in the log is no event of ours: {}", redis.name(), error.what());
  }
}

// [id, ["event", json]]
UserEvent entry_event(const RedisConnection& redis, const redisReply* entry) {
  redis.expect(entry, REDIS_REPLY_ARRAY);
  WN_CHECK(entry->elements == 2, IoError, "{}: an entry of {} parts in the log", redis.name(), entry->elements);
  const std::string_view id = text_of(redis, entry->element[0]);
  const redisReply* fields = entry->element[1];
  redis.expect(fields, REDIS_REPLY_ARRAY);
  WN_CHECK(fields->elements == 2 && text_of(redis, fields->element[0]) == "event", IoError,
           "{}: entry {} of the log is no event of ours", redis.name(), quoted(id));
  UserEvent event = event_of(redis, text_of(redis, fields->element[1]));
  WN_CHECK(id == fmt::format("{}-0", event.sequence), IoError, "{}: entry {} of the log holds event {}", redis.name(),
           quoted(id), event.sequence);
  return event;
}

}  // namespace

int64_t append_batch(RedisConnection& redis, const RedisUrl& url, const RedisBatch& batch) {
  const std::string keys = std::to_string(2 + batch.events.size()), bound = std::to_string(url.history),
                    log = url.prefix + ":events", writer = fmt::format("{}:writer:{}", url.prefix, batch.writer);
  std::vector<std::string> histories, numbers;
  for (const std::string_view user : batch.users) histories.push_back(fmt::format("{}:history:{}", url.prefix, user));
  for (const int64_t number : batch.numbers) numbers.push_back(std::to_string(number));
  std::vector<std::string_view> words = {keys, log, writer};
  words.insert(words.end(), histories.begin(), histories.end());
  words.push_back(bound);
  for (size_t i = 0; i < batch.events.size(); ++i) {
    words.push_back(numbers[i]);
    words.push_back(batch.events[i]);
  }
  const RedisReply reply = redis.script(kAppend, words);
  redis.expect(reply.get(), REDIS_REPLY_INTEGER);
  return reply->integer;
}

int64_t last_sequence(RedisConnection& redis, const RedisUrl& url) {
  const RedisReply reply = redis.command({"XREVRANGE", url.prefix + ":events", "+", "-", "COUNT", "1"});
  redis.expect(reply.get(), REDIS_REPLY_ARRAY);
  return reply->elements == 0 ? 0 : entry_event(redis, reply->element[0]).sequence;
}

void read_events(RedisConnection& redis, const RedisUrl& url, int64_t after, int64_t limit,
                 std::vector<UserEvent>& out) {
  while (limit > 0) {
    const int64_t page = std::min(limit, kPage);
    const RedisReply reply = redis.command(
        {"XRANGE", url.prefix + ":events", fmt::format("{}-0", after + 1), "+", "COUNT", std::to_string(page)});
    redis.expect(reply.get(), REDIS_REPLY_ARRAY);
    for (size_t i = 0; i < reply->elements; ++i) out.push_back(entry_event(redis, reply->element[i]));
    if (static_cast<int64_t>(reply->elements) < page) return;
    after = out.back().sequence;
    limit -= page;
  }
}

std::vector<UserEvent> read_history(RedisConnection& redis, const RedisUrl& url, const std::string& user,
                                    int64_t limit) {
  if (limit <= 0) return {};
  const RedisReply reply =
      redis.command({"LRANGE", url.prefix + ":history:" + user, std::to_string(-std::min(limit, kMaxHistory)), "-1"});
  redis.expect(reply.get(), REDIS_REPLY_ARRAY);
  std::vector<UserEvent> events;
  for (size_t i = 0; i < reply->elements; ++i) events.push_back(event_of(redis, text_of(redis, reply->element[i])));
  return events;
}

void probe_writes(RedisConnection& redis, const RedisUrl& url) {
  redis.command({"SET", url.prefix + ":probe", "1", "EX", "60"});
}

std::string durability_note(RedisConnection& redis) {
  try {
    const RedisReply info = redis.command({"INFO", "persistence"});
    if (text_of(redis, info.get()).find("aof_enabled:1") == std::string_view::npos)
      return redis.name() + ": appendonly is no: events since its last snapshot are lost when the server is killed";
    const RedisReply policy = redis.command({"CONFIG", "GET", "appendfsync"});
    redis.expect(policy.get(), REDIS_REPLY_ARRAY);
    if (policy->elements == 2 && text_of(redis, policy->element[1]) != "always")
      return fmt::format("{}: appendfsync is {}: events of the last second or more are lost in a power cut",
                         redis.name(), text_of(redis, policy->element[1]));
  } catch (const IoError& error) {
    if (redis.broken()) throw;  // else a server that does not let everybody look
    return fmt::format("{}: its persistence is not known: {}", redis.name(), error.what());
  }
  return "";
}

}  // namespace winnow::detail
