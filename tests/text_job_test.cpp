// Training from texts: what a run leaves, resume, freezing, and that a saved run says what the trainer saw.
#include "train/text_job.h"

#include <gtest/gtest.h>

#include <cstring>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/safetensors.h"
#include "tests/data_files.h"
#include "tests/error_text.h"
#include "train/classify.h"
#include "train/ctr_training.h"

namespace winnow {
namespace {

const std::atomic<bool> never{false};

constexpr const char* kVocabulary =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\nblue\nbag\nhat\nlamp\n##s\nbig\nsmall\nold\nnew\n";

class TextJobTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_.write("vocab.txt", kVocabulary);
    std::string rows = "text,kind,price,tags\n";
    const char *colours[] = {"red", "blue"}, *things[] = {"bag", "hat", "lamp"}, *sizes[] = {"big", "small", "old"};
    for (int i = 0; i < 240; ++i) {
      const int thing = i * 7 % 3, colour = i / 3 % 2, size = i / 6 % 3;
      rows += fmt::format("{} {} {}{},{},{},{}\n", sizes[size], colours[colour], things[thing], i % 2 ? "s" : "",
                          things[thing], 2 + 3 * thing + colour,
                          size == 2   ? ""
                          : size == 1 ? "x;y"
                                      : "x");
    }
    directory_.write("rows.csv", rows);
  }
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string config(const std::string& job, const std::string& more) const {
    const std::string name = job + std::to_string(configs_++) + ".yaml";
    directory_.write(
        name,
        "job: " + job + "\n" + more + R"(
encoder: {tokenizer: )" +
            path("vocab.txt") +
            R"(, hidden_size: 16, num_hidden_layers: 2, num_attention_heads: 2, intermediate_size: 32, max_len: 12}
evaluation: {resamples: 200}
train: {epochs: 6, batch_size: 16, learning_rate: 0.01, seed: 3}
)");
    return path(name);
  }
  std::string data(const std::string& more) const {
    return "data:\n  path: " + directory_.path() +
           "\n  train: {file: rows.csv}\n  text: [text]\n  split: {valid: 0.2, test: 0.2}\n" + more;
  }
  std::string classify() const { return config("classify", data("  label: kind")); }

  std::unique_ptr<TextTraining> train(const std::string& file, const std::string& out,
                                      const std::vector<std::string>& sets = {}, bool resume = false) const {
    auto training = std::make_unique<TextTraining>(TextConfig({file, sets}), TextTrainingOptions{path(out), resume});
    SilentListener silent;
    result_ = training->train(silent, never);
    return training;
  }
  std::string bytes(const std::string& run) const {
    return read_text(path(run) + "/model.safetensors", 1 << 24) +
           read_text(path(run) + "/encoder/model.safetensors", 1 << 24);
  }
  static double metric(const TextEvaluation& e, const std::string& name) {
    return nlohmann::json::parse(e.json).at("metrics").at(name).at("value").get<double>();
  }
  TemporaryDirectory directory_;
  mutable int configs_ = 0;
  mutable TrainResult result_;
};

TEST_F(TextJobTest, ASavedRunGivesTheBitsThatTheTrainerValidated) {
  const auto training = train(classify(), "run");
  const std::vector<float> seen = training->outputs(Split::Valid);
  const OpenedTextRun run(path("run"));
  EXPECT_EQ(run.outputs(Split::Valid), seen);
  EXPECT_EQ(run.evaluate(Split::Test).json, training->evaluate().json);
  EXPECT_TRUE(file_exists(path("run/report.html")));
}

TEST_F(TextJobTest, ClassesAreLearntAndPredicted) {
  const auto training = train(classify(), "run");
  EXPECT_GT(metric(training->evaluate(), "accuracy"), 0.95);
  const OpenedTextRun run(path("run"));
  const std::string_view texts[] = {"new red hats", "big lamp"};
  const std::vector<float> outputs = run.outputs(texts);
  EXPECT_EQ(run.job().prediction(std::span(outputs).first(3), 1).at("labels").at(0).at("label"), "hat");
  EXPECT_EQ(run.job().prediction(std::span(outputs).last(3), 1).at("labels").at(0).at("label"), "lamp");
}

TEST_F(TextJobTest, SeveralLabelsARow) {
  const auto training = train(config("classify", data("  label: tags\n  label_separator: ;")), "run");
  EXPECT_GT(metric(training->evaluate(), "micro_f1"), 0.95);
}

TEST_F(TextJobTest, ATrainingThatIsResumedEndsWithTheSameBytes) {
  train(classify(), "whole", {"train.max_steps=40", "train.schedule=constant", "train.warmup_fraction=0"});
  for (const char* steps : {"5", "21", "40"})
    train(classify(), "parts",
          {fmt::format("train.max_steps={}", steps), "train.schedule=constant", "train.warmup_fraction=0"}, true);
  EXPECT_EQ(bytes("whole"), bytes("parts"));
}

TEST_F(TextJobTest, ValuesComeBackInUnits) {
  const std::string yaml = data("  target: [price]\n");
  for (const char* transform : {"standard", "log"}) {
    const std::string out = std::string("run_") + transform;
    const auto training =
        train(config("value-text", yaml + fmt::format("target: {{transform: {}}}\n", transform)), out);
    const TextEvaluation evaluation = training->evaluate();
    EXPECT_LT(metric(evaluation, "rmse"), 0.7) << evaluation.text;
    const OpenedTextRun run(path(out));
    const std::string_view texts[] = {"big red lamp"};
    EXPECT_NEAR(run.job().prediction(run.outputs(texts), 1).at("value").get<double>(), 8, 1) << transform;
  }
}

TEST_F(TextJobTest, FrozenLayersKeepTheirBytes) {
  train(classify(), "first", {"train.epochs=1"});
  const auto tensors = [&](const std::string& run) {
    return SafeTensors::open(path(run) + "/encoder/model.safetensors");
  };
  const auto published = [&](const std::string& name, const std::string& model) {
    directory_.write(name, "job: classify\n" + data("  label: kind") + "\nencoder: {path: " + path("first/encoder") +
                               "}\nmodel: {" + model +
                               "}\nevaluation: {resamples: 0}\ntrain: {epochs: 1, batch_size: 16}\n");
    return path(name);
  };
  train(published("layers.yaml", "freeze_layers: 1"), "second");
  const SafeTensors before = tensors("first"), after = tensors("second");
  int same = 0, changed = 0;
  for (const std::string& name : before.names()) {
    const Tensor a = before.at(name), b = after.at(name);
    const bool equal = std::memcmp(a.raw(), b.raw(), a.bytes()) == 0;
    const bool frozen = name.find("embeddings") != std::string::npos || name.find("layer.0.") != std::string::npos;
    EXPECT_TRUE(!frozen || equal) << name;
    (equal ? same : changed)++;
  }
  EXPECT_GT(same, 0);
  EXPECT_GT(changed, 0);
  train(published("all.yaml", "freeze_encoder: true"), "third");
  for (const std::string& name : before.names())
    EXPECT_EQ(std::memcmp(before.at(name).raw(), tensors("third").at(name).raw(), before.at(name).bytes()), 0) << name;
}

TEST_F(TextJobTest, RowsOutOfScopeAreAbstainedFrom) {
  directory_.write("train.csv", read_text(path("rows.csv"), 1 << 20));
  std::string held = "text,kind\n";
  for (int i = 0; i < 30; ++i)
    held += i % 3 == 0 ? "[UNK] zzz qqq,none\n" : i % 3 == 1 ? "red bag,bag\n" : "blue hat,hat\n";
  directory_.write("held.csv", held);
  const std::string yaml = "data:\n  path: " + directory_.path() +
                           "\n  train: {file: train.csv}\n  valid: {file: held.csv}\n  test: {file: held.csv}\n"
                           "  text: [text]\n  label: kind\n  out_of_scope: none\n";
  const auto training = train(config("classify", yaml), "run", {"train.epochs=8"});
  const auto j = nlohmann::json::parse(training->evaluate().json);
  EXPECT_EQ(j.at("rows"), 20);
  EXPECT_EQ(j.at("out_of_scope").at("rows"), 10);
  EXPECT_GE(j.at("out_of_scope").at("accuracy_all").get<double>(), 0.66);
}

TEST_F(TextJobTest, ErrorsNameFileLineColumnAndWhatToDo) {
  directory_.write("rows.csv", "text,kind,price\nred bag,bag,3\nblue hat,,4\nlamp,lamp,0\nhat,hat,cheap\n");
  const std::string all = "  split: {valid: 0, test: 0}\n";
  const auto message = [&](const std::string& job, const std::string& more) {
    const std::string yaml =
        "data:\n  path: " + directory_.path() + "\n  train: {file: rows.csv}\n  text: [text]\n" + all + more;
    return text_of<DataError>([&] { TextTraining(TextConfig({config(job, yaml), {}}), {path("none")}); });
  };
  EXPECT_NE(message("classify", "  label: kind").find("rows.csv:3: column 'kind': the label is missing"),
            std::string::npos);
  EXPECT_NE(message("value-text", "  target: [price]").find("rows.csv:5: column 'price': 'cheap' is no number"),
            std::string::npos);
  EXPECT_NE(message("value-text", "  target: [price]\ntarget: {transform: log}")
                .find("rows.csv:4: column 'price': the target is 0"),
            std::string::npos);
  EXPECT_FALSE(directory_exists(path("none")));
}

TEST_F(TextJobTest, KeysOfAnotherKindOfRunAreUnknown) {
  for (const char* set :
       {"train.embedding_optimizer=adam", "train.monitor=auc", "evaluation.ks=[1]", "data.second_text=x"})
    EXPECT_THROW(TextConfig({classify(), {set}}), ConfigError) << set;
  EXPECT_THROW(TextConfig({classify(), {}}, "value-text"), ConfigError);
}

TEST(Depth, IsReadFromAParametersName) {
  EXPECT_EQ(depth_of("encoder.transformer.embeddings.word", 6), 0);
  EXPECT_EQ(depth_of("embeddings.norm.gamma", 6), 0);
  EXPECT_EQ(depth_of("encoder.transformer.layers.0.ffn.up.weight", 6), 1);
  EXPECT_EQ(depth_of("encoder.transformer.layers.11.attention.norm.beta", 12), 12);
  EXPECT_EQ(depth_of("head.weight", 6), 7);
}

}  // namespace
}  // namespace winnow
