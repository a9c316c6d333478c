#include "data/catalogue.h"

#include <algorithm>

#include "core/checksum.h"
#include "core/error.h"

namespace winnow {
namespace {

[[noreturn]] void refuse(const std::string& path, const std::string& problem) {
  throw IoError(fmt::format("{}: {}; train again, or copy the run's files again", path, problem));
}

// The named tensor of this type, of rows x width where those are not -1.
template <class T>
std::span<const T> read(const SafeTensors& file, const std::string& path, const std::string& name, int64_t rows,
                        int64_t width = -1) {
  const Tensor t = file.at(name);
  const Shape& s = t.shape();
  const bool fits = t.dtype() == dtype_of<T>() && s.rank() == (width < 0 ? 1 : 2) && (rows < 0 || s[0] == rows) &&
                    (width < 0 || s[1] == width);
  if (!fits) refuse(path, fmt::format("'{}' has another type or shape than a catalogue's", name));
  return {t.data<T>(), static_cast<size_t>(t.numel())};
}

// begin[0] = 0 <= begin[1] <= .. = size.
void check_begins(std::span<const int64_t> begin, size_t size, const std::string& path, const char* name) {
  if (begin.empty() || begin.front() != 0 || begin.back() != static_cast<int64_t>(size) ||
      !std::ranges::is_sorted(begin))
    refuse(path, fmt::format("'{}' is damaged", name));
}

// Offsets of texts, checked; rows -1: any number.
std::span<const int64_t> text_begins(const SafeTensors& file, const std::string& path, const std::string& name,
                                     std::string_view& bytes, int64_t texts) {
  const auto characters = read<uint8_t>(file, path, name, -1);
  const auto begin = read<int64_t>(file, path, name + "_begin", texts < 0 ? -1 : texts + 1);
  check_begins(begin, characters.size(), path, name.c_str());
  bytes = {reinterpret_cast<const char*>(characters.data()), characters.size()};
  return begin;
}

StringIndex read_keys(const SafeTensors& file, const std::string& path, const std::string& name) {
  std::string_view bytes;
  const auto begin = text_begins(file, path, name, bytes, -1);
  StringIndex index;
  for (size_t i = 0; i + 1 < begin.size(); ++i)
    if (index.add(bytes.substr(static_cast<size_t>(begin[i]), static_cast<size_t>(begin[i + 1] - begin[i]))) !=
        static_cast<int32_t>(i))
      refuse(path, fmt::format("'{}' has a key twice", name));
  return index;
}

struct SideWidth {
  int64_t fields = 0, floats = 0;
};
SideWidth width_of(const FeatureMap& map, FeatureSide side) {
  SideWidth w;
  for (const FittedFeature& f : map.features)
    if (side_of(f) == side) has_ids(f.spec) ? ++w.fields : w.floats += f.width();
  return w;
}

}  // namespace

FeatureSide side_of(const FittedFeature& feature) {
  return feature.spec.source == FeatureSource::Item ? FeatureSide::Item : FeatureSide::User;
}

std::string catalogue_fingerprint(const FeatureMap& map) {
  const std::string json = map.json();
  return fmt::format("{:08x}", crc32c(json.data(), json.size()));
}

void join_sides(const FeatureMap& map, const EncodedSide& user, const EncodedSide& item, EncodedRow& row) {
  row.ids.clear(), row.lengths.clear(), row.dense.clear();
  struct Reading {
    const EncodedSide& side;
    size_t id = 0, length = 0, number = 0;
  };
  Reading readings[2] = {{user}, {item}};
  for (const FittedFeature& f : map.features) {
    Reading& r = readings[side_of(f) == FeatureSide::Item ? 1 : 0];
    if (!has_ids(f.spec)) {
      const auto width = static_cast<size_t>(f.width());
      WN_CHECK(r.number + width <= r.side.dense.size(), ShapeError, "a side has no numbers of feature '{}'",
               f.spec.name);
      const auto at = r.side.dense.begin() + static_cast<std::ptrdiff_t>(r.number);
      row.dense.insert(row.dense.end(), at, at + static_cast<std::ptrdiff_t>(width));
      r.number += width;
      continue;
    }
    WN_CHECK(r.length < r.side.lengths.size(), ShapeError, "a side has no ids of feature '{}'", f.spec.name);
    const int32_t length = r.side.lengths[r.length++];
    WN_CHECK(length >= 0 && r.id + static_cast<size_t>(length) <= r.side.ids.size(), ShapeError,
             "a side has fewer ids of feature '{}' than it says", f.spec.name);
    const auto at = r.side.ids.begin() + static_cast<std::ptrdiff_t>(r.id);
    row.ids.insert(row.ids.end(), at, at + length);
    row.lengths.push_back(length);
    r.id += static_cast<size_t>(length);
  }
  for (const Reading& r : readings)
    WN_CHECK(r.id == r.side.ids.size() && r.length == r.side.lengths.size() && r.number == r.side.dense.size(),
             ShapeError, "a side has more features than the feature map");
}

EncodedRow unknown_side(const FeatureMap& map, FeatureSide side) {
  EncodedRow row;
  const std::string& id_column = side == FeatureSide::Item ? map.item_id : map.user_id;
  for (const FittedFeature& f : map.features) {
    if (side_of(f) != side) continue;
    if (!has_ids(f.spec)) {
      FeatureMap::encode_dense(f, std::string_view(), row.dense);
      continue;
    }
    const size_t before = row.ids.size();
    if (f.spec.column == id_column && f.oov() >= 0)
      row.ids.push_back(f.oov());
    else
      FeatureMap::encode_ids(f, std::string_view(), row.ids);
    row.lengths.push_back(static_cast<int32_t>(row.ids.size() - before));
  }
  return row;
}

Catalogue::Catalogue(const std::string& path, const FeatureMap& map)
    : Catalogue(SafeTensors::open(path), path, map, /*verify=*/true) {}

Catalogue::Catalogue(SafeTensors file, const std::string& path, const FeatureMap& map, bool verify)
    : file_(std::move(file)), map_(map) {
  const auto& facts = file_.metadata();
  const auto version = facts.find("winnow_catalogue"), made_for = facts.find("feature_map");
  if (version == facts.end() || version->second != "1") refuse(path, "no catalogue that this program can read");
  if (verify) file_.verify();
  if (made_for == facts.end() || made_for->second != catalogue_fingerprint(map))
    refuse(path, "made with another feature_map.json");
  user_keys_ = read_keys(file_, path, "user.keys");
  item_keys_ = read_keys(file_, path, "item.keys");
  title_begin_ = text_begins(file_, path, "item.titles", titles_, -1);
  if (const auto titles = static_cast<int64_t>(title_begin_.size()) - 1; titles != 0 && titles != items())
    refuse(path, "there are more or fewer titles than items");
  read_side(path, FeatureSide::User, users(), user_);
  read_side(path, FeatureSide::Item, items(), item_);
  offsets_ = read<int64_t>(file_, path, "taken.begin", users() + 1);
  taken_items_ = read<int64_t>(file_, path, "taken.items", -1);
  const auto taken = static_cast<int64_t>(taken_items_.size());
  check_begins(offsets_, taken_items_.size(), path, "taken.begin");
  if (!std::ranges::all_of(taken_items_, [&](int64_t i) { return i >= 0 && i < items(); }))
    refuse(path, "an interaction is with an item that does not exist");
  taken_times_ = read<int64_t>(file_, path, "taken.times", taken);
  taken_labels_ = read<float>(file_, path, "taken.labels", taken);
  positives_ = read<int64_t>(file_, path, "item.positives", items());
  first_time_ = read<int64_t>(file_, path, "item.first_time", items());
  stranger_ = unknown_side(map, FeatureSide::User);
}

// Ids lie in their tables and bags have the lengths that their features allow, so that no lookup can leave a table.
void Catalogue::read_side(const std::string& path, FeatureSide which, int64_t count, Side& side) {
  const std::string name = which == FeatureSide::User ? "user" : "item";
  const SideWidth width = width_of(map_, which);
  side.fields = width.fields, side.floats = width.floats;
  side.ids = read<int64_t>(file_, path, name + ".ids", -1);
  side.ids_begin = read<int64_t>(file_, path, name + ".ids_begin", count + 1);
  check_begins(side.ids_begin, side.ids.size(), path, "ids_begin");
  side.lengths = read<int32_t>(file_, path, name + ".lengths", count, width.fields);
  side.dense = read<float>(file_, path, name + ".dense", count, width.floats);
  std::vector<const FittedFeature*> fields;
  for (const FittedFeature& f : map_.features)
    if (side_of(f) == which && has_ids(f.spec)) fields.push_back(&f);
  for (int64_t n = 0; n < count; ++n) {
    int64_t at = side.ids_begin[static_cast<size_t>(n)];
    const int64_t end = side.ids_begin[static_cast<size_t>(n) + 1];
    for (size_t f = 0; f < fields.size(); ++f) {
      const int64_t length = side.lengths[static_cast<size_t>(n) * fields.size() + f];
      const bool bag = has_bags(fields[f]->spec);
      if (length < (bag ? 0 : 1) || length > (bag ? fields[f]->spec.max_len : 1) || length > end - at)
        refuse(path, fmt::format("'{}.lengths' is damaged", name));
      for (const int64_t id : side.ids.subspan(static_cast<size_t>(at), static_cast<size_t>(length)))
        if (id < 0 || id >= fields[f]->rows())
          refuse(path, fmt::format("'{}.ids' has an id outside of feature '{}'", name, fields[f]->spec.name));
      at += length;
    }
    if (at != end) refuse(path, fmt::format("'{}.lengths' is damaged", name));
  }
}

std::string_view Catalogue::item_title(int64_t item) const {
  if (title_begin_.size() < 2) return {};
  const auto begin = static_cast<size_t>(title_begin_[static_cast<size_t>(item)]);
  return titles_.substr(begin, static_cast<size_t>(title_begin_[static_cast<size_t>(item) + 1]) - begin);
}

EncodedSide Catalogue::side(FeatureSide which, int64_t index) const {
  const Side& side = which == FeatureSide::User ? user_ : item_;
  const auto n = static_cast<size_t>(index), fields = static_cast<size_t>(side.fields),
             floats = static_cast<size_t>(side.floats);
  const auto begin = static_cast<size_t>(side.ids_begin[n]), end = static_cast<size_t>(side.ids_begin[n + 1]);
  return {side.ids.subspan(begin, end - begin), side.lengths.subspan(n * fields, fields),
          side.dense.subspan(n * floats, floats)};
}

void Catalogue::row(int64_t user, int64_t item, EncodedRow& row) const {
  join_sides(map_, user < 0 ? stranger() : side(FeatureSide::User, user), side(FeatureSide::Item, item), row);
}

TakenItem Catalogue::taken(int64_t user, int64_t n) const {
  const auto at = static_cast<size_t>(offsets_[static_cast<size_t>(user)] + n);
  return {taken_items_[at], taken_times_[at], taken_labels_[at]};
}

std::span<const int64_t> Catalogue::taken_items(int64_t user) const {
  return taken_items_.subspan(static_cast<size_t>(offsets_[static_cast<size_t>(user)]),
                              static_cast<size_t>(taken(user)));
}

std::vector<std::string_view> Catalogue::values(int64_t item, size_t feature) const {
  std::vector<std::string_view> out;
  const FittedFeature& wanted = map_.features.at(feature);
  WN_CHECK(side_of(wanted) == FeatureSide::Item && has_ids(wanted.spec) && has_vocabulary(wanted.spec), ConfigError,
           "feature '{}' has no values that an item could be asked for", wanted.spec.name);
  const EncodedSide s = side(FeatureSide::Item, item);
  size_t at = 0, field = 0;
  for (size_t f = 0; f < feature; ++f)
    if (side_of(map_.features[f]) == FeatureSide::Item && has_ids(map_.features[f].spec))
      at += static_cast<size_t>(s.lengths[field++]);
  for (const int64_t id : s.ids.subspan(at, static_cast<size_t>(s.lengths[field])))
    if (id != Vocabulary::kPad && id != wanted.oov()) out.push_back(wanted.vocabulary.value(id));
  return out;
}

}  // namespace winnow
