// Training of rankings end to end: what is learned, what a resumed run and a reopened one give.
#include "train/rank_training.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/file.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "tests/data_files.h"
#include "tests/error_text.h"
#include "train/ctr_training.h"

namespace winnow {
namespace {

const std::atomic<bool> never{false};

class RankTrainingTest : public ::testing::Test {
 protected:
  // 60 queries of 1 to 9 rows; `good` tells the grade up to a shift of the query, `noise` nothing.
  RankTrainingTest() {
    Rng rng(5);
    std::string text = "qid,label,good,noise\n";
    for (int q = 0; q < 60; ++q) {
      const double shift = 3 * rng.normal();
      for (int r = 0; r <= q % 9; ++r) {
        const int grade = static_cast<int>(rng.below(4));
        text += fmt::format("q{},{},{},{}\n", q, grade, shift + grade + 0.2 * rng.normal(), rng.normal());
      }
    }
    directory_.write("rows.csv", text);
    directory_.write("config.yaml", "data: {path: '" + directory_.path() +
                                        "', train: {file: rows.csv}}\nmodel: {name: mlp, hidden_units: [8]}\n"
                                        "train: {epochs: 30, batch_size: 8, learning_rate: 0.01, patience: 9}\n"
                                        "evaluation: {ks: [1, 5], resamples: 200}\n");
  }
  std::string run(const std::string& name) const { return directory_.path() + "/" + name; }
  TrainResult train(const std::string& name, const std::vector<std::string>& sets, bool resume = false,
                    RankReport* report = nullptr, const std::string& config = "config.yaml") const {
    RankTraining training(RankConfig({run(config), sets}), {.out = run(name), .resume = resume});
    SilentListener silent;
    const TrainResult result = training.train(silent, never);
    if (report != nullptr) *report = training.evaluate();
    return result;
  }
  static double value(const std::vector<MetricValue>& metrics, const std::string& name) {
    return *std::ranges::find(metrics, name, &MetricValue::name)->value;
  }
  void expect_same(const std::string& a, const std::string& b, const std::string& file) const {
    EXPECT_EQ(read_text(run(a) + file, 1 << 26), read_text(run(b) + file, 1 << 26)) << file;
  }
  TemporaryDirectory directory_;
};

TEST_F(RankTrainingTest, EveryLossLearnsTheOrder) {
  for (const char* loss : {"lambdarank", "ranknet", "listnet", "mse", "ordinal"}) {
    RankReport report;
    train(std::string("run-") + loss, {std::string("loss.name=") + loss, "data.per_query=center"}, false, &report);
    // to a loss of rows a query's mean grade is noise
    const bool of_rows = std::string(loss) == "mse" || std::string(loss) == "ordinal";
    EXPECT_GT(value(report.metrics, "ndcg@5"), of_rows ? 0.87 : 0.93) << loss;
    ASSERT_EQ(report.baselines.size(), 2u);
    EXPECT_EQ(report.baselines[0].name, "feature good");
    EXPECT_LT(value(report.baselines[1].metrics, "ndcg@5"), 0.85) << "random";
  }
}

TEST_F(RankTrainingTest, AResumedTrainingGivesTheBytesOfOneThatWasNotStopped) {
  const std::vector<std::string> sets = {"model.net_dropout=0.2", "model.members=2", "model.batch_norm=true"};
  const auto with_steps = [&](int steps) {
    auto all = sets;
    all.push_back(fmt::format("train.max_steps={}", steps));
    return all;
  };
  train("whole", with_steps(23));
  for (const int steps : {3, 11, 23}) train("parts", with_steps(steps), true);
  expect_same("whole", "parts", "/model.safetensors");
}

TEST_F(RankTrainingTest, AReopenedRunGivesTheSameMetricsAndScoresInTheOrderOfTheFile) {
  RankReport report;
  train("run", {"loss.name=ordinal", "train.epochs=3"}, false, &report);
  const OpenedRankRun opened(run("run"));
  EXPECT_EQ(opened.evaluate(Split::Test).json(), report.json());
  directory_.write("new.csv", "noise,qid,good\n0,a,1\n0,b,5\n0,a,3\n0,a,2\n");  // no labels, queries apart
  RankingSource source = opened.config().schema.tables[0];
  source.source.path = directory_.path() + "/new.csv";
  const auto scored = opened.score(source);
  EXPECT_EQ(scored.queries, (std::vector<std::string>{"a", "b", "a", "a"}));
  std::vector<int64_t> ranks = scored.ranks;
  EXPECT_EQ(ranks[1], 1);
  EXPECT_EQ(scored.ranks[2]<scored.ranks[0], scored.scores[2]> scored.scores[0]);
  std::ranges::sort(ranks);
  EXPECT_EQ(ranks, (std::vector<int64_t>{1, 1, 2, 3}));
}

TEST_F(RankTrainingTest, TheSameBytesForAnyNumberOfThreads) {
  const int before = num_threads();
  for (const int threads : {1, 3}) {
    set_num_threads(threads);
    train(fmt::format("t{}", threads), {"train.epochs=2", "model.members=3"});
  }
  set_num_threads(before);
  expect_same("t1", "t3", "/model.safetensors");
}

TEST_F(RankTrainingTest, ErrorsSayWhatToChange) {
  directory_.write("fractions.csv", "qid,label,good\n1,0.5,1\n2,0.5,1\n3,0.5,2\n4,0.5,2\n5,0.5,2\n");
  EXPECT_NE(text_of<DataError>([&] {
              train("x", {"data.train.file=fractions.csv", "loss.name=ordinal", "data.valid_fraction=0.1",
                          "data.test_fraction=0.1"});
            }).find("the ordinal loss needs grades 0, 1, 2"),
            std::string::npos);
  EXPECT_NE(text_of<ConfigError>([&] { train("x", {"train.monitor=ndcg@7"}); }).find("train.monitor"),
            std::string::npos);
  EXPECT_NE(text_of<ConfigError>([&] {
              train("x", {"loss.name=mse", "loss.sigma=2"});
            }).find("sigma"),
            std::string::npos)
      << "a key of another loss is unknown";
}

class CrossEncoderTest : public RankTrainingTest {
 protected:
  CrossEncoderTest() {
    directory_.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\nblue\nhat\nbag\nshoe\nold\n");
    std::string text = "query_id,relevance,query,title\n";
    const char* nouns[] = {"hat", "bag", "shoe"};
    for (int q = 0; q < 24; ++q)
      for (int r = 0; r < 3; ++r)
        text += fmt::format("q{},{},{} {},{} {}\n", q, r == q % 3 ? 2 : 0, q % 2 == 0 ? "red" : "blue", nouns[q % 3],
                            q % 5 == 0 ? "old" : "red", nouns[r]);
    directory_.write("pairs.csv", text);
    directory_.write("texts.yaml",
                     "data: {path: '" + directory_.path() +
                         "', train: {file: pairs.csv}, label: relevance, query: query_id, query_text: [query], "
                         "item_text: [title]}\nencoder: {tokenizer: '" +
                         directory_.path() +
                         "/vocab.txt', hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, "
                         "intermediate_size: 32, max_len: 16}\nmodel: {name: cross_encoder, dropout: 0.1}\n"
                         "train: {epochs: 2, batch_size: 4, learning_rate: 0.01}\n"
                         "evaluation: {ks: [3], resamples: 0}\n");
  }
};

TEST_F(CrossEncoderTest, TrainsResumesAndReopensBesideBm25) {
  RankReport report;
  train("whole", {"train.max_steps=6"}, false, &report, "texts.yaml");
  for (const int steps : {2, 6})
    train("parts", {fmt::format("train.max_steps={}", steps)}, true, nullptr, "texts.yaml");
  expect_same("whole", "parts", "/model.safetensors");
  expect_same("whole", "parts", "/encoder/model.safetensors");
  EXPECT_EQ(report.baselines[0].name, "bm25");
  EXPECT_EQ(value(report.baselines[0].metrics, "mrr"), 1) << "the noun is in the relevant title alone";
  const OpenedRankRun opened(run("whole"));
  EXPECT_EQ(opened.evaluate(Split::Test).scores, report.scores);
}

}  // namespace
}  // namespace winnow
