// Matching data from interactions: what a user took before, as text, and what came next.
#include <algorithm>
#include <limits>
#include <map>

#include "data/match_data.h"
#include "data/string_index.h"
#include "data/timestamp.h"

namespace winnow::detail {
namespace {

struct Event {
  int32_t user, item, basket;
  float strength;
  int64_t time;
};

// The rows of one purchase: events[begin .. end) of one user, in order of time.
struct Basket {
  size_t begin, end;
  int32_t user;
  int64_t time;
};

class InteractionReader {
 public:
  InteractionReader(const MatchSpec& spec, MatchData& data) : spec_(spec), data_(data) {}

  std::vector<Event> read() {
    if (spec_.items.source.given()) {
      item_texts_ = read_table(spec_.items);
      // the whole table is the catalogue, in its order
      for (const std::string& key : item_texts_.keys) add_item(key, item_texts_.texts.at(key));
    }
    const auto reader = open_match_rows(spec_, spec_.source, data_.report.clean);
    const size_t user = reader->column(spec_.user_id), item = reader->column(spec_.item_id),
                 time = reader->column(spec_.timestamp);
    const auto optional = [&](const std::string& name) {
      return name.empty() ? std::optional<size_t>{} : std::optional{reader->column(name)};
    };
    const auto title = optional(spec_.title), basket = optional(spec_.basket), strength = optional(spec_.strength);
    const TimeFormat format(spec_.time_format);
    std::vector<Event> events;
    for (RowBlock block; reader->next(block);)
      for (int64_t r = 0; r < block.rows; ++r) {
        ++data_.report.rows_read;
        const std::string_view u = block.cell(r, user), i = block.cell(r, item);
        const std::string_view text = title ? block.cell(r, *title) : text_of(item_texts_, i);
        if (u.empty() || i.empty() || text.empty()) {
          ++data_.report.without_text;
          continue;
        }
        const auto at = format.parse(block.cell(r, time));
        if (!at) block.fail(r, spec_.timestamp, fmt::format("is no time of the format {}", format.format()));
        const auto number = static_cast<int32_t>(events.size());
        events.push_back({users_.add(u), add_item(i, text),
                          basket ? baskets_.add(std::string(u) + '\0' + std::string(block.cell(r, *basket))) : number,
                          strength ? static_cast<float>(strength_of(spec_, block, r, *strength)) : 1.0f, *at});
      }
    return events;
  }

  // Profiles of the users, by number; empty without a table or an entry.
  std::vector<std::string> profiles() const {
    std::vector<std::string> out(static_cast<size_t>(users_.size()));
    if (!spec_.users.source.given()) return out;
    const Table table = read_table(spec_.users);
    for (int32_t u = 0; u < users_.size(); ++u)
      out[static_cast<size_t>(u)] = std::string(text_of(table, users_.text(u)));
    return out;
  }

 private:
  struct Table {
    std::map<std::string, std::string, std::less<>> texts;
    std::vector<std::string> keys;
  };
  static std::string_view text_of(const Table& table, std::string_view key) {
    const auto at = table.texts.find(key);
    return at == table.texts.end() ? std::string_view{} : std::string_view(at->second);
  }
  Table read_table(const TextTableSpec& spec) const {
    const auto reader = open_rows(spec.source);
    const size_t key = reader->column(spec.key);
    std::vector<size_t> columns;
    for (const std::string& name : spec.text) columns.push_back(reader->column(name));
    Table table;
    for (RowBlock block; reader->next(block);)
      for (int64_t r = 0; r < block.rows; ++r) {
        std::string text;
        for (const size_t c : columns)
          if (const std::string_view cell = block.cell(r, c); !cell.empty())
            text.append(text.empty() ? "" : ", ").append(cell);
        const std::string_view id = block.cell(r, key);
        if (id.empty() || text.empty()) continue;
        if (!table.texts.emplace(id, std::move(text)).second)
          block.fail(r, spec.key, fmt::format("'{}' has two rows", id));
        table.keys.emplace_back(id);
      }
    return table;
  }
  int32_t add_item(std::string_view key, std::string_view text) {
    const int32_t item = items_.add(key);
    if (static_cast<size_t>(item) == data_.items.size()) {
      data_.items.emplace_back(text);
      data_.item_keys.emplace_back(key);
    }
    return item;
  }

  const MatchSpec& spec_;
  MatchData& data_;
  StringIndex users_, items_, baskets_;
  Table item_texts_;
};

// Events sorted by user, then time of their basket, then basket; and where the baskets lie.
std::vector<Basket> baskets_of(std::vector<Event>& events) {
  std::map<int32_t, int64_t> time;  // of a basket: its first event's
  for (const Event& e : events) {
    const auto [at, fresh] = time.emplace(e.basket, e.time);
    if (!fresh) at->second = std::min(at->second, e.time);
  }
  for (Event& e : events) e.time = time.at(e.basket);
  std::ranges::stable_sort(events, [](const Event& a, const Event& b) {
    return std::tie(a.user, a.time, a.basket) < std::tie(b.user, b.time, b.basket);
  });
  std::vector<Basket> baskets;
  for (size_t i = 0; i < events.size(); ++i) {
    if (i == 0 || events[i].basket != events[i - 1].basket) baskets.push_back({i, i, events[i].user, events[i].time});
    baskets.back().end = i + 1;
  }
  return baskets;
}

// The titles of the baskets before `at`, the latest basket first, each title once.
std::string history_text(const MatchSpec& spec, const MatchData& data, const std::vector<Event>& events,
                         const std::vector<Basket>& baskets, size_t at) {
  std::string text;
  std::vector<int32_t> shown;
  int64_t used = 0;
  for (size_t b = at; b > 0 && baskets[b - 1].user == baskets[at].user; --b, ++used) {
    if (spec.baskets > 0 && used == spec.baskets) break;
    for (size_t e = baskets[b - 1].begin; e < baskets[b - 1].end; ++e) {
      const int32_t title = events[e].item;
      if (static_cast<int64_t>(shown.size()) == spec.history) return text;
      if (std::ranges::find(shown, title) != shown.end()) continue;
      shown.push_back(title);
      text.append(text.empty() ? "" : ", ").append(data.items[static_cast<size_t>(title)]);
    }
  }
  return text;
}

std::vector<Split> split_baskets(const MatchSpec& spec, const std::vector<Basket>& baskets) {
  std::vector<Split> splits(baskets.size());
  if (spec.split.method == SplitSpec::Random) {
    for (size_t b = 0; b < baskets.size(); ++b) splits[b] = random_split(spec, baskets[b].user);
    return splits;
  }
  std::vector<size_t> order(baskets.size());
  size_t events = 0, before = 0;
  for (size_t b = 0; b < baskets.size(); ++b) order[b] = b, events += baskets[b].end - baskets[b].begin;
  std::ranges::stable_sort(order, {}, [&](size_t b) { return baskets[b].time; });
  for (const size_t b : order) {
    const double done = static_cast<double>(before) / static_cast<double>(events);
    splits[b] = done < spec.split.train                      ? Split::Train
                : done < spec.split.train + spec.split.valid ? Split::Valid
                                                             : Split::Test;
    before += baskets[b].end - baskets[b].begin;
  }
  return splits;
}

}  // namespace

void load_interactions(const MatchSpec& spec, MatchData& data) {
  InteractionReader reader(spec, data);
  std::vector<Event> events = reader.read();
  const std::vector<Basket> baskets = baskets_of(events);
  const std::vector<Split> splits = split_baskets(spec, baskets);
  const std::vector<std::string> profiles = reader.profiles();
  std::vector<std::pair<int32_t, int32_t>> likes;
  for (size_t b = 0; b < baskets.size(); ++b) {
    std::map<int32_t, float> items;  // of the basket, each once with its greatest strength
    for (size_t e = baskets[b].begin; e < baskets[b].end; ++e) {
      float& strength = items.emplace(events[e].item, 0.0f).first->second;
      strength = std::max(strength, events[e].strength);
    }
    if (splits[b] == Split::Train)
      for (const auto& [item, strength] : items)
        if (data.is_answer({0, item, strength})) likes.emplace_back(baskets[b].user, item);
    std::string text = profiles[static_cast<size_t>(baskets[b].user)];
    if (const std::string history = history_text(spec, data, events, baskets, b); !history.empty())
      text.append(text.empty() ? "" : "; ").append(history);
    if (text.empty()) {
      ++data.report.without_answer;
      continue;
    }
    const auto query = static_cast<int32_t>(data.queries.size());
    data.queries.push_back(std::move(text));
    data.owner.push_back(baskets[b].user);
    for (const auto& [item, strength] : items)
      data.pairs[static_cast<size_t>(splits[b])].push_back({query, item, strength});
  }
  finish_match_data(data, std::move(likes));
}

}  // namespace winnow::detail
