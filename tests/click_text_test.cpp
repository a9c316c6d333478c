// Clicks from texts: every design trains, resumes with the same bytes, and a saved run says what the trainer said.
#include "train/click_text.h"

#include <gtest/gtest.h>

#include "core/file.h"
#include "tests/data_files.h"
#include "tests/error_text.h"
#include "train/ctr_training.h"

namespace winnow {
namespace {

const std::atomic<bool> never{false};

class ClickTextTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_.write("vocab.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\nblue\nbag\nhat\nlamp\nold\nnew\n");
    std::string items = "item,name,kind\n", clicks = "user,item,time,clicked\n";
    const char *colours[] = {"red", "blue"}, *things[] = {"bag", "hat", "lamp"};
    for (int i = 0; i < 18; ++i) items += fmt::format("i{},{} {},k{}\n", i, colours[i % 2], things[i / 2 % 3], i % 4);
    // a user likes one colour
    for (int n = 0; n < 900; ++n) {
      const int user = n * 7 % 23, item = n * 11 % 18;
      clicks += fmt::format("u{},i{},{},{}\n", user, item, 5000 + n, item % 2 == user % 2 ? 1 : 0);
    }
    directory_.write("items.csv", items);
    directory_.write("clicks.csv", clicks);
  }
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string config(const std::string& text, bool fuse, const std::string& encoder = "") const {
    const std::string name = fmt::format("{}.yaml", configs_++);
    std::string yaml = "job: click-text\ndata:\n  path: " + directory_.path() + R"(
  interactions: {file: clicks.csv}
  items: {file: items.csv, key: item, title: name}
  user_id: user
  item_id: item
  timestamp: {column: time}
  label: {column: clicked}
  leak_check: "off"
  features:
    - {name: user, source: user}
    - {name: item, source: item}
    - {name: kind, source: item}
)";
    yaml += fmt::format("text: {{{}, fuse: {}}}\nevaluation: {{resamples: 0, slices: []}}\n", text, fuse);
    yaml += encoder.empty() ? "encoder: {tokenizer: " + path("vocab.txt") +
                                  ", hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, "
                                  "intermediate_size: 32, max_len: 24}\n"
                            : "encoder: {path: " + encoder + "}\n";
    yaml += "train: {epochs: 4, batch_size: 32, learning_rate: 0.01, seed: 2}\n";
    if (fuse) yaml += "model: {name: DNN, embedding_dim: 4, hidden_units: [8]}\n";
    directory_.write(name, yaml);
    return path(name);
  }
  EvaluationReport train(const std::string& file, const std::string& out, const std::vector<std::string>& sets = {},
                         bool resume = false) const {
    ClickTextTraining training(ClickTextConfig({file, sets}), {path(out), resume});
    SilentListener silent;
    (void)training.train(silent, never);
    return training.evaluate();
  }
  std::string bytes(const std::string& run) const {
    return read_text(path(run) + "/model.safetensors", 1 << 24) +
           read_text(path(run) + "/encoder/model.safetensors", 1 << 24);
  }
  static double auc(const EvaluationReport& report) { return find_metric(report.metrics, "auc")->value.value_or(0); }
  TemporaryDirectory directory_;
  mutable int configs_ = 0;
};

TEST_F(ClickTextTest, TextsAloneTellWhatAUserLikesAndASavedRunGivesTheSameBits) {
  for (const char* text : {"design: towers, history: 4", "design: pair, history: 4"}) {
    const std::string out = std::string("run ") + text[8];
    const EvaluationReport report = train(config(text, false), out);
    EXPECT_GT(auc(report), 0.9) << text;
    EXPECT_EQ(evaluate_click_text(path(out), {}, Split::Test).predictions.logits, report.predictions.logits) << text;
    EXPECT_TRUE(file_exists(path(out) + "/report.html"));
  }
}

TEST_F(ClickTextTest, BesideIdsAndWithAFrozenEncoder) {
  train(config("history: 4", false), "first");
  const EvaluationReport report =
      train(config("history: 4, item_features: [kind], freeze_encoder: true", true, path("first/encoder")), "fused");
  EXPECT_GT(auc(report), 0.9);
  EXPECT_EQ(read_text(path("first/encoder/model.safetensors"), 1 << 24),
            read_text(path("fused/encoder/model.safetensors"), 1 << 24));
  EXPECT_EQ(evaluate_click_text(path("fused"), {}, Split::Test).predictions.logits, report.predictions.logits);
}

TEST_F(ClickTextTest, ATrainingThatIsResumedEndsWithTheSameBytes) {
  for (const char* text : {"design: towers, history: 4", "design: pair, history: 4"}) {
    const std::string file = config(text, true), mark(1, text[8]);
    train(file, "whole" + mark, {"train.max_steps=40"});
    for (const char* steps : {"7", "29", "40"})
      train(file, "parts" + mark, {fmt::format("train.max_steps={}", steps)}, true);
    EXPECT_EQ(bytes("whole" + mark), bytes("parts" + mark)) << text;
  }
}

TEST_F(ClickTextTest, WhatCannotBeIsRefused) {
  const std::string file = config("history: 4", true);
  EXPECT_NE(text_of<ConfigError>([&] {
              ClickTextConfig({file, {"data.storage=disk"}});
            }).find("need memory"),
            std::string::npos);
  EXPECT_NE(text_of<ConfigError>([&] {
              ClickTextConfig({file, {"text.freeze_encoder=true"}});
            }).find("encoder.path"),
            std::string::npos);
  EXPECT_NE(text_of<ConfigError>([&] {
              ClickTextConfig({file, {"text.user_features=[user]"}});
            }).find("unknown key"),
            std::string::npos);
}

}  // namespace
}  // namespace winnow
