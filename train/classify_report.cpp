// The evaluation of a classifier as a text for people and as JSON.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/text.h"
#include "train/classify.h"
#include "train/evaluation_text.h"
#include "train/metrics_binary.h"
#include "train/naive_bayes.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

// A baseline without the rows that are out of scope, whose tokens would shift the rows.
JaggedIds in_scope(const TextSplit& split, const std::vector<bool>& keep) {
  JaggedIds out;
  for (size_t r = 0; r < keep.size(); ++r) {
    if (!keep[r]) continue;
    const auto begin = static_cast<size_t>(split.tokens->offsets[r]),
               end = static_cast<size_t>(split.tokens->offsets[r + 1]);
    out.ids.insert(out.ids.end(), split.tokens->ids.begin() + static_cast<int64_t>(begin),
                   split.tokens->ids.begin() + static_cast<int64_t>(end));
    out.types.insert(out.types.end(), end - begin, 0);
    out.offsets.push_back(static_cast<int64_t>(out.ids.size()));
  }
  return out;
}

std::string class_table(const Json& classes, size_t most) {
  std::string text = fmt::format("{:<32} {:>7} {:>9} {:>9} {:>9}\n", "class", "rows", "precision", "recall", "f1");
  std::vector<Json> sorted;
  for (const Json& c : classes)
    if (c.at("rows").get<int64_t>() > 0) sorted.push_back(c);
  std::ranges::stable_sort(sorted, {}, [](const Json& c) { return c.at("f1").get<double>(); });
  for (size_t i = 0; i < std::min(most, sorted.size()); ++i) {
    const Json& c = sorted[i];
    text += fmt::format("{:<32} {:>7} {:>9.4f} {:>9.4f} {:>9.4f}\n",
                        winnow::quoted(c.at("name").get<std::string>(), 28), c.at("rows").get<int64_t>(),
                        c.at("precision").get<double>(), c.at("recall").get<double>(), c.at("f1").get<double>());
  }
  if (sorted.size() > most) text += fmt::format("({} classes with rows, the weakest first)\n", sorted.size());
  return text;
}

}  // namespace

// P(an out-of-scope row has a lower highest probability), and what the threshold does.
Json Classify::abstention(const Scored& s) const {
  std::vector<float> scores, labels;
  int64_t caught = 0, answered_right = 0;
  for (size_t r = 0; r < s.highest.size(); ++r) {
    scores.push_back(static_cast<float>(1 - s.highest[r]));
    labels.push_back(0);
    answered_right += s.highest[r] >= threshold_ && s.right(r);
  }
  for (const double p : s.highest_out) {
    scores.push_back(static_cast<float>(1 - p));
    labels.push_back(1);
    caught += p < threshold_;
  }
  BinaryEvaluation options{.bootstrap = options_.bootstrap, .scores_only = true};
  const MetricValue auc = evaluate_binary({scores, labels}, options).front();
  const auto in = static_cast<double>(s.highest.size()), out = static_cast<double>(s.highest_out.size());
  Json j{{"label", options_.out_of_scope},
         {"rows", s.highest_out.size()},
         {"threshold", threshold_},
         {"recall", static_cast<double>(caught) / out},
         {"auc", nullptr},
         {"accuracy_in_scope", in > 0 ? static_cast<double>(answered_right) / in : 0},
         {"accuracy_all", static_cast<double>(answered_right + caught) / (in + out)}};
  if (auc.value) j["auc"] = *auc.value;
  return j;
}

TextEvaluation Classify::evaluate(std::span<const float> outputs, const TextSplit& split,
                                  const TextSplit& train) const {
  const Scored s = score(outputs, split), labelled = score({}, train);
  const std::vector<MetricValue> metrics = class_metrics(s.rows, options_.bootstrap);
  std::vector<bool> keep;
  for (const int32_t r : split.rows) keep.push_back(!out_of_scope(*split.table, r));
  const std::pair<std::string, ClassRows> baselines[] = {
      {"majority", majority_class(labelled.rows, s.rows)},
      {"naive_bayes", naive_bayes(*train.tokens, labelled.rows, in_scope(split, keep), s.rows, split.tokenizer->size(),
                                  split.tokenizer->special())}};

  Json j{{"model", "text classifier"}, {"job", name()}, {"split", name_of(split.split)}, {"rows", s.rows.rows()}};
  j["metrics"] = metrics_json(metrics);
  std::vector<MetricColumn> columns = {{"model", metrics}};
  for (const auto& [name, rows] : baselines) {
    columns.push_back({name, class_metrics(rows, options_.bootstrap)});
    j["baselines"][name]["metrics"] = metrics_json(columns.back().metrics);
  }
  const std::vector<ClassCounts> counts = class_counts(s.rows);
  j["classes"] = Json::array();
  for (size_t c = 0; c < classes_.size(); ++c)
    j["classes"].push_back({{"name", classes_[c]},
                            {"rows", counts[c].labelled},
                            {"predicted", counts[c].predicted},
                            {"precision", counts[c].precision()},
                            {"recall", counts[c].recall()},
                            {"f1", counts[c].f1()}});
  j["confused"] = Json::array();
  std::string text = fmt::format("{} split, {} rows, {} classes, 95 % bootstrap intervals\n{}", name_of(split.split),
                                 s.rows.rows(), classes_.size(), metrics_table(columns));
  text += class_table(j["classes"], 12);
  const auto pairs = confused_pairs(s.rows, static_cast<size_t>(options_.pairs));
  for (const ConfusedPair& p : pairs) {
    const std::string &label = classes_[static_cast<size_t>(p.label)],
                      &predicted = classes_[static_cast<size_t>(p.predicted)];
    j["confused"].push_back({{"label", label},
                             {"predicted", predicted},
                             {"rows", p.rows},
                             {"of", counts[static_cast<size_t>(p.label)].labelled}});
    if (j["confused"].size() <= 5)
      text += fmt::format("{} rows of {} were called {}\n", p.rows, winnow::quoted(label, 40),
                          winnow::quoted(predicted, 40));
  }
  if (!s.highest_out.empty()) {
    const Json a = abstention(s);
    j["out_of_scope"] = a;
    text += fmt::format(
        "out of scope: {} rows, recall {:.4f} at a highest probability below {:.4f}; accuracy of the rows in scope "
        "{:.4f} "
        "with abstention, of all rows {:.4f}; AUC {:.4f}\n",
        s.highest_out.size(), a.at("recall").get<double>(), threshold_, a.at("accuracy_in_scope").get<double>(),
        a.at("accuracy_all").get<double>(), a.at("auc").is_null() ? NAN : a.at("auc").get<double>());
  }
  return {text, j.dump(2, ' ', false, Json::error_handler_t::replace)};
}

}  // namespace winnow
