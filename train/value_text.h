// `winnow train value-text`: a number from a text (or a pair): a price, the value of an order line.
//   t = (g(y) - mean) / std over the training rows, g = identity or log; the model predicts t by MSE or Huber's loss
//   predictions are given back in units: y = mean + std t, or exp(mean + std t) s for the log
// s: exp of a mean of logs is a geometric mean, below the arithmetic one. Duan's smearing factor (1983) puts it right:
// s = mean of exp(residual of the log) over the validation rows. prediction: median leaves it out (s = 1).
#pragma once
#include <string>
#include <vector>

#include "train/text_job.h"

namespace winnow {

struct ValueTextOptions {
  std::vector<std::string> target;  // columns whose product is the target: [UnitPrice], [Quantity, UnitPrice]
  bool log = false;                 // else standardised alone
  bool median = false;              // of log: no smearing
  bool huber = false;               // else mse
  double delta = 1;                 // of huber, in standard deviations
  BootstrapOptions bootstrap;
};

class ValueText final : public TextJob {
 public:
  explicit ValueText(ValueTextOptions options) : options_(std::move(options)) {}
  const char* name() const override { return "value-text"; }
  std::vector<std::string> columns() const override { return options_.target; }
  Monitors monitors() const override { return {"rmse", {"r2", "spearman"}, {"rmse", "mae", "loss"}}; }
  void fit(const TextTable& table) override;
  int64_t outputs() const override { return 1; }
  std::vector<int32_t> trained(const TextTable& table) const override { return table.rows_of(Split::Train); }
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

  double in_units(double output) const;
  double smearing() const { return smearing_; }

 private:
  // DataError with file:line: no number, or none above 0 where its log is taken.
  double value_of(const TextTable& table, int32_t row) const;
  std::vector<double> values_of(const TextTable& table, std::span<const int32_t> rows) const;
  ValueTextOptions options_;
  double mean_ = 0, std_ = 1, smearing_ = 1;  // of g(y)
};

}  // namespace winnow
