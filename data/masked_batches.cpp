#include "data/masked_batches.h"

#include <algorithm>
#include <cmath>

namespace winnow {
namespace {

constexpr double kRound = 16;

}  // namespace

// The places of a form follow from the share that is masked on average, with room for two standard deviations of as
// many independent choices (drawn row by row they vary less). A batch with more takes a larger form; in the largest one
// those beyond its room stay unmasked.
MaskedBatches::MaskedBatches(const JaggedIds& rows, TokenMasker& masker, const TokenBatchOptions& options)
    : source_(rows), masker_(masker), batches_(rows.lengths(), options) {
  double masked = 0;
  for (int64_t r = 0; r < rows.rows(); ++r) masked += masker.expected(rows.row(r));
  const double share = masked / std::max<double>(1, static_cast<double>(rows.ids.size()));
  for (const int64_t tokens : batches_.capacities()) {
    const double mean = share * static_cast<double>(tokens);
    const double places = std::min(static_cast<double>(tokens), mean + 2 * std::sqrt(mean) + 1);
    forms_.push_back({tokens, static_cast<int64_t>(std::ceil(places / kRound) * kRound)});
    const TokenTensors& t = tokens_.emplace_back(options.batch_size, tokens);
    const TensorSpec spec{DType::I64, {forms_.back().places}};
    feeds_.push_back({t.ids, t.types, t.positions, t.offsets, Tensor(spec), Tensor(spec)});
  }
}

bool MaskedBatches::next() {
  const int64_t epoch = fixed_ >= 0 ? fixed_ : cursor().epoch;
  if (!batches_.next()) return false;
  chosen_.clear();
  int64_t place = 0;
  for (const int32_t r : batches_.rows()) {
    const auto ids = source_.row(r);
    masker_.append(ids, epoch, r, place, chosen_);
    place += static_cast<int64_t>(ids.size());
  }
  form_ = batches_.form();
  while (form_ + 1 < forms_.size() && static_cast<int64_t>(chosen_.size()) > forms_[form_].places) ++form_;
  tokens_[form_].fill(source_, batches_.rows());
  masked_ = std::min(static_cast<int64_t>(chosen_.size()), forms_[form_].places);
  int64_t *ids = feeds_[form_][0].data<int64_t>(), *places = feeds_[form_][4].data<int64_t>();
  int64_t* labels = feeds_[form_][5].data<int64_t>();
  std::fill_n(places, forms_[form_].places, int64_t{-1});
  std::fill_n(labels, forms_[form_].places, int64_t{-1});
  for (size_t i = 0; i < static_cast<size_t>(masked_); ++i) {
    ids[chosen_[i].place] = chosen_[i].input;
    places[i] = chosen_[i].place;
    labels[i] = chosen_[i].label;
  }
  return true;
}

}  // namespace winnow
