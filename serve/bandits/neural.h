// NeuralLinear (Riquelme, Tucker and Snoek 2018, "Deep Bayesian Bandits Showdown"): Bayesian linear regression on what
// the last hidden layer of a network makes of a candidate. The network learns elsewhere; the head learns with every
// reward.
//
//   LastLayer layer([&](Value x) { return mlp(x, {}); }, 16, mlp.width());
//   NeuralHead head(std::move(layer), {.kind = BanditKind::Thompson, .scale = 0.1});
//   const Decision d = head.choose(inputs);           // inputs [n, 16]
//   head.learn(inputs_of_the_chosen, reward, d.propensity);
//
// Any kind with shared features may be the head: thompson as in the paper, linucb, squarecb, epsilon_greedy,
// thompson_logistic. The features get a constant 1 behind them. When the network has changed, its features mean
// something else: reset() and learn what was logged again.
#pragma once
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <vector>

#include "core/graph.h"
#include "core/program.h"
#include "serve/bandits/policy.h"

namespace winnow {

// phi(x) of rows, by programs compiled once for each power of two of rows.
class LastLayer {
 public:
  using Record = std::function<Value(Value x)>;  // f32 [B, in] -> f32 [B, width]; its parameters outlive this
  LastLayer(Record record, int64_t in, int64_t width);
  int64_t in() const { return in_; }
  int64_t width() const { return width_; }
  // rows [n, in] -> [n, width]. ShapeError: not whole rows.
  std::vector<double> operator()(std::span<const double> rows);

 private:
  Record record_;
  int64_t in_, width_;
  std::unique_ptr<Stream> stream_;
  std::map<int64_t, Program> programs_;  // by capacity
};

class NeuralHead {
 public:
  // ConfigError: options with arms or a context. feature_dim is set here.
  NeuralHead(LastLayer layer, BanditOptions options);
  Decision choose(std::span<const double> inputs, int64_t count = 1);
  void learn(std::span<const double> inputs, double reward, double propensity);
  void reset();
  const BanditPolicy& policy() const { return *policy_; }  // to save

 private:
  std::vector<double> features(std::span<const double> inputs);
  LastLayer layer_;
  std::unique_ptr<BanditPolicy> policy_;
};

}  // namespace winnow
