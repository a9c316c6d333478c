#include "serve/recommend/candidates.h"

#include <algorithm>

namespace winnow {

void ScoreBoard::start(int64_t items) {
  const auto n = static_cast<size_t>(items);
  if (score_.size() != n) {
    score_.assign(n, 0.0f);
    largest_.assign(n, 0.0f);
    because_.assign(n, -1);
  } else {
    for (const int64_t item : touched_) {
      const auto i = static_cast<size_t>(item);
      score_[i] = largest_[i] = 0;
      because_[i] = -1;
    }
  }
  touched_.clear();
}

void ScoreBoard::add(int64_t item, float part, int64_t because) {
  const auto i = static_cast<size_t>(item);
  if (because_[i] < 0) touched_.push_back(item);
  if (because_[i] < 0 || part > largest_[i]) {
    largest_[i] = part;
    because_[i] = because;
  }
  score_[i] += part;
}

void ScoreBoard::take(int64_t limit, const ItemSet& may, std::string_view text, std::vector<Candidate>& best) {
  kept_.clear();
  for (const int64_t item : touched_) {
    const auto i = static_cast<size_t>(item);
    if (score_[i] > 0 && may.has(item)) kept_.push_back({item, score_[i], {text, because_[i], {}}});
  }
  const auto n = std::min(kept_.size(), static_cast<size_t>(limit));
  const auto middle = kept_.begin() + static_cast<std::ptrdiff_t>(n);
  std::partial_sort(kept_.begin(), middle, kept_.end(), [](const Candidate& a, const Candidate& b) {
    return a.score != b.score ? a.score > b.score : a.item < b.item;
  });
  best.insert(best.end(), kept_.begin(), middle);
}

}  // namespace winnow
