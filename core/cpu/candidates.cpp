#include "core/cpu/candidates.h"

#include <algorithm>
#include <limits>

namespace winnow::cpu {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();
constexpr int64_t kLeast = 128;  // candidates worth a cut
constexpr int64_t kRoom = 8;     // times k: bounds of normal vectors leave about 3 k

bool better_score(const Candidate& a, const Candidate& b) {
  return a.upper > b.upper || (a.upper == b.upper && a.row < b.row);
}

}  // namespace

int64_t RowScorer::score(std::vector<Candidate>& some) const {
  constexpr int64_t kStep = 64, kAhead = 8;
  const auto bounded = std::partition(some.begin(), some.end(), [](const Candidate& c) { return c.lower == c.upper; });
  const int64_t count = some.end() - bounded;
  const float* at[kStep];
  float scores[kStep];
  for (int64_t i = 0; i < count; i += kStep) {
    const int64_t n = std::min(kStep, count - i);
    for (int64_t j = 0; j < n; ++j) at[j] = rows + bounded[i + j].row * d;
    kernels.dots(query, at, n, d, kAhead, scores);
    for (int64_t j = 0; j < n; ++j) bounded[i + j].lower = bounded[i + j].upper = scores[j];
  }
  some.erase(std::remove_if(bounded, some.end(), [](const Candidate& c) { return !(c.upper > kLowest); }), some.end());
  return count;
}

void Candidates::reset(int64_t k) {
  all_.clear();
  k_ = limit_ = k;
  scored_ = 0;
  threshold_ = kLowest;
}

void Candidates::drop() {
  if (static_cast<int64_t>(all_.size()) < k_) return;
  std::nth_element(all_.begin(), all_.begin() + (k_ - 1), all_.end(),
                   [](const Candidate& a, const Candidate& b) { return a.lower > b.lower; });
  threshold_ = all_[static_cast<size_t>(k_ - 1)].lower;
  std::erase_if(all_, [&](const Candidate& c) { return c.upper < threshold_; });
}

void Candidates::cut(const RowScorer& scorer) {
  drop();
  const int64_t room = std::max(kRoom * k_, 8 * kLeast);
  if (static_cast<int64_t>(all_.size()) > std::max(room / 2, k_)) {
    scored_ += scorer.score(all_);
    if (static_cast<int64_t>(all_.size()) > k_) {
      std::nth_element(all_.begin(), all_.begin() + (k_ - 1), all_.end(), better_score);
      all_.resize(static_cast<size_t>(k_));
    }
    drop();
  }
  limit_ = std::clamp<int64_t>(2 * static_cast<int64_t>(all_.size()), std::max(k_, kLeast), room);
}

void Candidates::merge(const Candidates& other, const RowScorer& scorer) {
  scored_ += other.scored_;
  for (const Candidate& c : other.all_)
    if (c.upper >= threshold_ && add(c)) cut(scorer);
}

int64_t Candidates::finish(const RowScorer& scorer, ScoredRow* out) {
  drop();
  scored_ += scorer.score(all_);
  const int64_t n = std::min(k_, static_cast<int64_t>(all_.size()));
  std::partial_sort(all_.begin(), all_.begin() + n, all_.end(), better_score);
  for (int64_t i = 0; i < n; ++i) out[i] = {all_[static_cast<size_t>(i)].upper, all_[static_cast<size_t>(i)].row};
  return n;
}

}  // namespace winnow::cpu
