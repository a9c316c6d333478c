// The policies behind BanditPolicy::create().
#pragma once
#include "serve/bandits/linear_model.h"
#include "serve/bandits/policy.h"

namespace winnow {

// All kinds but thompson_bernoulli, over one LinearModel. thompson_logistic keeps the same factor and right-hand side:
// at each observation the mode of (Gaussian posterior so far) x (Bernoulli likelihood) is exact in one unknown, and
// Laplace's approximation around it is again Gaussian (Bishop 2006, section 4.4, one observation at a time).
class LinearBandit final : public BanditPolicy {
 public:
  explicit LinearBandit(const BanditOptions& options);
  const LinearModel& model() const { return model_; }

 protected:
  std::vector<int32_t> rank(const Candidates& candidates, int64_t n, int64_t count, Rng& rng) const override;
  std::vector<double> exact_probabilities(const Candidates& candidates, int64_t n) const override;
  double exact_probability(const Candidates& candidates, int64_t n, int64_t first) const override;
  bool is_exact() const override;
  void update(const Feedback& feedback) override;
  std::vector<NamedTensor> state() const override { return model_.state(); }
  void restore(const SafeTensors& file, const std::string& source) override { model_.restore(file, source); }

 private:
  LinearModel::Prediction predict(const Candidates& candidates, int64_t c) const;
  std::vector<double> scores(const Candidates& candidates, int64_t n, Rng& rng) const;
  void moments(const Candidates& candidates, int64_t n, std::vector<double>& means,
               std::vector<double>& deviations) const;
  std::vector<double> square_cb(const std::vector<double>& means) const;
  double exploration() const;
  bool thompson() const {
    return options_.kind == BanditKind::Thompson || options_.kind == BanditKind::ThompsonLogistic;
  }
  LinearModel model_;
};

class BernoulliBandit final : public BanditPolicy {
 public:
  explicit BernoulliBandit(const BanditOptions& options);

 protected:
  std::vector<int32_t> rank(const Candidates& candidates, int64_t n, int64_t count, Rng& rng) const override;
  std::vector<double> exact_probabilities(const Candidates& candidates, int64_t n) const override;
  double exact_probability(const Candidates& candidates, int64_t n, int64_t first) const override;
  bool is_exact() const override { return true; }
  void update(const Feedback& feedback) override;
  std::vector<NamedTensor> state() const override;
  void restore(const SafeTensors& file, const std::string& source) override;

 private:
  void parameters(const Candidates& candidates, std::vector<double>& alphas, std::vector<double>& betas) const;
  std::vector<double> alpha_, beta_;
};

// The places of the `count` largest values, the largest first, of equals the first.
std::vector<int32_t> best_first(const std::vector<double>& values, int64_t count);

}  // namespace winnow
