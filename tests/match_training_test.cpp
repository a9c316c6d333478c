// Training a dual encoder, mining its hard negatives, and searching with it.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "core/file.h"
#include "core/parallel.h"
#include "core/rng.h"
#include "core/safetensors.h"
#include "tests/data_files.h"
#include "train/checkpoint.h"
#include "train/ctr_training.h"
#include "train/match/catalogue.h"
#include "train/match/training.h"

namespace winnow {
namespace {

const std::atomic<bool> never{false};

Tensor random_unit(int64_t rows, int64_t width, uint64_t seed) {
  Rng rng(seed);
  Tensor t({DType::F32, {rows, width}});
  for (int64_t r = 0; r < rows; ++r) {
    double square = 0;
    for (int64_t i = 0; i < width; ++i) {
      const double x = rng.normal();
      t.data<float>()[r * width + i] = static_cast<float>(x);
      square += x * x;
    }
    for (int64_t i = 0; i < width; ++i) t.data<float>()[r * width + i] /= static_cast<float>(std::sqrt(square));
  }
  return t;
}

double dot(const Tensor& a, int64_t i, const Tensor& b, int64_t j) {
  const int64_t width = a.shape()[1];
  double sum = 0;
  for (int64_t k = 0; k < width; ++k)
    sum += static_cast<double>(a.data<float>()[i * width + k]) * static_cast<double>(b.data<float>()[j * width + k]);
  return sum;
}

TEST(NearestTest, IsTheBruteForceRankingOfWhatMayBeFound) {
  const Tensor queries = random_unit(150, 24, 1), items = random_unit(5000, 24, 2);
  const auto may_find = [](int64_t q, int32_t i) { return (q + i) % 3 != 0; };
  for (const int64_t k : {1, 7}) {
    const auto found = nearest(queries, items, k, may_find);
    for (int64_t q = 0; q < 150; ++q) {
      std::vector<std::pair<double, int32_t>> all;
      for (int32_t i = 0; i < 5000; ++i)
        if (may_find(q, i)) all.emplace_back(-dot(queries, q, items, i), i);
      std::ranges::sort(all);
      ASSERT_EQ(found[static_cast<size_t>(q)].size(), static_cast<size_t>(k));
      for (size_t r = 0; r < static_cast<size_t>(k); ++r) {
        const Neighbour& n = found[static_cast<size_t>(q)][r];
        EXPECT_NEAR(static_cast<double>(n.cosine), -all[r].first, 1e-6);
        EXPECT_TRUE(may_find(q, n.item));
      }
    }
  }
}

TEST(NearestTest, EqualItemsRankByNumberAndThreadsDoNotShow) {
  Tensor items = random_unit(300, 8, 3);
  for (int64_t i = 100; i < 200; ++i) std::copy_n(items.data<float>(), 8, items.data<float>() + i * 8);
  const Tensor queries = random_unit(40, 8, 4);
  const int threads = num_threads();
  set_num_threads(1);
  const auto one = nearest(queries, items, 150);
  set_num_threads(3);
  const auto three = nearest(queries, items, 150);
  set_num_threads(threads);
  for (size_t q = 0; q < one.size(); ++q) {
    ASSERT_EQ(one[q].size(), three[q].size());
    int32_t before = -1;
    for (size_t r = 0; r < one[q].size(); ++r) {
      EXPECT_EQ(one[q][r].item, three[q][r].item);
      EXPECT_EQ(one[q][r].cosine, three[q][r].cosine);
      if (one[q][r].item == 0 || (one[q][r].item >= 100 && one[q][r].item < 200)) {
        EXPECT_GT(one[q][r].item, before);
        before = one[q][r].item;
      }
    }
  }
}

TEST(SpearmanTest, TiesShareTheirRank) {
  const std::vector<float> a = {1, 2, 3, 4}, b = {10, 20, 30, 5}, tied = {1, 1, 2, 2}, flat = {3, 3, 3, 3};
  EXPECT_NEAR(*spearman(a, a), 1, 1e-12);
  EXPECT_NEAR(*spearman(a, b), -0.2, 1e-12);
  EXPECT_NEAR(*spearman(a, tied), 4 / std::sqrt(20.0), 1e-12);
  EXPECT_FALSE(spearman(a, flat));
}

// Texts of six labels, each with words of its own and words that all share.
class MatchTrainingTest : public ::testing::Test {
 protected:
  MatchTrainingTest() {
    set_num_threads(1);  // the models are too small for more
    std::string vocabulary = "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n";
    for (const char first : {'w', 'x'})
      for (char c = 'a'; c <= 'z'; ++c) vocabulary += std::string{first, c} + "\n";
    directory_.write("vocab.txt", vocabulary);
    Rng rng(5);
    const auto text = [&](uint64_t label) {
      std::string t;
      for (int i = 0; i < 4; ++i)
        t += std::string{'w', static_cast<char>('a' + label * 4 + rng.below(4))} + " " +
             std::string{'x', static_cast<char>('a' + rng.below(26))} + " ";
      return t;
    };
    std::string train = "text,label\n", test = "text,label\n";
    for (uint64_t i = 0; i < 120; ++i) train += fmt::format("{},{}\n", text(i % 6), i % 6);
    for (uint64_t i = 0; i < 30; ++i) test += fmt::format("{},{}\n", text(i % 6), i % 6);
    directory_.write("train.csv", train);
    directory_.write("test.csv", test);
    directory_.write(
        "config.yaml",
        "job: match\n"
        "encoder: {tokenizer: " +
            directory_.path() +
            "/vocab.txt, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, max_len: 16}\n"
            "data:\n  path: " +
            directory_.path() +
            "\n  labelled: {file: train.csv}\n  test: {file: test.csv}\n  split: {valid: 0.1}\n"
            "train: {epochs: 3, batch_size: 16, learning_rate: 0.003, schedule: constant, warmup_fraction: 0}\n"
            "evaluation: {ks: [1, 5], resamples: 0}\n");
  }
  MatchConfig config(std::vector<std::string> sets) const {
    return MatchConfig(CommonOptions{directory_.path() + "/config.yaml", std::move(sets)});
  }
  std::string run(const std::string& name) const { return directory_.path() + "/" + name; }
  TrainResult train(const std::string& name, const std::vector<std::string>& sets, bool resume = false) const {
    MatchTraining training(config(sets), {.out = run(name), .resume = resume});
    SilentListener silent;
    return training.train(silent, never);
  }
  TemporaryDirectory directory_;
};

double metric(const std::vector<MetricValue>& metrics, const std::string& name) {
  return std::ranges::find(metrics, name, &MetricValue::name)->value.value();
}

TEST_F(MatchTrainingTest, BringsTextsOfOneLabelTogether) {
  for (const char* loss : {"softmax", "triplet", "cosent"}) {
    const MatchConfig c = config({fmt::format("loss.name={}", loss), "train.epochs=6", "train.monitor=none"});
    MatchTraining training(c, {.out = run(loss)});
    training.model().initialize(c.loop.train.seed);
    SilentListener silent;
    MatchTask before(c, training.data(), training.model(), silent);
    const double untrained = metric(
        match_metrics(training.data(), c.evaluation, Split::Test, before.vectors(Split::Test), 0), "precision@5");
    training.train(silent, never);
    const MatchReport report = training.evaluate();
    EXPECT_GT(metric(report.ranking.metrics, "precision@5"), untrained + 0.15) << loss;
    EXPECT_TRUE(file_exists(run(loss) + "/report.html"));
    // the run, opened again, has the same metrics
    const MatchReport again = evaluate_match_run(run(loss), {}, Split::Test);
    EXPECT_EQ(again.json(), report.json()) << loss;
  }
}

TEST_F(MatchTrainingTest, MinedNegativesAreTheHighestThatAreNoAnswers) {
  const MatchConfig c = config({"mining.negatives=3"});
  const MatchData data = load_match_data(c.data);
  const DualEncoder model(c.model);
  const MatchTokens tokens(data, model);
  const MatchBatches batches(data, tokens.queries, tokens.items, batch_options(c, data));
  const Tensor queries = random_unit(static_cast<int64_t>(data.queries.size()), 8, 6),
               items = random_unit(static_cast<int64_t>(data.items.size()), 8, 7);
  const auto owner = [&](int32_t query) { return data.owner[static_cast<size_t>(query)]; };
  for (const bool hardest : {true, false})
    for (const bool margin : {true, false}) {
      MiningOptions o{.negatives = 3, .from = 2, .until = 20, .margin = {}, .hardest = hardest, .seed = 1};
      if (margin) o.margin = 0.2;
      const auto found = mine_negatives(data, batches, queries, items, o, 0);
      ASSERT_EQ(found.size(), static_cast<size_t>(batches.rows()) * 3);
      EXPECT_EQ(found, mine_negatives(data, batches, queries, items, o, 0));
      // another epoch draws anew
      EXPECT_EQ(found == mine_negatives(data, batches, queries, items, o, 1), hardest);
      for (int64_t row = 0; row < batches.rows(); ++row) {
        const int32_t q = batches.query_of(row);
        std::vector<std::pair<double, int32_t>> others;
        double best = -1;
        for (int32_t i = 0; i < static_cast<int32_t>(data.items.size()); ++i)
          if (owner(i) != owner(q))
            others.emplace_back(-dot(queries, q, items, i), i);
          else if (i != q)
            best = std::max(best, dot(queries, q, items, i));
        std::ranges::sort(others);
        std::vector<int32_t> eligible;
        for (size_t rank = 2; rank < 20; ++rank)
          if (!margin || -others[rank].first <= best - 0.2) eligible.push_back(others[rank].second);
        for (size_t h = 0; h < 3; ++h) {
          const int32_t item = found[static_cast<size_t>(row) * 3 + h];
          if (h >= eligible.size()) {
            EXPECT_EQ(item, -1);
          } else if (hardest) {
            EXPECT_EQ(item, eligible[h]);
          } else {
            EXPECT_TRUE(std::ranges::find(eligible, item) != eligible.end()) << "row " << row;
          }
        }
      }
    }
}

TEST_F(MatchTrainingTest, AResumedTrainingHasTheBytesOfAnUnbrokenOneNegativesIncluded) {
  const std::vector<std::string> sets = {"mining.negatives=2", "mining.every=2",     "mining.until=20",
                                         "train.patience=9",   "model.projection=6", "loss.dims=[3,6]"};
  const auto with = [&](int steps) {
    std::vector<std::string> all = sets;
    all.push_back(fmt::format("train.max_steps={}", steps));
    return all;
  };
  train("whole", with(21));
  // inside the first epoch (it mines), at its end, inside the second (it does not), inside the third
  for (const int steps : {3, 7, 10, 16, 21}) EXPECT_EQ(train("parts", with(steps), true).steps, steps);
  for (const char* file : {"/encoder/model.safetensors", "/model.safetensors"})
    EXPECT_EQ(read_text(run("whole") + file, 1 << 26), read_text(run("parts") + file, 1 << 26)) << file;
  const auto negatives = [&](const std::string& name) {
    const auto c = CheckpointDirectory(run(name)).load([](const std::string&) {});
    const auto at = std::ranges::find(c->tensors, "task/negatives", &NamedTensor::name);
    EXPECT_NE(at, c->tensors.end());
    const auto all = at->tensor.span<int32_t>();
    return std::vector<int32_t>(all.begin(), all.end());
  };
  const std::vector<int32_t> whole = negatives("whole");
  EXPECT_EQ(whole, negatives("parts"));
  EXPECT_GT(*std::ranges::max_element(whole), -1);
}

TEST_F(MatchTrainingTest, TwoTowersAndAProjectionAreSavedAndOpened) {
  const std::vector<std::string> sets = {"item_encoder.tokenizer=" + directory_.path() + "/vocab.txt",
                                         "item_encoder.hidden_size=24",
                                         "item_encoder.num_hidden_layers=1",
                                         "item_encoder.max_len=12",
                                         "model.projection=10",
                                         "train.epochs=1"};
  MatchTraining training(config(sets), {.out = run("two")});
  SilentListener silent;
  training.train(silent, never);
  const OpenedMatcher opened(run("two"));
  EXPECT_EQ(opened.model().width(), 10);
  const std::string_view texts[] = {"wa xb wc", "xd", ""};
  for (const bool items : {false, true}) {
    const auto encode = [&](const DualEncoder& model) {
      const TextEncoder& encoder = items ? model.item_encoder() : model.query_encoder();
      return (items ? item_vectors(model) : query_vectors(model))(encoder.encode(texts));
    };
    const Tensor a = encode(training.model()), b = encode(opened.model());
    EXPECT_TRUE(std::ranges::equal(a.span<float>(), b.span<float>()));
  }
  const std::vector<std::string> no_projection(sets.begin(), sets.begin() + 4);
  EXPECT_THROW(MatchTraining(config(no_projection), {.out = run("unequal")}), ConfigError);
}

class CatalogueTest : public MatchTrainingTest {
 protected:
  CatalogueTest() { train("run", {"train.epochs=1"}); }
  std::string items() const { return directory_.path() + "/train.csv"; }
};

TEST_F(CatalogueTest, FindsWhatBruteForceFinds) {
  const OpenedMatcher matcher(run("run"));
  const MatchCatalogue catalogue({items(), {"text"}, "", true}, matcher);
  const std::vector<std::string> queries = {"wa xb", "we we xc", "xz"};
  const std::vector<std::string_view> views(queries.begin(), queries.end());
  const Tensor asked = query_vectors(matcher.model())(matcher.model().query_encoder().encode(views));
  for (const int64_t dims : {0, 5}) {
    const Tensor q = dims == 0 ? asked : prefix_vectors(asked, dims),
                 all = dims == 0 ? catalogue.vectors() : prefix_vectors(catalogue.vectors(), dims);
    const auto found = catalogue.search(queries, {.k = 4, .threshold = {}}, dims);
    for (size_t i = 0; i < queries.size(); ++i) {
      std::vector<double> cosines;
      for (int64_t item = 0; item < catalogue.size(); ++item)
        cosines.push_back(dot(q, static_cast<int64_t>(i), all, item));
      std::ranges::sort(cosines, std::greater{});
      ASSERT_EQ(found[i].size(), 4u);
      for (size_t r = 0; r < 4; ++r) EXPECT_NEAR(static_cast<double>(found[i][r].cosine), cosines[r], 1e-5);
      const double threshold = (cosines[2] + cosines[3]) / 2;
      if (cosines[2] - cosines[3] > 1e-4) {
        EXPECT_EQ(catalogue.search(queries, {.k = {}, .threshold = threshold}, dims)[i].size(), 3u);
        EXPECT_EQ(catalogue.search(queries, {.k = 2, .threshold = threshold}, dims)[i].size(), 2u);
      }
    }
  }
}

TEST_F(CatalogueTest, VectorsAreReusedUntilTextsOrEncoderChange) {
  const OpenedMatcher matcher(run("run"));
  const CatalogueSpec spec{items(), {"text"}, "", true};
  const MatchCatalogue first(spec, matcher);
  EXPECT_FALSE(first.reused());
  const MatchCatalogue second(spec, matcher);
  EXPECT_TRUE(second.reused());
  EXPECT_TRUE(std::ranges::equal(first.vectors().span<float>(), second.vectors().span<float>()));
  EXPECT_FALSE(MatchCatalogue({items(), {"label", "text"}, "", true}, matcher).reused());
  // a damaged file is made anew
  std::string bytes = read_text(first.cache_path(), 1 << 26);
  bytes[bytes.size() - 3] ^= 1;
  write_atomically(first.cache_path(), bytes);
  EXPECT_FALSE(MatchCatalogue(spec, matcher).reused());
  EXPECT_TRUE(MatchCatalogue(spec, matcher).reused());
  train("other", {"train.epochs=1", "train.learning_rate=0.01"});
  EXPECT_FALSE(MatchCatalogue(spec, OpenedMatcher(run("other"))).reused());
}

TEST_F(CatalogueTest, ATableOfSeveralColumnsNeedsTheNameOfOne) {
  const OpenedMatcher matcher(run("run"));
  EXPECT_THROW(MatchCatalogue({items(), {}, "", false}, matcher), ConfigError);
}

}  // namespace
}  // namespace winnow
