// Evaluation of a click run on its test split, and recommendation for one user.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "train/baselines.h"
#include "train/run.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

constexpr int64_t kInferenceBatch = 4096;

RankingOptions ranking_options(const EvaluationOptions& e) {
  RankingOptions options;
  options.ks.assign(e.ks.begin(), e.ks.end());
  options.bootstrap.resamples = static_cast<int>(e.resamples);
  options.bootstrap.seed = e.seed;
  return options;
}

ItemPopularity popularity_of(const Dataset& dataset) {
  ItemPopularity popularity(static_cast<int64_t>(dataset.item_keys.size()));
  const SplitColumns train = split_columns(dataset, Split::Train);
  popularity.add({train.items, train.labels, train.weights, train.users});
  return popularity;
}

Json json_of(const std::vector<MetricValue>& metrics) {
  Json j = Json::object();
  for (const MetricValue& m : metrics) {
    Json entry = Json::object();
    entry["value"] = m.value ? Json(*m.value) : Json(nullptr);
    if (!std::isnan(m.low)) entry["interval95"] = {m.low, m.high};
    if (!m.reason.empty()) entry["reason"] = m.reason;
    j[m.name] = entry;
  }
  return j;
}

std::string table_row(const std::string& name, const std::vector<MetricValue>& metrics,
                      const std::vector<std::string>& columns) {
  std::string row = fmt::format("{:<12}", name);
  for (const std::string& column : columns) {
    const auto m = std::ranges::find(metrics, column, &MetricValue::name);
    std::string cell = "-";
    if (m != metrics.end() && m->value) {
      cell = fmt::format("{:.4f}", *m->value);
      if (!std::isnan(m->low)) cell += fmt::format(" [{:.4f}, {:.4f}]", m->low, m->high);
    }
    row += fmt::format("  {:<24}", cell);
  }
  return row.substr(0, row.find_last_not_of(' ') + 1) + "\n";
}

std::string table(const EvaluationReport& report, const std::vector<std::string>& columns, bool ranking) {
  std::string text = fmt::format("{:<12}", "");
  for (const std::string& column : columns) text += fmt::format("  {:<24}", column);
  text = text.substr(0, text.find_last_not_of(' ') + 1) + "\n";
  const auto of = [&](const auto& r) {
    return ranking ? (r.ranking ? r.ranking->metrics : std::vector<MetricValue>{}) : r.metrics;
  };
  text += table_row(report.model, of(report), columns);
  for (const BaselineReport& b : report.baselines)
    if (!of(b).empty()) text += table_row(b.name, of(b), columns);
  return text;
}

double probability(double logit) { return 1 / (1 + std::exp(-logit)); }

}  // namespace

EvaluationReport evaluate_run(const CtrConfig& config, const Dataset& dataset, CtrModel& model, const std::string& name,
                              Split split) {
  const EvaluationOptions& e = config.evaluation;
  EvaluationReport report;
  report.model = name;
  report.split = split;
  const SplitColumns test = split_columns(dataset, split);
  report.rows = static_cast<int64_t>(test.labels.size());
  BinaryEvaluation binary;
  binary.bootstrap.resamples = static_cast<int>(e.resamples);
  binary.bootstrap.seed = e.seed;
  CtrTask task(dataset, model, kInferenceBatch, 0, config.loop.train.compile);
  report.metrics = evaluate_binary(test.rows(task.predict(split)), binary);
  const ItemPopularity popularity = popularity_of(dataset);
  for (BaselineResult& b : evaluate_baselines(popularity, {test.items, test.labels, test.weights, test.users}, binary))
    report.baselines.push_back({b.name, std::move(b.metrics), std::nullopt});
  if (!e.ranking || split != Split::Test) return report;
  const CandidateScorer scorer(dataset, model, kInferenceBatch, config.loop.train.compile);
  report.ranking = rank_catalogue(dataset, scorer, ranking_options(e));
  report.baselines.push_back(
      {"popularity", {}, rank_by_popularity(dataset, popularity.click_counts(), ranking_options(e))});
  return report;
}

std::string EvaluationReport::str() const {
  std::string text = fmt::format("{} split, {} rows, 95 % bootstrap intervals\n", name_of(split), rows);
  text += table(*this, {"auc", "gauc", "logloss"}, false);
  text += table(*this, {"accuracy", "precision", "recall", "f1"}, false);
  if (!ranking) return text;
  std::vector<std::string> columns;
  for (const MetricValue& m : ranking->metrics) columns.push_back(m.name);
  text += fmt::format("full-catalogue ranking of {} users ({} without a positive)\n", ranking->users,
                      ranking->skipped_users);
  for (size_t i = 0; i < columns.size(); i += 3)
    text += table(*this,
                  {columns.begin() + static_cast<int64_t>(i),
                   columns.begin() + static_cast<int64_t>(std::min(i + 3, columns.size()))},
                  true);
  return text;
}

std::string EvaluationReport::json() const {
  Json j{{"model", model}, {"split", name_of(split)}, {"rows", rows}, {"metrics", json_of(metrics)}};
  if (ranking)
    j["ranking"] = {
        {"users", ranking->users}, {"skipped_users", ranking->skipped_users}, {"metrics", json_of(ranking->metrics)}};
  for (const BaselineReport& b : baselines) {
    if (!b.metrics.empty()) j["baselines"][b.name]["metrics"] = json_of(b.metrics);
    if (b.ranking) j["baselines"][b.name]["ranking"] = json_of(b.ranking->metrics);
  }
  return j.dump(2);
}

std::string example_user(const Dataset& dataset) {
  const UserItemLists before(dataset, {Split::Train, Split::Valid}, true), after(dataset, {Split::Test}, true);
  size_t best = 0;
  int64_t most = -1;
  for (size_t u = 0; u < dataset.user_keys.size(); ++u) {
    const int64_t both = std::min(before.offsets[u + 1] - before.offsets[u], after.offsets[u + 1] - after.offsets[u]);
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
  const UserItemLists seen(d, {Split::Train, Split::Valid}, sampled), next(d, {Split::Test}, true);
  const CandidateScorer scorer(d, *run.model, kInferenceBatch, run.config.loop.train.compile);
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
    return Recommendation{d.item_keys[i], d.item_titles.empty() ? "" : d.item_titles[i], probability(logits[i])};
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
