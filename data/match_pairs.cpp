// Matching data from rows of pairs, and from rows of labelled texts.
#include <algorithm>
#include <numeric>

#include "data/match_data.h"
#include "data/string_index.h"
#include "data/timestamp.h"

namespace winnow::detail {
namespace {

struct Row {
  MatchData::Pair pair;
  int64_t time;
};

// Queries and items of all files, numbered in order of first appearance.
class PairReader {
 public:
  PairReader(const MatchSpec& spec, MatchData& data) : spec_(spec), data_(data), time_format_(spec.time_format) {}

  std::vector<Row> read(const SourceSpec& source, const std::shared_ptr<CleanReport>& report) {
    const auto reader = open_match_rows(spec_, source, report);
    const Columns c = columns_of(*reader);
    std::vector<Row> rows;
    for (RowBlock block; reader->next(block);)
      for (int64_t r = 0; r < block.rows; ++r) {
        ++data_.report.rows_read;
        const std::string_view query = block.cell(r, c.query), item = block.cell(r, c.item);
        if (query.empty() || item.empty()) {
          ++data_.report.without_text;
          continue;
        }
        rows.push_back({{add_query(query, c.query_id ? block.cell(r, *c.query_id) : query),
                         add_item(item, c.item_id ? block.cell(r, *c.item_id) : item),
                         c.strength ? static_cast<float>(strength_of(spec_, block, r, *c.strength)) : 1.0f},
                        c.time ? time_of(block, r, *c.time) : 0});
      }
    return rows;
  }

 private:
  struct Columns {
    size_t query, item;
    std::optional<size_t> query_id, item_id, strength, time;
  };
  Columns columns_of(const RowReader& reader) const {
    Columns c{reader.column(spec_.query), reader.column(spec_.item), {}, {}, {}, {}};
    if (!spec_.query_id.empty()) c.query_id = reader.column(spec_.query_id);
    if (!spec_.item_id.empty()) c.item_id = reader.column(spec_.item_id);
    if (!spec_.strength.empty()) c.strength = reader.column(spec_.strength);
    if (!spec_.timestamp.empty()) c.time = reader.column(spec_.timestamp);
    return c;
  }
  int64_t time_of(const RowBlock& block, int64_t row, size_t column) const {
    const auto time = time_format_.parse(block.cell(row, column));
    if (!time) block.fail(row, spec_.timestamp, fmt::format("is no time of the format {}", time_format_.format()));
    return *time;
  }
  // A query is its text and its id: one owner may ask in several words.
  int32_t add_query(std::string_view text, std::string_view id) {
    const int32_t owner = owners_.add(id);
    const int32_t query = queries_.add(std::to_string(owner) + '\0' + std::string(text));
    if (static_cast<size_t>(query) == data_.queries.size()) {
      data_.queries.emplace_back(text);
      data_.owner.push_back(owner);
    }
    return query;
  }
  int32_t add_item(std::string_view text, std::string_view key) {
    const int32_t item = items_.add(key);
    if (static_cast<size_t>(item) == data_.items.size()) {
      data_.items.emplace_back(text);
      data_.item_keys.emplace_back(key);
    }
    return item;
  }

  const MatchSpec& spec_;
  MatchData& data_;
  TimeFormat time_format_;
  StringIndex owners_, queries_, items_;
};

void split_rows(const MatchSpec& spec, std::vector<Row> rows, MatchData& data) {
  const auto put = [&](Split split, const Row& row) { data.pairs[static_cast<size_t>(split)].push_back(row.pair); };
  if (spec.split.method == SplitSpec::Random) {
    for (const Row& row : rows) put(random_split(spec, data.owner[static_cast<size_t>(row.pair.query)]), row);
    return;
  }
  std::ranges::stable_sort(rows, {}, &Row::time);
  const auto n = static_cast<double>(rows.size());
  const auto train = static_cast<size_t>(n * spec.split.train);
  const auto valid = static_cast<size_t>(n * (spec.split.train + spec.split.valid));
  for (size_t i = 0; i < rows.size(); ++i)
    put(i < train ? Split::Train : i < valid ? Split::Valid : Split::Test, rows[i]);
}

}  // namespace

void load_pairs(const MatchSpec& spec, MatchData& data) {
  PairReader reader(spec, data);
  split_rows(spec, reader.read(spec.source, data.report.clean), data);
  for (const auto& [source, split] : {std::pair{&spec.valid, Split::Valid}, std::pair{&spec.test, Split::Test}})
    if (source->given())
      for (const Row& row : reader.read(*source, nullptr)) data.pairs[static_cast<size_t>(split)].push_back(row.pair);
  std::vector<std::pair<int32_t, int32_t>> likes;
  for (const MatchData::Pair& p : data.pairs[0])
    if (data.is_answer(p)) likes.emplace_back(data.owner[static_cast<size_t>(p.query)], p.item);
  finish_match_data(data, std::move(likes));
}

void load_labelled(const MatchSpec& spec, MatchData& data) {
  struct Text {
    std::string text;
    int32_t label;
  };
  StringIndex labels;
  std::array<std::vector<Text>, 3> texts;
  const auto read = [&](const SourceSpec& source, const std::shared_ptr<CleanReport>& report, auto&& split_of) {
    const auto reader = open_match_rows(spec, source, report);
    const size_t text = reader->column(spec.query), label = reader->column(spec.item);
    int32_t row = 0;
    for (RowBlock block; reader->next(block);)
      for (int64_t r = 0; r < block.rows; ++r, ++row) {
        ++data.report.rows_read;
        if (block.cell(r, text).empty() || block.cell(r, label).empty())
          ++data.report.without_text;
        else
          texts[static_cast<size_t>(split_of(row))].push_back(
              {std::string(block.cell(r, text)), labels.add(block.cell(r, label))});
      }
  };
  read(spec.source, data.report.clean, [&](int32_t row) { return random_split(spec, row); });
  if (spec.valid.given()) read(spec.valid, nullptr, [](int32_t) { return Split::Valid; });
  if (spec.test.given()) read(spec.test, nullptr, [](int32_t) { return Split::Test; });

  std::vector<int64_t> members(static_cast<size_t>(labels.size()));
  for (const Text& t : texts[0]) ++members[static_cast<size_t>(t.label)];
  std::vector<std::pair<int32_t, int32_t>> likes;
  for (size_t split = 0; split < 3; ++split)
    for (Text& t : texts[split]) {
      const auto query = static_cast<int32_t>(data.queries.size());
      if (split == 0) {
        data.items.push_back(t.text);
        data.item_keys.push_back(std::to_string(query));
        likes.emplace_back(t.label, query);
      }
      data.queries.push_back(std::move(t.text));
      data.owner.push_back(t.label);
      if (members[static_cast<size_t>(t.label)] < (split == 0 ? 2 : 1))
        ++data.report.without_answer;
      else
        data.pairs[split].push_back({query, -1, 1});  // the item is drawn
    }
  data.labelled = true;
  finish_match_data(data, std::move(likes));
}

}  // namespace winnow::detail
