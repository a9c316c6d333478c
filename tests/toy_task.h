// A small regression as a task of the trainer: batches of several sizes that can be cut and padded at will.
#pragma once
#include <cmath>
#include <string>
#include <vector>

#include "core/rng.h"
#include "nn/layers.h"
#include "ops/dropout.h"
#include "ops/losses.h"
#include "ops/shape_ops.h"
#include "train/ctr_training.h"
#include "train/trainer.h"

namespace winnow {

class ToyTask final : public TrainTask {
 public:
  static constexpr int64_t kWidth = 3;
  struct Options {
    std::vector<int64_t> forms = {4, 8, 16};    // rows that a batch has room for
    std::vector<int64_t> rows = {3, 7, 16, 8};  // live rows of the batches, over and over
    int64_t batches = 9;                        // an epoch
    double dropout = 0;                         // of the inputs
    int64_t poison = -1;                        // the batch of epoch 0 with a label that is not finite
  };
  ToyTask() : ToyTask(Options{}) {}
  explicit ToyTask(Options options) : options_(std::move(options)) {
    for (const int64_t n : options_.forms)
      feeds_.push_back({Tensor(TensorSpec{DType::F32, {n, kWidth}}), Tensor(TensorSpec{DType::F32, {n}}),
                        Tensor(TensorSpec{DType::F32, {n}})});
  }
  Module& model() override { return model_; }
  int64_t steps_in_epoch(int64_t) const override { return options_.batches; }
  int64_t rows_per_step() const override { return options_.forms.back(); }
  std::vector<int64_t> forms() const override { return options_.forms; }
  Value record_loss(Graph& graph, Value step, int64_t form) override {
    Value x = graph.input("x", {DType::F32, {form, kWidth}});
    const Value y = graph.input("y", {DType::F32, {form}}), weight = graph.input("weight", {DType::F32, {form}});
    if (options_.dropout > 0) x = dropout(x, options_.dropout, step);
    return mse(reshape(model_.linear(x), {form}), y, weight);
  }
  std::span<const Tensor> next_batch() override {
    if (at_.row == options_.batches) return {};
    // Rows are numbered through, so that other cuts of an epoch give the same ones.
    int64_t first = at_.epoch * 1000000;
    for (int64_t b = 0; b < at_.row; ++b) first += rows_of(b);
    rows_ = rows_of(at_.row);
    for (form_ = 0; options_.forms[form_] < rows_; ++form_) {}
    for (int64_t i = 0; i < options_.forms[form_]; ++i) write(i, i < rows_ ? first + i : -1);
    if (at_.epoch == 0 && at_.row == options_.poison) feeds_[form_][1].data<float>()[0] = NAN;
    ++at_.row;
    if (on_batch) on_batch();
    return feeds_[form_];
  }
  size_t form() const override { return form_; }
  double loss_weight() const override { return static_cast<double>(rows_); }
  int64_t units() const override { return rows_; }
  void start_epoch(int64_t epoch) override { at_ = {epoch, 0}; }
  std::string cursor() const override { return at_.str(); }
  void seek(const std::string& cursor) override { at_ = Cursor::parse(cursor); }
  std::vector<NamedMetric> validate() override { return {}; }
  std::vector<float> weights() {
    std::vector<float> all;
    for (const Parameter& p : model_.parameters())
      all.insert(all.end(), p.value().span<float>().begin(), p.value().span<float>().end());
    return all;
  }
  std::function<void()> on_batch;

 private:
  struct Model final : Module {
    Model() : linear(child<Linear>("linear", kWidth, 1)) {}
    Linear& linear;
  };
  int64_t rows_of(int64_t batch) const { return options_.rows[static_cast<size_t>(batch) % options_.rows.size()]; }
  void write(int64_t i, int64_t row) {
    auto& [x, y, weight] = feeds_[form_];
    float sum = 0.5f;
    for (int64_t c = 0; c < kWidth; ++c) {
      const double u = to_unit(Philox{7, 1}(static_cast<uint64_t>(row * kWidth + c))[0]);
      x.data<float>()[i * kWidth + c] = row < 0 ? 0 : static_cast<float>(u - 0.5);
      sum += static_cast<float>(c + 1) * x.data<float>()[i * kWidth + c];
    }
    y.data<float>()[i] = row < 0 ? 0 : sum;
    weight.data<float>()[i] = row < 0 ? 0 : 1;
  }

  Options options_;
  Model model_;
  std::vector<std::array<Tensor, 3>> feeds_;
  Cursor at_;
  size_t form_ = 0;
  int64_t rows_ = 0;
};

}  // namespace winnow
