// Which ids of a lookup form which bag, and which rows they mean: the attributes of embedding_bag, parsed once.
#pragma once
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "core/math.h"
#include "core/op.h"

namespace winnow {

// Row of the stack, or -1 for a missing id, of a feature whose `rows` rows start at `base`.
WN_HD int64_t row_of_id(int64_t id, int64_t base, int64_t rows, int64_t padding_id) {
  return static_cast<uint64_t>(id) < static_cast<uint64_t>(rows) && id != padding_id ? base + id : -1;
}

struct BagSpec {
  enum Pool : uint8_t { Sum, Mean, Max };
  int64_t features = 1, bags = 0, capacity = 0;  // bags = batch * features; capacity = number of id positions
  bool has_offsets = false, has_weights = false, any_mean = false, any_max = false;
  int64_t padding_id = -1;
  std::vector<int64_t> base, rows;  // per feature
  std::vector<uint8_t> pool;

  int64_t row(int64_t feature, int64_t id) const {
    const auto f = static_cast<size_t>(feature);
    return row_of_id(id, base[f], rows[f], padding_id);
  }
  int64_t table_rows() const {  // the stack has at least this many
    int64_t most = 0;
    for (size_t f = 0; f < base.size(); ++f) most = std::max(most, base[f] + rows[f]);
    return most;
  }
  Shape out_shape(const Shape& ids, int64_t dim) const {
    if (has_offsets) return {bags / features, features, dim};
    std::vector<int64_t> dims(ids.dims().begin(), ids.dims().end());
    dims.push_back(dim);
    return Shape(dims);
  }
  int inputs() const { return 1 + (has_offsets ? 1 : 0) + (has_weights ? 1 : 0); }  // ids, offsets, weights
};

// Reads row_base, rows, pooling, padding_id, has_offsets, has_weights, each followed by `suffix`.
inline BagSpec read_bags(const Attrs& attrs, const std::string& suffix, const Shape& ids, const Shape* offsets) {
  BagSpec s;
  s.has_offsets = attrs.flag("has_offsets" + suffix);
  s.has_weights = attrs.flag("has_weights" + suffix);
  s.padding_id = attrs.integer("padding_id" + suffix, -1);
  s.base = attrs.integers("row_base" + suffix);
  s.rows = attrs.integers("rows" + suffix);
  for (const int64_t p : attrs.integers("pooling" + suffix)) {
    WN_CHECK(p >= 0 && p <= 2, ShapeError, "pooling {} is not 0 (sum), 1 (mean) or 2 (max)", p);
    s.pool.push_back(static_cast<uint8_t>(p));
  }
  const size_t most = std::max({s.base.size(), s.rows.size(), s.pool.size()});
  WN_CHECK(most >= 1, ShapeError, "row_base, rows and pooling are empty; a lookup has at least one feature");
  const auto spread = [&](auto& list, const char* name) {
    WN_CHECK(list.size() == most || list.size() == 1, ShapeError, "{} has {} entries, expected 1 or {}", name,
             list.size(), most);
    list.resize(most, list[0]);
  };
  spread(s.base, "row_base");
  spread(s.rows, "rows");
  spread(s.pool, "pooling");
  for (size_t f = 0; f < most; ++f) {
    constexpr int64_t kMost = int64_t{1} << 48;
    WN_CHECK(s.base[f] >= 0 && s.rows[f] >= 0 && s.base[f] <= kMost && s.rows[f] <= kMost, ShapeError,
             "feature {} has row_base {} and {} rows", f, s.base[f], s.rows[f]);
    s.any_mean |= s.pool[f] == BagSpec::Mean;
    s.any_max |= s.pool[f] == BagSpec::Max;
  }
  s.features = static_cast<int64_t>(most);
  s.capacity = ids.numel();
  if (s.has_offsets) {
    WN_CHECK(
        ids.rank() == 1 && offsets->rank() == 1 && offsets->numel() >= 1 && (offsets->numel() - 1) % s.features == 0,
        ShapeError, "with offsets, ids must have shape [capacity] and offsets [batch * {} + 1]; they are {} and {}",
        s.features, ids.str(), offsets->str());
    s.bags = offsets->numel() - 1;
  } else {
    WN_CHECK(ids.rank() >= 1 && (s.features == 1 || ids.back() == s.features), ShapeError,
             "ids {} do not end in the {} features of row_base, rows and pooling", ids.str(), s.features);
    WN_CHECK(!s.any_mean && !s.any_max, ShapeError, "pooling needs offsets: without them a bag holds one id");
    s.bags = s.capacity;
  }
  WN_CHECK(!(s.any_max && s.has_weights), ShapeError, "max pooling takes no weights");
  return s;
}

// The same for inputs `first`.. = ids, [offsets], [weights, unless they are not among the inputs]; failures name
// operator and source line.
inline BagSpec infer_bags(const Infer& in, int first, const std::string& suffix = "", bool weights_given = true) {
  try {
    const bool offsets = in.attrs().flag("has_offsets" + suffix),
               weights = weights_given && in.attrs().flag("has_weights" + suffix);
    const int need = first + 1 + (offsets ? 1 : 0) + (weights ? 1 : 0);
    in.check(in.inputs() >= need, "expected at least {} inputs, got {}", need, in.inputs());
    in.expect_dtype(first, {DType::I64});
    if (offsets) in.expect_dtype(first + 1, {DType::I64});
    if (weights) {
      in.expect_dtype(need - 1, {DType::F32, DType::F64});
      in.expect_shape(need - 1, in.shape(first));
    }
    return read_bags(in.attrs(), suffix, in.shape(first), offsets ? &in.shape(first + 1) : nullptr);
  } catch (const Error& e) {
    const std::string text = e.what();
    if (text.find("(): ") != std::string::npos) throw;
    in.fail(text);
  }
}

// Pointers of one call. offsets and weights are null where absent.
template <class T>
struct BagData {
  const int64_t* ids;
  const int64_t* offsets;
  const T* weights;
  int64_t capacity;

  BagData(const Call& c, const BagSpec& s, int first)
      : ids(c.in<int64_t>(first)),
        offsets(s.has_offsets ? c.in<int64_t>(first + 1) : nullptr),
        weights(s.has_weights ? c.in<T>(first + s.inputs() - 1) : nullptr),
        capacity(s.capacity) {}
  BagData(const int64_t* ids_, const int64_t* offsets_, const T* weights_, int64_t capacity_)
      : ids(ids_), offsets(offsets_), weights(weights_), capacity(capacity_) {}
  // Positions of a bag; offsets outside [0, capacity] are cut, falling ones give an empty bag.
  WN_HD int64_t begin(int64_t bag) const { return offsets != nullptr ? cut(offsets[bag]) : bag; }
  WN_HD int64_t end(int64_t bag) const { return offsets != nullptr ? cut(offsets[bag + 1]) : bag + 1; }
  WN_HD int64_t cut(int64_t offset) const { return offset < 0 ? 0 : offset < capacity ? offset : capacity; }
};

// Number of ids of a bag that are not missing.
inline int64_t valid_ids(const BagSpec& s, const int64_t* ids, int64_t begin, int64_t end, int64_t feature) {
  int64_t n = 0;
  for (int64_t k = begin; k < end; ++k) n += s.row(feature, ids[k]) >= 0;
  return n;
}

}  // namespace winnow
