#include "data/detail/negatives.h"

#include <algorithm>
#include <numeric>

namespace winnow::detail {

NegativeSampler::NegativeSampler(const RawData& raw, const std::vector<int32_t>& order,
                                 const std::vector<int32_t>& train_rows, const NegativeSpec& spec, uint64_t seed)
    : raw_(raw), spec_(spec), seed_(seed), train_rows_(train_rows) {
  const auto items = static_cast<size_t>(raw.items.size()), users = static_cast<size_t>(raw.users.size());
  in_catalogue_.resize(items);
  latest_.assign(items, -1);
  for (const int32_t r : train_rows) {
    const auto item = static_cast<size_t>(raw.item[static_cast<size_t>(r)]);
    if (!in_catalogue_[item]) catalogue_.push_back(static_cast<int32_t>(item));
    in_catalogue_[item] = true;
  }
  for (const int32_t r : order) {
    int32_t& first = latest_[static_cast<size_t>(raw.item[static_cast<size_t>(r)])];
    if (first < 0) first = r;
  }
  known_.taken_begin.assign(users + 1, 0);
  for (const int32_t u : raw.user) ++known_.taken_begin[static_cast<size_t>(u) + 1];
  std::partial_sum(known_.taken_begin.begin(), known_.taken_begin.end(), known_.taken_begin.begin());
  known_.taken.resize(raw.user.size());
  std::vector<int64_t> next(known_.taken_begin.begin(), known_.taken_begin.end() - 1);
  for (size_t r = 0; r < raw.user.size(); ++r)
    known_.taken[static_cast<size_t>(next[static_cast<size_t>(raw.user[r])]++)] = raw.item[r];
  for (size_t u = 0; u < users; ++u)
    std::sort(known_.taken.begin() + known_.taken_begin[u], known_.taken.begin() + known_.taken_begin[u + 1]);
}

bool NegativeSampler::known(int32_t user, int32_t item) const {
  const auto u = static_cast<size_t>(user);
  return std::binary_search(known_.taken.begin() + known_.taken_begin[u],
                            known_.taken.begin() + known_.taken_begin[u + 1], item);
}

bool NegativeSampler::allowed(int32_t user, int32_t item) const {
  return std::ranges::find(drawn_, item) == drawn_.end() && !known(user, item);
}

// An item that is allowed; -1 when there is none.
int32_t NegativeSampler::draw(Rng& rng, int32_t user) const {
  constexpr int kTries = 64;
  for (int i = 0; i < kTries; ++i) {
    const int32_t item = spec_.distribution == NegativeSpec::Popularity
                             ? raw_.item[static_cast<size_t>(train_rows_[rng.below(train_rows_.size())])]
                             : catalogue_[rng.below(catalogue_.size())];
    if (allowed(user, item)) return item;
  }
  // Someone who took nearly everything: choose among what is left.
  std::vector<int32_t> left;
  for (const int32_t item : catalogue_)
    if (allowed(user, item)) left.push_back(item);
  return left.empty() ? -1 : left[rng.below(left.size())];
}

void NegativeSampler::append_positive(int32_t interaction, std::vector<SampledRow>& out) {
  const auto r = static_cast<size_t>(interaction);
  const auto own = static_cast<size_t>(raw_.item[r]);
  // The positive shows its item as it was before, as its negatives do: a price of its own would give it away.
  out.push_back({interaction, latest_[own]});
  latest_[own] = interaction;
  if (!in_catalogue_[own]) catalogue_.push_back(raw_.item[r]);
  in_catalogue_[own] = true;
}

int64_t NegativeSampler::append(int32_t interaction, std::vector<SampledRow>& out) {
  append_positive(interaction, out);
  const auto r = static_cast<size_t>(interaction);
  Rng rng(seed_, r + 1);
  drawn_.clear();
  while (static_cast<int64_t>(drawn_.size()) < spec_.per_positive) {
    const int32_t item = draw(rng, raw_.user[r]);
    if (item < 0) break;
    drawn_.push_back(item);
    out.push_back({interaction, latest_[static_cast<size_t>(item)], true});
  }
  return spec_.per_positive - static_cast<int64_t>(drawn_.size());
}

std::shared_ptr<const InBatchNegatives> NegativeSampler::take_known() && {
  known_.per_positive = spec_.per_positive;
  return std::make_shared<InBatchNegatives>(std::move(known_));
}

}  // namespace winnow::detail
