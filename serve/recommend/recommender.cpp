#include "serve/recommend/recommender.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <numeric>
#include <utility>

#include "core/math.h"
#include "serve/recommend/item_vectors.h"

namespace winnow {
namespace {

using Clock = std::chrono::steady_clock;
double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

constexpr float kFusionRank = 60;

}  // namespace

Recommender::Recommender(RecommendOptions options, Parts parts)
    : options_(std::move(options)), parts_(std::move(parts)), sellable_(parts_.catalogue->items(), true) {
  const Catalogue& catalogue = *parts_.catalogue;
  const auto names = sources();
  for (size_t i = 0; i < names.size(); ++i)
    WN_CHECK(std::ranges::count(names, names[i]) == 1, ConfigError, "two sources of the name {}", names[i]);
  for (int64_t u = 0; u < catalogue.users(); ++u)
    if (const int64_t n = catalogue.taken(u); n > 0) latest_ = std::max(latest_, catalogue.taken(u, n - 1).time);
  for (const ValueFilter& filter : options_.exclude) sellable_.remove(parts_.values->passing(filter));
  available_ = std::make_shared<const ItemSet>(sellable_);
  for (const BoostRule& rule : options_.boosts) {
    ItemSet items(catalogue.items(), true);
    for (const ValueFilter& filter : rule.where) items.keep(parts_.values->passing(filter));
    boosts_.push_back({std::move(items), static_cast<float>(rule.by)});
  }
  for (const PinnedItem& pin : options_.pinned) {
    const int64_t item = catalogue.find_item(pin.item);
    WN_CHECK(item >= 0, ConfigError, "rules.pinned: there is no item '{}'", pin.item);
    pins_.push_back({item, pin.position - 1});
  }
  for (const CategoryLimit& limit : options_.limits)
    limits_.push_back({parts_.values->feature(limit.feature), limit.most, limit.first});
  const DiversityOptions& d = options_.diversity;
  if (d.method != DiversityOptions::None && parts_.diversity == nullptr)
    diversity_feature_ = parts_.values->feature(d.by);
}

std::vector<std::string_view> Recommender::sources() const {
  std::vector<std::string_view> names;
  for (const Slot& slot : parts_.sources) names.push_back(slot.source->name());
  return names;
}

const CandidateSource& Recommender::source(std::string_view name) const {
  for (const Slot& slot : parts_.sources)
    if (slot.source->name() == name) return *slot.source;
  raise<DataError>("there is no source '{}'; there are: {}", name, fmt::join(sources(), ", "));
}

void Recommender::check_items(std::span<const int64_t> items) const {
  for (const int64_t item : items)
    WN_CHECK(item >= 0 && item < parts_.catalogue->items(), DataError, "item number {} lies outside [0, {})", item,
             parts_.catalogue->items());
}

void Recommender::set_unavailable(std::span<const int64_t> items) {
  check_items(items);
  auto set = std::make_shared<ItemSet>(sellable_);
  for (const int64_t item : items) set->remove(item);
  const std::scoped_lock lock(available_mutex_);
  available_ = std::move(set);
}

std::shared_ptr<const ItemSet> Recommender::available() const {
  const std::scoped_lock lock(available_mutex_);
  return available_;
}

void Recommender::prepare(const RecommendRequest& request, RecommendScratch& s) const {
  const Catalogue& catalogue = *parts_.catalogue;
  WN_CHECK(request.k >= 1, ConfigError, "k {}: at least 1 item", request.k);
  WN_CHECK(request.user >= -1 && request.user < catalogue.users(), DataError, "user number {} lies outside [-1, {})",
           request.user, catalogue.users());
  check_items(request.allow);
  check_items(request.deny);
  s.may = *available();
  if (!request.allow.empty()) {
    ItemSet allowed(catalogue.items());
    for (const int64_t item : request.allow) allowed.add(item);
    s.may.keep(allowed);
  }
  for (const int64_t item : request.deny) s.may.remove(item);
  for (const ValueFilter& filter : request.where) s.may.keep(parts_.values->passing(filter));
  liked(catalogue, request.user, s.history);
  for (const TakenItem& taken : request.since) {
    check_items({&taken.item, 1});
    if (taken.label > 0.5f) s.history.push_back(taken);
  }
}

int64_t Recommender::now(const RecommendRequest& request) const {
  if (request.now > 0) return request.now;
  return std::max(latest_, request.since.empty() ? 0 : request.since.back().time);
}

CandidateRequest Recommender::candidate_request(const RecommendRequest& request, RecommendScratch& s) const {
  return {request.user, s.history, now(request), &s.may, &s.source};
}

namespace {

void leave_out_seen(const RecommendRequest& request, const Catalogue& catalogue, ItemSet& may) {
  if (request.seen_too) return;
  if (request.user >= 0)
    for (const int64_t item : catalogue.taken_items(request.user)) may.remove(item);
  for (const TakenItem& taken : request.since) may.remove(taken.item);
}

}  // namespace

void Recommender::from_source(std::string_view name, const RecommendRequest& request, RecommendScratch& s,
                              std::vector<Candidate>& out) const {
  const CandidateSource& one = source(name);
  prepare(request, s);
  leave_out_seen(request, *parts_.catalogue, s.may);
  out.clear();
  one.candidates(candidate_request(request, s), request.k, out);
}

void Recommender::related(std::string_view name, int64_t item, const RecommendRequest& request, RecommendScratch& s,
                          std::vector<Candidate>& out) const {
  const CandidateSource& one = source(name);
  check_items({&item, 1});
  prepare(request, s);
  leave_out_seen(request, *parts_.catalogue, s.may);
  s.may.remove(item);
  CandidateRequest asked = candidate_request(request, s);
  s.history.assign(1, {item, asked.now, 1});
  asked.history = s.history;
  out.clear();
  one.candidates(asked, request.k, out);
}

void Recommender::similar(int64_t item, const RecommendRequest& request, RecommendScratch& s,
                          std::vector<RankedItem>& out) const {
  std::vector<std::vector<RankedItem>> lists;
  std::vector<Candidate> found;
  RecommendRequest asked = request;
  asked.k = std::max<int64_t>(request.k, 50);
  for (const std::string_view name : sources()) {
    if (name != "embedding" && name != "text" && name != "co_occurrence") continue;
    related(name, item, asked, s, found);
    auto& list = lists.emplace_back();
    for (const Candidate& c : found) list.push_back({c.item, c.score});
  }
  WN_CHECK(!lists.empty(), DataError, "no source knows similar items: embedding, text or co_occurrence is needed");
  fuse(lists, std::vector<double>(lists.size(), 1.0), {}, out);
  out.resize(std::min(out.size(), static_cast<size_t>(request.k)));
}

// One of each source in turn, so that none is crowded out where all together name too many.
void Recommender::merge(const RecommendRequest& request, RecommendScratch& s, RecommendTrace* trace) const {
  const CandidateRequest asked = candidate_request(request, s);
  s.lists.resize(parts_.sources.size());
  for (size_t i = 0; i < s.lists.size(); ++i) {
    s.lists[i].clear();
    parts_.sources[i].source->candidates(asked, parts_.sources[i].limit, s.lists[i]);
    if (trace != nullptr) trace->of_sources.push_back(static_cast<int64_t>(s.lists[i].size()));
  }
  s.named.resize(static_cast<size_t>(parts_.catalogue->items()));
  s.items.clear();
  constexpr float kNotNamed = 1e-4f;  // of a pinned item: log r = -5.1
  const auto take = [&](int64_t item, float reciprocal) {
    float& sum = s.named[static_cast<size_t>(item)];
    if (sum == 0) s.items.push_back(item);
    sum += reciprocal;
  };
  bool any = true;
  for (size_t rank = 0; any; ++rank) {
    any = false;
    for (const auto& list : s.lists) {
      if (rank >= list.size()) continue;
      any = true;
      if (static_cast<int64_t>(s.items.size()) < options_.candidates ||
          s.named[static_cast<size_t>(list[rank].item)] > 0)
        take(list[rank].item, 1 / (kFusionRank + static_cast<float>(rank + 1)));
    }
  }
  for (const Arrangement::Pin& pin : s.pins)
    if (s.named[static_cast<size_t>(pin.item)] == 0) take(pin.item, kNotNamed);
  s.agreement.clear();
  for (const int64_t item : s.items)
    s.agreement.push_back(std::log((kFusionRank + 1) * std::exchange(s.named[static_cast<size_t>(item)], 0.0f)));
}

void Recommender::score(const RecommendRequest& request, RecommendScratch& s) const {
  const Catalogue& catalogue = *parts_.catalogue;
  s.logits.resize(s.items.size());
  if (parts_.rank)
    parts_.rank(request.side        ? *request.side
                : request.user >= 0 ? catalogue.side(FeatureSide::User, request.user)
                                    : catalogue.stranger(),
                s.items, s.logits);
  else
    s.logits = s.agreement;
  s.scores = s.logits;
  if (parts_.rank && options_.blend > 0)
    for (size_t i = 0; i < s.items.size(); ++i) s.scores[i] += static_cast<float>(options_.blend) * s.agreement[i];
  for (const Boost& boost : boosts_)
    for (size_t i = 0; i < s.items.size(); ++i)
      if (boost.items.has(s.items[i])) s.scores[i] += boost.by;
  s.order.resize(s.items.size());
  std::iota(s.order.begin(), s.order.end(), 0);
  std::ranges::sort(s.order, [&](int64_t a, int64_t b) {
    const auto x = static_cast<size_t>(a), y = static_cast<size_t>(b);
    return s.scores[x] != s.scores[y] ? s.scores[x] > s.scores[y] : s.items[x] < s.items[y];
  });
}

double Recommender::similarity(int64_t a, int64_t b) const {
  return diversity_feature_ ? parts_.values->jaccard(*diversity_feature_, a, b) : parts_.diversity->cosine(a, b);
}

// Reorders the best of s.order: twice the list, so that rules have a choice that is diverse too.
void Recommender::diversify(const RecommendRequest& request, RecommendScratch& s) const {
  const DiversityOptions& d = options_.diversity;
  if (d.method == DiversityOptions::None || d.weight == 0) return;
  const size_t among = std::min(s.order.size(), static_cast<size_t>(std::max(d.among, request.k)));
  s.relevance.clear();
  for (size_t i = 0; i < among; ++i)
    s.relevance.push_back(static_cast<double>(math::sigmoid(s.scores[static_cast<size_t>(s.order[i])])));
  to_unit_range(s.relevance);
  const PairSimilarity pair = [&](int64_t a, int64_t b) {
    return similarity(s.items[static_cast<size_t>(s.order[static_cast<size_t>(a)])],
                      s.items[static_cast<size_t>(s.order[static_cast<size_t>(b)])]);
  };
  if (d.method == DiversityOptions::Mmr)
    mmr(s.relevance, pair, d.weight, 2 * request.k, s.diverse, s.rerank);
  else
    greedy_dpp(s.relevance, pair, d.weight, 2 * request.k, s.diverse, s.rerank);
  for (size_t i = 0; i < among; ++i)  // what was not chosen follows by score
    if (s.rerank.taken[i] == 0) s.diverse.push_back(static_cast<int64_t>(i));
  for (int64_t& at : s.diverse) at = s.order[static_cast<size_t>(at)];
  std::ranges::copy(s.diverse, s.order.begin());
}

void Recommender::finish(const RecommendRequest& request, RecommendScratch& s,
                         std::vector<RecommendedItem>& out) const {
  s.ranked.clear();
  for (const int64_t at : s.order) s.ranked.push_back(s.items[static_cast<size_t>(at)]);
  const int64_t at_time = now(request);
  arrange({.ranked = s.ranked,
           .k = request.k,
           .pinned = s.pins,
           .values = parts_.values.get(),
           .limits = limits_,
           .new_share = parts_.fresh != nullptr ? options_.new_share : NewShare{},
           .is_new = [&](int64_t item) { return parts_.fresh->is_new(item, at_time); }},
          s.diverse);
  out.resize(s.diverse.size());
  for (size_t n = 0; n < out.size(); ++n) {
    const auto at = static_cast<size_t>(s.order[static_cast<size_t>(s.diverse[n])]);
    RecommendedItem& r = out[n];
    r.item = s.items[at];
    r.score = s.scores[at];
    r.probability = math::sigmoid(s.logits[at]);
    r.pinned = std::ranges::find(s.pins, r.item, &Arrangement::Pin::item) != s.pins.end();
    r.causes.clear();
    for (size_t i = 0; i < s.lists.size(); ++i)
      for (size_t rank = 0; rank < s.lists[i].size(); ++rank)
        if (s.lists[i][rank].item == r.item)
          r.causes.push_back({parts_.sources[i].source->name(), s.lists[i][rank].score, static_cast<int64_t>(rank) + 1,
                              s.lists[i][rank].reason});
  }
}

void Recommender::recommend(const RecommendRequest& request, RecommendScratch& s, std::vector<RecommendedItem>& out,
                            RecommendTrace* trace) const {
  const auto start = Clock::now();
  prepare(request, s);
  // a pin holds for everybody who may see the item, also for who took it
  s.pins.clear();
  for (const Arrangement::Pin& pin : pins_)
    if (s.may.has(pin.item)) s.pins.push_back(pin);
  leave_out_seen(request, *parts_.catalogue, s.may);
  if (trace != nullptr) {
    *trace = {};
    trace->may = s.may.count();
  }
  merge(request, s, trace);
  const auto merged = Clock::now();
  score(request, s);
  const auto ranked = Clock::now();
  diversify(request, s);
  finish(request, s, out);
  if (trace == nullptr) return;
  trace->candidates = static_cast<int64_t>(s.items.size());
  trace->source_seconds = std::chrono::duration<double>(merged - start).count();
  trace->rank_seconds = std::chrono::duration<double>(ranked - merged).count();
  trace->arrange_seconds = seconds_since(ranked);
}

std::string Recommender::text(const Reason& reason) const {
  std::string text(reason.text);
  if (reason.item >= 0) {
    const std::string_view title = parts_.catalogue->item_title(reason.item);
    text += fmt::format(" {}", title.empty() ? parts_.catalogue->item_key(reason.item) : title);
  }
  if (!reason.value.empty()) text += fmt::format(" {}", reason.value);
  return text;
}

}  // namespace winnow
