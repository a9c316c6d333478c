// Steps of a click model with all rows of its tables on the device, or behind a cache.
#pragma once
#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "core/program.h"
#include "core/rng.h"
#include "models/ctr.h"
#include "ops/losses.h"
#include "train/optimizer.h"

namespace winnow {

struct CachedClicks {
  std::string model = "DeepFM", optimizer = "adagrad";
  int64_t cache_rows = 0;  // 0: none
  CachePolicy policy = CachePolicy::Lru;
  bool bags = false;
  bool waits = true;          // for each step; else the host runs ahead and there are no losses
  bool ahead = false;         // the next batch is fed before a step ends; then, at times, the tables are written
  int64_t predict_every = 0;  // steps between predictions by another program over the same tables; 0: none
  int64_t steps = 8;
  Device device = {};
};

struct ClickBatch {
  Tensor ids, offsets, dense, label, weight;
};

constexpr int64_t kClickRows = 8, kClickFields = 4, kClickIds = 70;  // of a batch; ids with bags

inline CtrSpec click_spec() {
  CtrSpec spec;
  spec.fields = {{"user", 40, Pooling::Sum, 0, -1},
                 {"item", 60, Pooling::Mean, 0, -1},
                 {"last", 60, Pooling::Mean, 0, 1},  // rows of item
                 {"place", 25, Pooling::Sum, 0, -1}};
  spec.dense = 2;
  spec.user_field = 0;
  spec.item_field = 1;
  return spec;
}

// Ids of few rows often and of many seldom; some missing, some beyond the table, some PAD.
inline ClickBatch click_batch(bool bags, uint64_t seed) {
  Rng rng(seed, 3);
  const CtrSpec spec = click_spec();
  const auto id_of = [&](int64_t field) {
    const auto rows = static_cast<double>(spec.fields[static_cast<size_t>(field)].rows);
    return static_cast<int64_t>(rng.uniform() * rng.uniform() * (rows + 2)) - 1;
  };
  ClickBatch b{Tensor::zeros({DType::I64, bags ? Shape{kClickIds} : Shape{kClickRows, kClickFields}}),
               Tensor::zeros({DType::I64, {kClickRows * kClickFields + 1}}), Tensor({DType::F32, {kClickRows, 2}}),
               Tensor({DType::F32, {kClickRows}}), Tensor({DType::F32, {kClickRows}})};
  int64_t at = 0;
  for (int64_t bag = 0; bag < kClickRows * kClickFields; ++bag) {
    const int64_t n = bags ? static_cast<int64_t>(rng.below(3)) : 1;
    for (int64_t k = 0; k < n; ++k) b.ids.data<int64_t>()[at++] = id_of(bag % kClickFields);
    b.offsets.data<int64_t>()[bag + 1] = at;
  }
  for (; at < b.ids.numel(); ++at) b.ids.data<int64_t>()[at] = 7;  // of no bag
  for (float& x : b.dense.span<float>()) x = static_cast<float>(rng.normal());
  for (float& y : b.label.span<float>()) y = rng.uniform() < 0.4 ? 1.f : 0.f;
  for (float& w : b.weight.span<float>()) w = 1;
  return b;
}

// Distinct rows of the largest batch: the smallest cache.
inline int64_t most_rows(bool bags, int64_t steps) {
  size_t most = 0;
  const CtrSpec spec = click_spec();
  for (int64_t s = 1; s <= steps; ++s) {
    const ClickBatch b = click_batch(bags, static_cast<uint64_t>(s));
    std::set<std::pair<int64_t, int64_t>> rows;
    for (int64_t bag = 0; bag < kClickRows * kClickFields; ++bag) {
      const auto* offsets = b.offsets.data<int64_t>();
      const int64_t f = bag % kClickFields;
      for (int64_t k = offsets[bag]; k < offsets[bag + 1]; ++k) {
        const int64_t id = b.ids.data<int64_t>()[k];
        if (id > 0 && id < spec.fields[static_cast<size_t>(f)].rows) rows.emplace(f == 2 ? 1 : f, id);
      }
    }
    most = std::max(most, rows.size());
  }
  return static_cast<int64_t>(most);
}

struct ClickOutcome {
  std::vector<float> losses, predictions;
  std::map<std::string, std::vector<float>> tensors;  // parameters and the optimizer's state
  std::optional<CacheCounts> counts;
  int64_t fewest_out = 0;  // bytes that came back of a step behind the first two: 0 where one evicted nothing
};

class ClickGraph {
 public:
  ClickGraph(const CachedClicks& o, const CtrModel& model, bool training)
      : graph(o.device, 5),
        step(graph.input("step", {DType::I64, {}})),
        rate(graph.input("rate", {DType::F32, {}})),
        in_{graph.input("ids", {DType::I64, o.bags ? Shape{kClickIds} : Shape{kClickRows, kClickFields}}),
            o.bags ? graph.input("offsets", {DType::I64, {kClickRows * kClickFields + 1}}) : Value{},
            graph.input("dense", {DType::F32, {kClickRows, 2}})},
        label(graph.input("label", {DType::F32, {kClickRows}})),
        weight(graph.input("weight", {DType::F32, {kClickRows}})),
        logits(model.logits(in_, {step, weight, training})) {}
  static std::vector<Tensor> feeds(const CachedClicks& o, int64_t step, const ClickBatch& b) {
    std::vector<Tensor> all = {Tensor::of<int64_t>({step}, {}), Tensor::of<float>({0.05f}, {}), b.ids};
    if (o.bags) all.push_back(b.offsets);
    all.insert(all.end(), {b.dense, b.label, b.weight});
    return all;
  }
  Graph graph;
  Value step, rate;

 private:
  CtrInputs in_;

 public:
  Value label, weight, logits;
};

inline std::unique_ptr<CtrModel> click_model(const CachedClicks& o) {
  CtrOptions options;
  options.name = o.model;
  options.embedding_dim = 8;
  options.embedding_init_std = 0.1;
  options.hidden_units = {8};
  options.embedding_cache_rows = o.cache_rows;
  options.embedding_cache_policy = o.policy;
  auto model = make_ctr_model(click_spec(), options);
  model->initialize(2);
  return model;
}

// A norm over all gradients clips them: its sum has to go over the rows in the same order.
inline ClickOutcome train_clicks(const CachedClicks& o) {
  const auto model = click_model(o);
  const auto parameters = model->parameters();
  ClickGraph training(o, *model, true), inference(o, *model, false);
  const Value loss = bce_with_logits(training.logits, training.label, training.weight);
  training.graph.output("loss", loss);
  training.graph.backward(loss);
  Optimizer optimizer({.name = "sgd", .embedding = o.optimizer, .initial_accumulator = 0.1, .clip_norm = 0.2});
  optimizer.emit(training.graph, parameters, training.rate, training.step, 0.05);
  inference.graph.output("logits", inference.logits);
  Program program = compile(training.graph), predictor = compile(inference.graph);
  const auto stream = make_stream(o.device), other = make_stream(o.device);
  ClickOutcome out;
  std::vector<Tensor> feeds;  // on the CPU they are read where they are
  const auto feed = [&](int64_t s) {
    feeds = ClickGraph::feeds(o, s, click_batch(o.bags, static_cast<uint64_t>(s)));
    program.feed(feeds, *stream);
  };
  for (int64_t s = 1; s <= o.steps; ++s) {
    const auto before = cache_counts(parameters);
    if (!o.ahead || s == 1) feed(s);
    program.run(*stream);
    if (o.ahead && s < o.steps) feed(s + 1);
    if (o.ahead && s % 3 == 0) write_back_cached_rows(parameters);
    if (before && s > 2) {
      const int64_t bytes = (*cache_counts(parameters) - *before).bytes_out;
      out.fewest_out = s == 3 ? bytes : std::min(out.fewest_out, bytes);
    }
    if (o.waits) out.losses.push_back(program.output("loss").item<float>());
    if (o.predict_every == 0 || s % o.predict_every != 0) continue;
    const ClickBatch batch = click_batch(o.bags, static_cast<uint64_t>(s * 7 % o.steps + 1));
    predictor.run(ClickGraph::feeds(o, s, batch), *other);
    const Tensor logits = predictor.output("logits");
    out.predictions.insert(out.predictions.end(), logits.span<float>().begin(), logits.span<float>().end());
  }
  stream->synchronize();
  write_back_cached_rows(parameters);
  const auto keep = [&](const VariablePtr& v) {
    const Tensor host = v->value.on({});
    out.tensors[v->name] = {host.span<float>().begin(), host.span<float>().end()};
  };
  for (const Parameter& p : parameters) keep(p.variable);
  for (const VariablePtr& v : optimizer.state()) keep(v);
  out.counts = cache_counts(parameters);
  return out;
}

}  // namespace winnow
