// Metrics over labelled rows: streaming, in double, independent of the order of rows, batches and merges (same bits).
//
// name       prediction  formula (w = weight, y = label, p = sigmoid(prediction))
// auc        any score   P(score of a positive > score of a negative), ties count half, pairs weighted by w+ w-
// gauc       any score   sum_u n_u AUC_u / sum_u n_u, n_u = sum of the user's weights; users of one class are skipped
//                        (Zhou et al. 2018, "Deep Interest Network", section 5.2)
// pr_auc     any score   average precision: sum over distinct scores t, from the highest, of (R_t - R_before) P_t, P_t
// and
//                        R_t the precision and recall of the rows with a score of t or more (no interpolation)
// logloss    logit       sum w (-y log p - (1 - y) log(1 - p)) / sum w, p clipped to [1e-15, 1 - 1e-15]
// ne         logit       normalised entropy: logloss / (-m log m - (1 - m) log(1 - m)), m = sum w y / sum w; 1 is the
// best
//                        constant prediction (He et al. 2014, "Practical Lessons from Predicting Clicks on Ads")
// brier      logit       sum w (p - y)^2 / sum w (Brier 1950)
// ece        logit       expected calibration error over equally wide bins of p; ece_mass: over bins of equally many
// rows
//                        (train/metrics_calibration.h)
// copc       logit       clicks over predicted clicks, sum w y / sum w p; 1 is unbiased
// accuracy, precision, recall, f1   logit   a row is called positive when p >= threshold
// rmse, mae  value       sqrt(sum w (prediction - y)^2 / sum w), sum w |prediction - y| / sum w
#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/error.h"

namespace winnow {

// Rows of one batch, equal lengths. No weights: every weight is 1. A row of weight 0 is padding and never looked at.
struct MetricRows {
  std::span<const float> predictions;
  std::span<const float> labels;
  std::span<const float> weights = {};
  std::span<const int64_t> users = {};  // only gauc reads them: any non-negative key of the row's user
};

struct MetricValue {
  std::string name;
  std::optional<double> value;                            // nothing where the metric is undefined; `reason` says why
  double low = std::numeric_limits<double>::quiet_NaN();  // bounds of the bootstrap interval, NaN when there is none
  double high = std::numeric_limits<double>::quiet_NaN();
  std::string reason = {};
  std::string str() const;  // "auc 0.713245 [0.703110, 0.723301]" or "auc undefined: needs both classes, ..."
};

class Metric {
 public:
  virtual ~Metric() = default;
  // DataError naming metric and row (counted from 0 over all updates) on a NaN prediction, a label out of range, a
  // negative or non-finite weight, a missing user; ShapeError on unequal lengths. After an error the metric is as
  // before.
  virtual void update(const MetricRows& rows) = 0;
  virtual void merge(const Metric& other) = 0;  // ConfigError unless `other` measures the same
  virtual MetricValue value() const = 0;
  const std::string& name() const { return name_; }

 protected:
  explicit Metric(std::string name) : name_(std::move(name)) {}
  template <class M>
  const M& same_kind(const Metric& other) const {
    const M* m = dynamic_cast<const M*>(&other);
    WN_CHECK(m != nullptr && name_ == other.name_, ConfigError, "metric {}: cannot merge {} into it", name_,
             other.name_);
    return *m;
  }

 private:
  std::string name_;
};

struct MetricOptions {
  double threshold = 0.5;  // of the probability, in (0, 1): accuracy, precision, recall, f1
  int bins = 10;           // at least 1: ece, ece_mass
};

// By the names above; ConfigError on another name, a threshold outside (0, 1) or fewer than 1 bin.
std::unique_ptr<Metric> make_metric(std::string_view name, const MetricOptions& options = {});
const std::vector<std::string>& metric_names();
// ConfigError on an unknown name, and on copc, which is best at 1.
bool higher_is_better(std::string_view metric);

enum class LabelRange { Binary, Probability, Finite };  // {0, 1}, [0, 1], any finite number

// The checks of Metric::update; `first_row` is what row 0 is called in the text.
void check_rows(std::string_view metric, const MetricRows& rows, int64_t first_row, LabelRange range);

// -y log p - (1 - y) log(1 - p) with p = sigmoid(logit) clipped to [1e-15, 1 - 1e-15], from the logit without overflow.
double log_loss(double logit, double label);
double binary_entropy(double p);      // -p log p - (1 - p) log(1 - p), 0 at 0 and 1
double logit_of(double probability);  // log(p / (1 - p)) with p clipped the same way

}  // namespace winnow
