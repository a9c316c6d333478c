// Published weights: names mapped both ways, what files must and may hold, and hidden states of transformers.
#include "nn/pretrained.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "core/file.h"
#include "core/program.h"
#include "tests/error_text.h"

namespace winnow {
namespace {

PretrainedConfig tiny(const std::string& type) {
  const std::string common = R"("vocab_size": 9, "hidden_size": 4, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 6, "max_position_embeddings": )";
  std::string json;
  if (type == "bert") json = R"({"model_type": "bert", )" + common + "5}";
  if (type == "roberta")
    json = R"({"model_type": "roberta", "type_vocab_size": 1, "layer_norm_eps": 1e-5, )" + common + "7}";
  if (type == "distilbert")
    json = R"({"model_type": "distilbert", "vocab_size": 9, "dim": 4, "n_layers": 2, "n_heads": 2, "hidden_dim": 6,
      "max_position_embeddings": 5})";
  if (type == "gpt2")
    json = R"({"model_type": "gpt2", "vocab_size": 9, "n_embd": 4, "n_layer": 2, "n_head": 2, "n_inner": 6,
      "n_positions": 5})";
  if (type == "winnow")
    json = R"({"model_type": "winnow", "type_vocab_size": 0, "position_offset": 0, "norm": "pre",
      "positions": "rotary", )" +
           common + "5}";
  return parse_pretrained_config(json, "config.json");
}

std::map<std::string, VariablePtr> parameters_of(const Module& module) {
  std::map<std::string, VariablePtr> all;
  for (const Parameter& p : module.parameters()) {
    const std::string& name = p.name();
    all[name] = p.variable;
  }
  return all;
}

// As bench/peers/encoder_fixture.py fills its models: tensor k of the sorted names holds 0.5 sin(0.7 i + k).
std::vector<NamedTensor> made_tensors(const PretrainedConfig& config) {
  TransformerEncoder transformer(config.transformer);
  transformer.initialize(1);
  const auto parameters = parameters_of(transformer);
  std::vector<NamedTensor> tensors;
  for (const TensorLink& link : transformer_links(config))
    append_pretrained(config, link, parameters.at(link.ours)->value, false, tensors);
  std::ranges::sort(tensors, {}, &NamedTensor::name);
  for (size_t k = 0; k < tensors.size(); ++k) {
    const auto values = tensors[k].tensor.span<float>();
    for (size_t i = 0; i < values.size(); ++i)
      values[i] = static_cast<float>(0.5 * std::sin(0.7 * static_cast<double>(i) + static_cast<double>(k)));
  }
  return tensors;
}

class PretrainedTest : public ::testing::Test {
 protected:
  void SetUp() override { path_ = ::testing::TempDir() + "winnow_pretrained_" + std::to_string(getpid()); }
  void TearDown() override { std::filesystem::remove(path_); }
  PretrainedTensors opened(const PretrainedConfig& config, const std::vector<NamedTensor>& tensors) const {
    save_safetensors(path_, tensors);
    return PretrainedTensors(SafeTensors::open(path_), "model.safetensors", config, transformer_links(config));
  }
  std::string error(const PretrainedConfig& config, const std::vector<NamedTensor>& tensors) const {
    return text_of<DataError>([&] { opened(config, tensors); });
  }
  std::string path_;
};

void load(TransformerEncoder& transformer, const PretrainedConfig& config, const PretrainedTensors& tensors) {
  const auto parameters = parameters_of(transformer);
  for (const TensorLink& link : transformer_links(config)) tensors.copy_to(link, parameters.at(link.ours)->value);
}

TEST_F(PretrainedTest, HiddenStatesAreThoseOfTransformers) {
  const std::map<std::string, std::vector<float>> expected = {
      {"bert",
       {0.8942935f, 0.3800451f, 0.5732409f, -0.1894729f, 0.9009562f, 0.3789673f, 0.558458f, -0.1494978f, 0.9037198f,
        0.3793608f, 0.5523865f, -0.1389139f}},
      {"roberta",
       {0.8909155f, 0.380743f, 0.579749f, -0.209485f, 0.900622f, 0.3790158f, 0.5592477f, -0.1515285f, 0.9033006f,
        0.3793947f, 0.5534094f, -0.1413145f}},
      {"distilbert",
       {-0.1894642f, 0.4541112f, 0.5870126f, 0.3881945f, -0.1526698f, 0.3856517f, 0.5905639f, 0.3721429f, -0.1973439f,
        0.4957153f, 0.5843821f, 0.4038717f}},
      {"gpt2",
       {-0.5523388f, -0.1331243f, -0.2157395f, -0.07740024f, -0.5551535f, -0.3626117f, -0.4038703f, 0.4788001f,
        -0.5536492f, -0.1419434f, -0.2278812f, -0.05965695f}},
  };
  for (const auto& [type, want] : expected) {
    const PretrainedConfig config = tiny(type);
    TransformerEncoder transformer(config.transformer);
    load(transformer, config, opened(config, made_tensors(config)));
    Graph g;
    const auto constant = [&](std::initializer_list<int64_t> v) {
      return g.constant(Tensor::of(v, {static_cast<int64_t>(v.size())}));
    };
    const TokenInputs in{constant({3, 8, 5}), constant({0, 0, 1}), constant({0, 1, 2}), constant({0, 3})};
    g.output("hidden", transformer(in, {}));
    Program program = compile(g);
    program.run({}, *make_stream({}));
    const auto hidden = program.output("hidden").span<float>();
    ASSERT_EQ(hidden.size(), want.size());
    for (size_t i = 0; i < want.size(); ++i) EXPECT_NEAR(hidden[i], want[i], 2e-6) << type << " " << i;
  }
}

TEST_F(PretrainedTest, EveryArchitectureIsMappedBothWays) {
  for (const char* type : {"bert", "roberta", "distilbert", "gpt2", "winnow"}) {
    const PretrainedConfig config = tiny(type);
    TransformerEncoder first(config.transformer), second(config.transformer);
    first.initialize(3);
    second.initialize(4);
    std::vector<NamedTensor> tensors;
    const auto parameters = parameters_of(first), loaded = parameters_of(second);
    for (const TensorLink& link : transformer_links(config))
      append_pretrained(config, link, parameters.at(link.ours)->value, true, tensors);
    EXPECT_EQ(transformer_links(config).size(), parameters.size());
    load(second, config, opened(config, tensors));
    for (const auto& [name, variable] : parameters) {
      const auto a = variable->value.span<float>(), b = loaded.at(name)->value.span<float>();
      EXPECT_TRUE(std::equal(a.begin(), a.end(), b.begin(), b.end())) << type << " " << name;
    }
    const std::string json = pretrained_config_json(config);
    EXPECT_EQ(pretrained_config_json(parse_pretrained_config(json, "again")), json);
  }
}

TEST_F(PretrainedTest, WeightsOfQueryKeyAndValueAreTransposedSideBySide) {
  const PretrainedConfig config = tiny("bert");
  const std::vector<NamedTensor> tensors = made_tensors(config);
  TransformerEncoder transformer(config.transformer);
  load(transformer, config, opened(config, tensors));
  const auto key = std::ranges::find(tensors, "encoder.layer.1.attention.self.key.weight", &NamedTensor::name);
  const Tensor qkv = parameters_of(transformer).at("layers.1.attention.qkv.weight")->value;
  for (int64_t in = 0; in < 4; ++in)
    for (int64_t out = 0; out < 4; ++out)
      EXPECT_EQ(qkv.data<float>()[in * 12 + 4 + out], key->tensor.data<float>()[out * 4 + in]);
}

TEST_F(PretrainedTest, OneErrorListsAllTensorsThatAreWrong) {
  const PretrainedConfig config = tiny("bert");
  std::vector<NamedTensor> tensors = made_tensors(config);
  std::erase_if(tensors, [](const NamedTensor& t) {
    return t.name == "embeddings.LayerNorm.weight" || t.name == "encoder.layer.1.output.dense.bias";
  });
  for (NamedTensor& t : tensors)
    if (t.name == "embeddings.word_embeddings.weight") t.tensor = t.tensor.reshaped({4, 9});
  tensors.push_back({"encoder.layer.2.output.dense.bias", Tensor::zeros({DType::F32, {4}})});
  EXPECT_EQ(error(config, tensors),
            "model.safetensors: the tensors are not those of the bert of config.json:\n"
            "  missing (2):\n"
            "    embeddings.LayerNorm.weight\n"
            "    encoder.layer.1.output.dense.bias\n"
            "  unexpected (1):\n"
            "    encoder.layer.2.output.dense.bias\n"
            "  of another shape or type (1):\n"
            "    embeddings.word_embeddings.weight: f32 [4, 9], expected [9, 4]");
  for (NamedTensor& t : tensors) t.name = "x" + t.name;
  EXPECT_NE(error(config, tensors).find("    and 17 more"), std::string::npos);
}

TEST_F(PretrainedTest, PrefixesOldNamesAndOtherHeadsAreKnown) {
  const PretrainedConfig config = tiny("bert");
  std::vector<NamedTensor> tensors = made_tensors(config);
  TransformerEncoder plain(config.transformer), older(config.transformer);
  load(plain, config, opened(config, tensors));
  for (NamedTensor& t : tensors) {
    if (t.name.ends_with("LayerNorm.weight")) t.name.replace(t.name.size() - 6, 6, "gamma");
    if (t.name.ends_with("LayerNorm.bias")) t.name.replace(t.name.size() - 4, 4, "beta");
    t.name = "bert." + t.name;
  }
  for (const char* name : {"bert.embeddings.position_ids", "bert.pooler.dense.weight", "cls.predictions.bias",
                           "cls.seq_relationship.weight", "classifier.bias"})
    tensors.push_back({name, Tensor::zeros({DType::I64, {1, 5}})});
  const PretrainedTensors file = opened(config, tensors);
  EXPECT_EQ(file.unused().size(), 5u);
  load(older, config, file);
  const auto a = parameters_of(plain), b = parameters_of(older);
  for (const auto& [name, variable] : a)
    EXPECT_TRUE(std::ranges::equal(variable->value.span<float>(), b.at(name)->value.span<float>())) << name;
}

TEST_F(PretrainedTest, HalfSizedWeightsAreConverted) {
  const PretrainedConfig config = tiny("distilbert");
  std::vector<NamedTensor> tensors = made_tensors(config);
  for (NamedTensor& t : tensors) t.tensor = t.tensor.to(DType::BF16);
  TransformerEncoder transformer(config.transformer);
  load(transformer, config, opened(config, tensors));
  const float got = parameters_of(transformer).at("embeddings.word")->value.data<float>()[1];
  EXPECT_EQ(got, static_cast<float>(bf16(got)));
  EXPECT_NE(got, 0);
}

std::string config_error(const std::string& keys) {
  return text_of<DataError>([&] { parse_pretrained_config("{\"model_type\": " + keys + "}", "config.json"); });
}

TEST(PretrainedConfigTest, WhatChangesTheComputationIsNotIgnored) {
  EXPECT_EQ(config_error(R"("bert", "is_decoder": true)"),
            "config.json: is_decoder: 'true' is not supported, only 'false'");
  EXPECT_EQ(config_error(R"("bert", "position_embedding_type": "relative_key")"),
            R"(config.json: position_embedding_type: '"relative_key"' is not supported, only '"absolute"')");
  EXPECT_EQ(config_error(R"("gpt2", "scale_attn_by_inverse_layer_idx": true)"),
            "config.json: scale_attn_by_inverse_layer_idx: 'true' is not supported, only 'false'");
  EXPECT_EQ(config_error(R"("gpt2", "embd_pdrop": 0.2)"),
            "config.json: embd_pdrop: must be resid_pdrop (0.1): there is one dropout of both");
  EXPECT_EQ(config_error(R"("bert", "pruned_heads": {"0": [1]})").substr(0, 27), "config.json: pruned_heads: ");
  EXPECT_EQ(config_error(R"("bert", "hidden_act": "mish")").substr(0, 45),
            "config.json: hidden_act: 'mish' is not suppor");
  EXPECT_EQ(config_error(R"("albert")").substr(0, 48), "config.json: model_type: 'albert' is not support");
  EXPECT_EQ(config_error(R"("bert", "output_attentions": true, "id2label": {"0": "x"})"), "no error");
}

TEST(PretrainedConfigTest, HostileSizesAreErrors) {
  EXPECT_EQ(config_error(R"("bert", "num_hidden_layers": 18446744073709551615)"),
            "config.json: num_hidden_layers: '18446744073709551615' is not an integer of 0 to 1024");
  EXPECT_EQ(config_error(R"("bert", "hidden_size": -768)"),
            "config.json: hidden_size: '-768' is not an integer of 1 to 65536");
  EXPECT_EQ(config_error(R"("bert", "hidden_size": 7.5)"),
            "config.json: hidden_size: '7.5' is not an integer of 1 to 65536");
  EXPECT_EQ(config_error(R"("bert", "hidden_size": 10, "num_attention_heads": 3)"),
            "config.json: 3 attention heads do not divide a width of 10");
  EXPECT_EQ(config_error(R"("roberta", "pad_token_id": 700)"),
            "config.json: max_position_embeddings 512 leaves no place behind pad_token_id 700");
  EXPECT_EQ(config_error(R"("bert", "hidden_dropout_prob": 1)"),
            "config.json: hidden_dropout_prob: a dropout of 1 leaves nothing");
}

}  // namespace
}  // namespace winnow
