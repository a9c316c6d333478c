#include "app/candidates_evaluation.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "serve/recommend/build.h"
#include "train/run.h"

namespace winnow {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

RecommendOptions options_of(const std::string& path) {
  if (path.empty()) return default_recommend_options();
  Config config = Config::load(path);
  RecommendOptions options = read_recommend_options(config.root().child("recommend"));
  config.finish();
  return options;
}

LatencySummary summary(std::vector<double> seconds) {
  if (seconds.empty()) return {};
  std::ranges::sort(seconds);
  const auto at = [&](double q) {
    return 1000 * seconds[static_cast<size_t>(q * static_cast<double>(seconds.size() - 1))];
  };
  double sum = 0;
  for (const double s : seconds) sum += s;
  return {1000 * sum / static_cast<double>(seconds.size()), at(0.5), at(0.99)};
}

// Everything that the lines of the report share.
class Evaluation {
 public:
  Evaluation(const CandidatesEvaluationOptions& options, const OpenedRun& run)
      : options_(options),
        data_(run.dataset),
        saved_(options.run),
        catalogue_(options.run + "/catalogue.safetensors", saved_.map),
        predictor_(saved_),
        ranker_(catalogue_, predictor_),
        positives_(data_, {Split::Test}, true),
        seen_(data_, {Split::Train, Split::Valid}, data_.report.negatives > 0) {
    WN_CHECK(catalogue_.users() == static_cast<int64_t>(data_.user_keys.size()) &&
                 catalogue_.items() == static_cast<int64_t>(data_.item_keys.size()),
             DataError, "{}: the catalogue is not that of the data; train again", options.run);
    for (size_t i = 0; i < data_.item_keys.size(); ++i)
      counts_.push_back(static_cast<double>(catalogue_.positives(static_cast<int64_t>(i))));
    if (!options.encoder.empty()) encoder_.emplace(published_encoder_options(options.encoder));
    if (encoder_) encoder_->initialize(0);
    recommend_ = options_of(options.config);
    items_ = know_items(recommend_, catalogue_, saved_.map, &saved_, encoder_ ? &*encoder_ : nullptr);
  }

  std::unique_ptr<Recommender> recommender(RankItems rank) const {
    return make_recommender(recommend_, catalogue_, saved_.map, items_, std::move(rank));
  }
  RankItems ranker() {
    return [this](const EncodedSide& user, std::span<const int64_t> items, std::span<float> logits) {
      ranker_(user, items, logits);
    };
  }
  bool has_positives(int64_t user) const {
    return positives_.offsets[static_cast<size_t>(user)] < positives_.offsets[static_cast<size_t>(user) + 1];
  }
  const Catalogue& catalogue() const { return catalogue_; }
  const RecommendOptions& recommend() const { return recommend_; }

  // name_items(user, out): item numbers, best first.
  using NameItems = std::function<void(int64_t user, std::vector<int64_t>& out)>;
  CandidatesReport::Line line(const std::string& name, const NameItems& name_items) const {
    CandidatesReport::Line line{name, 0, {}, {}};
    std::vector<double> seconds;
    std::vector<int64_t> named;
    double total = 0;
    const auto score = [&](int64_t begin, int64_t end, std::span<float> scores) {
      std::ranges::fill(scores, -std::numeric_limits<float>::infinity());
      for (int64_t u = begin; u < end; ++u) {
        if (!has_positives(u)) continue;
        const auto start = Clock::now();
        name_items(u, named);
        seconds.push_back(std::chrono::duration<double>(Clock::now() - start).count());
        total += static_cast<double>(named.size());
        for (size_t n = 0; n < named.size(); ++n)
          scores[static_cast<size_t>((u - begin) * catalogue_.items() + named[n])] = -static_cast<float>(n);
      }
    };
    line.metrics = ranking(score).metrics;
    line.candidates = total / std::max<double>(1, static_cast<double>(seconds.size()));
    line.latency = summary(std::move(seconds));
    return line;
  }
  RankingResult ranking(const ScoreUsers& score) const {
    RankingOptions options;
    options.ks = options_.ks;
    options.bootstrap.resamples = options_.resamples;
    options.bootstrap.seed = options_.seed;
    return evaluate_ranking({catalogue_.users(), catalogue_.items(), positives_.view(), seen_.view(), {}, counts_, {}},
                            score, options);
  }

 private:
  const CandidatesEvaluationOptions& options_;
  const Dataset& data_;
  SavedClickModel saved_;
  Catalogue catalogue_;
  ClickPredictor predictor_;
  CatalogueRanker ranker_;
  UserItemLists positives_, seen_;
  std::vector<double> counts_;
  std::optional<TextEncoder> encoder_;
  RecommendOptions recommend_;
  ItemKnowledge items_;
};

void add_sources(Evaluation& evaluation, const Recommender& recommender, int64_t k,
                 const std::function<void(const std::string&)>& say, CandidatesReport& report) {
  RecommendScratch scratch;
  std::vector<Candidate> found;
  for (const std::string_view name : recommender.sources()) {
    say(std::string(name));
    report.lines.push_back(evaluation.line(std::string(name), [&](int64_t user, std::vector<int64_t>& out) {
      recommender.from_source(name, {.user = user, .k = k}, scratch, found);
      out.clear();
      for (const Candidate& c : found) out.push_back(c.item);
    }));
  }
}

CandidatesReport::Line of_recommender(const std::string& name, const Evaluation& evaluation,
                                      const Recommender& recommender, int64_t k) {
  RecommendScratch scratch;
  std::vector<RecommendedItem> found;
  return evaluation.line(name, [&](int64_t user, std::vector<int64_t>& out) {
    recommender.recommend({.user = user, .k = k}, scratch, found);
    out.clear();
    for (const RecommendedItem& item : found) out.push_back(item.item);
  });
}

// The ranker over all items that the user has not seen, as a server without sources would.
CandidatesReport::Line of_whole_catalogue(Evaluation& evaluation) {
  const Catalogue& catalogue = evaluation.catalogue();
  const RankItems rank = evaluation.ranker();
  std::vector<int64_t> all(static_cast<size_t>(catalogue.items()));
  std::iota(all.begin(), all.end(), 0);
  std::vector<float> logits(all.size());
  return evaluation.line("whole catalogue", [&](int64_t user, std::vector<int64_t>& out) {
    rank(catalogue.side(FeatureSide::User, user), all, logits);
    for (const int64_t item : catalogue.taken_items(user)) logits[static_cast<size_t>(item)] = -INFINITY;
    top_items(logits, static_cast<int>(all.size()), out);
  });
}

}  // namespace

CandidatesReport evaluate_candidates(const CandidatesEvaluationOptions& options,
                                     const std::function<void(const std::string&)>& progress) {
  const auto say = [&](const std::string& what) {
    if (progress) progress(what);
  };
  say("data");
  const OpenedRun run(options.run);
  CandidatesEvaluationOptions fitted = options;
  const auto items = static_cast<int64_t>(run.dataset.item_keys.size());
  std::erase_if(fitted.ks, [&](int k) { return k > items; });
  std::ranges::sort(fitted.ks);
  WN_CHECK(!fitted.ks.empty(), ConfigError, "--k: every k is beyond the {} items of {}", items, options.run);
  Evaluation evaluation(fitted, run);
  CandidatesReport report;
  report.run = options.run;
  report.items = items;
  report.ks = fitted.ks;
  for (int64_t u = 0; u < evaluation.catalogue().users(); ++u) {
    if (!evaluation.has_positives(u)) {
      ++report.skipped_users;
      continue;
    }
    ++report.users;
    report.without_history += evaluation.catalogue().taken(u) == 0 ? 1 : 0;
  }
  const int64_t k = fitted.ks.back();
  say("sources");
  const auto unranked = evaluation.recommender({}), funnel = evaluation.recommender(evaluation.ranker());
  add_sources(evaluation, *unranked, k, say, report);
  say("merged");
  report.lines.push_back(of_recommender("merged", evaluation, *unranked, k));
  say("funnel");
  report.lines.push_back(of_recommender("funnel", evaluation, *funnel, k));
  say("whole catalogue");
  report.lines.push_back(of_whole_catalogue(evaluation));
  return report;
}

const MetricValue& CandidatesReport::Line::metric(const std::string& wanted) const {
  const auto at = std::ranges::find(metrics, wanted, &MetricValue::name);
  WN_CHECK(at != metrics.end(), Error, "no metric {}", wanted);
  return *at;
}

namespace {

std::string number(const MetricValue& m, const char* without) {
  return m.value ? fmt::format("{:.4f}", *m.value) : without;
}
Json json_of(const MetricValue& m) {
  if (!m.value) return {{"value", nullptr}, {"reason", m.reason}};
  Json j{{"value", *m.value}};
  if (!std::isnan(m.low)) j.update({{"low", m.low}, {"high", m.high}});
  return j;
}

}  // namespace

std::string CandidatesReport::str() const {
  std::string text =
      fmt::format("{}: {} users with a positive in the test split ({} of them without a history), {} items\n", run,
                  users, without_history, items);
  text += fmt::format("{:<16}{:>7}", "", "named");
  for (const int k : ks) text += fmt::format("{:>12}", fmt::format("recall@{}", k));
  const int first = ks.front();
  for (const char* name : {"ndcg", "coverage", "novelty"})
    text += fmt::format("{:>14}", fmt::format("{}@{}", name, first));
  text += fmt::format("{:>9}{:>9}\n", "p50 ms", "p99 ms");
  for (const Line& line : lines) {
    text += fmt::format("{:<16}{:>7.0f}", line.name, line.candidates);
    for (const int k : ks) text += fmt::format("{:>12}", number(line.metric(fmt::format("recall@{}", k)), "-"));
    for (const char* name : {"ndcg", "coverage", "novelty"})
      text += fmt::format("{:>14}", number(line.metric(fmt::format("{}@{}", name, first)), "-"));
    text += fmt::format("{:>9.3f}{:>9.3f}\n", line.latency.p50, line.latency.p99);
  }
  return text;
}

std::string CandidatesReport::json() const {
  Json j{{"run", run},
         {"users", users},
         {"skipped_users", skipped_users},
         {"users_without_history", without_history},
         {"items", items}};
  for (const Line& line : lines) {
    Json metrics = Json::object();
    for (const MetricValue& m : line.metrics) metrics[m.name] = json_of(m);
    j["rankings"].push_back(
        {{"name", line.name},
         {"named", line.candidates},
         {"metrics", std::move(metrics)},
         {"milliseconds", {{"mean", line.latency.mean}, {"p50", line.latency.p50}, {"p99", line.latency.p99}}}});
  }
  return j.dump(2);
}

}  // namespace winnow
