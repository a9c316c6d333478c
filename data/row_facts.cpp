#include "data/row_facts.h"

#include <algorithm>
#include <numeric>

#include "core/error.h"
#include "data/row_file.h"

namespace winnow {
namespace {

constexpr size_t kRows = 4096;

struct FactBuffer {
  std::vector<float> label, weight;
  std::vector<int32_t> user, item;
  std::vector<int64_t> timestamp;
  void clear() {
    label.clear();
    weight.clear();
    user.clear();
    item.clear();
    timestamp.clear();
  }
  RowFacts facts(int64_t first) const { return {first, label, weight, user, item, timestamp}; }
};

void visit_file(const Dataset& dataset, Split split, const std::function<void(const RowFacts&)>& visit) {
  const RowFile& file = *dataset.file;
  RowWords rows;
  FactBuffer buffer;
  for (size_t b = 0; b < file.blocks(split); ++b) {
    rows.clear();
    buffer.clear();
    file.read(split, b, rows);
    for (const size_t begin : rows.begin) {
      const RowView row(file.layout(), rows.words.data() + begin);
      buffer.label.push_back(row.label());
      buffer.weight.push_back(row.weight());
      buffer.user.push_back(row.user());
      buffer.item.push_back(row.item());
      if (dataset.report.timestamps) buffer.timestamp.push_back(row.time());
    }
    visit(buffer.facts(file.first_row(split, b)));
  }
}

// Appends a row of a file.
void append(const RowView& row, Dataset& d) {
  const uint32_t* dense = row.dense();
  for (int64_t k = 0; k < d.numbers(); ++k) d.dense.push_back(__builtin_bit_cast(float, dense[k]));
  const uint32_t* id = row.ids();
  for (int64_t f = 0; f < d.fields(); ++f) {
    for (int64_t k = row.length(f); k > 0; --k) d.ids.push_back(*id++);
    if (!d.offsets.empty()) d.offsets.push_back(static_cast<int64_t>(d.ids.size()));
  }
  d.label.push_back(row.label());
  d.weight.push_back(row.weight());
  d.user.push_back(row.user());
  d.item.push_back(row.item());
}

}  // namespace

void for_each_facts(const Dataset& dataset, Split split, const std::function<void(const RowFacts&)>& visit) {
  if (dataset.on_disk()) {
    visit_file(dataset, split, visit);
    return;
  }
  const std::vector<int32_t>& rows = dataset.split(split);
  FactBuffer buffer;
  for (size_t first = 0; first < rows.size(); first += kRows) {
    buffer.clear();
    for (size_t i = first; i < std::min(rows.size(), first + kRows); ++i) {
      const auto r = static_cast<size_t>(rows[i]);
      buffer.label.push_back(dataset.label[r]);
      buffer.weight.push_back(dataset.weight[r]);
      buffer.user.push_back(dataset.user[r]);
      buffer.item.push_back(dataset.item[r]);
      if (!dataset.timestamp.empty()) buffer.timestamp.push_back(dataset.timestamp[r]);
    }
    visit(buffer.facts(static_cast<int64_t>(first)));
  }
}

Dataset gather_rows(const Dataset& dataset, const std::vector<RowPlace>& places) {
  WN_CHECK(dataset.on_disk(), DataError, "gather_rows: the rows are in memory");
  const RowFile& file = *dataset.file;
  std::vector<size_t> order(places.size());  // blocks are read once each
  std::iota(order.begin(), order.end(), 0);
  std::ranges::sort(order, {}, [&](size_t i) { return std::pair(places[i].split, places[i].row); });
  Dataset d;
  d.map = dataset.map;
  if (file.layout().bags) d.offsets.push_back(0);
  std::vector<size_t> stored(places.size());  // where a place's row came to lie
  RowWords rows;
  Split split = Split::Train;
  int64_t first = 0, end = 0;
  for (const size_t i : order) {
    const RowPlace& p = places[i];
    if (p.split != split || p.row >= end) {
      split = p.split;
      const size_t block = file.block_of(split, p.row);
      rows.clear();
      file.read(split, block, rows);
      first = file.first_row(split, block);
      end = first + static_cast<int64_t>(rows.begin.size());
    }
    stored[i] = static_cast<size_t>(d.rows++);
    append(RowView(file.layout(), rows.words.data() + rows.begin[static_cast<size_t>(p.row - first)]), d);
  }
  d.train.assign(stored.begin(), stored.end());
  return d;
}

std::vector<RowPlace> latest_rows(const Dataset& dataset, RowKey keys, size_t count) {
  std::vector<RowPlace> places(count, {Split::Train, -1});
  std::vector<int64_t> times(count);
  for (const Split split : {Split::Train, Split::Valid, Split::Test})
    for_each_facts(dataset, split, [&](const RowFacts& f) {
      const std::span<const int32_t> key = f.*keys;
      for (size_t r = 0; r < key.size(); ++r) {
        const auto k = static_cast<size_t>(key[r]);
        const int64_t time = f.timestamp.empty() ? 0 : f.timestamp[r];
        const bool first = places[k].row < 0;
        if (!first && (split == Split::Test ? places[k].split != Split::Test || time >= times[k] : time < times[k]))
          continue;
        places[k] = {split, f.first + static_cast<int64_t>(r)};
        times[k] = time;
      }
    });
  return places;
}

}  // namespace winnow
