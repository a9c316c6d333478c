// `winnow train classify`: one class a text, or any number of them (data.label_separator).
//   one class   softmax cross-entropy, label smoothing s (Szegedy et al. 2016), weights of classes
//   several     binary cross-entropy of each class
// A label named data.out_of_scope stands for "none of the classes": its rows are not trained on; the highest
// probability of a text, compared with a threshold, says whether it is out of scope (Hendrycks and Gimpel 2017). The
// threshold is the one with the best accuracy on the validation rows, an out-of-scope row being right when it is
// abstained from; without validation rows it is evaluation.threshold.
#pragma once
#include <string>
#include <vector>

#include "train/class_metrics.h"
#include "train/text_job.h"

namespace winnow {

struct ClassifyOptions {
  std::string label;         // column
  std::string separator;     // of labels in a cell; "": one class a row
  std::string out_of_scope;  // a label; "": none
  double label_smoothing = 0;
  bool balanced = false;  // class c has weight N / (C n_c): each class counts the same
  int64_t top_k = 5;
  double threshold = 0.5;  // multi-label: of a class's probability; else of the highest one, until calibrated
  int64_t pairs = 20;      // confused pairs that are listed
  BootstrapOptions bootstrap;
};

class Classify final : public TextJob {
 public:
  explicit Classify(ClassifyOptions options);
  const char* name() const override { return "classify"; }
  std::vector<std::string> columns() const override { return {options_.label}; }
  Monitors monitors() const override;
  void fit(const TextTable& table) override;
  int64_t outputs() const override { return static_cast<int64_t>(classes_.size()); }
  std::vector<int32_t> trained(const TextTable& table) const override;
  TextTargets targets(const TextTable& table, std::span<const int32_t> rows) const override;
  Value loss(Value outputs, Value targets, Value weights) const override;
  std::vector<NamedMetric> validate(std::span<const float> outputs, const TextSplit& valid) const override;
  void calibrate(std::span<const float> outputs, const TextSplit& held_out) override;
  TextEvaluation evaluate(std::span<const float> outputs, const TextSplit& split,
                          const TextSplit& train) const override;
  nlohmann::json state() const override;
  void restore(const nlohmann::json& state) override;
  nlohmann::json prediction(std::span<const float> outputs, int64_t top) const override;
  std::string prediction_text(std::span<const float> outputs, int64_t top) const override;
  nlohmann::json describe(const TextTable& table) const override;

  const std::vector<std::string>& classes() const { return classes_; }
  double threshold() const { return threshold_; }

 private:
  struct Scored {
    ClassRows rows;                   // in scope
    std::vector<double> highest;      // [rows] the highest probability
    std::vector<double> highest_out;  // of the rows that are out of scope
    bool right(size_t r) const;
  };
  // The classes of a row: -1 for one that training did not see. DataError: no label.
  std::vector<int32_t> labels_of(const TextTable& table, int32_t row) const;
  bool out_of_scope(const TextTable& table, int32_t row) const;
  // Without outputs: labels alone. Rows out of scope are in highest_out alone.
  Scored score(std::span<const float> outputs, const TextSplit& split) const;
  nlohmann::json abstention(const Scored& scored) const;

  ClassifyOptions options_;
  std::vector<std::string> classes_;  // ascending
  std::vector<float> weights_;        // of classes; empty: 1
  double threshold_;
};

}  // namespace winnow
