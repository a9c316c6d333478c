#include "serve/recommend/popularity.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "serve/recommend/co_occurrence.h"

namespace winnow {
namespace {

constexpr double kDay = 86400;
constexpr int64_t kTaken = 1;  // the first time of items of data without timestamps: taken, and never new

std::vector<int32_t> by_popularity(const std::vector<double>& popularity) {
  std::vector<int32_t> order;
  for (size_t i = 0; i < popularity.size(); ++i)
    if (popularity[i] > 0) order.push_back(static_cast<int32_t>(i));
  std::ranges::stable_sort(order, [&](int32_t a, int32_t b) {
    return popularity[static_cast<size_t>(a)] > popularity[static_cast<size_t>(b)];
  });
  return order;
}

}  // namespace

std::vector<double> popularity(const Interactions& all, double half_life_days) {
  std::vector<double> sum(static_cast<size_t>(all.items));
  for (size_t n = 0; n < all.item.size(); ++n)
    sum[static_cast<size_t>(all.item[n])] += decay(all.time[n], all.latest, half_life_days);
  return sum;
}

PopularSource::PopularSource(const std::vector<double>& popularity) : order_(by_popularity(popularity)) {
  for (const int32_t item : order_) score_.push_back(static_cast<float>(popularity[static_cast<size_t>(item)]));
}

void PopularSource::candidates(const CandidateRequest& request, int64_t limit, std::vector<Candidate>& out) const {
  for (size_t n = 0; n < order_.size() && limit > 0; ++n) {
    if (!request.may->has(order_[n])) continue;
    out.push_back({order_[n], score_[n], {"popular", -1, {}}});
    --limit;
  }
}

PopularInSource::PopularInSource(const std::vector<double>& popularity, const ItemValues& values, size_t feature,
                                 int64_t most)
    : values_(values), feature_(feature) {
  const auto count = static_cast<size_t>(values.values(feature));
  share_.resize(count);
  of_value_.resize(count);
  double total = 0;
  for (const int32_t item : by_popularity(popularity)) {
    const double p = popularity[static_cast<size_t>(item)];
    total += p;
    for (const int32_t v : values.of_item(feature, item)) {
      const auto at = static_cast<size_t>(v);
      share_[at] += p;
      if (static_cast<int64_t>(of_value_[at].size()) < most)
        of_value_[at].push_back({item, static_cast<float>(p), {"popular in", -1, values.text(feature, v)}});
    }
  }
  for (double& share : share_) share /= std::max(total, 1e-300);
}

void PopularInSource::candidates(const CandidateRequest& request, int64_t limit, std::vector<Candidate>& out) const {
  if (request.history.empty()) return;
  std::vector<float>& count = request.scratch->weights;
  count.assign(share_.size(), 0.0f);
  for (const TakenItem& taken : request.history)
    for (const int32_t v : values_.of_item(feature_, taken.item)) ++count[static_cast<size_t>(v)];
  std::array<std::pair<double, size_t>, 3> best{};
  const auto n = static_cast<double>(request.history.size());
  for (size_t v = 0; v < share_.size(); ++v) {
    const double mine = count[v] / n, score = share_[v] > 0 ? mine * mine / share_[v] : 0;
    if (score <= best.back().first) continue;
    best.back() = {score, v};
    for (size_t i = best.size() - 1; i > 0 && best[i].first > best[i - 1].first; --i) std::swap(best[i], best[i - 1]);
  }
  // one of each value in turn; an item of two values is named once
  std::array<size_t, 3> next{};
  const size_t first = out.size();
  for (bool any = true; any && limit > 0;) {
    any = false;
    for (size_t b = 0; b < best.size() && limit > 0; ++b) {
      if (best[b].first <= 0) continue;
      const std::vector<Candidate>& list = of_value_[best[b].second];
      const auto known = [&](int64_t item) {
        return std::any_of(out.begin() + static_cast<std::ptrdiff_t>(first), out.end(),
                           [&](const Candidate& c) { return c.item == item; });
      };
      while (next[b] < list.size() && (!request.may->has(list[next[b]].item) || known(list[next[b]].item))) ++next[b];
      if (next[b] == list.size()) continue;
      out.push_back(list[next[b]++]);
      // what it is compared by within the source: its place, since popularity differs between values
      out.back().score = 1.0f / static_cast<float>(out.size() - first);
      any = true;
      --limit;
    }
  }
}

std::vector<int64_t> first_times(const Catalogue& catalogue) {
  std::vector<int64_t> times(static_cast<size_t>(catalogue.items()));
  for (int64_t i = 0; i < catalogue.items(); ++i)
    times[static_cast<size_t>(i)] = catalogue.positives(i) > 0 ? std::max(catalogue.first_time(i), kTaken) : 0;
  return times;
}

NewSource::NewSource(std::vector<int64_t> first_time, double days)
    : first_time_(std::move(first_time)), order_(first_time_.size()), seconds_(static_cast<int64_t>(days * kDay)) {
  std::iota(order_.begin(), order_.end(), 0);
  const auto time = [&](int32_t item) { return first_time_[static_cast<size_t>(item)]; };
  std::ranges::stable_sort(order_, [&](int32_t a, int32_t b) { return time(a) > time(b); });
  if (!first_time_.empty()) latest_ = std::ranges::max(first_time_);
}

int64_t NewSource::since(int64_t now) const { return std::max<int64_t>((now > 0 ? now : latest_) - seconds_, kTaken); }

bool NewSource::is_new(int64_t item, int64_t now) const {
  const int64_t time = first_time_[static_cast<size_t>(item)];
  return time == 0 || time > since(now);
}

void NewSource::candidates(const CandidateRequest& request, int64_t limit, std::vector<Candidate>& out) const {
  const size_t first = out.size();
  const auto name = [&](auto begin, auto end) {
    for (; begin != end && limit > 0; ++begin) {
      if (!request.may->has(*begin)) continue;
      out.push_back({*begin, 1.0f / static_cast<float>(out.size() - first + 1), {"new", -1, {}}});
      --limit;
    }
  };
  const auto until = [&](int64_t bound) {  // the items first taken after it come first
    return std::ranges::partition_point(order_,
                                        [&](int32_t item) { return first_time_[static_cast<size_t>(item)] > bound; });
  };
  name(order_.begin(), until(since(request.now)));
  name(until(0), order_.end());
}

}  // namespace winnow
