#include "nn/embedding.h"

#include <algorithm>

#include "ops/pointwise.h"

namespace winnow {
namespace {

size_t owner(const std::vector<EmbeddingField>& fields, size_t f) {
  return fields[f].shares < 0 ? f : static_cast<size_t>(fields[f].shares);
}

}  // namespace

EmbeddingTable::EmbeddingTable(const std::vector<EmbeddingField>& fields, const EmbeddingOptions& options)
    : dim_(options.dim) {
  std::vector<Kind> kinds;
  for (size_t f = 0; f < fields.size(); ++f) {
    const size_t o = owner(fields, f);
    WN_CHECK(o < fields.size() && fields[o].dim == fields[f].dim &&
                 (fields[o].rows == fields[f].rows || fields[o].rows == 0 || fields[f].rows == 0),
             ConfigError, "embedding fields {} and {} share a table but differ in rows or width", f, o);
    kinds.push_back({fields[f].dim > 0 ? fields[f].dim : dim_, fields[f].pooling == Pooling::Max});
  }
  for (size_t f = 0; f < fields.size(); ++f)  // a maximum anywhere makes the shared rows dense
    if (kinds[f].max) kinds[owner(fields, f)].max = true;
  for (size_t f = 0; f < fields.size(); ++f) kinds[f].max = kinds[owner(fields, f)].max;
  std::vector<Kind> distinct;
  for (size_t f = 0; f < fields.size(); ++f)
    if (fields[f].rows > 0 && std::ranges::find(distinct, kinds[f]) == distinct.end()) distinct.push_back(kinds[f]);
  for (const Kind& kind : distinct) add_stack(kind, fields, kinds, options);
}

void EmbeddingTable::add_stack(const Kind& kind, const std::vector<EmbeddingField>& fields,
                               const std::vector<Kind>& kinds, const EmbeddingOptions& options) {
  Stack s{.features = {.row_base = {}, .rows = {}, .pooling = {}, .padding_id = 0},
          .weight = nullptr,
          .projection = nullptr};
  std::vector<int64_t> base(fields.size(), -1);  // by owner
  int64_t total = 0;
  for (size_t f = 0; f < fields.size(); ++f) {
    const int64_t rows = kinds[f] == kind ? fields[f].rows : 0;
    int64_t& at = base[owner(fields, f)];
    s.features.row_base.push_back(rows > 0 && at >= 0 ? at : total);
    s.features.rows.push_back(rows);
    s.features.pooling.push_back(rows > 0 ? fields[f].pooling : Pooling::Sum);
    if (rows == 0 || at >= 0) continue;
    at = total;
    total += rows;
  }
  const bool narrow = kind.dim != dim_;
  const std::string suffix = (kind.max ? "_max" : "") + (narrow ? fmt::format("_{}", kind.dim) : "");
  s.weight = &parameter("weight" + suffix, {total, kind.dim}, kind.max ? Group::Weight : Group::Table, options.init,
                        kind.max ? DType::F32 : options.dtype);
  if (options.caches != nullptr) {
    WN_CHECK(
        !kind.max, ConfigError,
        "embedding_cache_rows: fields pooled by max train every row at every step, so that their rows cannot wait in "
        "host memory; pool by sum or mean, or leave the option out");
    WN_CHECK(options.dtype == DType::F32, ConfigError,
             "embedding_cache_rows: rows in host memory are f32; leave embedding_dtype out");
    s.weight->cache = options.caches->of(s.features);
  }
  if (narrow) s.projection = &child<Linear>("project" + suffix, kind.dim, dim_, false);
  stacks_.push_back(std::move(s));
}

void EmbeddingTable::initialized() {
  for (const Stack& s : stacks_)
    if (s.weight->cache != nullptr) s.weight->cache->forget();
}

Value EmbeddingTable::operator()(Value ids, Value offsets, Loc loc) const {
  Value all;  // a stack leaves zeros for the fields of the others
  for (const Stack& s : stacks_) {
    const Value table = ids.graph->persistent(s.weight->recorded());
    const auto& cache = s.weight->cache;
    Value x = cache == nullptr ? embedding_bag(table, ids, s.features, {offsets, {}}, loc)
                               : embedding_bag(table, cache->slot_ids(*ids.graph, ids, offsets),
                                               cache->features(s.features.pooling), {offsets, {}}, loc);
    if (s.projection != nullptr) x = (*s.projection)(x, loc);
    all = all ? add(all, x, loc) : x;
  }
  return all;
}

}  // namespace winnow
