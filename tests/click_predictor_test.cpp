// Serving: a request's rows get the bits of the trainer's evaluation, however they are asked for.
#include "serve/click_predictor.h"

#include <gtest/gtest.h>

#include "core/file.h"
#include "data/csv.h"
#include "data/synthetic.h"
#include "tests/data_files.h"
#include "tests/error_text.h"
#include "train/ctr_task.h"
#include "train/run.h"

namespace winnow {
namespace {

class ClickPredictorTest : public ::testing::TestWithParam<const char*> {
 protected:
  // A run of random weights on a synthetic store: a wide first layer, so that products have more than one block of k.
  ClickPredictorTest() {
    write_synthetic_store(store(), {.users = 60, .items = 40, .impressions = 3000, .pictures = 0});
    config_ = std::make_unique<CtrConfig>(CommonOptions{
        "examples/ctr/synthetic.yaml",
        {"data.path='" + store() + "'", "model.name=" + std::string(GetParam()), "model.hidden_units=[40, 24]",
         "model.embedding_dim=64", "model.embedding_init_std=0.3", "model.bottom_units=[64]"}});
    dataset_ = load_dataset(config_->schema);
    const auto model = make_ctr_model(ctr_spec(dataset_.map), config_->model);
    model->initialize(3);
    save_run(run(), *config_, dataset_, *model);
    CtrTask task(dataset_, *model, 1024, 1, {});
    expected_ = task.predict(Split::Test);
  }
  std::string store() const { return directory_.path() + "/store"; }
  std::string run() const { return directory_.path() + "/run"; }
  // The encoded cells of the test rows, from the data set.
  std::vector<EncodedRow> rows() const {
    std::vector<EncodedRow> out;
    const auto fields = static_cast<size_t>(dataset_.fields()), width = static_cast<size_t>(dataset_.numbers());
    for (const int32_t row : dataset_.test) {
      EncodedRow& r = out.emplace_back();
      const size_t first = static_cast<size_t>(row) * fields;
      for (size_t f = first; f < first + fields; ++f) {
        const size_t begin = dataset_.offsets.empty() ? f : static_cast<size_t>(dataset_.offsets[f]),
                     end = dataset_.offsets.empty() ? f + 1 : static_cast<size_t>(dataset_.offsets[f + 1]);
        r.ids.insert(r.ids.end(), dataset_.ids.begin() + static_cast<std::ptrdiff_t>(begin),
                     dataset_.ids.begin() + static_cast<std::ptrdiff_t>(end));
        r.lengths.push_back(static_cast<int32_t>(end - begin));
      }
      const auto dense = dataset_.dense.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(row) * width);
      r.dense.assign(dense, dense + static_cast<std::ptrdiff_t>(width));
    }
    return out;
  }
  TemporaryDirectory directory_;
  std::unique_ptr<CtrConfig> config_;
  Dataset dataset_;
  std::vector<float> expected_;
};

TEST_P(ClickPredictorTest, RequestsOfEverySizeHaveTheBitsOfTheEvaluation) {
  const SavedClickModel saved(run());
  ClickPredictor predictor(saved);
  const std::vector<EncodedRow> rows = this->rows();
  ASSERT_EQ(rows.size(), expected_.size());
  ASSERT_GT(rows.size(), 256u);
  for (const size_t request : {size_t{1}, size_t{3}, size_t{7}, size_t{256}, rows.size()}) {
    std::vector<float> logits(rows.size());
    for (size_t at = 0; at < rows.size(); at += request) {
      const size_t n = std::min(request, rows.size() - at);
      predictor.logits(std::span(rows).subspan(at, n), std::span(logits).subspan(at, n));
    }
    for (size_t i = 0; i < rows.size(); ++i)
      ASSERT_EQ(logits[i], expected_[i]) << "row " << i << " in requests of " << request;
  }
}

TEST_P(ClickPredictorTest, RequestsThatShareBatchesHaveThemToo) {
  const SavedClickModel saved(run());
  ClickPredictor predictor(saved, {.batch_sizes = {1, 16, 96}});
  const std::vector<EncodedRow> rows = this->rows();
  std::vector<float> logits(rows.size());
  std::vector<RowsToScore> parts;
  size_t at = 0;
  for (const size_t n : {size_t{5}, size_t{0}, size_t{1}, size_t{96}, size_t{50}, size_t{0}, rows.size() - 152}) {
    parts.push_back({std::span(rows).subspan(at, n), std::span(logits).subspan(at, n)});
    at += n;
  }
  predictor.logits(parts);
  EXPECT_EQ(logits, expected_);
}

TEST_P(ClickPredictorTest, WhatDoesNotFitIsNamed) {
  const SavedClickModel saved(run());
  ClickPredictor predictor(saved);
  std::vector<EncodedRow> rows(1);
  std::vector<float> logits(2);
  EXPECT_THROW(predictor.logits(rows, logits), ShapeError);
  logits.resize(1);
  EXPECT_THROW(predictor.logits(rows, logits), ShapeError);
  EXPECT_THROW(ClickPredictor(saved, {.batch_sizes = {}}), ConfigError);
  EXPECT_THROW(ClickPredictor(saved, {.batch_sizes = {0, 4}}), ConfigError);
  EXPECT_THROW(SavedClickModel(directory_.path() + "/nowhere"), IoError);
}

INSTANTIATE_TEST_SUITE_P(Models, ClickPredictorTest,
                         ::testing::Values("LR", "FM", "DNN", "UserItemMLP", "WideDeep", "DeepFM", "DCNv2", "DLRM"));

}  // namespace
}  // namespace winnow
