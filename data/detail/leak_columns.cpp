#include <algorithm>
#include <cmath>

#include "data/detail/hash128.h"
#include "data/detail/leak_tests.h"
#include "data/timestamp.h"

namespace winnow::detail {
namespace {

constexpr size_t kRuns = 20;

void fill_ids(const Dataset& d, size_t field, const std::vector<int32_t>& rows, LeakColumn& c) {
  const auto fields = static_cast<size_t>(d.fields());
  HashTable<int32_t> bags;
  if (d.offsets.empty() || !has_bags(c.feature->spec)) c.first_id.reserve(rows.size());
  for (const int32_t r : rows) {
    const size_t at = static_cast<size_t>(r) * fields + field;
    const size_t begin = d.offsets.empty() ? at : static_cast<size_t>(d.offsets[at]);
    const size_t end = d.offsets.empty() ? at + 1 : static_cast<size_t>(d.offsets[at + 1]);
    RowHasher hasher;
    for (size_t i = begin; i < end; ++i) hasher.add(static_cast<uint64_t>(d.ids[i]));
    bool added = false;
    int32_t& code = bags.at(hasher.finish(), added);
    if (added) code = c.values++;
    c.codes.push_back(code);
    c.missing.push_back(begin == end || d.ids[begin] <= Vocabulary::kPad);
    if (!has_bags(c.feature->spec)) c.first_id.push_back(begin == end ? 0 : d.ids[begin]);
  }
}

void fill_numbers(const Dataset& d, size_t at, const std::vector<int32_t>& rows, LeakColumn& c) {
  const auto width = static_cast<size_t>(d.numbers());
  const auto missing = static_cast<float>(c.feature->missing);
  for (const int32_t r : rows) {
    const float x = d.dense[static_cast<size_t>(r) * width + at];
    c.numbers.push_back(x);
    c.missing.push_back(x == missing && !c.feature->spec.fill_na);
  }
}

// A feature of several floats, such as a one-hot one: a code for each distinct vector.
void fill_vectors(const Dataset& d, size_t at, const std::vector<int32_t>& rows, LeakColumn& c) {
  const auto stride = static_cast<size_t>(d.numbers()), width = static_cast<size_t>(c.feature->width());
  HashTable<int32_t> vectors;
  for (const int32_t r : rows) {
    const float* x = d.dense.data() + static_cast<size_t>(r) * stride + at;
    RowHasher hasher;
    hasher.add(std::string_view(reinterpret_cast<const char*>(x), width * sizeof(float)));
    bool added = false;
    int32_t& code = vectors.at(hasher.finish(), added);
    if (added) code = c.values++;
    c.codes.push_back(code);
    c.missing.push_back(std::all_of(x, x + width, [](float v) { return v == 0; }));
  }
}

// What the digits at the end of a text say; nothing without digits or with too many.
std::optional<double> trailing_number(std::string_view text, std::string_view& prefix) {
  size_t at = text.size();
  while (at > 0 && text[at - 1] >= '0' && text[at - 1] <= '9') --at;
  prefix = text.substr(0, at);
  if (at == text.size() || text.size() - at > 18) return {};
  return parse_number(text.substr(at));
}

}  // namespace

std::vector<int32_t> sample_rows(const std::vector<int32_t>& train, size_t most) {
  if (train.size() <= most) return train;
  std::vector<int32_t> rows;
  for (size_t run = 0; run < kRuns; ++run) {
    const auto begin = train.begin() + static_cast<ptrdiff_t>((train.size() - most / kRuns) * run / (kRuns - 1));
    rows.insert(rows.end(), begin, begin + static_cast<ptrdiff_t>(most / kRuns));
  }
  return rows;
}

std::vector<LeakColumn> leak_columns(const Dataset& d, const std::vector<int32_t>& rows) {
  std::vector<LeakColumn> columns;
  const auto column_of = [&](int32_t feature) {
    LeakColumn c;
    c.feature = &d.map.features[static_cast<size_t>(feature)];
    c.name = c.feature->spec.name;
    c.is_key = c.feature->spec.column == d.map.user_id || c.feature->spec.column == d.map.item_id;
    return c;
  };
  for (size_t f = 0; f < d.map.fields().size(); ++f) {
    LeakColumn c = column_of(d.map.fields()[f]);
    fill_ids(d, f, rows, c);
    columns.push_back(std::move(c));
  }
  for (size_t k = 0; k < d.map.numbers().size(); ++k) {
    LeakColumn c = column_of(d.map.numbers()[k]);
    if (c.feature->spec.type == FeatureType::Image) continue;
    const auto at = static_cast<size_t>(d.map.dense_begin(k));
    if (c.feature->width() > 1) {
      fill_vectors(d, at, rows, c);
      columns.push_back(std::move(c));
      continue;
    }
    c.numeric = true;
    fill_numbers(d, at, rows, c);
    columns.push_back(std::move(c));
  }
  return columns;
}

std::optional<double> unscaled(const FittedFeature& f, double x) {
  const double y = x * f.deviation + f.mean;
  switch (f.spec.normalizer) {
    case Normalizer::None: return x;
    case Normalizer::Standard:
    case Normalizer::MinMax: return y;
    case Normalizer::Log: return std::copysign(std::expm1(std::abs(x)), x);
    case Normalizer::LogStandard: return std::copysign(std::expm1(std::abs(y)), y);
    case Normalizer::Quantile: break;
  }
  return {};
}

std::vector<double> order_of(const LeakColumn& c) {
  std::vector<double> order;
  if (c.numeric) {
    order.assign(c.numbers.begin(), c.numbers.end());
    return order;
  }
  if (c.first_id.empty()) return order;
  const Vocabulary& vocabulary = c.feature->vocabulary;
  const auto known = [&](int64_t id) { return id > Vocabulary::kPad && id <= vocabulary.size(); };
  std::vector<double> place(static_cast<size_t>(vocabulary.size()) + 1);
  std::string_view prefix, first;
  bool numbered = vocabulary.size() > 0;
  for (int64_t id = 1; id <= vocabulary.size() && numbered; ++id) {
    const auto x = trailing_number(vocabulary.value(id), prefix);
    if (id == 1) first = prefix;
    numbered = x && prefix == first;
    place[static_cast<size_t>(id)] = x.value_or(0);
  }
  if (!numbered) {
    std::vector<int64_t> by_text(static_cast<size_t>(vocabulary.size()));
    for (size_t i = 0; i < by_text.size(); ++i) by_text[i] = static_cast<int64_t>(i) + 1;
    std::ranges::sort(by_text, {}, [&](int64_t id) { return vocabulary.value(id); });
    for (size_t i = 0; i < by_text.size(); ++i) place[static_cast<size_t>(by_text[i])] = static_cast<double>(i);
  }
  for (const int64_t id : c.first_id) order.push_back(known(id) ? place[static_cast<size_t>(id)] : std::nan(""));
  return order;
}

}  // namespace winnow::detail
