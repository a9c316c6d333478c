#include "serve/bandits/neural.h"

#include <bit>

#include "core/error.h"

namespace winnow {
namespace {

BanditOptions head_options(BanditOptions options, int64_t width) {
  WN_CHECK(options.arms == 0 && options.context_dim == 0, ConfigError,
           "neural head: candidates are told apart by the inputs of the network, not by {} arms", options.arms);
  options.feature_dim = width + 1;
  return options;
}

}  // namespace

LastLayer::LastLayer(Record record, int64_t in, int64_t width)
    : record_(std::move(record)), in_(in), width_(width), stream_(make_stream()) {}

std::vector<double> LastLayer::operator()(std::span<const double> rows) {
  WN_CHECK(!rows.empty() && static_cast<int64_t>(rows.size()) % in_ == 0, ShapeError,
           "last layer: {} numbers are not rows of {}", rows.size(), in_);
  const int64_t n = static_cast<int64_t>(rows.size()) / in_;
  const auto capacity = static_cast<int64_t>(std::bit_ceil(static_cast<uint64_t>(n)));
  auto at = programs_.find(capacity);
  if (at == programs_.end()) {
    Graph g;
    g.output("features", record_(g.input("x", {DType::F32, {capacity, in_}})));
    at = programs_.emplace(capacity, compile(g)).first;
  }
  Tensor x = Tensor::zeros({DType::F32, {capacity, in_}});
  for (size_t i = 0; i < rows.size(); ++i) x.data<float>()[i] = static_cast<float>(rows[i]);
  const Tensor feeds[] = {x};
  at->second.run(feeds, *stream_);
  const Tensor out = at->second.output("features");
  return {out.data<float>(), out.data<float>() + n * width_};
}

NeuralHead::NeuralHead(LastLayer layer, BanditOptions options)
    : layer_(std::move(layer)), policy_(BanditPolicy::create(head_options(options, layer_.width()))) {}

std::vector<double> NeuralHead::features(std::span<const double> inputs) {
  const std::vector<double> made = layer_(inputs);
  std::vector<double> out;
  for (auto row = made.begin(); row != made.end(); row += layer_.width()) {
    out.insert(out.end(), row, row + layer_.width());
    out.push_back(1);
  }
  return out;
}

Decision NeuralHead::choose(std::span<const double> inputs, int64_t count) {
  return policy_->choose({.features = features(inputs)}, count);
}

void NeuralHead::learn(std::span<const double> inputs, double reward, double propensity) {
  const std::vector<double> phi = features(inputs);
  policy_->learn(Feedback{.features = phi, .reward = reward, .propensity = propensity});
}

void NeuralHead::reset() { policy_ = BanditPolicy::create(policy_->options()); }

}  // namespace winnow
