#include "train/inspect_encoder.h"

#include <nlohmann/json.hpp>

#include "core/file.h"
#include "models/published_encoder.h"
#include "tokenizer/sentencepiece.h"
#include "tokenizer/wordpiece.h"

namespace winnow {
namespace {

using Json = nlohmann::ordered_json;

const char* name_of(TokenPooling pooling) {
  return pooling == TokenPooling::Cls ? "cls" : pooling == TokenPooling::Mean ? "mean" : "max";
}

const char* name_of(TransformerOptions::Positions positions) {
  using Positions = TransformerOptions::Positions;
  return positions == Positions::Learned ? "learned" : positions == Positions::Rotary ? "rotary" : "none";
}

Json describe_tokenizer(const std::string& directory) {
  std::unique_ptr<Tokenizer> tokenizer;
  try {
    tokenizer = load_tokenizer(directory);
  } catch (const Error& e) { return {{"error", e.what()}}; }
  const auto* wordpiece = dynamic_cast<const WordPiece*>(tokenizer.get());
  const auto* sentencepiece = dynamic_cast<const SentencePiece*>(tokenizer.get());
  Json j{{"kind", wordpiece != nullptr                                  ? "WordPiece"
                  : sentencepiece != nullptr && sentencepiece->is_bpe() ? "SentencePiece BPE"
                                                                        : "SentencePiece unigram"},
         {"tokens", tokenizer->size()}};
  if (wordpiece != nullptr) {
    j["lower_case"] = wordpiece->options().lower_case;
    j["strip_accents"] = wordpiece->options().strip_accents;
    j["split_cjk"] = wordpiece->options().split_cjk;
  }
  const SpecialTokens& s = tokenizer->special();
  Json special = Json::object();
  for (const int32_t id : {s.pad, s.unk, s.cls, s.sep, s.mask})
    if (id >= 0) special[std::string(tokenizer->token(id))] = id;
  j["special"] = special;
  return j;
}

Json describe_transformer(const PretrainedConfig& c) {
  const TransformerOptions& o = c.transformer;
  Json j{{"architecture", winnow::name_of(c.architecture)},
         {"vocab_size", o.vocab_size},
         {"hidden_size", o.hidden_size},
         {"num_hidden_layers", o.num_hidden_layers},
         {"num_attention_heads", o.num_attention_heads},
         {"intermediate_size", o.intermediate_size},
         {"hidden_act", o.hidden_act},
         {"norm", o.norm == TransformerOptions::Norm::Pre ? "pre" : "post"},
         {"positions", name_of(o.positions)}};
  if (o.positions == TransformerOptions::Positions::Learned)
    j["places"] = o.max_position_embeddings - o.position_offset;
  j["type_vocab_size"] = o.type_vocab_size;
  j["causal"] = o.causal;
  return j;
}

struct Tensors {
  int64_t parameters = 0;
  Json list = Json::array();
  std::vector<std::string> unused;
};

Tensors describe_tensors(const PublishedEncoder& e) {
  const std::string path = pretrained_tensors_path(e.directory);
  const std::vector<TensorLink> links = transformer_links(e.config);
  const PretrainedTensors tensors(SafeTensors::open(path), path, e.config, links);
  Tensors found;
  for (const TensorLink& link : links) {
    found.parameters += link.shape.numel();
    found.list.push_back({{"name", link.ours},
                          {"shape", link.shape.dims()},
                          {"tensors", tensors.names(link)},
                          {"transposed", link.transposed}});
  }
  found.unused = tensors.unused();
  return found;
}

std::string as_text(const Json& j) {
  std::string text;
  const auto line = [&](const std::string& key, const std::string& value) {
    text += fmt::format("{:<26}{}\n", key, value);
  };
  const auto plain = [](const Json& v) { return v.is_string() ? v.get<std::string>() : v.dump(); };
  for (const auto& [key, value] : j.items()) {
    if (!value.is_object() && !value.is_array()) line(key, plain(value));
    if (key == "tokenizer")
      for (const auto& [what, v] : value.items()) {
        std::string shown = v.is_object() ? "" : plain(v);
        if (v.is_object())
          for (const auto& [token, id] : v.items())
            shown += fmt::format("{}{} {}", shown.empty() ? "" : ", ", token, id.dump());
        line("tokenizer " + what, shown);
      }
  }
  for (const Json& t : j.at("tensors")) {
    std::string theirs;
    for (const Json& name : t.at("tensors")) theirs += (theirs.empty() ? "" : " | ") + name.get<std::string>();
    text += fmt::format("{:<34} {:<14} {}{}\n", t.at("name").get<std::string>(), t.at("shape").dump(), theirs,
                        t.at("transposed").get<bool>() ? ", transposed" : "");
  }
  for (const Json& name : j.at("unused")) text += fmt::format("not used: {}\n", name.get<std::string>());
  return text;
}

}  // namespace

bool is_encoder_directory(const std::string& path) {
  return file_exists(path + "/config.json") || file_exists(path + "/modules.json");
}

std::string inspect_encoder(const std::string& directory, bool json) {
  const PublishedEncoder e = read_published_encoder(directory);
  const Tensors tensors = describe_tensors(e);
  Json j = describe_transformer(e.config);
  j["parameters"] = tensors.parameters;
  if (e.sentence_transformers) {
    j["pooling"] = name_of(e.pooling);
    j["normalize"] = e.normalize;
    if (e.max_len > 0) j["max_len"] = e.max_len;
  }
  j["tokenizer"] = describe_tokenizer(e.directory);
  j["tensors"] = tensors.list;
  j["unused"] = tensors.unused;
  return json ? j.dump(2) + "\n" : as_text(j);
}

}  // namespace winnow
