// Text encoders: built from scratch, saved in the Hugging Face layout, loaded again.
#include "models/text_encoder.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "core/file.h"
#include "core/program.h"
#include "data/token_batches.h"
#include "tests/error_text.h"

namespace winnow {
namespace {

class TextEncoderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "winnow_text_encoder";
    std::filesystem::remove_all(directory_);
    make_directories(directory_);
    write_atomically(vocabulary(), "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nred\nbag\n##s\ncotton\n,\n");
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string vocabulary() const { return directory_ + "/vocab.txt"; }
  TextEncoderOptions tiny() const {
    TextEncoderOptions o;
    o.tokenizer = vocabulary();
    o.transformer.hidden_size = 8;
    o.transformer.num_hidden_layers = 2;
    o.transformer.num_attention_heads = 2;
    o.transformer.intermediate_size = 12;
    o.transformer.max_position_embeddings = 16;
    o.transformer.initializer_range = 0.5;
    o.max_len = 16;
    return o;
  }
  std::string directory_;
};

std::vector<float> pooled(const TextEncoder& encoder, std::span<const std::string_view> texts, int64_t spare = 0) {
  const JaggedIds rows = encoder.encode(texts);
  const int64_t capacity = rows.offsets.back() + spare;
  Graph g;
  g.output("y", encoder.pooled(token_inputs(g, rows.rows() + 1, capacity), {}));
  Program program = compile(g);
  TokenTensors batch(rows.rows() + 1, capacity);
  std::vector<int32_t> order(texts.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = static_cast<int32_t>(i);
  batch.fill(rows, order);
  const auto stream = make_stream({});
  const Tensor feeds[] = {batch.ids, batch.types, batch.positions, batch.offsets};
  program.run(feeds, *stream);
  const auto y = program.output("y").span<float>();
  return {y.begin(), y.begin() + static_cast<int64_t>(texts.size()) * encoder.width()};
}

TEST_F(TextEncoderTest, SavedAndLoadedItGivesTheSameBits) {
  TextEncoder first(tiny());
  first.initialize(7);
  first.save(directory_ + "/saved");
  TextEncoder second(published_encoder_options(directory_ + "/saved"));
  second.initialize(8);
  const std::string_view texts[] = {"red bags, cotton", "", "bag"};
  EXPECT_EQ(pooled(first, texts), pooled(second, texts));
  EXPECT_EQ(pooled(first, texts), pooled(second, texts, 24));
  second.save(directory_ + "/again");
  for (const char* file : {"/model.safetensors", "/config.json", "/vocab.txt", "/modules.json"})
    EXPECT_EQ(read_text(directory_ + "/saved" + file, 1 << 20), read_text(directory_ + "/again" + file, 1 << 20));
}

}  // namespace
}  // namespace winnow
