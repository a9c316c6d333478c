// winnow events
#include <fmt/chrono.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/commands.h"
#include "app/event_input.h"
#include "core/error.h"
#include "serve/store/event_stats.h"
#include "serve/store/json_event.h"
#include "train/console.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

constexpr int64_t kPage = 1000;

struct EventsArguments {
  std::string store = "sqlite:events.db", user;
  EventInput input;
  std::vector<std::string> columns;
  std::string time_unit = "us";
  int64_t batch = 1000, after = 0, limit = 100, lines = 10;
  int top = 10;
  bool follow = false, quiet = false, jsonl = false, json = false;
};

void say(const StoreHealth& health) {
  if (!health.text.empty()) std::fputs(("winnow: " + health.text + "\n").c_str(), stderr);
}

std::string time_text(int64_t us) {
  return fmt::format("{:%Y-%m-%dT%H:%M:%S}.{:06d}Z", fmt::gmtime(static_cast<std::time_t>(us / 1'000'000)),
                     us % 1'000'000);
}

constexpr const char* kHeader = "sequence\ttime\tuser\titem\tkind\tvalue\trequest\tposition\tpropensity\tvariant\n";

std::string row_of(const UserEvent& e) {
  return fmt::format("{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\t{}\n", e.sequence, time_text(e.time_us), e.user, e.item,
                     e.kind, e.value, e.request, e.position < 0 ? "" : std::to_string(e.position),
                     e.propensity > 0 ? fmt::format("{}", e.propensity) : "", e.variant);
}

void print(const EventsArguments& a, const std::vector<UserEvent>& events, bool header) {
  std::string out = header && !a.jsonl ? kHeader : "";
  for (const UserEvent& event : events) out += a.jsonl ? event_json(event) + "\n" : row_of(event);
  std::fwrite(out.data(), 1, out.size(), stdout);
  std::fflush(stdout);
}

void print_document(const EventStore& store, const std::vector<UserEvent>& events) {
  std::string out;
  for (const UserEvent& event : events) out += (out.empty() ? "" : ",") + event_json(event);
  fmt::print("{{\"last_sequence\":{},\"events\":[{}]}}\n", store.last_sequence(), out);
}

int append(EventsArguments a) {
  for (const std::string& pair : a.columns) {
    const size_t equals = pair.find('=');
    WN_CHECK(equals != std::string::npos && equals > 0 && equals + 1 < pair.size(), ConfigError,
             "--columns {}: expected FIELD=COLUMN", pair);
    a.input.columns[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  a.input.time_unit_us = a.time_unit == "s" ? 1'000'000 : a.time_unit == "ms" ? 1000 : 1;
  const auto store = EventStore::open(a.store);
  int64_t events = 0, last = 0;
  Progress progress("appending", 0, Progress::Unit::Rows, a.quiet);
  const auto start = std::chrono::steady_clock::now();
  try {
    read_event_file(a.input, static_cast<size_t>(a.batch), [&](const std::vector<UserEvent>& some) {
      last = store->append(some);
      progress.update(events += static_cast<int64_t>(some.size()));
    });
  } catch (const Error& error) {
    if (events == 0) throw;
    throw DataError(fmt::format("{}; {} events before this batch are in the log", error.what(), events));
  }
  progress.clear();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  const StoreHealth health = store->health();
  say(health);
  if (a.json)
    std::puts(Json{{"events", events}, {"last_sequence", last}, {"waiting", health.waiting}, {"seconds", seconds}}
                  .dump()
                  .c_str());
  else if (events > 0 && last == 0)
    fmt::print("appended {} events, which wait in the spool\n", events);
  else
    fmt::print("appended {} events{}\n", events, events > 0 ? fmt::format(", the last is {}", last) : "");
  return 0;
}

int list(const EventsArguments& a) {
  const auto store = EventStore::open(a.store, false);
  std::vector<UserEvent> events;
  if (!a.user.empty()) {
    WN_CHECK(a.after == 0, ConfigError, "--after is not for the history of a user");
    WN_CHECK(a.limit <= kMaxHistory, ConfigError, "--limit {}: a history has at most {}", a.limit, kMaxHistory);
    events = store->history(a.user, a.limit);
  } else {
    store->read(a.after, a.limit, events);
  }
  say(store->health());
  if (a.json)
    print_document(*store, events);
  else
    print(a, events, true);
  return 0;
}

int tail(const EventsArguments& a) {
  WN_CHECK(!a.follow || !a.json, ConfigError, "--follow has no end, --json is one document: use --jsonl");
  const auto store = EventStore::open(a.store, false);
  std::vector<UserEvent> events;
  int64_t seen = std::max<int64_t>(store->last_sequence() - a.lines, 0);
  store->read(seen, a.lines, events);
  say(store->health());
  if (a.json) {
    print_document(*store, events);
    return 0;
  }
  print(a, events, true);
  if (a.follow) handle_interrupts();
  while (a.follow && !interrupted()) {
    if (!events.empty()) seen = events.back().sequence;
    store->read(seen, kPage, events);
    if (events.empty())
      std::this_thread::sleep_for(std::chrono::milliseconds(200));
    else
      print(a, events, false);
  }
  return 0;
}

Json json_of(const EventGroup& group) {
  return {{"events", group.events},
          {"with_request", group.with_request},
          {"with_propensity", group.with_propensity},
          {"mean_value", group.events > 0 ? group.value / static_cast<double>(group.events) : 0.0}};
}

Json json_of(const std::map<std::string, EventGroup>& groups) {
  Json out = Json::object();
  for (const auto& [name, group] : groups) out[name] = json_of(group);
  return out;
}

Json json_of(const std::unordered_map<std::string, int64_t>& counts, int top) {
  Json most = Json::array();
  for (const auto& [name, events] : EventStats::top(counts, top)) most.push_back({{"id", name}, {"events", events}});
  return {{"count", counts.size()}, {"top", std::move(most)}};
}

std::string table_of(const char* title, const std::map<std::string, EventGroup>& groups, int64_t all) {
  std::string out = fmt::format("\n{:<20} {:>10} {:>7} {:>11} {:>12} {:>12}\n", title, "events", "share", "mean value",
                                "with request", "propensities");
  for (const auto& [name, g] : groups) {
    const auto n = static_cast<double>(g.events);
    out += fmt::format("{:<20} {:>10} {:>6.1f}% {:>11.4g} {:>11.1f}% {:>11.1f}%\n", name.empty() ? "-" : name, g.events,
                       100 * n / static_cast<double>(all), g.value / n, 100 * static_cast<double>(g.with_request) / n,
                       100 * static_cast<double>(g.with_propensity) / n);
  }
  return out;
}

std::string top_of(const char* title, const std::unordered_map<std::string, int64_t>& counts, int top, int64_t all) {
  std::string out = fmt::format("\n{}: {}, {:.4g} events each on average; the most:\n", title, counts.size(),
                                static_cast<double>(all) / static_cast<double>(counts.size()));
  for (const auto& [name, events] : EventStats::top(counts, top)) out += fmt::format("{:<20} {:>10}\n", name, events);
  return out;
}

void print_table(const EventStats& stats, int top) {
  std::string out =
      fmt::format("events      {} ({} to {})\n", stats.all.events, stats.first_sequence, stats.last_sequence);
  if (stats.all.events > 0) {
    out += fmt::format("time        {} to {}\n", time_text(stats.first_us), time_text(stats.last_us));
    out += fmt::format("propensity  logged with {} of {} events", stats.all.with_propensity, stats.all.events);
    out += stats.least_propensity > 0 ? fmt::format(", the least is {:.4g}\n", stats.least_propensity) : "\n";
    out += table_of("kind", stats.kinds, stats.all.events) + table_of("variant", stats.variants, stats.all.events);
    out += top_of("users", stats.users, top, stats.all.events) + top_of("items", stats.items, top, stats.all.events);
  }
  std::fwrite(out.data(), 1, out.size(), stdout);
}

int stats(const EventsArguments& a) {
  const auto store = EventStore::open(a.store, false);
  EventStats stats;
  std::vector<UserEvent> page;
  const int64_t end = store->last_sequence();  // of a log that grows
  Progress progress("counting", end - a.after, Progress::Unit::Rows, a.quiet);
  for (int64_t at = a.after; at < end; at = page.back().sequence) {
    store->read(at, std::min(kPage, end - at), page);
    if (page.empty()) break;
    for (const UserEvent& event : page) stats.add(event);
    progress.update(page.back().sequence - a.after);
  }
  progress.clear();
  say(store->health());
  if (!a.json) {
    print_table(stats, a.top);
    return 0;
  }
  Json out = json_of(stats.all);
  out.update({{"first_sequence", stats.first_sequence},
              {"last_sequence", stats.last_sequence},
              {"first_time_us", stats.first_us},
              {"last_time_us", stats.last_us},
              {"least_propensity", stats.least_propensity},
              {"kinds", json_of(stats.kinds)},
              {"variants", json_of(stats.variants)},
              {"users", json_of(stats.users, a.top)},
              {"items", json_of(stats.items, a.top)}});
  std::puts(out.dump().c_str());
  return 0;
}

CLI::App* add(CLI::App& events, const std::shared_ptr<EventsArguments>& a, const char* name, const char* about) {
  CLI::App* command = events.add_subcommand(name, about);
  command->add_option("--store", a->store, "sqlite:PATH or redis://HOST[:PORT][/DB][?OPTIONS]")->capture_default_str();
  command->add_flag("--json", a->json, "print one JSON document");
  return command;
}

void add_append(CLI::App& events, const std::shared_ptr<EventsArguments>& a, Action& chosen) {
  CLI::App* command = add(events, a, "append", "Events of a file into the log");
  command->add_option("file", a->input.path,
                      "JSON lines (.jsonl, .json; - is the standard input), or a table of any other format "
                      "(docs/data_sources.md); default: -");
  command
      ->add_option("--columns", a->columns,
                   "of a table: FIELD=COLUMN,...; fields: user, item, kind, time_us, value, request, position, "
                   "propensity, variant; default: the table's columns have these names")
      ->delimiter(',');
  command->add_option("--kind", a->input.kind, "of a table without a column for it");
  command->add_option("--time-unit", a->time_unit, "of a table's times since 1970: s, ms or us; default: us")
      ->check(CLI::IsMember({"s", "ms", "us"}));
  command->add_option("--batch", a->batch, "events of one commit")
      ->check(CLI::Range(int64_t{1}, static_cast<int64_t>(kMaxAppend)))
      ->capture_default_str();
  command->add_flag("--quiet", a->quiet, "no progress");
  command->footer(
      "Example:\n"
      "  echo '{\"user\": \"196\", \"item\": \"242\", \"kind\": \"click\"}' | winnow events append --store "
      "sqlite:events.db\n"
      "  winnow events append ratings.csv --columns user=user_id,item=item_id,value=rating,time_us=timestamp "
      "--time-unit "
      "s --kind rating\n"
      "docs/event_store.md");
  command->callback([a, &chosen] { chosen = [a] { return append(*a); }; });
}

void add_list(CLI::App& events, const std::shared_ptr<EventsArguments>& a, Action& chosen) {
  CLI::App* command = add(events, a, "list", "Events of the log, or the history of a user");
  command->add_option("--after", a->after, "the sequence behind which to begin; default: 0")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--user", a->user, "this user's latest events, oldest first");
  command->add_option("--limit", a->limit, "events at most")
      ->check(CLI::Range(int64_t{1}, int64_t{1'000'000}))
      ->capture_default_str();
  command->add_flag("--jsonl", a->jsonl, "print JSON lines, as append reads them");
  command->footer(
      "Example:\n"
      "  winnow events list --store sqlite:events.db --user 196\n"
      "  winnow events list --limit 1000000 --jsonl | winnow events append --store redis://127.0.0.1\n"
      "docs/event_store.md");
  command->callback([a, &chosen] { chosen = [a] { return list(*a); }; });
}

void add_tail(CLI::App& events, const std::shared_ptr<EventsArguments>& a, Action& chosen) {
  CLI::App* command = add(events, a, "tail", "The last events of the log, and those that come");
  command->add_option("-n,--lines", a->lines, "events")
      ->check(CLI::Range(int64_t{0}, int64_t{1'000'000}))
      ->capture_default_str();
  command->add_flag("-f,--follow", a->follow, "go on until interrupted");
  command->add_flag("--jsonl", a->jsonl, "print JSON lines");
  command->footer("Example:\n  winnow events tail --store sqlite:events.db --follow\ndocs/event_store.md");
  command->callback([a, &chosen] { chosen = [a] { return tail(*a); }; });
}

void add_stats(CLI::App& events, const std::shared_ptr<EventsArguments>& a, Action& chosen) {
  CLI::App* command = add(events, a, "stats", "What the log holds: counts by kind, variant, user and item");
  command->add_option("--after", a->after, "the sequence behind which to begin; default: 0")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--top", a->top, "users and items to name")->check(CLI::Range(0, 1000))->capture_default_str();
  command->add_flag("--quiet", a->quiet, "no progress");
  command->footer("Example:\n  winnow events stats --store sqlite:events.db --json\ndocs/event_store.md");
  command->callback([a, &chosen] { chosen = [a] { return stats(*a); }; });
}

}  // namespace

void add_events_command(CLI::App& app, Action& chosen) {
  const auto a = std::make_shared<EventsArguments>();
  CLI::App* events = app.add_subcommand("events", "The log of what users did");
  events->require_subcommand(1);
  add_append(*events, a, chosen);
  add_list(*events, a, chosen);
  add_tail(*events, a, chosen);
  add_stats(*events, a, chosen);
}

}  // namespace winnow
