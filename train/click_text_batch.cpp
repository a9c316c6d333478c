#include "train/click_text_batch.h"

#include <algorithm>
#include <numeric>

#include "core/parallel.h"
#include "core/rng.h"

namespace winnow {
namespace {

constexpr int64_t kRound = 64;     // capacities are multiples of it
constexpr int kTriedBatches = 64;  // whose tokens tell which capacities are worth a form
constexpr uint64_t kTriedStream = 0x636c69636b73;
constexpr int64_t kFrame = 3;  // special tokens of a pair

std::vector<std::string_view> views(const std::vector<std::string>& texts) { return {texts.begin(), texts.end()}; }

}  // namespace

ClickTextTokens::ClickTextTokens(const TextEncoder& encoder, const ClickTextRows& rows, bool of_pairs)
    : pair(of_pairs),
      max_len(encoder.options().max_len),
      special(encoder.tokenizer().special()),
      types(encoder.options().transformer.type_vocab_size > 1),
      history(rows.history.len) {
  if (!pair) {
    items = encoder.encode(views(rows.items));
    return;
  }
  items = encode_batch(encoder.tokenizer(), views(rows.items), {}, {0, false}, num_threads());
  users = encode_batch(encoder.tokenizer(), views(rows.users), {}, {0, false}, num_threads());
  WN_CHECK(special.cls >= 0 && special.sep >= 0, ConfigError, "the tokenizer has no [CLS] and [SEP] to frame a pair");
}

ClickTextBatch::ClickTextBatch(const ClickTextTokens& tokens, const ItemHistory& history, const Dataset& dataset,
                               int64_t batch_size, Vectors vectors, std::span<const int32_t> like)
    : tokens_(tokens), history_(history), dataset_(dataset), batch_size_(batch_size), vectors_(vectors) {
  const int64_t all_items = tokens.items.rows(), most_history = batch_size * tokens.history;
  if (!tokens.pair) {
    items_ = Tensor(TensorSpec{DType::I64, {batch_size}});
    history_ids_ = Tensor(TensorSpec{DType::I64, {std::max<int64_t>(1, most_history)}});
    history_offsets_ = Tensor(TensorSpec{DType::I64, {batch_size + 1}});
    place_.assign(static_cast<size_t>(all_items), -1);
  }
  taken_.reserve(static_cast<size_t>(most_history));
  taken_begin_.reserve(static_cast<size_t>(batch_size) + 1);
  distinct_.reserve(static_cast<size_t>(std::min(all_items, batch_size + most_history)));
  if (!tokens.pair && vectors == Vectors::Table) {
    capacities_ = {0};
    return;
  }
  sequences_ = tokens.pair ? batch_size : std::min(all_items, batch_size + most_history);
  choose_capacities(like);
  for (const int64_t capacity : capacities_) forms_.push_back(std::make_unique<TokenTensors>(sequences_, capacity));
}

void ClickTextBatch::choose_capacities(std::span<const int32_t> like) {
  std::vector<int64_t> sizes;
  Rng rng(0, kTriedStream);
  std::vector<int32_t> rows(std::min(static_cast<size_t>(batch_size_), like.size()));
  for (int b = 0; b < kTriedBatches && !rows.empty(); ++b) {
    for (int32_t& r : rows) r = like[rng.below(like.size())];
    sizes.push_back(collect(rows));
  }
  std::ranges::sort(sizes);
  int64_t bound = batch_size_ * tokens_.max_len;
  if (!tokens_.pair) {
    std::vector<int64_t> lengths;
    for (int32_t i = 0; i < tokens_.items.rows(); ++i) lengths.push_back(tokens_.items.length(i));
    std::ranges::sort(lengths, std::greater<>());
    bound = std::accumulate(lengths.begin(), lengths.begin() + sequences_, int64_t{0});
  }
  const auto rounded = [](int64_t n) { return std::max<int64_t>(kRound, (n + kRound - 1) / kRound * kRound); };
  if (!sizes.empty())
    for (const double q : {0.5, 0.9, 1.0})
      capacities_.push_back(
          rounded(std::min(bound, sizes[static_cast<size_t>(q * static_cast<double>(sizes.size() - 1))])));
  capacities_.push_back(rounded(bound));
  std::ranges::sort(capacities_);
  capacities_.erase(std::unique(capacities_.begin(), capacities_.end()), capacities_.end());
}

Value ClickTextBatch::record(Graph& graph, const ClickTextModel& model, const VariablePtr& table,
                             const StepContext& context, int64_t capacity) const {
  if (tokens_.pair) return model.pair_text(token_inputs(graph, sequences_, capacity, "text_"), context);
  TowerInputs in;
  in.items = graph.input("text_items", items_.spec());
  in.history = graph.input("text_history", history_ids_.spec());
  in.history_offsets = graph.input("text_history_offsets", history_offsets_.spec());
  in.vectors = vectors_ == Vectors::Table
                   ? graph.persistent(table)
                   : model.encoder().pooled(token_inputs(graph, sequences_, capacity, "text_"), context);
  return model.tower_text(in);
}

void ClickTextBatch::append_feeds(std::vector<Tensor>& feeds) const {
  if (!tokens_.pair)
    for (const Tensor& t : {items_, history_ids_, history_offsets_}) feeds.push_back(t);
  if (forms_.empty()) return;
  const TokenTensors& t = *forms_[form_];
  for (const Tensor& tensor : {t.ids, t.types, t.positions, t.offsets}) feeds.push_back(tensor);
}

std::span<const int32_t> ClickTextBatch::history_of(size_t at) const {
  return std::span(taken_).subspan(taken_begin_[at], taken_begin_[at + 1] - taken_begin_[at]);
}

int64_t ClickTextBatch::collect(std::span<const int32_t> rows) {
  taken_.clear();
  taken_begin_.assign(1, 0);
  distinct_.clear();
  const auto most = static_cast<size_t>(tokens_.history);
  for (const int32_t r : rows) {
    taken_.resize(taken_begin_.back() + most);
    taken_.resize(taken_begin_.back() + history_.of(r, std::span(taken_).last(most)));
    taken_begin_.push_back(taken_.size());
  }
  int64_t tokens = 0;
  if (tokens_.pair) {
    for (size_t i = 0; i < rows.size(); ++i) {
      const auto r = static_cast<size_t>(rows[i]);
      int64_t length = kFrame + tokens_.items.length(dataset_.item[r]) + tokens_.users.length(dataset_.user[r]);
      for (const int32_t item : history_of(i)) length += tokens_.items.length(item);
      tokens += std::min(length, tokens_.max_len);
    }
    return tokens;
  }
  if (vectors_ == Vectors::Table) return 0;
  const auto add = [&](int32_t item) {
    int32_t& place = place_[static_cast<size_t>(item)];
    if (place >= 0) return;
    place = static_cast<int32_t>(distinct_.size());
    distinct_.push_back(item);
    tokens += tokens_.items.length(item);
  };
  for (const int32_t r : rows) add(dataset_.item[static_cast<size_t>(r)]);
  for (const int32_t item : taken_) add(item);
  // fill() reads the places and clears them; choose_capacities() has no use for them
  if (forms_.empty())
    for (const int32_t item : distinct_) place_[static_cast<size_t>(item)] = -1;
  return tokens;
}

void ClickTextBatch::fill(std::span<const int32_t> rows) {
  const int64_t tokens = collect(rows);
  if (!forms_.empty()) form_ = static_cast<size_t>(std::ranges::lower_bound(capacities_, tokens) - capacities_.begin());
  if (tokens_.pair) {
    write_pairs(rows, *forms_[form_]);
    return;
  }
  const bool table = vectors_ == Vectors::Table;
  const auto at = [&](int32_t item) { return table ? item : place_[static_cast<size_t>(item)]; };
  const auto items = items_.span<int64_t>(), ids = history_ids_.span<int64_t>(),
             offsets = history_offsets_.span<int64_t>();
  std::ranges::fill(items, int64_t{-1});
  std::ranges::fill(ids, int64_t{-1});
  for (size_t i = 0; i < rows.size(); ++i) items[i] = at(dataset_.item[static_cast<size_t>(rows[i])]);
  for (size_t k = 0; k < taken_.size(); ++k) ids[k] = at(taken_[k]);
  for (size_t i = 0; i < offsets.size(); ++i) offsets[i] = static_cast<int64_t>(taken_begin_[std::min(i, rows.size())]);
  if (table) return;
  forms_[form_]->fill(tokens_.items, distinct_);
  for (const int32_t item : distinct_) place_[static_cast<size_t>(item)] = -1;
}

// The item's tokens come first into the room there is, then the user's own, then the history, newest first.
void ClickTextBatch::write_pairs(std::span<const int32_t> rows, TokenTensors& to) const {
  const auto ids = to.ids.span<int64_t>(), types = to.types.span<int64_t>(), positions = to.positions.span<int64_t>(),
             offsets = to.offsets.span<int64_t>();
  size_t at = 0, begin = 0;
  const auto put = [&](int32_t id, int64_t type) {
    ids[at] = id, types[at] = tokens_.types ? type : 0, positions[at] = static_cast<int64_t>(at - begin);
    ++at;
  };
  offsets[0] = 0;
  for (size_t i = 0; i < rows.size(); ++i) {
    begin = at;
    const auto r = static_cast<size_t>(rows[i]);
    const auto room = static_cast<size_t>(tokens_.max_len - kFrame);
    auto item = tokens_.items.row(dataset_.item[r]);
    item = item.first(std::min(item.size(), room));
    size_t left = room - item.size();
    const auto put_some = [&](std::span<const int32_t> some) {
      for (const int32_t id : some.first(std::min(some.size(), left))) put(id, 0);
      left -= std::min(some.size(), left);
    };
    put(tokens_.special.cls, 0);
    put_some(tokens_.users.row(dataset_.user[r]));
    for (const int32_t taken : history_of(i)) put_some(tokens_.items.row(taken));
    put(tokens_.special.sep, 0);
    for (const int32_t id : item) put(id, 1);
    put(tokens_.special.sep, 1);
    offsets[i + 1] = static_cast<int64_t>(at);
  }
  for (size_t i = rows.size() + 1; i < offsets.size(); ++i) offsets[i] = static_cast<int64_t>(at);
  for (; at < ids.size(); ++at) ids[at] = types[at] = positions[at] = -1;
}

}  // namespace winnow
