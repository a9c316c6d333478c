#include "data/detail/disk_load.h"

#include <algorithm>
#include <limits>
#include <mutex>

#include "core/checksum.h"
#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "data/detail/fact_file.h"
#include "data/detail/fit.h"
#include "data/detail/ordered_blocks.h"
#include "data/feature_fitter.h"
#include "data/row_file.h"

namespace winnow::detail {
namespace {

// How many rows of each user or item there are, in all and in training.
struct KeyCounts {
  std::vector<int64_t> rows, train;
  explicit KeyCounts(int32_t keys) : rows(static_cast<size_t>(keys)), train(rows.size()) {}
  int64_t without_row(const std::vector<bool>& found) const {
    int64_t sum = 0;
    for (size_t k = 0; k < found.size(); ++k)
      if (!found[k]) sum += rows[k];
    return sum;
  }
};

// What the rows take from side tables: of each feature the ids or floats of each of its cells.
struct SideFeature {
  EncodedCodes ids;
  std::vector<float> floats;
};

// One worker's part of a pass.
struct Encoder {
  std::vector<FactRecord> facts;
  std::array<RowWords, 3> rows;  // of each split
  std::vector<int64_t> ids;
  std::vector<float> floats;
  std::vector<LoadReport::IdCount> test_ids;
};

class DiskLoader {
 public:
  DiskLoader(const Schema& schema, const std::string& directory)
      : schema_(schema), tables_(schema), columns_(tables_.columns()), facts_(directory) {}

  // Writes the file of rows.
  void run(const std::string& path, const std::string& fingerprint) {
    load_facts();
    splits_ = plan_splits(schema_, facts_.each());
    KeyCounts users(users_.size()), items(items_.size());
    count_keys(users, items);
    report_.users_without_row = users.without_row(tables_.join_users(users_, columns_));
    report_.items_without_row = items.without_row(tables_.join_items(items_, columns_, titles_));
    fit(users.train, items.train);
    encode(path, fingerprint);
  }

 private:
  void load_facts();
  void count_keys(KeyCounts& users, KeyCounts& items);
  void fit(const std::vector<int64_t>& user_rows, const std::vector<int64_t>& item_rows);
  void encode(const std::string& path, const std::string& fingerprint);
  void encode_block(const RowBlock& block, int64_t first_row, Encoder& e) const;
  void encode_dense(const RowBlock& block, int64_t row, const FactRecord& fact, Encoder& e) const;
  void encode_ids(const RowBlock& block, int64_t row, const FactRecord& fact, Split split, Encoder& e,
                  std::vector<uint32_t>& words) const;
  // The cell of a feature from a side table.
  size_t side_cell(size_t feature, const FactRecord& fact) const {
    const RawColumn& column = columns_[feature];
    const auto key = static_cast<size_t>(column.rows == RawColumn::User ? fact.user : fact.item);
    return column.numeric ? key : static_cast<size_t>(column.codes[key]);
  }
  const std::string& column_name(size_t feature) const { return schema_.features[feature].column; }
  void check_unchanged(int64_t rows) const {
    WN_CHECK(rows <= facts_.rows(), DataError, "{}: more rows than at first; was it changed while it was read?",
             schema_.interactions.source.name());
  }

  const Schema& schema_;
  Tables tables_;
  std::vector<RawColumn> columns_;  // filled for features of side tables
  FactFile facts_;
  StringIndex users_, items_;
  std::vector<std::string> titles_;
  std::vector<Split> splits_;  // of each interaction
  FeatureMap map_;
  RowLayout layout_;
  std::vector<size_t> cell_column_;  // of each feature that the interactions have
  std::vector<SideFeature> side_;
  LoadReport report_;
};

void DiskLoader::load_facts() {
  FactKeys keys = read_facts(schema_, tables_, facts_);
  users_ = std::move(keys.users);
  items_ = std::move(keys.items);
  titles_ = std::move(keys.titles);
  report_.clean = tables_.clean_report();
  report_.rows_read = report_.clean.rows_read;
  WN_CHECK(facts_.rows() > 0, DataError, "{}: no interactions are left\n{}", schema_.interactions.source.name(),
           report_.str());
}

void DiskLoader::count_keys(KeyCounts& users, KeyCounts& items) {
  constexpr int64_t kRows = 32768;
  report_.timestamps = !schema_.timestamp.empty();
  std::vector<FactRecord> records;
  for (int64_t first = 0; first < facts_.rows(); first += kRows) {
    facts_.read(first, std::min(kRows, facts_.rows() - first), records);
    for (size_t r = 0; r < records.size(); ++r) {
      const FactRecord& fact = records[r];
      const auto user = static_cast<size_t>(fact.user), item = static_cast<size_t>(fact.item);
      const Split split = splits_[static_cast<size_t>(first) + r];
      report_.splits[static_cast<size_t>(split)].add(fact.label, fact.time);
      ++users.rows[user], ++items.rows[item];
      if (split == Split::Train) ++users.train[user], ++items.train[item];
    }
  }
}

void DiskLoader::fit(const std::vector<int64_t>& user_rows, const std::vector<int64_t>& item_rows) {
  const int workers = reading_workers();
  std::vector<FeatureFitter> fresh;
  for (const FeatureSpec& f : schema_.features) fresh.emplace_back(f);
  std::vector<std::vector<FeatureFitter>> fitters(static_cast<size_t>(workers), fresh);
  const auto rows = tables_.open_interactions();
  ordered_blocks(
      *rows, workers,
      [&](int w, RowBlock& block, int64_t first_row) {
        check_unchanged(first_row + block.rows);
        for (const Binding& b : tables_.interaction_bindings()) {
          FeatureFitter& fitter = fitters[static_cast<size_t>(w)][b.feature];
          const bool numeric = columns_[b.feature].numeric;
          for (int64_t r = 0; r < block.rows; ++r) {
            const std::string_view cell = block.cell(r, b.column);
            const bool train = splits_[static_cast<size_t>(first_row + r)] == Split::Train;
            if (!numeric) check_text(block, r, column_name(b.feature), cell);
            if (!train) continue;
            if (!numeric)
              fitter.add(cell);
            else if (!cell.empty())
              fitter.add_number(number_of(block, r, column_name(b.feature), cell, ""));
          }
        }
      },
      [](int, RowBlock&, int64_t) {});
  for (size_t w = 1; w < fitters.size(); ++w)
    for (size_t f = 0; f < fresh.size(); ++f) fitters[0][f].merge(fitters[w][f]);
  fitters.resize(1);
  for (size_t f = 0; f < fresh.size(); ++f) {
    const RawColumn& column = columns_[f];
    if (column.from_interactions()) continue;
    add_counted_cells(column, column.rows == RawColumn::User ? user_rows : item_rows, fitters[0][f]);
  }
  map_.user_id = schema_.user_id;
  map_.item_id = schema_.item_id;
  map_.features = finish(std::move(fitters[0]));
  map_.index();
}

void DiskLoader::encode_dense(const RowBlock& block, int64_t row, const FactRecord& fact, Encoder& e) const {
  e.floats.clear();
  for (const int32_t number : map_.numbers()) {
    const auto f = static_cast<size_t>(number);
    const FittedFeature& feature = map_.features[f];
    if (!columns_[f].from_interactions()) {
      const auto at = side_[f].floats.begin() + static_cast<int64_t>(side_cell(f, fact)) * feature.width();
      e.floats.insert(e.floats.end(), at, at + feature.width());
      continue;
    }
    const std::string_view cell = block.cell(row, cell_column_[f]);
    if (!columns_[f].numeric)
      FeatureMap::encode_dense(feature, cell, e.floats);
    else
      FeatureMap::encode_dense(
          feature,
          cell.empty() ? std::numeric_limits<double>::quiet_NaN() : number_of(block, row, column_name(f), cell, ""),
          e.floats);
  }
}

void DiskLoader::encode_ids(const RowBlock& block, int64_t row, const FactRecord& fact, Split split, Encoder& e,
                            std::vector<uint32_t>& words) const {
  const size_t lengths = words.size();
  if (layout_.bags) words.resize(lengths + map_.fields().size());
  for (size_t field = 0; field < map_.fields().size(); ++field) {
    const auto f = static_cast<size_t>(map_.fields()[field]);
    const FittedFeature& feature = map_.features[f];
    const int64_t *begin = nullptr, *end = nullptr;
    if (columns_[f].from_interactions()) {
      e.ids.clear();
      const std::string_view cell = block.cell(row, cell_column_[f]);
      if (!columns_[f].numeric)
        FeatureMap::encode_ids(feature, cell, e.ids);
      else
        FeatureMap::encode_ids(
            feature,
            cell.empty() ? std::numeric_limits<double>::quiet_NaN() : number_of(block, row, column_name(f), cell, ""),
            e.ids);
      begin = e.ids.data(), end = begin + e.ids.size();
    } else {
      const EncodedCodes& codes = side_[f].ids;
      const size_t cell = side_cell(f, fact);
      begin = codes.ids.data() + codes.begin[cell], end = codes.ids.data() + codes.begin[cell + 1];
    }
    if (layout_.bags) words[lengths + field] = static_cast<uint32_t>(end - begin);
    for (const int64_t* id = begin; id != end; ++id) words.push_back(static_cast<uint32_t>(*id));
    if (split != Split::Test) continue;
    for (const int64_t* id = begin; id != end; ++id) {
      e.test_ids[field].ids += *id != Vocabulary::kPad;
      e.test_ids[field].oov += *id == feature.oov();
    }
  }
}

void DiskLoader::encode_block(const RowBlock& block, int64_t first_row, Encoder& e) const {
  check_unchanged(first_row + block.rows);
  facts_.read(first_row, block.rows, e.facts);
  for (RowWords& rows : e.rows) rows.clear();
  for (int64_t r = 0; r < block.rows; ++r) {
    const FactRecord& fact = e.facts[static_cast<size_t>(r)];
    const Split split = splits_[static_cast<size_t>(first_row + r)];
    RowWords& rows = e.rows[static_cast<size_t>(split)];
    std::vector<uint32_t>& words = rows.words;
    rows.begin.push_back(words.size());
    const auto time = static_cast<uint64_t>(fact.time);
    words.insert(words.end(), {__builtin_bit_cast(uint32_t, fact.label), __builtin_bit_cast(uint32_t, fact.weight),
                               static_cast<uint32_t>(fact.user), static_cast<uint32_t>(fact.item),
                               static_cast<uint32_t>(time), static_cast<uint32_t>(time >> 32)});
    encode_dense(block, r, fact, e);
    for (const float x : e.floats) words.push_back(__builtin_bit_cast(uint32_t, x));
    encode_ids(block, r, fact, split, e, words);
  }
}

void DiskLoader::encode(const std::string& path, const std::string& fingerprint) {
  const int workers = reading_workers();
  layout_ = {static_cast<int64_t>(map_.fields().size()), map_.dense_width(), map_.has_bags()};
  for (size_t f = 0; f < map_.fields().size(); ++f)
    WN_CHECK(map_.rows(f) <= std::numeric_limits<int32_t>::max(), ConfigError,
             "feature {}: {} rows of its table are too many for storage: disk", quoted(map_.field(f).spec.name),
             map_.rows(f));
  side_.resize(columns_.size());
  for (size_t f = 0; f < columns_.size(); ++f) {
    if (columns_[f].from_interactions()) continue;
    if (has_ids(map_.features[f].spec))
      side_[f].ids = encode_codes(map_.features[f], columns_[f]);
    else
      side_[f].floats = encode_floats(map_.features[f], columns_[f]);
  }
  cell_column_.resize(columns_.size());
  for (const Binding& b : tables_.interaction_bindings()) cell_column_[b.feature] = b.column;

  RowFileWriter file(path, layout_);
  std::vector<Encoder> encoders(static_cast<size_t>(workers));
  for (Encoder& e : encoders) e.test_ids.resize(map_.fields().size());
  int64_t encoded = 0;
  const auto rows = tables_.open_interactions();
  ordered_blocks(
      *rows, workers,
      [&](int w, RowBlock& block, int64_t first_row) {
        encode_block(block, first_row, encoders[static_cast<size_t>(w)]);
      },
      [&](int w, RowBlock& block, int64_t) {
        for (const Split s : {Split::Train, Split::Valid, Split::Test})
          file.add(s, encoders[static_cast<size_t>(w)].rows[static_cast<size_t>(s)]);
        encoded += block.rows;
      });
  WN_CHECK(encoded == facts_.rows(), DataError, "{}: fewer rows than at first; was it changed while it was read?",
           schema_.interactions.source.name());
  for (size_t w = 1; w < encoders.size(); ++w)
    for (size_t f = 0; f < map_.fields().size(); ++f) {
      encoders[0].test_ids[f].ids += encoders[w].test_ids[f].ids;
      encoders[0].test_ids[f].oov += encoders[w].test_ids[f].oov;
    }
  report_.describe(map_, encoders[0].test_ids);
  RowFileTexts texts{fingerprint, map_.json(), report_.json(), {}, {}, std::move(titles_), report_.timestamps};
  for (int32_t u = 0; u < users_.size(); ++u) texts.user_keys.emplace_back(users_.text(u));
  for (int32_t i = 0; i < items_.size(); ++i) texts.item_keys.emplace_back(items_.text(i));
  file.commit(texts);
}

Dataset open_dataset(const std::string& path) {
  auto file = std::make_shared<RowFile>(path);
  RowFileTexts texts = file->take_texts();
  Dataset d;
  d.map = FeatureMap::from_json(texts.feature_map, path);
  d.report = LoadReport::from_json(texts.report, path);
  const RowLayout& layout = file->layout();
  WN_CHECK(layout.fields == d.fields() && layout.dense == d.numbers() && layout.bags == d.map.has_bags(), DataError,
           "{}: its rows are not those of its feature map; remove the file, and it is made anew", path);
  d.user_keys = std::move(texts.user_keys);
  d.item_keys = std::move(texts.item_keys);
  d.item_titles = std::move(texts.item_titles);
  for (const Split s : {Split::Train, Split::Valid, Split::Test}) {
    WN_CHECK(file->rows(s) == d.split_rows(s), DataError,
             "{}: the {} split is damaged; remove the file, and it is made anew", path, name_of(s));
    d.rows += file->rows(s);
  }
  d.file = std::move(file);
  return d;
}

// The data set of an earlier load; nothing when there is none of this fingerprint.
std::optional<Dataset> reopen(const std::string& path, const std::string& fingerprint) {
  if (fingerprint.empty() || !file_exists(path)) return {};
  try {
    if (RowFile(path).texts().fingerprint != fingerprint) return {};
    Dataset d = open_dataset(path);
    d.report.reused = true;
    return d;
  } catch (const DataError&) { return {}; }  // another version, or damaged: it is made anew
}

}  // namespace

Dataset load_on_disk(const Schema& schema, const std::string& run_directory) {
  const std::string directory = !schema.cache.empty() ? schema.cache : run_directory;
  WN_CHECK(!directory.empty(), ConfigError, "storage: disk: give `cache`, the directory of the encoded rows");
  const std::string path =
      fmt::format("{}/rows-{:08x}.winnow", directory, crc32c(schema.text.data(), schema.text.size()));
  const std::string fingerprint = fingerprint_of(schema).value_or("");
  if (auto found = reopen(path, fingerprint)) return std::move(*found);
  make_directories(directory);
  DiskLoader(schema, directory).run(path, fingerprint);
  return open_dataset(path);
}

}  // namespace winnow::detail
