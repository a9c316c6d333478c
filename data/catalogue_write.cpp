#include <algorithm>
#include <numeric>

#include "data/catalogue.h"
#include "data/dataset.h"
#include "data/row_facts.h"

namespace winnow {
namespace {

template <class T>
Tensor tensor_of(const std::vector<T>& values, const Shape& shape) {
  return Tensor::of<T>(values, shape);
}
template <class T>
Tensor tensor_of(const std::vector<T>& values) {
  return tensor_of(values, {static_cast<int64_t>(values.size())});
}

// Texts one behind the other, and where each begins.
void append_texts(std::vector<NamedTensor>& out, const std::string& name, const std::vector<std::string>& texts) {
  std::vector<uint8_t> bytes;
  std::vector<int64_t> begin = {0};
  for (const std::string& t : texts) {
    bytes.insert(bytes.end(), t.begin(), t.end());
    begin.push_back(static_cast<int64_t>(bytes.size()));
  }
  out.push_back({name, tensor_of(bytes)});
  out.push_back({name + "_begin", tensor_of(begin)});
}

// Of rows in memory (gather_rows() of those on disk) the features of one side.
class SideWriter {
 public:
  SideWriter(const Dataset& rows, FeatureSide side) : rows_(rows), unknown_(unknown_side(rows.map, side)) {
    const FeatureMap& map = rows.map;
    for (size_t f = 0; f < map.fields().size(); ++f)
      if (side_of(map.field(f)) == side) fields_.push_back(static_cast<int64_t>(f));
    for (size_t k = 0; k < map.numbers().size(); ++k)
      if (side_of(map.features[static_cast<size_t>(map.numbers()[k])]) == side)
        for (int64_t at = map.dense_begin(k); at < map.dense_begin(k + 1); ++at) floats_.push_back(at);
  }
  void append_unknown() { append(view_of(unknown_)); }
  void append_row(int64_t row) {
    row_.ids.clear(), row_.lengths.clear(), row_.dense.clear();
    for (const int64_t f : fields_) {
      const int64_t bag = row * rows_.fields() + f;
      const int64_t begin = rows_.offsets.empty() ? bag : rows_.offsets[static_cast<size_t>(bag)];
      const int64_t end = rows_.offsets.empty() ? bag + 1 : rows_.offsets[static_cast<size_t>(bag) + 1];
      row_.ids.insert(row_.ids.end(), rows_.ids.begin() + begin, rows_.ids.begin() + end);
      row_.lengths.push_back(static_cast<int32_t>(end - begin));
    }
    for (const int64_t k : floats_) row_.dense.push_back(rows_.dense[static_cast<size_t>(row * rows_.numbers() + k)]);
    append(view_of(row_));
  }
  void take(std::vector<NamedTensor>& out, const std::string& name) const {
    const auto n = static_cast<int64_t>(ids_begin_.size()) - 1;
    out.push_back({name + ".ids", tensor_of(ids_)});
    out.push_back({name + ".ids_begin", tensor_of(ids_begin_)});
    out.push_back({name + ".lengths", tensor_of(lengths_, {n, static_cast<int64_t>(fields_.size())})});
    out.push_back({name + ".dense", tensor_of(dense_, {n, static_cast<int64_t>(floats_.size())})});
  }

 private:
  void append(const EncodedSide& side) {
    ids_.insert(ids_.end(), side.ids.begin(), side.ids.end());
    ids_begin_.push_back(static_cast<int64_t>(ids_.size()));
    lengths_.insert(lengths_.end(), side.lengths.begin(), side.lengths.end());
    dense_.insert(dense_.end(), side.dense.begin(), side.dense.end());
  }
  const Dataset& rows_;
  EncodedRow unknown_, row_;
  std::vector<int64_t> fields_, floats_, ids_, ids_begin_ = {0};
  std::vector<int32_t> lengths_;
  std::vector<float> dense_;
};

void append_sides(std::vector<NamedTensor>& out, const Dataset& dataset, FeatureSide side, RowKey key, size_t count,
                  const std::string& name) {
  const std::vector<RowPlace> latest = latest_rows(dataset, key, count);
  std::vector<RowPlace> wanted;
  for (const RowPlace& p : latest)
    if (p.row >= 0) wanted.push_back(p);
  const Dataset gathered = dataset.on_disk() ? gather_rows(dataset, wanted) : Dataset{};
  SideWriter writer(dataset.on_disk() ? gathered : dataset, side);
  size_t found = 0;
  for (const RowPlace& p : latest)
    if (p.row < 0)
      writer.append_unknown();
    else if (dataset.on_disk())
      writer.append_row(gathered.train[found++]);
    else
      writer.append_row(dataset.split(p.split)[static_cast<size_t>(p.row)]);
  writer.take(out, name);
}

void append_taken(std::vector<NamedTensor>& out, const Dataset& dataset) {
  const bool sampled = dataset.report.negatives > 0 || dataset.in_batch != nullptr;
  const size_t users = dataset.user_keys.size();
  std::vector<int64_t> offsets(users + 1), positives(dataset.item_keys.size()), first_time(positives.size());
  const auto each = [&](auto&& visit) {
    for (const Split split : {Split::Train, Split::Valid})
      for_each_facts(dataset, split, [&](const RowFacts& f) {
        for (size_t r = 0; r < f.user.size(); ++r)
          if (!sampled || f.label[r] > 0.5f)
            visit(static_cast<size_t>(f.user[r]),
                  TakenItem{f.item[r], f.timestamp.empty() ? 0 : f.timestamp[r], f.label[r]});
      });
  };
  each([&](size_t user, const TakenItem&) { ++offsets[user + 1]; });
  std::partial_sum(offsets.begin(), offsets.end(), offsets.begin());
  std::vector<TakenItem> taken(static_cast<size_t>(offsets.back()));
  std::vector<int64_t> next(offsets.begin(), offsets.end() - 1);
  each([&](size_t user, const TakenItem& t) {
    taken[static_cast<size_t>(next[user]++)] = t;
    const auto i = static_cast<size_t>(t.item);
    if (t.label <= 0.5f) return;
    ++positives[i];
    first_time[i] = first_time[i] == 0 ? t.time : std::min(first_time[i], t.time);
  });
  std::vector<int64_t> items, times;
  std::vector<float> labels;
  for (size_t u = 0; u < users; ++u) {
    const auto begin = taken.begin() + offsets[u], end = taken.begin() + offsets[u + 1];
    std::stable_sort(begin, end, [](const TakenItem& x, const TakenItem& y) { return x.time < y.time; });
    for (auto t = begin; t != end; ++t) items.push_back(t->item), times.push_back(t->time), labels.push_back(t->label);
  }
  out.push_back({"taken.begin", tensor_of(offsets)});
  out.push_back({"taken.items", tensor_of(items)});
  out.push_back({"taken.times", tensor_of(times)});
  out.push_back({"taken.labels", tensor_of(labels)});
  out.push_back({"item.positives", tensor_of(positives)});
  out.push_back({"item.first_time", tensor_of(first_time)});
}

}  // namespace

void write_catalogue(const std::string& path, const Dataset& dataset) {
  std::vector<NamedTensor> out;
  append_texts(out, "user.keys", dataset.user_keys);
  append_texts(out, "item.keys", dataset.item_keys);
  append_texts(out, "item.titles", dataset.item_titles);
  append_sides(out, dataset, FeatureSide::User, &RowFacts::user, dataset.user_keys.size(), "user");
  append_sides(out, dataset, FeatureSide::Item, &RowFacts::item, dataset.item_keys.size(), "item");
  append_taken(out, dataset);
  save_safetensors(path, out, {{"winnow_catalogue", "1"}, {"feature_map", catalogue_fingerprint(dataset.map)}});
}

}  // namespace winnow
