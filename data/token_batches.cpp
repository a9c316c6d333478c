#include "data/token_batches.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"

namespace winnow {
namespace {

constexpr int64_t kWindowBatches = 64;  // whose rows are sorted by length
constexpr int64_t kRound = 16;          // capacities are multiples of it: whole tiles of the matrix product
constexpr int64_t kLevels = 512;        // different sizes that capacities are chosen from
constexpr uint64_t kRowStream = 0x746f6b656e73, kBatchStream = 0x62617463686573;  // of the random numbers

template <class T>
void permute(std::vector<T>& values, uint64_t seed, uint64_t stream, int64_t epoch) {
  Rng rng(seed, stream + static_cast<uint64_t>(epoch) * 0x9E3779B97F4A7C15u);
  rng.shuffle(values);
}

int64_t rounded(int64_t tokens, int64_t step) { return std::max(step, (tokens + step - 1) / step * step); }

// Of at most `most` capacities that hold all these sizes, the ones with the fewest empty places: dynamic programming
// over the distinct sizes, best[k][j] the places of the sizes up to j in k capacities of which the last is size j.
std::vector<int64_t> fitting_capacities(const std::map<int64_t, int64_t>& counts, size_t most) {
  std::vector<int64_t> sizes;
  std::vector<double> batches = {0};  // [n + 1], cumulative
  for (const auto& [size, count] : counts) {
    sizes.push_back(size);
    batches.push_back(batches.back() + static_cast<double>(count));
  }
  const size_t n = sizes.size();
  most = std::min(most, n);
  if (most == 0) return {};
  std::vector<std::vector<double>> best(most, std::vector<double>(n));
  std::vector<std::vector<size_t>> from(most, std::vector<size_t>(n));
  for (size_t j = 0; j < n; ++j) best[0][j] = static_cast<double>(sizes[j]) * batches[j + 1];
  for (size_t k = 1; k < most; ++k)
    for (size_t j = 0; j < n; ++j) {
      best[k][j] = best[k - 1][j];
      from[k][j] = from[k - 1][j];
      for (size_t i = 0; i < j; ++i) {
        const double places = best[k - 1][i] + static_cast<double>(sizes[j]) * (batches[j + 1] - batches[i + 1]);
        if (places < best[k][j]) best[k][j] = places, from[k][j] = i + 1;
      }
    }
  std::vector<int64_t> capacities;
  size_t end = n;
  for (size_t k = most; end > 0; --k) {
    capacities.push_back(sizes[end - 1]);
    end = k == 1 ? 0 : from[k - 1][end - 1];
  }
  return capacities;
}

}  // namespace

TokenBatches::TokenBatches(std::vector<int64_t> lengths, const TokenBatchOptions& options)
    : lengths_(std::move(lengths)), options_(options) {
  WN_CHECK(options_.batch_size >= 1, ConfigError, "batch_size must be at least 1, not {}", options_.batch_size);
  if (options_.max_tokens > 0)
    for (size_t i = 0; i < lengths_.size(); ++i)
      WN_CHECK(lengths_[i] <= options_.max_tokens, ConfigError,
               "row {} has {} tokens, more than a batch may have ({}): raise max_tokens or lower max_len", i + 1,
               lengths_[i], options_.max_tokens);
  choose_capacities();
}

int64_t TokenBatches::tokens_of(std::span<const int32_t> rows) const {
  int64_t sum = 0;
  for (const int32_t r : rows) sum += lengths_[static_cast<size_t>(r)];
  return sum;
}

// Greedily in the given order.
void TokenBatches::cut(std::span<const int32_t> rows, std::vector<std::vector<int32_t>>& batches) const {
  std::vector<int32_t> batch;
  int64_t tokens = 0;
  for (const int32_t r : rows) {
    const int64_t length = lengths_[static_cast<size_t>(r)];
    const bool full = static_cast<int64_t>(batch.size()) == options_.batch_size ||
                      (options_.max_tokens > 0 && tokens + length > options_.max_tokens);
    if (full && !batch.empty()) {
      batches.push_back(std::move(batch));
      batch.clear();
      tokens = 0;
    }
    batch.push_back(r);
    tokens += length;
  }
  if (!batch.empty()) batches.push_back(std::move(batch));
}

// Of a batch that is full: fewer than batch_size where max_tokens ends it before.
int64_t TokenBatches::rows_of_a_batch() const {
  const int64_t tokens = std::accumulate(lengths_.begin(), lengths_.end(), int64_t{0});
  if (options_.max_tokens == 0 || tokens == 0) return options_.batch_size;
  const double rows = static_cast<double>(options_.max_tokens) * static_cast<double>(lengths_.size());
  return std::clamp<int64_t>(std::llround(rows / static_cast<double>(tokens)), 1, options_.batch_size);
}

TokenBatches::Plan TokenBatches::plan(int64_t epoch) const {
  std::vector<int32_t> order(lengths_.size());
  std::iota(order.begin(), order.end(), 0);
  if (options_.shuffle) permute(order, options_.seed, kRowStream, epoch);
  std::vector<std::vector<int32_t>> batches;
  if (options_.by_length) {
    const auto window = static_cast<size_t>(rows_of_a_batch() * kWindowBatches);
    for (size_t begin = 0; begin < order.size(); begin += window) {
      const auto part = std::span(order).subspan(begin, std::min(window, order.size() - begin));
      std::ranges::stable_sort(part, {}, [&](int32_t r) { return lengths_[static_cast<size_t>(r)]; });
      cut(part, batches);
    }
    if (options_.shuffle) permute(batches, options_.seed, kBatchStream, epoch);
  } else {
    cut(order, batches);
  }
  Plan plan;
  plan.rows.reserve(order.size());
  for (const auto& batch : batches) {
    plan.rows.insert(plan.rows.end(), batch.begin(), batch.end());
    plan.begin.push_back(static_cast<int64_t>(plan.rows.size()));
  }
  return plan;
}

void TokenBatches::choose_capacities() {
  std::vector<int64_t> longest = lengths_;
  const auto most = std::min(static_cast<size_t>(options_.batch_size), longest.size());
  std::ranges::partial_sort(longest, longest.begin() + static_cast<std::ptrdiff_t>(most), std::greater<>());
  int64_t bound = std::accumulate(longest.begin(), longest.begin() + static_cast<std::ptrdiff_t>(most), int64_t{0});
  if (options_.max_tokens > 0) bound = std::min(bound, options_.max_tokens);
  const int64_t step = rounded(bound / kLevels, kRound);
  const Plan first = plan(0);
  std::map<int64_t, int64_t> counts;
  for (int64_t b = 0; b < first.batches(); ++b) {
    const auto begin = static_cast<size_t>(first.begin[static_cast<size_t>(b)]);
    const auto end = static_cast<size_t>(first.begin[static_cast<size_t>(b) + 1]);
    ++counts[rounded(tokens_of(std::span(first.rows).subspan(begin, end - begin)), step)];
  }
  const int64_t largest = std::max(rounded(bound, kRound), counts.empty() ? 0 : counts.rbegin()->first);
  const bool last = !counts.empty() && counts.rbegin()->first == largest;
  capacities_ = fitting_capacities(counts, static_cast<size_t>(std::max(0, options_.forms - (last ? 0 : 1))));
  capacities_.push_back(largest);
  std::ranges::sort(capacities_);
  capacities_.erase(std::unique(capacities_.begin(), capacities_.end()), capacities_.end());
}

int64_t TokenBatches::batches(int64_t epoch) const {
  if (static_cast<size_t>(epoch) >= counts_.size()) counts_.resize(static_cast<size_t>(epoch) + 1, -1);
  int64_t& count = counts_[static_cast<size_t>(epoch)];
  const bool fixed = options_.max_tokens == 0;  // then only the number of rows matters
  if (count < 0)
    count = fixed ? (static_cast<int64_t>(lengths_.size()) + options_.batch_size - 1) / options_.batch_size
                  : plan(epoch).batches();
  return count;
}

void TokenBatches::seek(const Cursor& cursor) {
  if (cursor.epoch != epoch_) plan_ = plan(cursor.epoch);
  epoch_ = cursor.epoch;
  rows_ = {};
  WN_CHECK(cursor.row >= 0 && cursor.row <= plan_.batches(), DataError, "batch {} is outside epoch {}, which has {}",
           cursor.row, cursor.epoch, plan_.batches());
  at_ = cursor.row;
}

bool TokenBatches::next() {
  if (epoch_ < 0 || at_ >= plan_.batches()) return false;
  const auto begin = static_cast<size_t>(plan_.begin[static_cast<size_t>(at_)]);
  const auto end = static_cast<size_t>(plan_.begin[static_cast<size_t>(at_) + 1]);
  rows_ = std::span<const int32_t>(plan_.rows).subspan(begin, end - begin);
  tokens_ = tokens_of(rows_);
  form_ = static_cast<size_t>(std::ranges::lower_bound(capacities_, tokens_) - capacities_.begin());
  ++at_;
  return true;
}

TokenTensors::TokenTensors(int64_t rows, int64_t capacity)
    : ids(TensorSpec{DType::I64, {capacity}}),
      types(TensorSpec{DType::I64, {capacity}}),
      positions(TensorSpec{DType::I64, {capacity}}),
      offsets(TensorSpec{DType::I64, {rows + 1}}) {}

void TokenTensors::fill(const JaggedIds& source, std::span<const int32_t> rows) {
  int64_t *id = ids.data<int64_t>(), *type = types.data<int64_t>(), *place = positions.data<int64_t>();
  int64_t* offset = offsets.data<int64_t>();
  const int64_t capacity = ids.numel(), most = offsets.numel() - 1;
  int64_t at = 0, row = 0;
  offset[0] = 0;
  for (; row < most && row < static_cast<int64_t>(rows.size()); ++row) {
    const auto r = static_cast<size_t>(rows[static_cast<size_t>(row)]);
    const int64_t end = std::min(source.offsets[r + 1], source.offsets[r] + capacity - at);
    for (int64_t i = source.offsets[r]; i < end; ++i, ++at) {
      id[at] = source.ids[static_cast<size_t>(i)];
      type[at] = source.types[static_cast<size_t>(i)];
      place[at] = i - source.offsets[r];
    }
    offset[row + 1] = at;
  }
  for (; row < most; ++row) offset[row + 1] = at;
  for (; at < capacity; ++at) id[at] = type[at] = place[at] = -1;
}

}  // namespace winnow
