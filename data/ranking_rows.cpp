#include "data/ranking_rows.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "data/group_sizes.h"
#include "data/string_index.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

constexpr float kMissing = std::numeric_limits<float>::quiet_NaN();
constexpr size_t kLargestGroupFile = size_t{1} << 30;

// The words of a cell, cut at single blanks.
template <class F>
void for_each_word(std::string_view cell, const F& f) {
  for (size_t at = 0; at < cell.size();) {
    const size_t end = std::min(cell.find(' ', at), cell.size());
    f(cell.substr(at, end - at));
    at = end + 1;
  }
}

// Rows of `all` in another order, or some of them; without queries.
RankingRows reorder(const RankingRows& all, const std::vector<int64_t>& order) {
  RankingRows out;
  out.name = all.name;
  out.features = all.features;
  out.texts.resize(all.texts.size());
  const auto width = static_cast<int64_t>(all.features.size());
  for (const int64_t row : order) {
    const auto r = static_cast<size_t>(row);
    out.labels.push_back(all.labels[r]);
    out.source_rows.push_back(all.source_rows[r]);
    if (!all.items.empty()) out.items.push_back(all.items[r]);
    for (size_t t = 0; t < all.texts.size(); ++t) out.texts[t].push_back(all.texts[t][r]);
    out.values.insert(out.values.end(), all.values.begin() + row * width, all.values.begin() + (row + 1) * width);
  }
  return out;
}

class Reader {
 public:
  Reader(const RankingSource& source, const RankingColumns& columns, bool absent_is_zero,
         const std::vector<std::string>* like, bool labels_required)
      : source_(source),
        columns_(columns),
        absent_(absent_is_zero ? 0 : kMissing),
        like_(like),
        labels_required_(labels_required),
        sparse_(source.source.format == "libsvm") {}

  RankingRows read() {
    rows_.name = source_.source.name();
    open();
    RowBlock block;
    while (reader_->next(block))
      for (int64_t r = 0; r < block.rows; ++r) read_row(block, r);
    WN_CHECK(rows_.rows() > 0, DataError, "{}: no rows", rows_.name);
    if (sparse_) make_dense();
    source_.groups.empty() ? group_by_key() : group_by_sizes();
    return std::move(rows_);
  }

 private:
  void open() {
    SourceSpec spec = source_.source;
    if (sparse_) spec.columns = {"label", "qid", "ids", "values"};
    reader_ = open_rows(spec);
    const auto place = [&](const std::string& name) { return reader_->column(name); };
    if (labels_required_ || reader_->has_column(columns_.label)) label_ = place(columns_.label);
    if (source_.groups.empty()) query_ = place(columns_.query);
    if (!columns_.item.empty()) item_ = place(columns_.item);
    for (const std::string& text : columns_.texts) texts_.push_back(place(text));
    rows_.texts.resize(texts_.size());
    if (sparse_) {
      ids_ = place("ids");
      values_ = place("values");
      return;
    }
    rows_.features = like_ != nullptr ? *like_ : columns_.features;
    if (like_ == nullptr && columns_.all_features) {
      for (const std::string& name : reader_->columns())
        if (name != columns_.label && name != columns_.query && name != columns_.item &&
            std::ranges::find(columns_.texts, name) == columns_.texts.end())
          rows_.features.push_back(name);
    }
    for (const std::string& name : rows_.features) features_.push_back(place(name));
  }

  float number(const RowBlock& block, int64_t r, size_t column) const {
    const std::string_view cell = block.cell(r, column);
    if (cell.empty()) return kMissing;
    const auto x = parse_number(cell);
    if (!x || std::abs(*x) > double{std::numeric_limits<float>::max()})
      block.fail(r, reader_->columns()[column],
                 fmt::format("{} is not a number{}", quoted(cell),
                             columns_.all_features ? "; name the features in data.features" : ""));
    return static_cast<float>(*x);
  }

  void read_row(const RowBlock& block, int64_t r) {
    float label = 0;
    if (label_) {
      label = number(block, r, *label_);
      if (!(label >= 0)) block.fail(r, columns_.label, "a grade must be a number that is not negative");
    }
    rows_.labels.push_back(label);
    if (query_) {
      const std::string_view key = block.cell(r, *query_);
      if (key.empty())
        block.fail(r, columns_.query,
                   "a row without a query: give the column as data.query, or a file of group sizes as `groups`");
      query_of_row_.push_back(query_index_.add(key));
    }
    if (item_) rows_.items.emplace_back(block.cell(r, *item_));
    for (size_t t = 0; t < texts_.size(); ++t) rows_.texts[t].emplace_back(block.cell(r, texts_[t]));
    if (sparse_)
      read_entries(block, r);
    else
      for (const size_t column : features_) rows_.values.push_back(number(block, r, column));
  }

  // The reader has checked indices and values.
  void read_entries(const RowBlock& block, int64_t r) {
    for_each_word(block.cell(r, *ids_), [&](std::string_view word) {
      uint32_t index = 0;
      std::from_chars(word.data(), word.data() + word.size(), index);
      entry_index_.push_back(index);
    });
    for_each_word(block.cell(r, *values_),
                  [&](std::string_view word) { entry_value_.push_back(static_cast<float>(*parse_number(word))); });
    entry_ends_.push_back(entry_index_.size());
  }

  void make_dense() {
    std::map<uint32_t, size_t> place;
    if (like_ != nullptr) {
      for (const std::string& name : *like_) {
        uint32_t index = 0;
        std::from_chars(name.data(), name.data() + name.size(), index);
        place.emplace(index, place.size());
      }
    } else {
      for (const uint32_t index : entry_index_) place.emplace(index, 0);
      size_t next = 0;
      for (auto& [index, at] : place) at = next++;
    }
    const size_t width = place.size();
    WN_CHECK(width <= static_cast<size_t>(kMaxRankingFeatures), DataError, "{}: {} features, at most {} are supported",
             rows_.name, width, kMaxRankingFeatures);
    for (const auto& [index, at] : place) rows_.features.push_back(std::to_string(index));
    if (like_ != nullptr) rows_.features = *like_;
    rows_.values.assign(rows_.labels.size() * width, absent_);
    size_t at = 0;
    for (size_t r = 0; r < entry_ends_.size(); ++r)
      for (; at < entry_ends_[r]; ++at)
        if (const auto found = place.find(entry_index_[at]); found != place.end())
          rows_.values[r * width + found->second] = entry_value_[at];
  }

  void group_by_sizes() {
    rows_.offsets = parse_group_sizes(read_text(source_.groups, kLargestGroupFile), source_.groups);
    WN_CHECK(rows_.offsets.back() == rows_.rows(), DataError, "{}: the groups have {} rows, {} has {}", source_.groups,
             rows_.offsets.back(), rows_.name, rows_.rows());
    for (size_t q = 1; q < rows_.offsets.size(); ++q) rows_.queries.push_back(std::to_string(q));
    rows_.source_rows.resize(rows_.labels.size());
    std::iota(rows_.source_rows.begin(), rows_.source_rows.end(), int64_t{0});
  }

  void group_by_key() {
    const auto n = static_cast<size_t>(query_index_.size());
    RankingRows all = std::move(rows_);
    all.source_rows.resize(all.labels.size());
    std::iota(all.source_rows.begin(), all.source_rows.end(), int64_t{0});
    std::vector<int64_t> order = all.source_rows;
    std::ranges::stable_sort(order, {}, [&](int64_t r) { return query_of_row_[static_cast<size_t>(r)]; });
    rows_ = reorder(all, order);
    rows_.offsets.assign(n + 1, 0);
    for (const int32_t q : query_of_row_) ++rows_.offsets[static_cast<size_t>(q) + 1];
    std::partial_sum(rows_.offsets.begin(), rows_.offsets.end(), rows_.offsets.begin());
    for (int32_t q = 0; q < query_index_.size(); ++q) rows_.queries.emplace_back(query_index_.text(q));
  }

  const RankingSource& source_;
  const RankingColumns& columns_;
  float absent_;
  const std::vector<std::string>* like_;
  bool labels_required_, sparse_;
  std::unique_ptr<RowReader> reader_;
  std::optional<size_t> label_, query_, item_, ids_, values_;
  std::vector<size_t> features_, texts_;
  RankingRows rows_;
  StringIndex query_index_;
  std::vector<int32_t> query_of_row_;
  std::vector<uint32_t> entry_index_;  // of libsvm lines, one after another
  std::vector<float> entry_value_;
  std::vector<size_t> entry_ends_;
};

}  // namespace

RankingRows read_ranking_rows(const RankingSource& source, const RankingColumns& columns, bool absent_is_zero,
                              const std::vector<std::string>* like, bool labels_required) {
  return Reader(source, columns, absent_is_zero, like, labels_required).read();
}

RankingRows select_queries(const RankingRows& rows, const std::vector<int64_t>& chosen) {
  std::vector<int64_t> order;
  std::vector<std::string> queries;
  std::vector<int64_t> offsets = {0};
  for (const int64_t query : chosen) {
    const auto q = static_cast<size_t>(query);
    for (int64_t r = rows.offsets[q]; r < rows.offsets[q + 1]; ++r) order.push_back(r);
    offsets.push_back(static_cast<int64_t>(order.size()));
    queries.push_back(rows.queries[q]);
  }
  RankingRows selected = reorder(rows, order);
  selected.offsets = std::move(offsets);
  selected.queries = std::move(queries);
  return selected;
}

}  // namespace winnow
