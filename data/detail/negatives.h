// The rows of a data set before encoding: interactions in order, each followed by its sampled negatives.
#pragma once
#include <cstdint>
#include <vector>

#include "core/rng.h"
#include "data/detail/raw_data.h"

namespace winnow::detail {

struct SampledRow {
  int32_t interaction;  // user, context, time
  int32_t item_from;    // the interaction that item and item features come from
  bool sampled = false;
};

// Draws the negatives of one interaction after another, in order of the data set. See load_dataset().
class NegativeSampler {
 public:
  // order: all interactions as the data set has them; train_rows: those of the training split.
  NegativeSampler(const RawData& raw, const std::vector<int32_t>& order, const std::vector<int32_t>& train_rows,
                  const NegativeSpec& spec, uint64_t seed);
  // Appends `interaction` and its negatives; returns how many could not be drawn.
  int64_t append(int32_t interaction, std::vector<SampledRow>& out);
  // Appends `interaction` alone, its item shown as append() does.
  void append_positive(int32_t interaction, std::vector<SampledRow>& out);
  std::shared_ptr<const InBatchNegatives> take_known() &&;  // what each user took; ends the sampler's use

 private:
  bool known(int32_t user, int32_t item) const;
  int32_t draw(Rng& rng, int32_t user) const;
  bool allowed(int32_t user, int32_t item) const;

  const RawData& raw_;
  NegativeSpec spec_;
  uint64_t seed_;
  const std::vector<int32_t>& train_rows_;
  std::vector<int32_t> catalogue_;  // items of the training split, then others in order of their first sale
  std::vector<bool> in_catalogue_;  // [items]
  std::vector<int32_t> latest_;     // [items] the interaction that shows the item as it is now
  InBatchNegatives known_;
  std::vector<int32_t> drawn_;  // items of the current interaction
};

}  // namespace winnow::detail
