#include "train/rank_evaluate.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/rng.h"
#include "train/evaluation_text.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

std::vector<int64_t> groups_of(const RankingRows& rows) {
  std::vector<int64_t> groups;
  for (size_t q = 0; q + 1 < rows.offsets.size(); ++q)
    groups.insert(groups.end(), static_cast<size_t>(rows.offsets[q + 1] - rows.offsets[q]), static_cast<int64_t>(q));
  return groups;
}

std::vector<float> column(const RankingSplit& split, size_t feature, float sign) {
  std::vector<float> scores;
  const size_t width = split.rows.features.size();
  for (size_t at = feature; at < split.features.size(); at += width) scores.push_back(sign * split.features[at]);
  return scores;
}

RankReport::Baseline best_feature(const RankConfig& config, const RankingData& data, Split split) {
  const RankingSplit& train = data.split(Split::Train);
  const std::vector<int64_t> groups = groups_of(train.rows);
  double best = -1;
  size_t feature = 0;
  float sign = 1;
  for (size_t f = 0; f < train.rows.features.size(); ++f)
    for (const float s : {1.f, -1.f}) {
      const auto value =
          evaluate_graded({column(train, f, s), train.rows.labels, groups},
                          {.k = config.evaluation.ks.back(), .gain = config.evaluation.gain}, {.resamples = 0})
              .ndcg.value;
      if (value && *value > best) best = *value, feature = f, sign = s;
    }
  const RankingSplit& judged = data.split(split);
  return {fmt::format("feature {}{}", train.rows.features[feature], sign > 0 ? "" : " falling"),
          rank_metrics(column(judged, feature, sign), judged.rows, config.evaluation)};
}

RankReport::Baseline bm25(const Tokenizer& tokenizer, const RankingData& data, Split split,
                          const RankEvaluation& options) {
  const TermMatch matcher(tokenizer, data.documents, options.bm25);
  const RankingSplit& judged = data.split(split);
  std::vector<float> scores;
  for (size_t q = 0; q < judged.query_texts.size(); ++q)
    for (int64_t r = judged.rows.offsets[q]; r < judged.rows.offsets[q + 1]; ++r)
      scores.push_back(
          static_cast<float>(matcher.score(judged.query_texts[q], judged.item_texts[static_cast<size_t>(r)])));
  return {"bm25", rank_metrics(scores, judged.rows, options)};
}

RankReport::Baseline random_order(const RankingRows& rows, const RankEvaluation& options) {
  Rng rng(options.seed, 0x72616e64);  // "rand"
  std::vector<float> scores(rows.labels.size());
  for (float& s : scores) s = static_cast<float>(rng.uniform());
  return {"random", rank_metrics(scores, rows, options)};
}

std::string line_of(const std::string& name, const std::vector<MetricValue>& metrics) {
  std::string line = fmt::format("{:<22}", name);
  for (const MetricValue& m : metrics) {
    std::string cell = "-";
    if (m.value) cell = fmt::format("{:.4f}", *m.value);
    if (m.value && !std::isnan(m.low)) cell += fmt::format(" [{:.3f}, {:.3f}]", m.low, m.high);
    line += fmt::format("  {:<21}", cell);
  }
  return line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
}

}  // namespace

std::vector<MetricValue> rank_metrics(std::span<const float> scores, const RankingRows& rows,
                                      const RankEvaluation& options) {
  const std::vector<int64_t> groups = groups_of(rows);
  const BootstrapOptions bootstrap{.resamples = options.resamples, .seed = options.seed};
  std::vector<MetricValue> out;
  for (const int64_t k : options.ks)
    out.push_back(evaluate_graded({scores, rows.labels, groups}, {.k = k, .gain = options.gain}, bootstrap).ndcg);
  GradedResult whole = evaluate_graded({scores, rows.labels, groups}, {.gain = options.gain}, bootstrap);
  out.push_back(std::move(whole.map));
  out.push_back(std::move(whole.mrr));
  return out;
}

RankReport evaluate_ranking(const RankConfig& config, const RankingData& data, const RankModel& model,
                            std::vector<float> scores, Split split) {
  const RankingRows& rows = data.split(split).rows;
  RankReport report;
  report.model = config.model_name;
  report.split = split;
  report.rows = rows.rows();
  report.queries = rows.query_count();
  report.without_grade = evaluate_graded({scores, rows.labels, groups_of(rows)}, {}, {.resamples = 0}).skipped_groups;
  report.metrics = rank_metrics(scores, rows, config.evaluation);
  if (const auto* texts = dynamic_cast<const CrossEncoder*>(&model))
    report.baselines.push_back(bm25(texts->encoder().tokenizer(), data, split, config.evaluation));
  else
    report.baselines.push_back(best_feature(config, data, split));
  report.baselines.push_back(random_order(rows, config.evaluation));
  report.scores = std::move(scores);
  return report;
}

std::string RankReport::str() const {
  std::string text = fmt::format("{} split, {} rows of {} queries", name_of(split), rows, queries);
  if (without_grade > 0) text += fmt::format(" ({} without a grade above 0, left out)", without_grade);
  text += ", 95 % bootstrap intervals over queries\n";
  std::string head = fmt::format("{:<22}", "");
  for (const MetricValue& m : metrics) head += fmt::format("  {:<21}", m.name);
  text += head.substr(0, head.find_last_not_of(' ') + 1) + "\n" + line_of(model, metrics);
  for (const Baseline& b : baselines) text += line_of(b.name, b.metrics);
  return text;
}

std::string RankReport::json() const {
  Json j{{"model", model},
         {"split", name_of(split)},
         {"rows", rows},
         {"queries", queries},
         {"queries_without_grade", without_grade},
         {"metrics", metrics_json(metrics)}};
  for (const Baseline& b : baselines) j["baselines"][b.name]["metrics"] = metrics_json(b.metrics);
  // names of features are bytes of the data, which need not be UTF-8
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

void save_evaluation(const std::string& directory, const RankReport& report) {
  write_atomically(directory + "/evaluation.json", report.json() + "\n");
}

}  // namespace winnow
