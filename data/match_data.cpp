#include "data/match_data.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "data/string_index.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

constexpr uint64_t kSplitStream = 0x6d61746368;  // of the random numbers

}  // namespace

std::span<const int32_t> MatchData::known_of(int32_t query) const {
  const auto o = static_cast<size_t>(owner[static_cast<size_t>(query)]);
  return std::span(known).subspan(static_cast<size_t>(known_begin[o]),
                                  static_cast<size_t>(known_begin[o + 1] - known_begin[o]));
}

bool MatchData::is_known(int32_t query, int32_t item) const {
  const auto o = static_cast<size_t>(owner[static_cast<size_t>(query)]);
  const auto from = known_texts.begin() + known_begin[o], to = known_texts.begin() + known_begin[o + 1];
  return std::binary_search(from, to, item_text[static_cast<size_t>(item)]);
}

MatchData::Targets MatchData::targets(Split split) const {
  Targets t;
  const auto add = [&](int32_t query, std::vector<int32_t> found) {
    std::ranges::sort(found);
    found.erase(std::unique(found.begin(), found.end()), found.end());
    t.queries.push_back(query);
    t.items.insert(t.items.end(), found.begin(), found.end());
    t.begin.push_back(static_cast<int64_t>(t.items.size()));
  };
  std::vector<Pair> of = pairs[static_cast<size_t>(split)];
  std::ranges::stable_sort(of, {}, &Pair::query);
  for (size_t i = 0; i < of.size();) {
    std::vector<int32_t> found;
    const int32_t query = of[i].query;
    for (; i < of.size() && of[i].query == query; ++i)
      if (of[i].item >= 0 && is_answer(of[i])) found.push_back(of[i].item);
    if (labelled) {
      found.assign(known_of(query).begin(), known_of(query).end());
      if (split == Split::Train) std::erase(found, query);  // training text q is item q
    }
    if (!found.empty()) add(query, std::move(found));
  }
  return t;
}

std::vector<int64_t> MatchData::item_counts() const {
  std::vector<int64_t> counts(items.size());
  for (const Pair& p : pairs[0])
    if (p.item >= 0 && is_answer(p)) ++counts[static_cast<size_t>(p.item)];
  return counts;
}

std::string MatchData::summary() const {
  std::string text =
      fmt::format("{} rows; {} left out without user, item or text; {} queries without an answer were left out\n",
                  report.rows_read, report.without_text, report.without_answer);
  if (report.clean != nullptr) text += report.clean->str();
  text += fmt::format("{} queries, {} items; pairs for training {}, validation {}, test {}", queries.size(),
                      items.size(), pairs[0].size(), pairs[1].size(), pairs[2].size());
  return text;
}

namespace detail {

double strength_of(const MatchSpec& spec, const RowBlock& block, int64_t row, size_t column) {
  const std::string_view cell = block.cell(row, column);
  if (spec.strengths.empty()) {
    const auto number = parse_number(cell);
    if (!number || *number < 0)
      block.fail(row, spec.strength, fmt::format("'{}' is no strength: a number of at least 0", cell));
    return *number;
  }
  const auto word = spec.strengths.find(std::string(cell));
  if (word == spec.strengths.end())
    block.fail(row, spec.strength, fmt::format("'{}' has no entry in `strengths`", cell));
  return word->second;
}

std::unique_ptr<RowReader> open_match_rows(const MatchSpec& spec, const SourceSpec& source,
                                           std::shared_ptr<CleanReport> report) {
  if (spec.clean.empty()) return open_rows(source);
  if (report == nullptr) report = std::make_shared<CleanReport>();
  return clean_rows([source] { return open_rows(source); }, spec.clean, std::move(report));
}

Split random_split(const MatchSpec& spec, int32_t owner) {
  const double u = to_unit(Philox{spec.seed, kSplitStream}(static_cast<uint64_t>(owner))[0]);
  return u < spec.split.train ? Split::Train : u < spec.split.train + spec.split.valid ? Split::Valid : Split::Test;
}

void finish_match_data(MatchData& data, std::vector<std::pair<int32_t, int32_t>> owner_items) {
  std::ranges::sort(owner_items);
  owner_items.erase(std::unique(owner_items.begin(), owner_items.end()), owner_items.end());
  int32_t owners = 0;
  for (const int32_t o : data.owner) owners = std::max(owners, o + 1);
  for (const auto& [o, item] : owner_items) owners = std::max(owners, o + 1);
  data.known_begin.assign(static_cast<size_t>(owners) + 1, 0);
  for (const auto& [o, item] : owner_items) ++data.known_begin[static_cast<size_t>(o) + 1];
  for (size_t o = 0; o < static_cast<size_t>(owners); ++o) data.known_begin[o + 1] += data.known_begin[o];
  for (const auto& [o, item] : owner_items) data.known.push_back(item);
  StringIndex texts;
  for (const std::string& text : data.items) data.item_text.push_back(texts.add(text));
  for (const int32_t item : data.known) data.known_texts.push_back(data.item_text[static_cast<size_t>(item)]);
  for (size_t o = 0; o < static_cast<size_t>(owners); ++o)
    std::sort(data.known_texts.begin() + data.known_begin[o], data.known_texts.begin() + data.known_begin[o + 1]);
  for (const MatchData::Pair& p : data.pairs[0]) data.graded |= p.strength != data.pairs[0].front().strength;
}

}  // namespace detail

MatchData load_match_data(const MatchSpec& spec) {
  MatchData data;
  data.answer_from = spec.answer_from;
  data.draw = spec.draw;
  if (!spec.clean.empty()) data.report.clean = std::make_shared<CleanReport>();
  if (spec.form == MatchSpec::Pairs) detail::load_pairs(spec, data);
  if (spec.form == MatchSpec::Labelled) detail::load_labelled(spec, data);
  if (spec.form == MatchSpec::Interactions) detail::load_interactions(spec, data);
  WN_CHECK(!data.pairs[0].empty(), DataError, "{}: no pair is left for training", spec.source.name());
  WN_CHECK(data.items.size() >= 2, DataError, "{}: matching needs at least two items, there are {}", spec.source.name(),
           data.items.size());
  return data;
}

}  // namespace winnow
