// The search space of `winnow tune`: the config keys that vary, and how. A YAML map from dotted keys:
//
//   train.learning_rate: {log_uniform: [1e-4, 1e-2]}
//   model.net_dropout: {uniform: [0, 0.5], points: 6}             # points: how many a grid takes, ends included
//   model.embedding_dim: {int_log: [4, 64]}                       # whole numbers, both ends included
//   train.batch_size: {quantized: [256, 2048, 256]}               # low, high, step
//   model.hidden_units: {choice: [[64], [128, 64]]}               # any YAML values
//   model.num_cross_layers: {int: [1, 5], when: {model.name: [DCNv2]}}   # of an earlier choice; else not set
#pragma once
#include <optional>
#include <string>
#include <vector>

#include "core/config.h"
#include "core/rng.h"

namespace winnow {

struct Dimension {
  enum Kind : uint8_t { Uniform, LogUniform, Int, IntLog, Quantized, Choice };
  struct When {
    size_t dimension = 0;         // an earlier one, a choice
    std::vector<size_t> choices;  // under which this one is set
  };
  std::string key;
  Kind kind = Uniform;
  double low = 0, high = 0, step = 0;  // step: of Quantized
  std::vector<std::string> choices;    // YAML on one line
  int64_t points = 0;                  // of a grid; 0: every value, where they are few
  std::optional<When> when;

  bool is_discrete() const { return kind != Uniform && kind != LogUniform; }
  // A value as a config takes it.
  std::string text(double value) const;

  // The scale on which values are drawn and compared: logarithmic for LogUniform and IntLog, and half a step wider than
  // the ends where values are whole, so that each is as likely as its neighbours. Of a choice: the index.
  double least() const;
  double most() const;
  double at(double coordinate) const;                 // the value, rounded: to a step, or to 6 significant digits
  double center(double value) const;                  // the coordinate of a value
  std::pair<double, double> bin(double value) const;  // the coordinates that at() rounds to a discrete value
};

// A value for each dimension in the order of the space: a number, the index of a choice, NaN where `when` does not
// hold.
using Point = std::vector<double>;

class SearchSpace {
 public:
  // ConfigError: no dimensions, an unknown kind, low above high, a logarithm of 0, a `when` on something else than an
  // earlier choice. That the keys exist in the config is for the caller to try.
  explicit SearchSpace(Config config);
  const std::vector<Dimension>& dimensions() const { return dimensions_; }
  bool is_set(size_t dimension, const Point& point) const;  // by `when` and the values before it

  std::vector<std::string> overrides(const Point& point) const;  // "key=value" of the dimensions that are set
  Point sample(Rng& rng) const;
  // Every combination, the last key varying fastest; combinations that differ only where `when` does not hold are one.
  // ConfigError: a continuous key without `points`, more than 100000 combinations.
  std::vector<Point> grid() const;
  // Points that show each end and each choice of each dimension at least once, to try a config with.
  std::vector<Point> corners() const;

 private:
  std::vector<Dimension> dimensions_;
};

}  // namespace winnow
