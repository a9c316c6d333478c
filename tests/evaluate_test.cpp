// What an evaluation of a run finds out beyond its metrics: curves, slices, importance, sampled ranking, its files.
#include "train/evaluate.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>
#include <set>

#include "core/file.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "data/synthetic.h"
#include "tests/data_files.h"
#include "tests/error_text.h"
#include "train/metrics_auc.h"
#include "train/row_cells.h"
#include "train/run.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

class EvaluateRun : public ::testing::Test {
 protected:
  EvaluateRun() { write_synthetic_store(store(), {.users = 60, .items = 40, .impressions = 3000, .pictures = 0}); }
  std::string store() const { return directory_.path() + "/store"; }
  CtrConfig config(std::vector<std::string> sets = {}) const {
    sets.insert(sets.begin(),
                {"data.path='" + store() + "'", "model.hidden_units=[8]", "model.embedding_dim=4",
                 "model.embedding_init_std=0.3", "evaluation.resamples=200", "evaluation.slice_min_rows=20"});
    return CtrConfig({"examples/ctr/synthetic.yaml", sets});
  }
  static EvaluationReport evaluate(const CtrConfig& c, Split split = Split::Test) {
    const Dataset dataset = load_dataset(c.schema);
    const auto model = make_ctr_model(ctr_spec(dataset.map), c.model);
    model->initialize(3);
    return evaluate_run(c, dataset, *model, c.model.name, split);
  }
  TemporaryDirectory directory_;
};

TEST_F(EvaluateRun, JsonKeepsItsContract) {
  const EvaluationReport report = evaluate(config({"evaluation.sampled_negatives=20"}));
  const Json j = Json::parse(report.json());
  EXPECT_EQ(j["split"], "test");
  EXPECT_EQ(j["rows"], report.rows);
  for (const char* name : {"auc", "gauc", "pr_auc", "logloss", "ne", "brier", "copc"}) {
    EXPECT_TRUE(j["metrics"][name]["value"].is_number()) << name;
    EXPECT_EQ(j["metrics"][name]["interval95"].size(), 2u) << name;
  }
  EXPECT_EQ(j["metrics"]["auc"]["delong95"].size(), 2u);
  const Json& curves = j["curves"];
  EXPECT_EQ(curves["roc"].front(), (Json{0.0, 0.0}));
  EXPECT_EQ(curves["roc"].back(), (Json{1.0, 1.0}));
  EXPECT_EQ(curves["histogram"]["edges"].size(), curves["histogram"]["positive"].size() + 1);
  for (const char* key : {"mean_prediction", "rate", "low", "high", "weight"})
    EXPECT_TRUE(curves["calibration"]["bins"][0][key].is_number()) << key;
  const Json& confusion = curves["confusion"];
  EXPECT_EQ(confusion["tp"].get<double>() + confusion["fp"].get<double>() + confusion["fn"].get<double>() +
                confusion["tn"].get<double>(),
            static_cast<double>(report.rows));
  EXPECT_EQ(j["slices"][0]["name"], "cold_users");
  EXPECT_EQ(j["importance"].size(), load_dataset(config().schema).map.features.size());
  EXPECT_EQ(j["importance"][0]["metric"], "auc");
  EXPECT_TRUE(j["ranking"]["metrics"].contains("map@10"));
  EXPECT_TRUE(j["ranking"]["metrics"].contains("novelty@10"));
  // full and sampled metrics are never in one list, and a sampled one says what it is
  for (const auto& [name, value] : j["ranking"]["metrics"].items()) EXPECT_EQ(name.find("sampled"), std::string::npos);
  EXPECT_EQ(j["ranking"]["sampled"]["negatives"], 20);
  for (const auto& [name, value] : j["ranking"]["sampled"]["metrics"].items())
    EXPECT_NE(name.find("(1+20 sampled)"), std::string::npos) << name;
  EXPECT_NE(report.str().find("hr@10 (1+20 sampled)"), std::string::npos);
}

TEST_F(EvaluateRun, WithoutRequestNothingIsSampled) {
  const EvaluationReport report = evaluate(config());
  EXPECT_EQ(report.json().find("sampled"), std::string::npos);
  EXPECT_EQ(report.str().find("sampled"), std::string::npos);
  EXPECT_EQ(text_of<ConfigError>([&] {
              config({"evaluation.ranking=false", "evaluation.sampled_negatives=9"});
            }).find("--set: evaluation.sampled_negatives"),
            0u);
}

TEST_F(EvaluateRun, ValidationSplitIsAnotherSetOfRows) {
  const CtrConfig c = config();
  const EvaluationReport test = evaluate(c), valid = evaluate(c, Split::Valid);
  EXPECT_EQ(Json::parse(valid.json())["split"], "valid");
  EXPECT_EQ(valid.predictions.split, "valid");
  EXPECT_NE(valid.predictions.data, test.predictions.data);
  EXPECT_FALSE(valid.ranking);
}

TEST_F(EvaluateRun, FilesHoldTheReportAndThePredictions) {
  const EvaluationReport report = evaluate(config());
  save_evaluation(directory_.path(), report);
  EXPECT_EQ(read_text(directory_.path() + "/evaluation.json", 1 << 24), report.json() + "\n");
  const Predictions p = load_predictions(directory_.path() + "/predictions.safetensors");
  EXPECT_EQ(p.logits, report.predictions.logits);
  EXPECT_EQ(p.data, report.predictions.data);
  EXPECT_EQ(static_cast<int64_t>(p.labels.size()), report.rows);
}

TEST_F(EvaluateRun, SameJsonForAnyThreads) {
  const CtrConfig c = config({"evaluation.sampled_negatives=7"});
  const int before = num_threads();
  set_num_threads(1);
  const std::string one = evaluate(c).json();
  set_num_threads(3);
  const std::string three = evaluate(c).json();
  set_num_threads(before);
  EXPECT_EQ(one, three);
}

TEST_F(EvaluateRun, FingerprintIsOfRowsAndNotOfFeatures) {
  const CtrConfig c = config();
  const Dataset all = load_dataset(c.schema);
  Schema fewer = c.schema;
  fewer.features.pop_back();
  EXPECT_EQ(fingerprint_of(all, Split::Test), fingerprint_of(load_dataset(fewer), Split::Test));
  EXPECT_NE(fingerprint_of(all, Split::Test), fingerprint_of(all, Split::Valid));
  Dataset changed = load_dataset(c.schema);
  float& label = changed.label[static_cast<size_t>(changed.test[5])];
  label = 1 - label;
  EXPECT_NE(fingerprint_of(all, Split::Test), fingerprint_of(changed, Split::Test));
}

TEST_F(EvaluateRun, SlicesPartTheRowsAndHaveTheirOwnMetrics) {
  const CtrConfig c = config();
  const Dataset d = load_dataset(c.schema);
  const SplitColumns columns = split_columns(d, Split::Test);
  std::vector<float> logits;
  Rng rng(4);
  for (size_t i = 0; i < columns.labels.size(); ++i) logits.push_back(static_cast<float>(rng.normal()));
  const FittedFeature* ids = nullptr;
  const FittedFeature* number = nullptr;
  for (const FittedFeature& f : d.map.features) {
    if (f.spec.type == FeatureType::Categorical && f.spec.column != d.map.user_id) ids = &f;
    if (f.spec.type == FeatureType::Numeric) number = &f;
  }
  ASSERT_TRUE(ids != nullptr && number != nullptr);
  const std::vector<SliceSpec> specs = {{.kind = SliceSpec::NewItems, .fewer_than = 60},
                                        {.kind = SliceSpec::Column, .column = ids->spec.name, .top = 3},
                                        {.kind = SliceSpec::Column, .column = number->spec.name, .buckets = 4}};
  const auto slices =
      evaluate_slices(d, Split::Test, logits, specs, {.least_rows = 30, .binary = {.bootstrap = {.resamples = 200}}});
  std::map<std::string, int64_t> rows, positives;
  for (const SliceReport& s : slices) {
    rows[s.name] += s.rows;
    positives[s.name] += s.positives;
    for (const MetricValue& m : s.metrics)
      if (s.rows < 30) {
        EXPECT_EQ(m.reason, fmt::format("{} rows are too few: slices are evaluated from 30 rows on", s.rows));
      }
  }
  const auto all = static_cast<int64_t>(columns.labels.size());
  for (const auto& [name, n] : rows) EXPECT_EQ(n, all) << name;
  EXPECT_EQ(rows.size(), 3u);
  // the first slice again, by hand
  const SplitColumns train = split_columns(d, Split::Train);
  std::vector<float> few_logits, few_labels;
  for (size_t i = 0; i < columns.items.size(); ++i) {
    if (std::ranges::count(train.items, columns.items[i]) >= 60) continue;
    few_logits.push_back(logits[i]);
    few_labels.push_back(columns.labels[i]);
  }
  EXPECT_EQ(slices[0].value, "fewer than 60 training rows");
  EXPECT_EQ(slices[0].rows, static_cast<int64_t>(few_labels.size()));
  Auc auc;
  auc.update({few_logits, few_labels});
  EXPECT_EQ(*find_metric(slices[0].metrics, "auc")->value, *auc.value().value);
  EXPECT_LT(find_metric(slices[0].metrics, "auc")->low, *auc.value().value);
}

TEST_F(EvaluateRun, SliceConfigIsChecked) {
  const auto refused = [&](const std::string& slices) {
    return text_of<ConfigError>([&] { config({"evaluation.slices=" + slices}); });
  };
  EXPECT_NE(refused("[warm_users]").find("'warm_users' is no slice"), std::string::npos);
  EXPECT_NE(refused("[{column: nowhere}]").find("'nowhere' is no feature"), std::string::npos);
  EXPECT_NE(refused("[{column: user_id, buckets: 3}]"), "no error");
  EXPECT_NE(refused("[{cold_users: 0}]"), "no error");
  EXPECT_TRUE(config({"evaluation.slices=[]"}).evaluation.slices.empty());
  EXPECT_EQ(config({"evaluation.slices=[{cold_users: 5}]"}).evaluation.slices[0].fewer_than, 5);
}

TEST_F(EvaluateRun, CellsSourceGivesTheRowsAndMovesOneFeature) {
  const Dataset d = load_dataset(config().schema);
  const auto source = make_row_source(d, Split::Test, false);
  const RowCells cells = read_cells(d.map, *source, 1 << 20);
  ASSERT_EQ(cells.rows, source->rows());
  const RowCells same = read_cells(d.map, *make_cells_source(cells, *source), 1 << 20);
  EXPECT_EQ(cells.ids, same.ids);
  EXPECT_EQ(cells.offsets, same.offsets);
  EXPECT_EQ(cells.dense, same.dense);
  EXPECT_EQ(cells.labels, same.labels);
  EXPECT_EQ(cells.index, same.index);
  std::vector<uint32_t> reversed(static_cast<size_t>(cells.rows));
  for (size_t i = 0; i < reversed.size(); ++i) reversed[i] = static_cast<uint32_t>(reversed.size() - 1 - i);
  for (size_t f = 0; f < d.map.features.size(); ++f) {
    const CellRange range = cell_range(d.map, f);
    const RowCells moved = read_cells(d.map, *make_cells_source(cells, *source, range, reversed), 1 << 20);
    for (int64_t r = 0; r < cells.rows; ++r) {
      for (int64_t field = 0; field < cells.fields; ++field)
        ASSERT_TRUE(
            std::ranges::equal(moved.bag(r, field), cells.bag(field == range.field ? cells.rows - 1 - r : r, field)));
      for (int64_t k = 0; k < cells.width; ++k) {
        const int64_t from = k >= range.begin && k < range.end ? cells.rows - 1 - r : r;
        ASSERT_EQ(moved.dense[static_cast<size_t>(r * cells.width + k)],
                  cells.dense[static_cast<size_t>(from * cells.width + k)]);
      }
    }
  }
}

TEST_F(EvaluateRun, ImportanceIsZeroForAFeatureThatTheModelDoesNotUse) {
  CtrConfig c = config({"model.name=UserItemMLP"});  // user and item only
  const Dataset d = load_dataset(c.schema);
  const auto model = make_ctr_model(ctr_spec(d.map), c.model);
  model->initialize(3);
  const Importance all = permutation_importance(d, Split::Test, *model, {}, {.rows = 250});
  EXPECT_EQ(all.rows, 250);
  std::set<std::string> used;
  for (const FeatureImportance& f : all.features) {
    EXPECT_LE(f.low, f.high);
    if (f.drop != 0) used.insert(f.feature);
  }
  const auto name_of_field = [&](int field) { return d.map.field(static_cast<size_t>(field)).spec.name; };
  EXPECT_EQ(used, (std::set<std::string>{name_of_field(d.map.user_field()), name_of_field(d.map.item_field())}));
}

TEST(Curves, ThinnedCurvesKeepTheAreaAndTheirSize) {
  Rng rng(6);
  std::vector<float> logits, labels;
  for (int i = 0; i < 20000; ++i) {
    labels.push_back(rng.uniform() < 0.2 ? 1 : 0);
    logits.push_back(static_cast<float>(rng.normal() + labels.back()));
  }
  const Curves c = curves_of({logits, labels});
  EXPECT_LE(c.roc.size(), 200u);
  EXPECT_LE(c.pr.size(), 200u);
  EXPECT_GT(c.roc.size(), 100u);
  EXPECT_GT(c.pr.size(), 100u);
  double area = 0;
  for (size_t i = 1; i < c.roc.size(); ++i)
    area += (c.roc[i].first - c.roc[i - 1].first) * (c.roc[i].second + c.roc[i - 1].second) / 2;
  Auc auc;
  auc.update({logits, labels});
  EXPECT_NEAR(area, *auc.value().value, 1e-3);
  EXPECT_EQ(c.pr.back().first, 1);
  EXPECT_EQ(c.calibration.bins.size(), 20u);
  EXPECT_EQ(std::accumulate(c.histogram.positive.begin(), c.histogram.positive.end(), 0.0) +
                std::accumulate(c.histogram.negative.begin(), c.histogram.negative.end(), 0.0),
            20000);
}

TEST(Curves, SmallAndDegenerateRows) {
  const std::vector<float> logits = {2, 1, 0, -1}, labels = {1, 0, 1, 0}, ones = {1, 1, 1, 1}, same = {1, 1, 1, 1};
  const Curves c = curves_of({logits, labels});
  using Points = std::vector<std::pair<double, double>>;
  EXPECT_EQ(c.roc, (Points{{0, 0}, {0, 0.5}, {0.5, 0.5}, {0.5, 1}, {1, 1}}));
  EXPECT_EQ(c.pr, (Points{{0.5, 1}, {1, 2.0 / 3}}));
  EXPECT_EQ(c.confusion.tp, 2);
  EXPECT_EQ(c.confusion.fp, 1);
  EXPECT_EQ(c.confusion.tn, 1);
  const Curves one_class = curves_of({logits, ones});
  EXPECT_TRUE(one_class.roc.empty());
  EXPECT_EQ(one_class.pr.back(), (std::pair<double, double>{1, 1}));
  EXPECT_EQ(curves_of({same, labels}).histogram.positive, std::vector<double>{2});
  const Curves none = curves_of({});
  EXPECT_TRUE(none.pr.empty() && none.histogram.edges.empty() && none.calibration.bins.empty());
}

TEST(Calibration, WilsonIntervalsAreThePublishedOnes) {
  // Newcombe 1998, "Two-sided confidence intervals for the single proportion", table I: 81 / 263, 15 / 148, 0 / 20, 1 /
  // 29
  const auto expect = [](double x, double n, double low, double high) {
    const Interval i = wilson_interval(x / n, n);
    EXPECT_NEAR(i.low, low, 5e-5);
    EXPECT_NEAR(i.high, high, 5e-5);
  };
  expect(81, 263, 0.2553, 0.3662);
  expect(15, 148, 0.0624, 0.1605);
  expect(0, 20, 0, 0.1611);
  expect(1, 29, 0.0061, 0.1718);
}

}  // namespace
}  // namespace winnow
