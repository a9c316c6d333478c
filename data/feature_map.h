// From raw cells to ids and numbers, as fitted on the training split. The same code encodes training rows and requests.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/schema.h"
#include "data/string_index.h"

namespace winnow {

// Rows of an embedding table: 0 is PAD, 1 .. V are the values by falling frequency (ties by their bytes), V + 1 is OOV.
// Copies share the texts until one of them grows.
class Vocabulary {
 public:
  static constexpr int64_t kPad = 0;
  bool add(std::string_view value);           // false: it is there already
  int64_t id(std::string_view value) const {  // oov() for an unseen value
    const int32_t n = values_->find(value);
    return n < 0 ? oov() : int64_t{n} + 1;
  }
  int64_t size() const { return values_->size(); }
  int64_t oov() const { return size() + 1; }
  int64_t rows() const { return size() + 2; }
  std::string_view value(int64_t id) const { return values_->text(static_cast<int32_t>(id - 1)); }  // 1 <= id <= size()

 private:
  std::shared_ptr<StringIndex> values_ = std::make_shared<StringIndex>();
};

struct FittedFeature {
  FeatureSpec spec;
  Vocabulary vocabulary;              // has_vocabulary(spec)
  double mean = 0, deviation = 1;     // numeric: standard; min_max: the least value and the range
  double missing = 0;                 // numeric: the encoded value of an empty cell
  std::vector<double> knots, levels;  // numeric, quantile: values, and the share of training values below them
  std::vector<double> boundaries;     // numeric with ids
  std::vector<float> mean_image;      // image

  int64_t rows() const;   // of its embedding table, 0 when it gives floats: PAD, values, and OOV of a vocabulary
  int64_t width() const;  // floats that it gives a row, 0 when it gives ids
  int64_t oov() const;    // the id of unseen values; -1: there is none
  // Of a number that is there: with t = transform(normalizer, x)
  //   none, log: t; standard, log_standard: (t - mean) / deviation; min_max: (t - least) / (most - least), not cut off
  //   outside; quantile: F(x) = (#{training values < x} + #{= x} / 2) / n at up to 1000 knots, straight lines between
  //   them, constant outside.
  double scaled(double x) const;
  std::string str() const;  // what was fitted, for people: "751 values", "log_standard, mean 1.2, deviation 0.9"
};
constexpr int64_t kMaxOneHot = 1024, kMaxKnots = 1000;

// One encoded row. The ids of all features that have ids in schema order, lengths[f] of them for each.
struct EncodedRow {
  std::vector<int64_t> ids;
  std::vector<int32_t> lengths;
  std::vector<float> dense;
};

class FeatureMap {
 public:
  std::vector<FittedFeature> features;  // in schema order
  std::string user_id, item_id;         // column names

  // Features that give ids (has_ids) and those that give floats: positions in `features`, in schema order.
  const std::vector<int32_t>& fields() const { return fields_; }
  const std::vector<int32_t>& numbers() const { return numbers_; }
  const FittedFeature& field(size_t f) const { return features[static_cast<size_t>(fields_[f])]; }
  int64_t rows(size_t f) const { return field(f).rows(); }
  int64_t dense_width() const { return dense_begin_.back(); }  // floats of a row
  // Features numbers()[k] has floats [dense_begin(k), dense_begin(k + 1)) of a row.
  int64_t dense_begin(size_t k) const { return dense_begin_[k]; }
  bool has_bags() const;        // some feature has bags: batches carry offsets
  int64_t ids_per_row() const;  // most ids a row can have: sum of max_len
  int user_field() const;       // the field whose column is the user id; -1 none
  int item_field() const;
  int shared_field(size_t f) const;             // the field whose embedding field f shares; -1: its own
  size_t feature(std::string_view name) const;  // DataError with the nearest name

  // cells: one for each feature, in order; an empty one is missing. Replaces `out`, which keeps its memory.
  // DataError: a number that is none. Bags are never longer than max_len; a bag without ids has length 0.
  void encode_row(std::span<const std::string_view> cells, EncodedRow& out) const;
  // The parts of encode_row: append the ids or the feature.width() floats of one cell. The second forms take the number
  // of a cell that was parsed already (reads_numbers(feature.spec)), NaN when it is missing.
  static void encode_ids(const FittedFeature& feature, std::string_view cell, std::vector<int64_t>& ids);
  static void encode_ids(const FittedFeature& feature, double x, std::vector<int64_t>& ids);
  static void encode_dense(const FittedFeature& feature, std::string_view cell, std::vector<float>& dense);
  static void encode_dense(const FittedFeature& feature, double x, std::vector<float>& dense);

  void save(const std::string& path) const;         // feature_map.json; reads back equal
  static FeatureMap load(const std::string& path);  // DataError names path and place
  std::string json() const;
  static FeatureMap from_json(std::string_view text, const std::string& name);
  void index();  // to be called after `features` changed

 private:
  std::vector<int32_t> fields_, numbers_;
  std::vector<int64_t> dense_begin_ = {0};
};

// log x = sign(x) ln(1 + |x|), or x.
double transform(Normalizer normalizer, double x);

}  // namespace winnow
