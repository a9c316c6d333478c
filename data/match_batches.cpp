#include "data/match_batches.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"

namespace winnow {
namespace {

constexpr uint64_t kDrawStream = 0x64726177;  // of the random numbers
constexpr int64_t kRound = 16;                // capacities are multiples of it, as in data/token_batches.cpp

std::vector<int64_t> ones(size_t n) { return std::vector<int64_t>(n, 1); }
int64_t rounded(double tokens) {
  return std::max(kRound, static_cast<int64_t>(std::ceil(tokens / static_cast<double>(kRound))) * kRound);
}

}  // namespace

MatchBatches::MatchBatches(const MatchData& data, const JaggedIds& queries, const JaggedIds& items,
                           const MatchBatchOptions& options)
    : data_(data), query_tokens_(queries), item_tokens_(items), options_(options), order_({}, {}) {
  make_rows();
  order_ = TokenBatches(ones(rows_.size()), {.batch_size = options_.batch_size, .seed = options_.seed, .forms = 1});
  const int64_t rows = options_.batch_size, columns = candidates();
  negatives_.assign(rows_.size() * static_cast<size_t>(options_.hard_negatives), -1);
  if (options_.log_q) {
    const std::vector<int64_t> counts = data_.item_counts();
    double total = 0;
    for (const int64_t c : counts) total += static_cast<double>(c);
    for (const int64_t c : counts)
      log_q_.push_back(total == 0 || c == 0 ? 0.0f
                                            : static_cast<float>(std::log(static_cast<double>(c) / total *
                                                                          static_cast<double>(counts.size()))));
  }
  query_.resize(static_cast<size_t>(rows));
  strength_.resize(static_cast<size_t>(rows));
  candidate_.resize(static_cast<size_t>(columns));
  choose_forms();
  for (const Form& form : forms_) {
    query_tensors_.emplace_back(options_.one_tower ? rows + columns : rows, form.queries);
    if (!options_.one_tower) candidate_tensors_.emplace_back(columns, form.candidates);
  }
  excluded_ = Tensor({DType::F32, {rows, columns}});
  weights_ = Tensor({DType::F32, {rows}});
  place_ = Tensor({DType::I64, {listed_pairs()}});
  label_ = Tensor({DType::F32, {listed_pairs()}});
  pair_weight_ = Tensor({DType::F32, {listed_pairs()}});
}

// With MatchSpec::draw a row is a query, else a pair. A query keeps its place in the order of its first pair.
void MatchBatches::make_rows() {
  std::vector<MatchData::Pair> pairs = data_.pairs[0];
  std::ranges::stable_sort(pairs, {}, &MatchData::Pair::query);
  if (!data_.draw) {
    for (const MatchData::Pair& p : pairs) rows_.push_back({p.query, p.item, p.strength});
    return;
  }
  answer_begin_ = {0};
  for (size_t i = 0; i < pairs.size();) {
    const int32_t query = pairs[i].query;
    for (; i < pairs.size() && pairs[i].query == query; ++i)
      if (!data_.labelled && data_.is_answer(pairs[i])) answers_.push_back(pairs[i]);
    if (data_.labelled)
      for (const int32_t item : data_.known_of(query))
        if (item != query) answers_.push_back({query, item, 1});
    if (static_cast<int64_t>(answers_.size()) == answer_begin_.back()) continue;
    rows_.push_back({query, -1, 1});
    answer_begin_.push_back(static_cast<int64_t>(answers_.size()));
  }
}

MatchData::Pair MatchBatches::positive(int64_t row, int64_t epoch) const {
  const Row& r = rows_[static_cast<size_t>(row)];
  if (r.item >= 0) return {r.query, r.item, r.strength};
  const int64_t begin = answer_begin_[static_cast<size_t>(row)], end = answer_begin_[static_cast<size_t>(row) + 1];
  const uint64_t bits = Philox{options_.seed, kDrawStream}(static_cast<uint64_t>(row), static_cast<uint64_t>(epoch))[0];
  return answers_[static_cast<size_t>(begin) + ((bits * static_cast<uint64_t>(end - begin)) >> 32)];
}

int64_t MatchBatches::tokens_of(std::span<const TokenRow> rows) {
  int64_t tokens = 0;
  for (const TokenRow& r : rows) tokens += r.row < 0 ? 0 : r.source->length(r.row);
  return tokens;
}

// Quantiles of the first epoch's batches, the last a tenth above the largest. Hard negatives, which come later, are
// taken to be as long as items are.
void MatchBatches::choose_forms() {
  std::vector<int64_t> first, second;
  for (size_t i = 0; i < negatives_.size(); ++i) negatives_[i] = static_cast<int32_t>((i * 7919) % data_.items.size());
  order_.start_epoch(0);
  while (order_.next()) {
    gather(order_.rows(), 0);
    const int64_t queries = tokens_of(query_rows_), items = tokens_of(candidate_rows_);
    first.push_back(options_.one_tower ? queries + items : queries);
    second.push_back(items);
  }
  std::ranges::fill(negatives_, -1);
  order_.start_epoch(0);
  std::ranges::sort(first);
  std::ranges::sort(second);
  for (int f = 0; f < options_.forms && !first.empty(); ++f) {
    const double at = options_.forms == 1 ? 1 : std::pow(static_cast<double>(f + 1) / options_.forms, 0.5);
    const auto place = static_cast<size_t>(at * static_cast<double>(first.size() - 1));
    const double slack = f + 1 == options_.forms ? 1.1 : 1;
    forms_.push_back({rounded(slack * static_cast<double>(first[place])),
                      options_.one_tower ? 0 : rounded(slack * static_cast<double>(second[place]))});
  }
  const auto same = [](const Form& a, const Form& b) { return a.queries == b.queries && a.candidates == b.candidates; };
  forms_.erase(std::unique(forms_.begin(), forms_.end(), same), forms_.end());
}

void MatchBatches::set_negatives(std::span<const int32_t> items) {
  WN_CHECK(items.size() == negatives_.size(), ShapeError, "{} negatives for {} rows of {} each", items.size(),
           rows_.size(), options_.hard_negatives);
  std::ranges::copy(items, negatives_.begin());
}

void MatchBatches::seek(const Cursor& cursor) { order_.seek(cursor); }

// The queries and candidates of a batch, and the token rows that go into its tensors.
void MatchBatches::gather(std::span<const int32_t> rows, int64_t epoch) {
  const auto batch = static_cast<size_t>(options_.batch_size), hard = static_cast<size_t>(options_.hard_negatives);
  live_ = static_cast<int64_t>(rows.size());
  std::ranges::fill(query_, -1);
  std::ranges::fill(candidate_, -1);
  for (size_t b = 0; b < rows.size(); ++b) {
    const MatchData::Pair pair = positive(rows[b], epoch);
    query_[b] = pair.query;
    strength_[b] = pair.strength;
    candidate_[b] = pair.item;
    for (size_t h = 0; h < hard; ++h)
      candidate_[batch + b * hard + h] = negatives_[static_cast<size_t>(rows[b]) * hard + h];
  }
  query_rows_.clear();
  candidate_rows_.clear();
  for (const int32_t q : query_) query_rows_.push_back({&query_tokens_, q});
  for (const int32_t c : candidate_) candidate_rows_.push_back({&item_tokens_, c});
}

bool MatchBatches::is_negative(int64_t query, int64_t candidate) const {
  const int32_t item = candidate_[static_cast<size_t>(candidate)];
  if (item < 0 || query == candidate) return false;
  const auto text = [&](int32_t i) { return data_.item_text[static_cast<size_t>(i)]; };
  if (text(item) == text(candidate_[static_cast<size_t>(query)])) return false;
  return !data_.is_known(query_[static_cast<size_t>(query)], item);
}

void MatchBatches::fill_excluded() {
  const int64_t rows = options_.batch_size, columns = candidates();
  float* out = excluded_.data<float>();
  for (int64_t b = 0; b < rows; ++b) {
    weights_.data<float>()[b] = b < live_ ? strength_[static_cast<size_t>(b)] : 0.0f;
    for (int64_t c = 0; c < columns; ++c) {
      float& x = out[b * columns + c] = options_.excluded;
      if (b >= live_ || !(b == c || is_negative(b, c))) continue;
      const int32_t item = candidate_[static_cast<size_t>(c)];
      x = c < rows && !log_q_.empty() ? -log_q_[static_cast<size_t>(item)] : 0.0f;
    }
  }
}

void MatchBatches::fill_pairs() {
  const int64_t rows = options_.batch_size, columns = candidates(), hard = options_.hard_negatives;
  int64_t p = 0;
  const auto add = [&](int64_t query, int64_t candidate, float label, bool counts) {
    place_.data<int64_t>()[p] = counts ? query * columns + candidate : -1;
    label_.data<float>()[p] = label;
    pair_weight_.data<float>()[p] = counts ? 1.0f : 0.0f;
    ++p;
  };
  for (int64_t b = 0; b < rows; ++b) {
    const bool live = b < live_;
    add(b, b, live ? strength_[static_cast<size_t>(b)] : 0.0f, live);
    for (int64_t k = 1; k <= options_.other_items; ++k) {
      const int64_t other = live ? (b + k) % live_ : 0;
      add(b, other, 0, live && other != b && is_negative(b, other));
    }
    for (int64_t h = 0; h < hard; ++h) {
      const int64_t c = rows + b * hard + h;
      add(b, c, 0, live && is_negative(b, c));
    }
  }
}

// Where the rows have more tokens than there is room for, the longest are cut to a common length; their last token,
// which closes the text, stays.
void MatchBatches::fill(std::span<const TokenRow> rows, TokenTensors& out) {
  const int64_t capacity = out.ids.numel();
  int64_t limit = std::numeric_limits<int64_t>::max();
  if (tokens_of(rows) > capacity) {
    int64_t low = 0, high = capacity;  // the most that fits lies in [low, high)
    while (high - low > 1) {
      const int64_t middle = (low + high) / 2;
      int64_t tokens = 0;
      for (const TokenRow& r : rows) tokens += r.row < 0 ? 0 : std::min(middle, r.source->length(r.row));
      (tokens <= capacity ? low : high) = middle;
    }
    limit = low;
  }
  int64_t *id = out.ids.data<int64_t>(), *type = out.types.data<int64_t>(), *place = out.positions.data<int64_t>();
  int64_t* offset = out.offsets.data<int64_t>();
  int64_t at = 0;
  offset[0] = 0;
  for (size_t r = 0; r < rows.size(); ++r) {
    if (rows[r].row >= 0) {
      const JaggedIds& source = *rows[r].source;
      const int64_t begin = source.offsets[static_cast<size_t>(rows[r].row)], length = source.length(rows[r].row);
      const int64_t kept = std::min(limit, length);
      for (int64_t i = 0; i < kept; ++i, ++at) {
        const auto from = static_cast<size_t>(begin + (i + 1 == kept ? length - 1 : i));
        id[at] = source.ids[from];
        type[at] = source.types[from];
        place[at] = i;
      }
    }
    offset[r + 1] = at;
  }
  for (; at < capacity; ++at) id[at] = type[at] = place[at] = -1;
}

void MatchBatches::fill_tokens() {
  const auto fits = [&](const Form& f) {
    const int64_t queries = tokens_of(query_rows_), items = tokens_of(candidate_rows_);
    return options_.one_tower ? queries + items <= f.queries : queries <= f.queries && items <= f.candidates;
  };
  form_ = static_cast<size_t>(std::ranges::find_if(forms_, fits) - forms_.begin());
  form_ = std::min(form_, forms_.size() - 1);
  feeds_.clear();
  const auto add = [&](std::span<const TokenRow> rows, TokenTensors& tensors) {
    fill(rows, tensors);
    for (const Tensor* t : {&tensors.ids, &tensors.types, &tensors.positions, &tensors.offsets}) feeds_.push_back(*t);
  };
  if (options_.one_tower) {
    query_rows_.insert(query_rows_.end(), candidate_rows_.begin(), candidate_rows_.end());
    add(query_rows_, query_tensors_[form_]);
  } else {
    add(query_rows_, query_tensors_[form_]);
    add(candidate_rows_, candidate_tensors_[form_]);
  }
}

bool MatchBatches::next() {
  const int64_t epoch = order_.cursor().epoch;
  if (!order_.next()) return false;
  gather(order_.rows(), epoch);
  fill_tokens();
  fill_excluded();
  feeds_.push_back(excluded_);
  feeds_.push_back(weights_);
  if (!options_.pairs) return true;
  fill_pairs();
  feeds_.insert(feeds_.end(), {place_, label_, pair_weight_});
  return true;
}

}  // namespace winnow
