// Recommendation for one user of a run.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "data/row_facts.h"
#include "train/run.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

}  // namespace

std::string example_user(const Dataset& dataset) {
  std::vector<int64_t> before(dataset.user_keys.size()), after(before.size());
  for (const Split split : {Split::Train, Split::Valid, Split::Test})
    for_each_facts(dataset, split, [&](const RowFacts& f) {
      for (size_t r = 0; r < f.user.size(); ++r)
        if (f.label[r] > 0.5f) ++(split == Split::Test ? after : before)[static_cast<size_t>(f.user[r])];
    });
  size_t best = 0;
  int64_t most = -1;
  for (size_t u = 0; u < before.size(); ++u) {
    const int64_t both = std::min(before[u], after[u]);
    if (both <= most) continue;
    most = both;
    best = u;
  }
  return dataset.user_keys.at(best);
}

RecommendReport recommend(const OpenedRun& run, const std::string& wanted, int64_t k) {
  const Dataset& d = run.dataset;
  const std::string user = wanted.empty() ? example_user(d) : wanted;
  const auto at = std::ranges::find(d.user_keys, user);
  WN_CHECK(at != d.user_keys.end(), DataError, "there is no user '{}' in {}{}; known users look like '{}'", user,
           run.config.schema.interactions.source.name(), did_you_mean(user, d.user_keys), d.user_keys.at(0));
  const auto u = static_cast<int32_t>(at - d.user_keys.begin());
  const bool sampled = d.report.negatives > 0;
  std::vector<bool> only(d.user_keys.size());
  only[static_cast<size_t>(u)] = true;
  const UserItemLists seen(d, {Split::Train, Split::Valid}, sampled, &only), next(d, {Split::Test}, true, &only);
  const CandidateScorer scorer(d, *run.model, inference_batch(run.config), run.config.loop.train.compile);
  const std::vector<float> logits = scorer.score({u});
  std::vector<float> scores = logits;
  const auto range = [&](const UserItemLists& lists) {
    const auto begin = lists.items.begin() + lists.offsets[static_cast<size_t>(u)],
               end = lists.items.begin() + lists.offsets[static_cast<size_t>(u) + 1];
    return std::vector<int64_t>(begin, end);
  };
  RecommendReport report;
  report.user = user;
  for (const int64_t item : range(seen)) scores[static_cast<size_t>(item)] = -INFINITY;
  report.history = static_cast<int64_t>(range(seen).size());
  const auto entry = [&](int64_t item) {
    const auto i = static_cast<size_t>(item);
    return Recommendation{d.item_keys[i], d.item_titles.empty() ? "" : d.item_titles[i], sigmoid(logits[i])};
  };
  std::vector<int64_t> top;
  top_items(scores, static_cast<int>(k), top);
  for (const int64_t item : top) report.items.push_back(entry(item));
  for (const int64_t item : range(next)) report.liked_next.push_back(entry(item));
  return report;
}

std::string RecommendReport::str() const {
  const auto line = [&](const Recommendation& r) {
    return fmt::format("{:>8.3f}  {:<10} {}\n", r.score, r.item, r.title);
  };
  std::string text = fmt::format("recommended to user {} ({} known items left out)\n", user, history);
  for (const Recommendation& r : items) text += line(r);
  text += liked_next.empty() ? "the user has no positive in the test split\n"
                             : "what the user really liked next, with the model's score\n";
  for (size_t i = 0; i < std::min<size_t>(liked_next.size(), 10); ++i) text += line(liked_next[i]);
  if (liked_next.size() > 10) text += fmt::format("          and {} more\n", liked_next.size() - 10);
  return text;
}

std::string RecommendReport::json() const {
  Json j{{"user", user}, {"left_out", history}};
  const auto list = [](const std::vector<Recommendation>& recommendations) {
    Json a = Json::array();
    for (const Recommendation& r : recommendations)
      a.push_back({{"item", r.item}, {"title", r.title}, {"score", r.score}});
    return a;
  };
  j["recommended"] = list(items);
  j["liked_next"] = list(liked_next);
  return j.dump(2);
}

}  // namespace winnow
