// Contextual bandits: policies that choose among candidates, say with which probability they chose, and learn from the
// reward. All are deterministic in (seed, number of decisions so far, what was learnt): a saved policy goes on with the
// same bits.
//
// A candidate has an arm (an id with a model of its own), features, or both, and all share the context of the request:
//   disjoint  arms and context_dim d:   E[r] = x^T theta_a                 x [d], a model for each arm
//   shared    feature_dim k:            E[r] = z^T beta                    z [k] of the candidate, one model
//   hybrid    both:                     E[r] = z^T beta + x^T theta_a
// Neither: each arm has a mean of its own (x = [1]).
//
//   kind                the score of a candidate, then the choice and its propensity
//   epsilon_greedy      ridge estimate m; greedy, or with probability eps_t = epsilon (1 + t)^-decay uniform; exact
//   linucb              m + alpha s, s^2 the ridge variance (Li, Chu, Langford and Schapire 2010, algorithms 1 and 2);
//                       greedy; 1
//   thompson            a draw from the posterior N(m, scale^2 s^2), joint over the candidates (Agrawal and Goyal
//                       2013); greedy; independent arms by quadrature to 1e-8, shared and hybrid (1 + hits) / (1 +
//                       draws) of further draws: within 1 / draws of p, standard error sqrt(p (1 - p) / draws)
//   thompson_bernoulli  a draw from Beta(prior_alpha + successes, prior_beta + failures) of the arm (Thompson 1933);
//                       as thompson
//   thompson_logistic   a draw of the logit; Laplace's approximation, one observation after the other; as thompson
//   squarecb            ridge estimate m; p_c = 1 / (n + gamma_t (m_best - m_c)), the best takes the rest, gamma_t =
//                       gamma sqrt(n t) (Foster and Rakhlin 2020); exact
// Ridge and posterior: A = ridge I + sum w x x^T, kept as a Cholesky factor (serve/bandits/cholesky.h says why).
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/rng.h"
#include "core/safetensors.h"

namespace winnow {

enum class BanditKind : uint8_t { EpsilonGreedy, LinUcb, Thompson, ThompsonBernoulli, ThompsonLogistic, SquareCb };
const char* name_of(BanditKind kind);
BanditKind parse_bandit_kind(const std::string& name);  // ConfigError lists the names
const std::vector<std::string>& bandit_kinds();

struct BanditOptions {
  BanditKind kind = BanditKind::LinUcb;
  int64_t arms = 0, context_dim = 0, feature_dim = 0;
  double ridge = 1;
  double alpha = 1;                         // linucb
  double epsilon = 0.1, epsilon_decay = 0;  // epsilon_greedy
  double scale = 1;  // thompson: the noise of a reward, if it is known; thompson_logistic: of draws
  double prior_alpha = 1, prior_beta = 1;  // thompson_bernoulli
  double gamma = 1;                        // squarecb
  int64_t draws = 1000;                    // of propensities that are estimated
  // epsilon_greedy, squarecb: rewards count 1 / propensity (importance-weighted regression, Bietti, Agarwal and
  // Langford 2021): against a misspecified model, at a higher variance.
  bool importance_weighted = false;
  uint64_t seed = 1;
};
void check_bandit_options(const BanditOptions& options);  // ConfigError

struct Candidates {
  std::span<const int64_t> arms = {};     // [n], in [0, options.arms); empty where there are no arms
  std::span<const double> context = {};   // [context_dim]
  std::span<const double> features = {};  // [n, feature_dim]
};

struct Decision {
  std::vector<int32_t> ranking;  // places in the candidates, the chosen one first
  double propensity = 1;         // of the first; NaN when it was not asked for
};

// What came of a choice, whenever it comes. The vectors are those of the chosen candidate.
struct Feedback {
  int64_t arm = -1;
  std::span<const double> context = {}, features = {};
  double reward = 0;
  double propensity = 1;  // as the decision said
};

class BanditPolicy {
 public:
  static std::unique_ptr<BanditPolicy> create(const BanditOptions& options);
  // A safetensors file with checksums, written atomically; IoError or DataError for a file that save() did not write.
  static std::unique_ptr<BanditPolicy> load(const std::string& path);
  static std::unique_ptr<BanditPolicy> parse(const SafeTensors& file, const std::string& source);
  void save(const std::string& path) const;
  virtual ~BanditPolicy() = default;

  const BanditOptions& options() const { return options_; }
  uint64_t decisions() const { return decisions_; }

  // The best `count` of the candidates (all, where there are fewer). Behind the first: by score; epsilon_greedy: where
  // it explores, at random; squarecb: drawn without replacement in proportion to p. DataError: no candidates, sizes
  // that do not fit, an arm out of range, a number that is not finite. propensity: false saves its computation.
  Decision choose(const Candidates& candidates, int64_t count = 1, bool propensity = true);
  // [depth, n] the probability of each candidate at each of the first `depth` ranks, for the next decision. Each row
  // sums to 1. The first row is exact where a propensity is; otherwise shares of `draws` rankings.
  std::vector<double> rank_probabilities(const Candidates& candidates, int64_t depth, int64_t draws) const;
  // Feedback in any order and in batches of any size. DataError as above; thompson_bernoulli takes rewards in [0, 1],
  // thompson_logistic 0 and 1. Nothing is learnt from a batch that is refused.
  void learn(std::span<const Feedback> batch);
  void learn(const Feedback& feedback) { learn(std::span(&feedback, 1)); }

 protected:
  explicit BanditPolicy(const BanditOptions& options) : options_(options) {}
  int64_t check(const Candidates& candidates) const;  // how many there are

  virtual std::vector<int32_t> rank(const Candidates& candidates, int64_t n, int64_t count, Rng& rng) const = 0;
  // p of each candidate to be first; empty where there is no closed form or quadrature.
  virtual std::vector<double> exact_probabilities(const Candidates& candidates, int64_t n) const = 0;
  virtual double exact_probability(const Candidates& candidates, int64_t n, int64_t first) const {
    return exact_probabilities(candidates, n)[static_cast<size_t>(first)];
  }
  virtual bool is_exact() const = 0;
  virtual void update(const Feedback& feedback) = 0;
  virtual std::vector<NamedTensor> state() const = 0;
  virtual void restore(const SafeTensors& file, const std::string& source) = 0;

  BanditOptions options_;
  uint64_t decisions_ = 0;
};

}  // namespace winnow
