#include "data/item_history.h"

#include <algorithm>

#include "core/error.h"

namespace winnow {

ItemHistory::ItemHistory(const Dataset& dataset, const HistoryOptions& options) : dataset_(dataset), options_(options) {
  WN_CHECK(!dataset.on_disk(), ConfigError, "texts of clicks need data.storage memory");
  WN_CHECK(options.len == 0 || !dataset.timestamp.empty(), ConfigError,
           "a history is what came before a row: give data.timestamp, or text.history 0");
  const auto rows = static_cast<size_t>(dataset.rows);
  training_.resize(rows);
  for (const int32_t r : dataset.train) training_[static_cast<size_t>(r)] = true;
  begin_.assign(dataset.user_keys.size() + 1, 0);
  if (options.len == 0) return;
  const auto taken = [&](size_t r) { return dataset.label[r] > 0.5f; };
  for (size_t r = 0; r < rows; ++r)
    if (taken(r)) ++begin_[static_cast<size_t>(dataset.user[r]) + 1];
  for (size_t u = 1; u < begin_.size(); ++u) begin_[u] += begin_[u - 1];
  events_.resize(static_cast<size_t>(begin_.back()));
  std::vector<int64_t> next(begin_.begin(), begin_.end() - 1);
  for (size_t r = 0; r < rows; ++r)
    if (taken(r))
      events_[static_cast<size_t>(next[static_cast<size_t>(dataset.user[r])]++)] = {dataset.timestamp[r],
                                                                                    dataset.item[r], training_[r]};
  for (size_t u = 0; u + 1 < begin_.size(); ++u)
    std::stable_sort(events_.begin() + begin_[u], events_.begin() + begin_[u + 1],
                     [](const Event& a, const Event& b) { return a.time < b.time; });
}

size_t ItemHistory::of(int32_t row, std::span<int32_t> out) const {
  const auto r = static_cast<size_t>(row);
  const size_t most = std::min(out.size(), static_cast<size_t>(options_.len));
  if (most == 0) return 0;
  const auto user = static_cast<size_t>(dataset_.user[r]);
  const auto first = events_.begin() + begin_[user], last = events_.begin() + begin_[user + 1];
  auto at =
      std::lower_bound(first, last, dataset_.timestamp[r], [](const Event& e, int64_t time) { return e.time < time; });
  const bool only_training = options_.frozen && !training_[r];
  size_t n = 0;
  while (at != first && n < most) {
    --at;
    if (at->item == dataset_.item[r] || (only_training && !at->training)) continue;
    const auto known = out.first(n);
    if (std::ranges::find(known, at->item) == known.end()) out[n++] = at->item;
  }
  return n;
}

namespace {

// Appends the values of some features, from the first row that each key has.
void append_values(const Dataset& d, const std::vector<int32_t>& key_of_row, FeatureSource source,
                   const std::vector<std::string>& features, std::vector<std::string>& texts) {
  std::vector<size_t> fields;
  for (const std::string& name : features) {
    const size_t feature = d.map.feature(name);
    const FeatureSpec& spec = d.map.features[feature].spec;
    WN_CHECK(spec.source == source && has_vocabulary(spec), ConfigError,
             "feature {} has no values of {}s to read as text: name one with `source: {}` and a vocabulary", name,
             name_of(source), name_of(source));
    for (size_t f = 0; f < d.map.fields().size(); ++f)
      if (static_cast<size_t>(d.map.fields()[f]) == feature) fields.push_back(f);
  }
  if (fields.empty()) return;
  std::vector<bool> done(texts.size());
  const size_t width = d.map.fields().size();
  for (size_t r = 0; r < key_of_row.size(); ++r) {
    const auto key = static_cast<size_t>(key_of_row[r]);
    if (done[key]) continue;
    done[key] = true;
    for (const size_t f : fields) {
      const size_t bag = r * width + f;
      const auto begin = d.offsets.empty() ? bag : static_cast<size_t>(d.offsets[bag]),
                 end = d.offsets.empty() ? bag + 1 : static_cast<size_t>(d.offsets[bag + 1]);
      for (size_t k = begin; k < end; ++k) {
        const Vocabulary& vocabulary = d.map.field(f).vocabulary;
        if (d.ids[k] == Vocabulary::kPad || d.ids[k] > vocabulary.size()) continue;
        if (!texts[key].empty()) texts[key] += ' ';
        texts[key] += vocabulary.value(d.ids[k]);
      }
    }
  }
}

}  // namespace

std::vector<std::string> item_texts(const Dataset& dataset, const std::vector<std::string>& features) {
  WN_CHECK(!dataset.item_titles.empty(), ConfigError,
           "items have no text: name a column with `title:` in data.items (or data.interactions)");
  std::vector<std::string> texts = dataset.item_titles;
  append_values(dataset, dataset.item, FeatureSource::Item, features, texts);
  return texts;
}

std::vector<std::string> user_texts(const Dataset& dataset, const std::vector<std::string>& features) {
  std::vector<std::string> texts(dataset.user_keys.size());
  append_values(dataset, dataset.user, FeatureSource::User, features, texts);
  return texts;
}

}  // namespace winnow
