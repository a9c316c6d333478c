#include "data/detail/store_truth.h"

#include <algorithm>

namespace winnow::store {

void BinnedAuc::add(double probability, bool label) {
  const auto bin = std::min(static_cast<size_t>(probability * static_cast<double>(kBins)), kBins - 1);
  ++counts_[2 * bin + (label ? 1 : 0)];
}

double BinnedAuc::value() const {
  double below = 0, positives = 0, won = 0;
  for (size_t bin = 0; bin < kBins; ++bin) {
    const auto negative = static_cast<double>(counts_[2 * bin]), positive = static_cast<double>(counts_[2 * bin + 1]);
    won += positive * (below + negative / 2);
    below += negative;
    positives += positive;
  }
  return below * positives > 0 ? won / (below * positives) : 0.5;
}

void Truth::add(const Block& block) {
  for (size_t k = 0; k < block.rows.size(); ++k) {
    const Impression& r = block.rows[k];
    ++rows_;
    clicks_ += r.clicked;
    purchases_ += r.purchased;
    if (block.first_row + static_cast<int64_t>(k) < test_from_) continue;
    ++test_rows_;
    const double hit = -log(r.p_click), miss = -log(1 - r.p_click);
    logloss_ += r.clicked ? hit : miss;
    entropy_ += r.p_click * hit + (1 - r.p_click) * miss;
    click_.add(r.p_click, r.clicked);
    if (r.clicked) purchase_.add(r.p_purchase, r.purchased);
  }
}

SyntheticReport Truth::report() const {
  SyntheticReport report;
  report.click_rate = static_cast<double>(clicks_) / static_cast<double>(rows_);
  report.purchase_rate = clicks_ > 0 ? static_cast<double>(purchases_) / static_cast<double>(clicks_) : 0;
  report.best_auc = click_.value();
  report.best_purchase_auc = purchase_.value();
  report.best_logloss = logloss_ / static_cast<double>(test_rows_);
  report.entropy = entropy_ / static_cast<double>(test_rows_);
  return report;
}

}  // namespace winnow::store
