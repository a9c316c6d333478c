// Text encoders: built from scratch, saved in the Hugging Face layout, loaded again.
#include "models/text_encoder.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "core/file.h"
#include "core/program.h"
#include "data/token_batches.h"
#include "models/text_vectors.h"
#include "tests/error_text.h"

namespace winnow {
namespace {

class TextEncoderTest : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = ::testing::TempDir() + "winnow_text_encoder_" + std::to_string(getpid());
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

TEST_F(TextEncoderTest, WhatNoOtherArchitectureHoldsIsSavedUnderOurNames) {
  TextEncoderOptions o = tiny();
  o.transformer.positions = TransformerOptions::Positions::Rotary;
  o.transformer.norm = TransformerOptions::Norm::Pre;
  TextEncoder first(o);
  first.initialize(7);
  first.save(directory_ + "/saved");
  EXPECT_EQ(read_pretrained_config(directory_ + "/saved").architecture, Architecture::Winnow);
  TextEncoder second(published_encoder_options(directory_ + "/saved"));
  second.initialize(8);
  const std::string_view texts[] = {"red bags, cotton", "bag"};
  EXPECT_EQ(pooled(first, texts), pooled(second, texts));
}

TEST_F(TextEncoderTest, TheHeadOfAMaskedLanguageModelGoesWithIt) {
  TextEncoder first(tiny());
  first.initialize(7);
  MlmHead head(first.options().transformer), again(first.options().transformer);
  head.initialize(3);
  again.initialize(4);
  first.save(directory_ + "/plain");
  first.save(directory_ + "/saved", &head);
  EXPECT_FALSE(TextEncoder(published_encoder_options(directory_ + "/plain")).load_mlm_head(again));
  const TextEncoder second(published_encoder_options(directory_ + "/saved"));
  ASSERT_TRUE(second.load_mlm_head(again));
  const auto a = head.parameters(), b = again.parameters();
  for (size_t i = 0; i < a.size(); ++i) {
    const auto x = a[i].value().span<float>(), y = b[i].value().span<float>();
    EXPECT_TRUE(std::equal(x.begin(), x.end(), y.begin(), y.end())) << a[i].name();
  }
}

TEST_F(TextEncoderTest, OptionsComeFromTheDirectoryAndTheConfig) {
  TextEncoderOptions o = tiny();
  o.pooling = TokenPooling::Cls;
  o.normalize = true;
  o.max_len = 12;
  TextEncoder encoder(o);
  encoder.initialize(7);
  encoder.save(directory_ + "/saved");
  const auto read = [&](const std::string& yaml) {
    Config config = Config::parse("encoder: {path: " + directory_ + "/saved" + yaml + "}\n", "x.yaml");
    const TextEncoderOptions options = read_text_encoder_options(config.root().child("encoder"));
    config.finish();
    return options;
  };
  const TextEncoderOptions said = read("");
  EXPECT_EQ(said.pooling, TokenPooling::Cls);
  EXPECT_TRUE(said.normalize);
  EXPECT_EQ(said.max_len, 12);
  EXPECT_EQ(said.transformer.hidden_size, 8);
  EXPECT_EQ(said.transformer.hidden_dropout_prob, 0.1);
  const TextEncoderOptions other = read(", pooling: max, normalize: false, max_len: 16, hidden_dropout_prob: 0.3");
  EXPECT_EQ(other.pooling, TokenPooling::Max);
  EXPECT_EQ(TextEncoder(other).options().transformer.hidden_dropout_prob, 0.3);
  EXPECT_EQ(
      text_of<ConfigError>([&] { read(", hidden_size: 16"); }),
      "x.yaml:1: unknown key 'encoder.hidden_size'; known here: attention_probs_dropout_prob, hidden_dropout_prob, "
      "max_len, normalize, path, pooling, tokenizer");
  EXPECT_NE(text_of<ConfigError>([&] { read(", max_len: 17"); }).find("encoder.max_len"), std::string::npos);
}

TEST_F(TextEncoderTest, WhatSentenceTransformersWouldComputeOtherwiseIsAnError) {
  TextEncoder encoder(tiny());
  encoder.initialize(7);
  const std::string saved = directory_ + "/saved";
  encoder.save(saved);
  const auto error = [&](const char* file, const char* json) {
    const std::string path = saved + "/" + file, before = file_exists(path) ? read_text(path, 1 << 20) : "{}";
    write_atomically(path, json);
    std::string text = text_of<DataError>([&] { published_encoder_options(saved); });
    write_atomically(path, before);
    return text.starts_with(path) ? text.substr(path.size()) : text;
  };
  EXPECT_EQ(error("modules.json", R"([{"path": "", "type": "sentence_transformers.models.Transformer"},
                                      {"path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
                                      {"path": "2_Dense", "type": "sentence_transformers.models.Dense"}])"),
            ": a module of type 'sentence_transformers.models.Dense' is not supported; Transformer, Pooling and "
            "Normalize are");
  EXPECT_EQ(error("modules.json", R"([{"path": "../x", "type": "Transformer"}])"),
            ": path: '../x' is not the name of a folder");
  EXPECT_EQ(error("1_Pooling/config.json", R"({"pooling_mode_mean_tokens": true, "pooling_mode_max_tokens": true})"),
            ": the pooling 'mean_tokens + max_tokens' is not supported; one of cls, mean and max is");
  EXPECT_EQ(error("config_sentence_transformers.json", R"({"default_prompt_name": "query"})").substr(0, 23),
            ": default_prompt_name: ");
  EXPECT_EQ(error("1_Pooling/config.json", R"({"word_embedding_dimension": 9, "pooling_mode": "mean"})"),
            ": word_embedding_dimension: the transformer's width is 8");
}

TEST_F(TextEncoderTest, SizesThatDoNotFitAreErrors) {
  TextEncoderOptions o = tiny();
  o.max_len = 17;
  EXPECT_EQ(text_of<ConfigError>([&] { TextEncoder e(o); }),
            "encoder: max_len 17 must be 3 to 16, the places that the transformer has");
  TextEncoder encoder(tiny());
  encoder.initialize(7);
  encoder.save(directory_ + "/saved");
  write_atomically(directory_ + "/more.txt", "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\na\nb\nc\nd\ne\nf\n");
  o = published_encoder_options(directory_ + "/saved");
  o.tokenizer = directory_ + "/more.txt";
  EXPECT_NE(text_of<ConfigError>([&] { TextEncoder e(o); }).find("more.txt has 11 tokens, the weights of"),
            std::string::npos);
  // Sizes of config.json that the file does not have, before memory is taken for them.
  std::string config = read_text(directory_ + "/saved/config.json", 1 << 20);
  config.replace(config.find("\"vocab_size\": 10"), 16, "\"vocab_size\": 16000000");
  write_atomically(directory_ + "/saved/config.json", config);
  EXPECT_NE(text_of<DataError>([&] {
              TextEncoder e(published_encoder_options(directory_ + "/saved"));
            }).find("word_embeddings.weight: f32 [10, 8], expected [16000000, 8]"),
            std::string::npos);
}

TEST_F(TextEncoderTest, SecondTextsHaveATypeWhereThereAreTwo) {
  TextEncoderOptions o = tiny();
  const std::string_view first[] = {"red"}, second[] = {"bag"};
  EXPECT_EQ(TextEncoder(o).encode(first, second).types, (std::vector<int8_t>{0, 0, 0, 1, 1}));
  o.transformer.type_vocab_size = 1;
  EXPECT_EQ(TextEncoder(o).encode(first, second).types, std::vector<int8_t>(5, 0));
}

TEST_F(TextEncoderTest, VectorsComeInTheOrderOfTheTexts) {
  TextEncoder encoder(tiny());
  encoder.initialize(7);
  std::vector<std::string> made;
  for (int i = 0; i < 40; ++i) {
    std::string text;
    for (int w = 0; w < i * 7 % 13; ++w) text += w % 3 == i % 3 ? "red " : "bags ";
    made.push_back(text);
  }
  const std::vector<std::string_view> texts(made.begin(), made.end());
  TextVectors encode(encoder, 32);
  int64_t done = 0;
  const Tensor all = encode(encoder.encode(texts), [&](int64_t n) { return (done = n) > 0; });
  EXPECT_EQ(done, 40);
  for (size_t i = 0; i < texts.size(); ++i) {
    const std::vector<float> one = pooled(encoder, std::span(texts).subspan(i, 1));
    for (size_t k = 0; k < 8; ++k) EXPECT_NEAR(all.data<float>()[i * 8 + k], one[k], 1e-5f) << texts[i];
  }
  EXPECT_EQ(encode(encoder.encode({})).shape(), (Shape{0, 8}));
  EXPECT_FALSE(encode(encoder.encode(texts), [](int64_t) { return false; }).defined());
}

TEST_F(TextEncoderTest, ATokenizerJsonSaysWhatAVocabularyDoes) {
  const std::string folder = directory_ + "/json";
  make_directories(folder);
  const std::string head = R"({"added_tokens": [{"id": 0, "content": "[PAD]"}, {"id": 6, "content": "new"}],
    "normalizer": {"type": "BertNormalizer", "lowercase": true, "strip_accents": null},
    "pre_tokenizer": {"type": "BertPreTokenizer"}, "model": {"type": )";
  const std::string vocabulary = R"(, "vocab": {"[CLS]": 2, "[PAD]": 0, "red": 4, "[UNK]": 1, "[SEP]": 3, "##s": 5}}})";
  write_atomically(folder + "/tokenizer.json", head + R"("WordPiece")" + vocabulary);
  const auto tokenizer = load_tokenizer(folder);
  std::vector<int32_t> ids;
  tokenizer->encode(
      "Reds r\xc3\xa9"
      "d x new",
      ids);
  EXPECT_EQ(ids, (std::vector<int32_t>{4, 5, 4, 1, 6}));
  EXPECT_EQ(tokenizer->special().cls, 2);
  write_atomically(folder + "/tokenizer.json", head + R"("Unigram")" + vocabulary);
  EXPECT_NE(text_of<DataError>([&] { load_tokenizer(folder); }).find("the model is 'Unigram', only WordPiece"),
            std::string::npos);
  write_atomically(folder + "/tokenizer_config.json", R"({"tokenizer_class": "XLMRobertaTokenizerFast"})");
  EXPECT_NE(text_of<DataError>([&] { load_tokenizer(folder); }).find("tokenizer_class 'XLMRobertaTokenizer' is not"),
            std::string::npos);
}

}  // namespace
}  // namespace winnow
