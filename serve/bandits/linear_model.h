// Bayesian ridge regression in the forms of serve/bandits/policy.h: an arm's own weights on the context, shared weights
// on the features of a candidate, or both. With A_a, b_a, B_a of arm a and the Schur complement A_0, b_0 of the shared
// part (Li et al. 2010, algorithm 2), and u = z - B_a^T A_a^-1 x:
//   mean      x^T A_a^-1 b_a + u^T A_0^-1 b_0
//   variance  x^T A_a^-1 x + u^T A_0^-1 u
// An observation is a rank-one update of A_a and, as elimination shows, of A_0 too: A_0 += u u^T w / (1 + w x^T A_a^-1
// x). The paper's four products of matrices an update come to the same.
#pragma once
#include <span>
#include <vector>

#include "core/rng.h"
#include "core/safetensors.h"
#include "serve/bandits/cholesky.h"
#include "serve/bandits/policy.h"

namespace winnow {

class LinearModel {
 public:
  LinearModel(int64_t arms, int64_t context_dim, int64_t feature_dim, double ridge);

  struct Prediction {
    double mean = 0;          // of the whole
    double own = 0;           // of the arm alone: x^T A_a^-1 b_a
    double own_variance = 0;  // x^T A_a^-1 x
    std::vector<double> u;    // [feature_dim]
  };
  Prediction predict(int64_t arm, std::span<const double> context, std::span<const double> features) const;
  double variance(const Prediction& p) const;
  bool independent() const { return k_ == 0; }  // predictions of different arms share nothing
  // A draw of the shared weights from N(A_0^-1 b_0, scale^2 A_0^-1).
  std::vector<double> draw_shared(double scale, Rng& rng) const;
  // Learns weight (target - E[r])^2; weighted_target = weight * target.
  void update(int64_t arm, std::span<const double> context, std::span<const double> features, double weight,
              double weighted_target);

  std::vector<NamedTensor> state() const;
  void restore(const SafeTensors& file, const std::string& source);

 private:
  struct Arm {
    Cholesky a;
    std::vector<double> b, cross;  // [d], [d, k]
    std::vector<double> theta;     // A^-1 b
  };
  void solve_shared();
  int64_t d_, k_;
  std::vector<Arm> arms_;
  Cholesky shared_;
  std::vector<double> shared_b_, beta_;
};

}  // namespace winnow
