// What answering requests needs to know of the data that a click model was trained on: users, items, their encoded
// features and who took what, in one file that is mapped: <run>/catalogue.safetensors.
//
//   write_catalogue(path, dataset);                       // at the end of a training
//   const Catalogue c(path, map);
//   const int64_t u = c.find_user("196"), i = c.find_item("242");
//   c.side(FeatureSide::Item, i);                         // its encoded features
//   c.row(u, i, row);                                     // what the model scores
//
// The features of a user (and of the context) are those of the user's latest row before the test split, else of the
// first; an item's likewise: as train/candidates.h ranks a catalogue, so that a served score is the one evaluated.
// Users and items without a row (those of a side table whom no interaction names) have the side of an unknown one.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "core/safetensors.h"
#include "data/feature_map.h"
#include "data/string_index.h"

namespace winnow {

struct Dataset;

// Features come from the item, or with the user: those of the user and of the context (data/schema.h, FeatureSource).
enum class FeatureSide : uint8_t { User, Item };
FeatureSide side_of(const FittedFeature& feature);

// One side of a row: the ids, their numbers and the floats of its features, in schema order.
struct EncodedSide {
  std::span<const int64_t> ids;
  std::span<const int32_t> lengths;
  std::span<const float> dense;
};
inline EncodedSide view_of(const EncodedRow& row) { return {row.ids, row.lengths, row.dense}; }
// Both sides as one row of `map`, whose memory is kept. ShapeError: not sides of this map.
void join_sides(const FeatureMap& map, const EncodedSide& user, const EncodedSide& item, EncodedRow& row);
// The side of someone unknown: every feature missing, the id unseen.
EncodedRow unknown_side(const FeatureMap& map, FeatureSide side);

// One interaction of training or validation.
struct TakenItem {
  int64_t item = 0, time = 0;  // time: seconds, 0 without timestamps
  float label = 0;
};

class Catalogue {
 public:
  // IoError: absent, damaged, or of another feature map: every count and id is checked.
  Catalogue(const std::string& path, const FeatureMap& map);
  // Of bytes that were opened before, whose checksums may be passed over; path: in messages.
  Catalogue(SafeTensors file, const std::string& path, const FeatureMap& map, bool verify);

  const FeatureMap& features() const { return map_; }
  int64_t users() const { return user_keys_.size(); }
  int64_t items() const { return item_keys_.size(); }
  int64_t find_user(std::string_view key) const { return user_keys_.find(key); }  // -1: unknown
  int64_t find_item(std::string_view key) const { return item_keys_.find(key); }
  std::string_view user_key(int64_t user) const { return user_keys_.text(static_cast<int32_t>(user)); }
  std::string_view item_key(int64_t item) const { return item_keys_.text(static_cast<int32_t>(item)); }
  std::string_view item_title(int64_t item) const;  // "" without titles

  EncodedSide side(FeatureSide side, int64_t index) const;
  // The side of a user nobody knows: every feature missing, the user id unseen.
  EncodedSide stranger() const { return view_of(stranger_); }
  void row(int64_t user, int64_t item, EncodedRow& row) const;  // user -1: a stranger

  // The user's interactions in training and validation, by time (the order of the file without one). With sampled
  // negatives positives alone: what was drawn was not taken.
  int64_t taken(int64_t user) const {
    return offsets_[static_cast<size_t>(user) + 1] - offsets_[static_cast<size_t>(user)];
  }
  TakenItem taken(int64_t user, int64_t n) const;
  std::span<const int64_t> taken_items(int64_t user) const;
  // Interactions of the item with label > 0.5 in training and validation; the time of its first, 0 for none.
  int64_t positives(int64_t item) const { return positives_[static_cast<size_t>(item)]; }
  int64_t first_time(int64_t item) const { return first_time_[static_cast<size_t>(item)]; }

  // Words and values of an item's features with a vocabulary, for people, filters and text search: of field f (position
  // in map.features) the values of its ids that are neither PAD nor OOV.
  std::vector<std::string_view> values(int64_t item, size_t feature) const;

 private:
  struct Side {
    std::span<const int64_t> ids, ids_begin;  // ids_begin [n + 1]
    std::span<const int32_t> lengths;         // [n, fields of this side]
    std::span<const float> dense;             // [n, floats of this side]
    int64_t fields = 0, floats = 0;
  };
  void read_side(const std::string& path, FeatureSide which, int64_t count, Side& side);

  SafeTensors file_;
  FeatureMap map_;  // shares its texts
  StringIndex user_keys_, item_keys_;
  Side user_, item_;
  EncodedRow stranger_;
  std::span<const int64_t> title_begin_, offsets_, taken_items_, taken_times_, positives_, first_time_;
  std::span<const float> taken_labels_;
  std::string_view titles_;
};

// Tells feature maps apart.
std::string catalogue_fingerprint(const FeatureMap& map);

// Atomically; IoError. Rows of `dataset` may be on disk.
void write_catalogue(const std::string& path, const Dataset& dataset);

}  // namespace winnow
