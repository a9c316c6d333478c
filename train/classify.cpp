#include "train/classify.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "core/text.h"
#include "ops/losses.h"
#include "ops/shape_ops.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

constexpr double kLeastProbability = 1e-15;

std::vector<double> softmax_of(std::span<const float> logits) {
  const double most = *std::ranges::max_element(logits);
  std::vector<double> p;
  double sum = 0;
  for (const float x : logits) sum += p.emplace_back(std::exp(x - most));
  for (double& x : p) x /= sum;
  return p;
}

std::vector<double> sigmoid_of(std::span<const float> logits) {
  std::vector<double> p;
  for (const float x : logits) p.push_back(1 / (1 + std::exp(-static_cast<double>(x))));
  return p;
}

std::vector<std::string> parts_of(std::string_view cell, const std::string& separator) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= cell.size();) {
    const size_t end = separator.empty() ? cell.size() : std::min(cell.find(separator, begin), cell.size());
    std::string_view part = cell.substr(begin, end - begin);
    while (!part.empty() && part.front() == ' ') part.remove_prefix(1);
    while (!part.empty() && part.back() == ' ') part.remove_suffix(1);
    if (!part.empty()) parts.emplace_back(part);
    begin = end + std::max<size_t>(1, separator.size());
  }
  return parts;
}

// Classes by falling probability, equal ones by name.
std::vector<int32_t> order_of(const std::vector<double>& p) {
  std::vector<int32_t> order(p.size());
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, std::greater<>(), [&](int32_t c) { return p[static_cast<size_t>(c)]; });
  return order;
}

}  // namespace

bool Classify::Scored::right(size_t r) const {
  return std::ranges::equal(rows.labels_of(static_cast<int64_t>(r)), rows.predicted_of(static_cast<int64_t>(r)));
}

Classify::Classify(ClassifyOptions options) : options_(std::move(options)), threshold_(options_.threshold) {}

Monitors Classify::monitors() const { return {"accuracy", {"accuracy", "macro_f1"}, {"logloss"}}; }

bool Classify::out_of_scope(const TextTable& table, int32_t row) const {
  return !options_.out_of_scope.empty() && table.cells[0][static_cast<size_t>(row)] == options_.out_of_scope;
}

std::vector<int32_t> Classify::labels_of(const TextTable& table, int32_t row) const {
  const std::string& cell = table.cells[0][static_cast<size_t>(row)];
  const std::vector<std::string> parts = parts_of(cell, options_.separator);
  if (parts.empty() && options_.separator.empty())
    table.fail(row, options_.label,
               "the label is missing; leave such rows out with data.clean: [{step: missing, columns: [" +
                   options_.label + "]}]");
  std::vector<int32_t> labels;
  for (const std::string& part : parts) {
    const auto at = std::ranges::lower_bound(classes_, part);
    labels.push_back(at != classes_.end() && *at == part ? static_cast<int32_t>(at - classes_.begin()) : -1);
  }
  std::ranges::sort(labels);
  const auto twice = std::ranges::unique(labels);
  labels.erase(twice.begin(), twice.end());
  return labels;
}

std::vector<int32_t> Classify::trained(const TextTable& table) const {
  std::vector<int32_t> rows;
  for (const int32_t r : table.rows_of(Split::Train))
    if (!out_of_scope(table, r)) rows.push_back(r);
  return rows;
}

void Classify::fit(const TextTable& table) {
  std::map<std::string, int64_t> counts;
  const std::vector<int32_t> rows = trained(table);
  for (const int32_t r : rows) {
    (void)labels_of(table, r);  // refuses a missing one
    for (std::string& part : parts_of(table.cells[0][static_cast<size_t>(r)], options_.separator))
      ++counts[std::move(part)];
  }
  WN_CHECK(counts.size() >= (options_.separator.empty() ? 2 : 1), DataError,
           "column {}: {} class in the training split; there is nothing to tell apart", winnow::quoted(options_.label),
           counts.size());
  classes_.clear();
  weights_.clear();
  for (const auto& [name, n] : counts) {
    classes_.push_back(name);
    if (options_.balanced)
      weights_.push_back(static_cast<float>(static_cast<double>(rows.size()) /
                                            (static_cast<double>(counts.size()) * static_cast<double>(n))));
  }
}

TextTargets Classify::targets(const TextTable& table, std::span<const int32_t> rows) const {
  TextTargets t;
  const bool multi = !options_.separator.empty();
  if (multi) t.width = outputs();
  for (const int32_t r : rows) {
    const std::vector<int32_t> labels = out_of_scope(table, r) ? std::vector<int32_t>{-1} : labels_of(table, r);
    if (multi) {
      const size_t begin = t.values.size();
      t.values.resize(begin + classes_.size(), 0.f);
      for (const int32_t c : labels)
        if (c >= 0) t.values[begin + static_cast<size_t>(c)] = 1;
    } else {
      t.labels.push_back(labels[0]);
      if (!weights_.empty()) t.weights.push_back(labels[0] < 0 ? 1.f : weights_[static_cast<size_t>(labels[0])]);
    }
  }
  return t;
}

Value Classify::loss(Value outputs, Value targets, Value weights) const {
  return options_.separator.empty() ? softmax_cross_entropy(outputs, targets, weights, options_.label_smoothing)
                                    : bce_with_logits(outputs, targets, weights, options_.label_smoothing);
}

Classify::Scored Classify::score(std::span<const float> outputs, const TextSplit& split) const {
  Scored s;
  const bool multi = !options_.separator.empty();
  s.rows.classes = static_cast<int64_t>(classes_.size());
  s.rows.multi = multi;
  for (size_t r = 0; r < split.rows.size(); ++r) {
    const int32_t row = split.rows[r];
    if (outputs.empty()) {
      if (!out_of_scope(*split.table, row)) s.rows.add(labels_of(*split.table, row), {});
      continue;
    }
    const auto logits = outputs.subspan(r * classes_.size(), classes_.size());
    const std::vector<double> p = multi ? sigmoid_of(logits) : softmax_of(logits);
    const std::vector<int32_t> order = order_of(p);
    const double highest = p[static_cast<size_t>(order[0])];
    if (out_of_scope(*split.table, row)) {
      s.highest_out.push_back(highest);
      continue;
    }
    const std::vector<int32_t> labels = labels_of(*split.table, row);
    s.highest.push_back(highest);
    std::vector<int32_t> predicted;
    double loss = 0;
    if (multi) {
      for (size_t c = 0; c < p.size(); ++c) {
        if (p[c] >= options_.threshold) predicted.push_back(static_cast<int32_t>(c));
        const bool is = std::ranges::binary_search(labels, static_cast<int32_t>(c));
        loss -= std::log(std::max(kLeastProbability, is ? p[c] : 1 - p[c])) / static_cast<double>(p.size());
      }
    } else {
      predicted = {order[0]};
      const auto most = std::min(order.size(), static_cast<size_t>(options_.top_k));
      s.rows.top_k.push_back(std::ranges::find(order.begin(), order.begin() + static_cast<int64_t>(most), labels[0]) !=
                             order.begin() + static_cast<int64_t>(most));
      loss =
          -std::log(labels[0] < 0 ? kLeastProbability : std::max(kLeastProbability, p[static_cast<size_t>(labels[0])]));
    }
    s.rows.add(labels, predicted);
    s.rows.logloss.push_back(loss);
  }
  return s;
}

std::vector<NamedMetric> Classify::validate(std::span<const float> outputs, const TextSplit& valid) const {
  std::vector<NamedMetric> out;
  for (const MetricValue& m : class_metrics(score(outputs, valid).rows, {.resamples = 0}))
    if (m.value) out.push_back({m.name, *m.value});
  return out;
}

// Between the highest probabilities of two neighbouring rows; of equally good thresholds the lowest.
void Classify::calibrate(std::span<const float> outputs, const TextSplit& held_out) {
  if (options_.out_of_scope.empty() || !options_.separator.empty()) return;
  const Scored s = score(outputs, held_out);
  if (s.highest_out.empty()) return;
  std::vector<std::pair<double, int>> events;  // a row's highest probability, and what abstaining from it gains
  for (size_t r = 0; r < s.highest.size(); ++r) events.emplace_back(s.highest[r], s.right(r) ? -1 : 0);
  for (const double p : s.highest_out) events.emplace_back(p, 1);
  std::ranges::sort(events);
  int64_t gain = 0, best = 0;
  threshold_ = 0;
  for (size_t i = 0; i < events.size(); ++i) {
    gain += events[i].second;
    if (gain <= best || (i + 1 < events.size() && events[i + 1].first == events[i].first)) continue;
    best = gain;
    threshold_ = i + 1 < events.size() ? (events[i].first + events[i + 1].first) / 2 : 1;
  }
}

Json Classify::state() const { return {{"job", name()}, {"classes", classes_}, {"threshold", threshold_}}; }

void Classify::restore(const Json& state) {
  classes_ = state.at("classes").get<std::vector<std::string>>();
  threshold_ = state.at("threshold").get<double>();
  WN_CHECK(!classes_.empty() && std::ranges::is_sorted(classes_), DataError, "target.json: no ascending classes");
}

Json Classify::prediction(std::span<const float> outputs, int64_t top) const {
  const bool multi = !options_.separator.empty();
  const std::vector<double> p = multi ? sigmoid_of(outputs) : softmax_of(outputs);
  const std::vector<int32_t> order = order_of(p);
  Json list = Json::array();
  for (size_t i = 0; i < order.size() && static_cast<int64_t>(i) < top; ++i)
    list.push_back(
        {{"label", classes_[static_cast<size_t>(order[i])]}, {"probability", p[static_cast<size_t>(order[i])]}});
  Json out{{"labels", list}};
  if (!options_.out_of_scope.empty()) out["out_of_scope"] = p[static_cast<size_t>(order[0])] < threshold_;
  if (!multi) return out;
  out["classes"] = Json::array();
  for (size_t c = 0; c < p.size(); ++c)
    if (p[c] >= options_.threshold) out["classes"].push_back(classes_[c]);
  return out;
}

std::string Classify::prediction_text(std::span<const float> outputs, int64_t top) const {
  const Json j = prediction(outputs, top);
  std::string text;
  if (j.value("out_of_scope", false)) text += "(out of scope)\t";
  for (const Json& l : j.at("labels"))
    text += fmt::format("{}{}\t{:.4f}", text.empty() || text.back() == '\t' ? "" : "\t",
                        l.at("label").get<std::string>(), l.at("probability").get<double>());
  return text;
}

Json Classify::describe(const TextTable& table) const {
  Json out{{"column", options_.label}, {"classes", classes_.size()}};
  for (const Split s : {Split::Train, Split::Valid, Split::Test}) {
    std::vector<int64_t> counts(classes_.size());
    int64_t unseen = 0, outside = 0;
    for (const int32_t r : table.rows_of(s)) {
      if (out_of_scope(table, r)) {
        ++outside;
        continue;
      }
      for (const int32_t c : labels_of(table, r)) ++(c < 0 ? unseen : counts[static_cast<size_t>(c)]);
    }
    Json labels = Json::object();
    for (size_t c = 0; c < counts.size(); ++c) labels[classes_[c]] = counts[c];
    out["splits"][name_of(s)] = {{"labels", labels}, {"unseen", unseen}, {"out_of_scope", outside}};
  }
  return out;
}

std::unique_ptr<TextJob> make_classify(const ConfigNode& root) {
  ClassifyOptions o;
  const ConfigNode data = root.child("data"), loss = root.child("loss"), evaluation = root.child("evaluation");
  o.label = data.require<std::string>("label");
  o.separator = data.get("label_separator", "");
  o.label_smoothing = loss.get("label_smoothing", o.label_smoothing, fraction());
  if (o.separator.empty()) {
    o.out_of_scope = data.get("out_of_scope", "");
    o.balanced = loss.choice("class_weights", "none", {"none", "balanced"}) == "balanced";
    o.top_k = evaluation.get("top_k", o.top_k, at_least(1));
    o.pairs = evaluation.get("pairs", o.pairs, between(0, 1000));
  }
  if (!o.separator.empty() || !o.out_of_scope.empty())
    o.threshold = evaluation.get("threshold", o.threshold, between(0, 1));
  o.bootstrap.resamples = static_cast<int>(evaluation.get<int64_t>("resamples", 1000, between(0, 100000)));
  o.bootstrap.seed = evaluation.get<uint64_t>("seed", 1);
  return std::make_unique<Classify>(std::move(o));
}

}  // namespace winnow
