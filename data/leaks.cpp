#include "data/leaks.h"

#include <sys/stat.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/hash128.h"
#include "data/detail/leak_encoding.h"
#include "data/detail/leak_tests.h"
#include "data/row_facts.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

using detail::LeakColumn;

constexpr size_t kMostRows = 200000;
constexpr int64_t kDay = 86400;

int64_t export_time_of(const Schema& schema) {
  struct stat s = {};
  const std::string& path = schema.interactions.source.path;
  if (!path.empty() && stat(path.c_str(), &s) == 0 && S_ISREG(s.st_mode)) return s.st_mtime;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::seconds>(now).count();
}

std::vector<int32_t> held_out(const Dataset& d) {
  std::vector<int32_t> rows = d.valid;
  rows.insert(rows.end(), d.test.begin(), d.test.end());
  return rows;
}

void test_times(const Dataset& d, const Schema& schema, int64_t export_time, std::vector<Leak>& leaks) {
  if (d.timestamp.empty()) return;
  const auto late = std::ranges::count_if(d.timestamp, [export_time](int64_t t) { return t > export_time + kDay; });
  if (late > 0)
    leaks.push_back({"future_time", schema.timestamp,
                     fmt::format("{} rows are later than the data itself ({}); wrong clocks or a wrong format: leave "
                                 "them out with {{step: impossible, column: {}, format: ..., latest: ...}}",
                                 late, format_date(export_time), schema.timestamp)});
  const auto method = schema.split.method;
  if (method != SplitSpec::Random && method != SplitSpec::Stratified && method != SplitSpec::KFold) return;
  std::vector<int64_t> times;
  for (const int32_t r : method == SplitSpec::KFold ? d.valid : held_out(d))
    times.push_back(d.timestamp[static_cast<size_t>(r)]);
  if (times.empty()) return;
  const auto middle = times.begin() + static_cast<ptrdiff_t>(times.size() / 2);
  std::ranges::nth_element(times, middle);
  const auto later =
      std::ranges::count_if(d.train, [&](int32_t r) { return d.timestamp[static_cast<size_t>(r)] > *middle; });
  if (static_cast<double>(later) < 0.1 * static_cast<double>(d.train.size())) return;
  leaks.push_back({"future_rows", schema.timestamp,
                   fmt::format("the split is drawn at random though rows have times: {} of {} training rows are later "
                               "than half of the held-out ones, and the model learns from their future; use "
                               "`split: {{method: time}}`",
                               later, d.train.size())});
}

// Everything of a row but its label.
class RowKeys {
 public:
  explicit RowKeys(const Dataset& d) : d_(d) {}
  detail::Hash128 operator()(int32_t row) const {
    const auto r = static_cast<size_t>(row), fields = static_cast<size_t>(d_.fields()),
               numbers = static_cast<size_t>(d_.numbers());
    detail::RowHasher h;
    h.add(static_cast<uint64_t>(d_.user[r]) << 32 | static_cast<uint32_t>(d_.item[r]));
    if (!d_.timestamp.empty()) h.add(static_cast<uint64_t>(d_.timestamp[r]));
    for (size_t f = 0; f < fields; ++f) {
      const size_t at = r * fields + f;
      const size_t begin = d_.offsets.empty() ? at : static_cast<size_t>(d_.offsets[at]);
      const size_t end = d_.offsets.empty() ? at + 1 : static_cast<size_t>(d_.offsets[at + 1]);
      h.add(end - begin);
      for (size_t i = begin; i < end; ++i) h.add(static_cast<uint64_t>(d_.ids[i]));
    }
    if (numbers > 0)
      h.add(std::string_view(reinterpret_cast<const char*>(&d_.dense[r * numbers]), numbers * sizeof(float)));
    return h.finish();
  }

 private:
  const Dataset& d_;
};

void test_duplicates(const Dataset& d, double rate, std::vector<Leak>& leaks) {
  struct Seen {
    int32_t rows = 0, positives = 0;
  };
  const RowKeys key(d);
  detail::HashTable<Seen> seen;
  bool added = false;
  for (const int32_t r : d.train) {
    Seen& s = seen.at(key(r), added);
    ++s.rows;
    s.positives += d.label[static_cast<size_t>(r)] > 0.5f ? 1 : 0;
  }
  const std::vector<int32_t> rows = held_out(d);
  int64_t again = 0;
  double differ = 0, chance = 0;
  for (const int32_t r : rows) {
    const Seen* s = seen.find(key(r));
    if (s == nullptr) continue;
    const bool label = d.label[static_cast<size_t>(r)] > 0.5f;
    ++again;
    differ += static_cast<double>(label ? s->rows - s->positives : s->positives) / s->rows;
    chance += label ? 1 - rate : rate;
  }
  if (again < 20 || again * 1000 < static_cast<int64_t>(rows.size()) || chance < 10 || differ > 0.02 * chance) return;
  leaks.push_back({"duplicates", "",
                   fmt::format("{} of {} held-out rows are training rows again: the same user, item, {}features and "
                               "label; leave them out with {{step: duplicates}}",
                               again, rows.size(), d.timestamp.empty() ? "" : "time, ")});
}

void test_user_overlap(const Dataset& d, const Schema& schema, std::vector<Leak>& leaks) {
  if (schema.split.method != SplitSpec::User) return;
  std::vector<uint8_t> in_train(d.user_keys.size());
  for (const int32_t r : d.train) in_train[static_cast<size_t>(d.user[static_cast<size_t>(r)])] = 1;
  std::vector<int32_t> users;
  for (const int32_t r : held_out(d))
    if (const int32_t u = d.user[static_cast<size_t>(r)]; in_train[static_cast<size_t>(u)] != 0) users.push_back(u);
  std::ranges::sort(users);
  users.erase(std::unique(users.begin(), users.end()), users.end());
  if (users.empty()) return;
  leaks.push_back({"user_overlap", schema.user_id,
                   fmt::format("the split is by user, yet {} users have rows in training and in held-out splits, for "
                               "example {}",
                               users.size(), winnow::quoted(d.user_keys[static_cast<size_t>(users[0])]))});
}

void test_features(const Dataset& d, bool binary, std::vector<Leak>& leaks) {
  const std::vector<int32_t> rows = detail::sample_rows(d.train, kMostRows);
  std::vector<bool> label;
  std::vector<int64_t> time;
  for (const int32_t r : rows) {
    label.push_back(d.label[static_cast<size_t>(r)] > 0.5f);
    if (!d.timestamp.empty()) time.push_back(d.timestamp[static_cast<size_t>(r)]);
  }
  const std::vector<LeakColumn> columns = detail::leak_columns(d, rows);
  const double tests = static_cast<double>(columns.size());
  for (const LeakColumn& c : columns) {
    const size_t before = leaks.size();
    if (binary) {
      test_tells_label(c, label, 3 * tests, leaks);
      test_missing(c, label, 2 * tests, leaks);
      if (leaks.size() == before) test_one_label(c, label, tests, leaks);
      if (leaks.size() == before) test_row_order(c, label, leaks);
    }
    if (!time.empty() && leaks.size() == before) test_timestamp_copy(c, time, leaks);
  }
}

// Runs of neighbours of each split of a data set on disk, in memory.
Dataset sample_of(const Dataset& on_disk) {
  std::vector<RowPlace> places;
  for (const Split split : {Split::Train, Split::Valid, Split::Test}) {
    std::vector<int32_t> all(static_cast<size_t>(std::min<int64_t>(on_disk.split_rows(split), INT32_MAX)));
    std::iota(all.begin(), all.end(), 0);
    for (const int32_t row : detail::sample_rows(all, kMostRows)) places.push_back({split, row});
  }
  Dataset d = gather_rows(on_disk, places);
  d.rows = static_cast<int64_t>(places.size());
  d.train.clear();
  d.user_keys = on_disk.user_keys;
  if (on_disk.report.timestamps) d.timestamp.resize(places.size());
  size_t next = 0;
  for (const Split split : {Split::Train, Split::Valid, Split::Test}) {
    for_each_facts(on_disk, split, [&](const RowFacts& facts) {
      const int64_t end = facts.first + static_cast<int64_t>(facts.label.size());
      for (; next < places.size() && places[next].split == split && places[next].row < end; ++next) {
        auto& rows = split == Split::Train ? d.train : split == Split::Valid ? d.valid : d.test;
        rows.push_back(static_cast<int32_t>(next));
        if (!d.timestamp.empty())
          d.timestamp[next] = facts.timestamp[static_cast<size_t>(places[next].row - facts.first)];
      }
    });
  }
  return d;
}

bool is_binary(const Dataset& d) {
  return std::ranges::all_of(d.label, [](float y) { return y == 0 || y == 1; });
}

}  // namespace

std::vector<Leak> find_leaks(const Dataset& dataset, const Schema& schema, std::optional<int64_t> export_time) {
  const Dataset sample = dataset.on_disk() ? sample_of(dataset) : Dataset{};
  const Dataset& d = dataset.on_disk() ? sample : dataset;
  std::vector<Leak> leaks;
  const bool binary = is_binary(d);
  test_features(d, binary, leaks);
  if (binary && !dataset.on_disk()) {
    detail::test_target_encodings(d, leaks);
    double positives = 0;
    for (const int32_t r : d.train) positives += d.label[static_cast<size_t>(r)];
    test_duplicates(d, d.train.empty() ? 0 : positives / static_cast<double>(d.train.size()), leaks);
  }
  test_times(d, schema, export_time.value_or(export_time_of(schema)), leaks);
  test_user_overlap(d, schema, leaks);
  return leaks;
}

std::vector<Leak> check_leaks(const Dataset& d, const Schema& schema) {
  if (schema.leak_check == LeakCheck::Off) return {};
  std::vector<Leak> leaks = find_leaks(d, schema);
  WN_CHECK(leaks.empty() || schema.leak_check == LeakCheck::Warn, DataError,
           "leaks were found (data.leak_check: error)\n{}", str(leaks));
  return leaks;
}

std::string str(const std::vector<Leak>& leaks) {
  std::string text;
  for (const Leak& leak : leaks)
    text += fmt::format("leak: {}: {}{}{}\n", leak.kind, leak.feature.empty() ? "" : winnow::quoted(leak.feature),
                        leak.feature.empty() ? "" : ": ", leak.text);
  return text;
}

std::string json(const std::vector<Leak>& leaks) {
  nlohmann::ordered_json list = nlohmann::ordered_json::array();
  for (const Leak& leak : leaks) list.push_back({{"kind", leak.kind}, {"feature", leak.feature}, {"text", leak.text}});
  return list.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace winnow
