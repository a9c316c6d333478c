#include "serve/bandits/linear_model.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "serve/bandits/state.h"

namespace winnow {

LinearModel::LinearModel(int64_t arms, int64_t context_dim, int64_t feature_dim, double ridge)
    : d_(context_dim),
      k_(feature_dim),
      shared_(feature_dim, ridge),
      shared_b_(static_cast<size_t>(feature_dim)),
      beta_(static_cast<size_t>(feature_dim)) {
  const auto d = static_cast<size_t>(d_), k = static_cast<size_t>(k_);
  if (d_ > 0)
    arms_.assign(static_cast<size_t>(arms),
                 Arm{Cholesky(d_, ridge), std::vector<double>(d), std::vector<double>(d * k), std::vector<double>(d)});
}

LinearModel::Prediction LinearModel::predict(int64_t arm, std::span<const double> context,
                                             std::span<const double> features) const {
  Prediction p;
  p.u.assign(features.begin(), features.end());
  if (d_ > 0) {
    const Arm& own = arms_[static_cast<size_t>(arm)];
    p.own = dot(own.theta, context);
    std::vector<double> solved(context.begin(), context.end());
    own.a.solve_lower(solved);
    p.own_variance = dot(solved, solved);
    if (k_ > 0) {
      own.a.solve_upper(solved);
      for (size_t i = 0; i < solved.size(); ++i)
        for (size_t j = 0; j < p.u.size(); ++j) p.u[j] -= own.cross[i * p.u.size() + j] * solved[i];
    }
  }
  p.mean = p.own + dot(p.u, beta_);
  return p;
}

double LinearModel::variance(const Prediction& p) const {
  return p.own_variance + (k_ > 0 ? shared_.inverse_form(p.u) : 0);
}

std::vector<double> LinearModel::draw_shared(double scale, Rng& rng) const {
  std::vector<double> z(static_cast<size_t>(k_));
  for (double& v : z) v = scale * rng.normal();
  shared_.solve_upper(z);
  for (size_t j = 0; j < z.size(); ++j) z[j] += beta_[j];
  return z;
}

void LinearModel::update(int64_t arm, std::span<const double> context, std::span<const double> features, double weight,
                         double weighted_target) {
  if (k_ > 0) {
    const Prediction p = predict(arm, context, features);
    const double divisor = 1 + weight * p.own_variance, residual = (weighted_target - weight * p.own) / divisor;
    shared_.add(p.u, weight / divisor);
    for (size_t j = 0; j < p.u.size(); ++j) shared_b_[j] += p.u[j] * residual;
    solve_shared();
  }
  if (d_ == 0) return;
  Arm& own = arms_[static_cast<size_t>(arm)];
  own.a.add(context, weight);
  for (size_t i = 0; i < context.size(); ++i) {
    own.b[i] += weighted_target * context[i];
    for (size_t j = 0; j < features.size(); ++j)
      own.cross[i * features.size() + j] += weight * context[i] * features[j];
  }
  own.theta = own.b;
  own.a.solve(own.theta);
}

void LinearModel::solve_shared() {
  beta_ = shared_b_;
  shared_.solve(beta_);
}

std::vector<NamedTensor> LinearModel::state() const {
  std::vector<NamedTensor> out;
  if (d_ > 0) {
    std::vector<double> factors, b, cross;
    for (const Arm& arm : arms_) {
      factors.insert(factors.end(), arm.a.packed().begin(), arm.a.packed().end());
      b.insert(b.end(), arm.b.begin(), arm.b.end());
      cross.insert(cross.end(), arm.cross.begin(), arm.cross.end());
    }
    const auto n = static_cast<int64_t>(arms_.size());
    out.push_back(bandit_tensor("arm.factor", {n, d_ * (d_ + 1) / 2}, factors));
    out.push_back(bandit_tensor("arm.b", {n, d_}, b));
    if (k_ > 0) out.push_back(bandit_tensor("arm.cross", {n, d_, k_}, cross));
  }
  if (k_ > 0) {
    out.push_back(bandit_tensor("shared.factor", {k_ * (k_ + 1) / 2}, shared_.packed()));
    out.push_back(bandit_tensor("shared.b", {k_}, shared_b_));
  }
  return out;
}

void LinearModel::restore(const SafeTensors& file, const std::string& source) {
  if (d_ > 0) {
    const auto n = static_cast<int64_t>(arms_.size());
    const int64_t triangle = d_ * (d_ + 1) / 2;
    const auto factors = bandit_numbers(file, source, "arm.factor", {n, triangle}),
               b = bandit_numbers(file, source, "arm.b", {n, d_});
    std::vector<double> cross;
    if (k_ > 0) cross = bandit_numbers(file, source, "arm.cross", {n, d_, k_});
    for (int64_t a = 0; a < n; ++a) {
      Arm& arm = arms_[static_cast<size_t>(a)];
      arm.a = Cholesky::from_packed({factors.begin() + a * triangle, factors.begin() + (a + 1) * triangle}, d_);
      std::copy_n(b.begin() + a * d_, d_, arm.b.begin());
      if (k_ > 0) std::copy_n(cross.begin() + a * d_ * k_, d_ * k_, arm.cross.begin());
      arm.theta = arm.b;
      arm.a.solve(arm.theta);
    }
  }
  if (k_ > 0) {
    shared_ = Cholesky::from_packed(bandit_numbers(file, source, "shared.factor", {k_ * (k_ + 1) / 2}), k_);
    shared_b_ = bandit_numbers(file, source, "shared.b", {k_});
    solve_shared();
  }
}

}  // namespace winnow
