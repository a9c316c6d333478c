// config.json, both ways.
#include <array>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "nn/pretrained.h"

namespace winnow {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxBytes = size_t{16} << 20;  // label maps can be long
constexpr int64_t kMaxLayers = 1024, kMaxWidth = 1 << 16, kMaxVocabulary = 1 << 24, kMaxPositions = 1 << 20;

// Hidden activations by their names there; the first name of ours is the one that is written.
constexpr std::array<std::pair<const char*, const char*>, 10> kActivations = {{{"gelu", "gelu"},
                                                                               {"gelu_new", "gelu_tanh"},
                                                                               {"gelu_pytorch_tanh", "gelu_tanh"},
                                                                               {"gelu_fast", "gelu_tanh"},
                                                                               {"gelu_python", "gelu"},
                                                                               {"relu", "relu"},
                                                                               {"silu", "silu"},
                                                                               {"swish", "silu"},
                                                                               {"tanh", "tanh"},
                                                                               {"sigmoid", "sigmoid"}}};

class Reader {
 public:
  Reader(std::string_view text, const std::string& name) : name_(name) {
    try {
      json_ = Json::parse(text);
    } catch (const Json::exception& e) { raise<DataError>("{}: {}", name, e.what()); }
    WN_CHECK(json_.is_object(), DataError, "{}: an object is expected", name);
  }
  const Json* find(const char* key) const {
    const auto at = json_.find(key);
    return at == json_.end() || at->is_null() ? nullptr : &*at;
  }
  template <class... A>
  [[noreturn]] void fail(const char* key, fmt::format_string<A...> format, A&&... args) const {
    raise<DataError>("{}: {}: {}", name_, key, fmt::format(format, std::forward<A>(args)...));
  }
  int64_t integer(const char* key, std::optional<int64_t> fallback, int64_t least, int64_t most) const {
    const Json* j = find(key);
    if (j == nullptr && fallback) return *fallback;
    if (j == nullptr) fail(key, "the key is missing");
    const bool fits = j->is_number_unsigned() ? j->get<uint64_t>() <= static_cast<uint64_t>(most)
                                              : j->is_number_integer() && j->get<int64_t>() <= most;
    if (!fits || j->get<int64_t>() < least) fail(key, "{} is not an integer of {} to {}", shown(*j), least, most);
    return j->get<int64_t>();
  }
  double number(const char* key, double fallback, double least, double most) const {
    const Json* j = find(key);
    if (j == nullptr) return fallback;
    if (!j->is_number() || !(j->get<double>() >= least && j->get<double>() <= most))
      fail(key, "{} is not a number of {} to {}", shown(*j), least, most);
    return j->get<double>();
  }
  double probability(const char* key, double fallback) const {
    const double p = number(key, fallback, 0, 1);
    if (p == 1) fail(key, "a dropout of 1 leaves nothing");
    return p;
  }
  bool flag(const char* key, bool fallback) const {
    const Json* j = find(key);
    if (j == nullptr) return fallback;
    if (!j->is_boolean()) fail(key, "{} is neither true nor false", shown(*j));
    return j->get<bool>();
  }
  std::string text(const char* key, const char* fallback) const {
    const Json* j = find(key);
    if (j == nullptr) return fallback;
    if (!j->is_string()) fail(key, "{} is not a text", shown(*j));
    return j->get<std::string>();
  }
  std::string activation(const char* key, const char* fallback) const {
    const std::string theirs = text(key, fallback);
    std::string known;
    for (const auto& [name, ours] : kActivations) {
      if (theirs == name) return ours;
      known += fmt::format("{}{}", known.empty() ? "" : ", ", name);
    }
    fail(key, "{} is not supported; {} are", winnow::quoted(theirs), known);
  }
  // The key may only say what leaves the computation as it is.
  void only(const char* key, const Json& neutral) const {
    const Json* j = find(key);
    if (j != nullptr && *j != neutral) fail(key, "{} is not supported, only {}", shown(*j), shown(neutral));
  }

 private:
  static std::string shown(const Json& j) {
    return winnow::quoted(j.dump(-1, ' ', false, Json::error_handler_t::replace));
  }
  const std::string& name_;
  Json json_;
};

void check_common(const Reader& r) {
  r.only("is_decoder", false);
  r.only("is_encoder_decoder", false);
  r.only("add_cross_attention", false);
  r.only("pruned_heads", Json::object());
  for (const char* key : {"quantization_config", "rope_scaling", "rope_parameters"})
    if (r.find(key) != nullptr) r.fail(key, "not supported");
}

void read_bert(const Reader& r, bool roberta, PretrainedConfig& c) {
  TransformerOptions& o = c.transformer;
  check_common(r);
  r.only("position_embedding_type", "absolute");
  o.vocab_size = r.integer("vocab_size", roberta ? 50265 : 30522, 1, kMaxVocabulary);
  o.hidden_size = r.integer("hidden_size", 768, 1, kMaxWidth);
  r.only("embedding_size", o.hidden_size);
  o.num_hidden_layers = r.integer("num_hidden_layers", 12, 0, kMaxLayers);
  o.num_attention_heads = r.integer("num_attention_heads", 12, 1, kMaxWidth);
  o.intermediate_size = r.integer("intermediate_size", 3072, 1, kMaxPositions);
  o.max_position_embeddings = r.integer("max_position_embeddings", 512, 1, kMaxPositions);
  o.type_vocab_size = r.integer("type_vocab_size", 2, 1, kMaxWidth);
  o.hidden_act = r.activation("hidden_act", "gelu");
  o.layer_norm_eps = r.number("layer_norm_eps", 1e-12, 0, 1);
  o.hidden_dropout_prob = r.probability("hidden_dropout_prob", 0.1);
  o.attention_probs_dropout_prob = r.probability("attention_probs_dropout_prob", 0.1);
  o.initializer_range = r.number("initializer_range", 0.02, 0, 1e3);
  c.pad_token_id = r.integer("pad_token_id", roberta ? 1 : -1, roberta ? 0 : -1, kMaxVocabulary);
  if (roberta) o.position_offset = c.pad_token_id + 1;
}

void read_distilbert(const Reader& r, PretrainedConfig& c) {
  TransformerOptions& o = c.transformer;
  check_common(r);
  o.vocab_size = r.integer("vocab_size", 30522, 1, kMaxVocabulary);
  o.hidden_size = r.integer("dim", 768, 1, kMaxWidth);
  o.num_hidden_layers = r.integer("n_layers", 6, 0, kMaxLayers);
  o.num_attention_heads = r.integer("n_heads", 12, 1, kMaxWidth);
  o.intermediate_size = r.integer("hidden_dim", 3072, 1, kMaxPositions);
  o.max_position_embeddings = r.integer("max_position_embeddings", 512, 1, kMaxPositions);
  o.type_vocab_size = 0;
  o.hidden_act = r.activation("activation", "gelu");
  o.layer_norm_eps = 1e-12;
  o.hidden_dropout_prob = r.probability("dropout", 0.1);
  o.attention_probs_dropout_prob = r.probability("attention_dropout", 0.1);
  o.initializer_range = r.number("initializer_range", 0.02, 0, 1e3);
  c.pad_token_id = r.integer("pad_token_id", -1, -1, kMaxVocabulary);
}

void read_gpt2(const Reader& r, PretrainedConfig& c) {
  TransformerOptions& o = c.transformer;
  check_common(r);
  r.only("scale_attn_weights", true);
  r.only("scale_attn_by_inverse_layer_idx", false);
  o.vocab_size = r.integer("vocab_size", 50257, 1, kMaxVocabulary);
  o.hidden_size = r.integer("n_embd", 768, 1, kMaxWidth);
  o.num_hidden_layers = r.integer("n_layer", 12, 0, kMaxLayers);
  o.num_attention_heads = r.integer("n_head", 12, 1, kMaxWidth);
  o.intermediate_size = r.integer("n_inner", 4 * o.hidden_size, 1, kMaxPositions);
  o.max_position_embeddings = r.integer("n_positions", 1024, 1, kMaxPositions);
  o.type_vocab_size = 0;
  o.hidden_act = r.activation("activation_function", "gelu_new");
  o.layer_norm_eps = r.number("layer_norm_epsilon", 1e-5, 0, 1);
  o.hidden_dropout_prob = r.probability("resid_pdrop", 0.1);
  if (r.probability("embd_pdrop", 0.1) != o.hidden_dropout_prob)
    r.fail("embd_pdrop", "must be resid_pdrop ({}): there is one dropout of both", o.hidden_dropout_prob);
  o.attention_probs_dropout_prob = r.probability("attn_pdrop", 0.1);
  o.initializer_range = r.number("initializer_range", 0.02, 0, 1e3);
  o.norm = TransformerOptions::Norm::Pre;
  o.causal = true;
  o.embedding_norm = false;
  c.pad_token_id = r.integer("pad_token_id", -1, -1, kMaxVocabulary);
}

void read_own(const Reader& r, PretrainedConfig& c) {
  TransformerOptions& o = c.transformer;
  o.vocab_size = r.integer("vocab_size", {}, 1, kMaxVocabulary);
  o.hidden_size = r.integer("hidden_size", {}, 1, kMaxWidth);
  o.num_hidden_layers = r.integer("num_hidden_layers", {}, 0, kMaxLayers);
  o.num_attention_heads = r.integer("num_attention_heads", {}, 1, kMaxWidth);
  o.intermediate_size = r.integer("intermediate_size", {}, 1, kMaxPositions);
  o.max_position_embeddings = r.integer("max_position_embeddings", {}, 1, kMaxPositions);
  o.type_vocab_size = r.integer("type_vocab_size", {}, 0, kMaxWidth);
  o.position_offset = r.integer("position_offset", {}, 0, kMaxPositions);
  o.hidden_act = r.activation("hidden_act", "gelu");
  o.layer_norm_eps = r.number("layer_norm_eps", 1e-12, 0, 1);
  o.hidden_dropout_prob = r.probability("hidden_dropout_prob", 0.1);
  o.attention_probs_dropout_prob = r.probability("attention_probs_dropout_prob", 0.1);
  o.initializer_range = r.number("initializer_range", 0.02, 0, 1e3);
  const std::string norm = r.text("norm", "post"), positions = r.text("positions", "learned");
  if (norm != "post" && norm != "pre") r.fail("norm", "{} is neither post nor pre", winnow::quoted(norm));
  o.norm = norm == "pre" ? TransformerOptions::Norm::Pre : TransformerOptions::Norm::Post;
  using Positions = TransformerOptions::Positions;
  if (positions != "learned" && positions != "rotary" && positions != "none")
    r.fail("positions", "{} is not learned, rotary or none", winnow::quoted(positions));
  o.positions = positions == "learned"  ? Positions::Learned
                : positions == "rotary" ? Positions::Rotary
                                        : Positions::None;
  o.rotary_base = r.number("rotary_base", 10000, 1, 1e12);
  o.causal = r.flag("causal", false);
  o.embedding_norm = r.flag("embedding_norm", true);
  c.pad_token_id = r.integer("pad_token_id", -1, -1, kMaxVocabulary);
}

const char* activation_there(const std::string& ours) {
  for (const auto& [theirs, name] : kActivations)
    if (ours == name) return theirs;
  raise<ConfigError>("activation {} has no name in config.json", winnow::quoted(ours));
}

// What a config without model_type was written for: those from before 2019 are BERT.
std::string model_type(const Reader& r) {
  std::string type = r.text("model_type", "");
  if (!type.empty()) return type;
  const Json* architectures = r.find("architectures");
  const bool bert = architectures != nullptr && architectures->is_array() && !architectures->empty() &&
                    (*architectures)[0].is_string() && (*architectures)[0].get<std::string>().starts_with("Bert");
  if (!bert) r.fail("model_type", "the key is missing");
  return "bert";
}

}  // namespace

const char* name_of(Architecture architecture) {
  switch (architecture) {
    case Architecture::Bert: return "bert";
    case Architecture::Roberta: return "roberta";
    case Architecture::DistilBert: return "distilbert";
    case Architecture::Gpt2: return "gpt2";
    case Architecture::Winnow: return "winnow";
  }
  return "?";
}

PretrainedConfig parse_pretrained_config(std::string_view json, const std::string& name) {
  const Reader r(json, name);
  PretrainedConfig c;
  const std::string type = model_type(r);
  if (type == "bert") {
    c.architecture = Architecture::Bert;
    read_bert(r, false, c);
  } else if (type == "roberta" || type == "xlm-roberta" || type == "camembert") {
    c.architecture = Architecture::Roberta;
    read_bert(r, true, c);
  } else if (type == "distilbert") {
    c.architecture = Architecture::DistilBert;
    read_distilbert(r, c);
  } else if (type == "gpt2") {
    c.architecture = Architecture::Gpt2;
    read_gpt2(r, c);
  } else if (type == "winnow") {
    c.architecture = Architecture::Winnow;
    read_own(r, c);
  } else {
    r.fail("model_type", "{} is not supported; bert, roberta, xlm-roberta, camembert, distilbert, gpt2 and winnow are",
           winnow::quoted(type));
  }
  c.tied_embeddings = r.flag("tie_word_embeddings", true);
  const TransformerOptions& o = c.transformer;
  WN_CHECK(o.hidden_size % o.num_attention_heads == 0, DataError, "{}: {} attention heads do not divide a width of {}",
           name, o.num_attention_heads, o.hidden_size);
  WN_CHECK(o.position_offset < o.max_position_embeddings, DataError,
           "{}: max_position_embeddings {} leaves no place behind pad_token_id {}", name, o.max_position_embeddings,
           c.pad_token_id);
  return c;
}

PretrainedConfig read_pretrained_config(const std::string& directory) {
  const std::string path = directory + "/config.json";
  return parse_pretrained_config(read_text(path, kMaxBytes), path);
}

namespace {

struct Written {
  const TransformerOptions& o;
  bool head;
  Json architectures(const char* stem) const {
    return Json::array({std::string(stem) + (head ? "ForMaskedLM" : "Model")});
  }
  // In BERT's words.
  Json sizes() const {
    return {{"vocab_size", o.vocab_size},
            {"hidden_size", o.hidden_size},
            {"num_hidden_layers", o.num_hidden_layers},
            {"num_attention_heads", o.num_attention_heads},
            {"intermediate_size", o.intermediate_size},
            {"max_position_embeddings", o.max_position_embeddings},
            {"type_vocab_size", o.type_vocab_size},
            {"hidden_act", activation_there(o.hidden_act)},
            {"layer_norm_eps", o.layer_norm_eps},
            {"hidden_dropout_prob", o.hidden_dropout_prob},
            {"attention_probs_dropout_prob", o.attention_probs_dropout_prob}};
  }
  Json bert(const PretrainedConfig& c) const {
    Json j{{"architectures", architectures(c.architecture == Architecture::Roberta ? "Roberta" : "Bert")},
           {"model_type", name_of(c.architecture)}};
    j.update(sizes());
    j["position_embedding_type"] = "absolute";
    return j;
  }
  Json distilbert() const {
    return {{"architectures", architectures("DistilBert")},
            {"model_type", "distilbert"},
            {"vocab_size", o.vocab_size},
            {"dim", o.hidden_size},
            {"n_layers", o.num_hidden_layers},
            {"n_heads", o.num_attention_heads},
            {"hidden_dim", o.intermediate_size},
            {"max_position_embeddings", o.max_position_embeddings},
            {"activation", activation_there(o.hidden_act)},
            {"dropout", o.hidden_dropout_prob},
            {"attention_dropout", o.attention_probs_dropout_prob}};
  }
  Json gpt2() const {
    return {{"architectures", {"GPT2Model"}},
            {"model_type", "gpt2"},
            {"vocab_size", o.vocab_size},
            {"n_embd", o.hidden_size},
            {"n_layer", o.num_hidden_layers},
            {"n_head", o.num_attention_heads},
            {"n_inner", o.intermediate_size},
            {"n_positions", o.max_position_embeddings},
            {"activation_function", activation_there(o.hidden_act)},
            {"layer_norm_epsilon", o.layer_norm_eps},
            {"resid_pdrop", o.hidden_dropout_prob},
            {"embd_pdrop", o.hidden_dropout_prob},
            {"attn_pdrop", o.attention_probs_dropout_prob}};
  }
  Json own() const {
    using Positions = TransformerOptions::Positions;
    Json j{{"model_type", "winnow"}};
    j.update(sizes());
    j["position_offset"] = o.position_offset;
    j["norm"] = o.norm == TransformerOptions::Norm::Pre ? "pre" : "post";
    j["positions"] = o.positions == Positions::Learned  ? "learned"
                     : o.positions == Positions::Rotary ? "rotary"
                                                        : "none";
    j["rotary_base"] = o.rotary_base;
    j["causal"] = o.causal;
    j["embedding_norm"] = o.embedding_norm;
    return j;
  }
};

}  // namespace

std::string pretrained_config_json(const PretrainedConfig& c, bool mlm_head) {
  const Written written{c.transformer, mlm_head};
  Json j;
  switch (c.architecture) {
    case Architecture::Bert:
    case Architecture::Roberta: j = written.bert(c); break;
    case Architecture::DistilBert: j = written.distilbert(); break;
    case Architecture::Gpt2: j = written.gpt2(); break;
    case Architecture::Winnow: j = written.own(); break;
  }
  j["initializer_range"] = c.transformer.initializer_range;
  if (c.pad_token_id >= 0) j["pad_token_id"] = c.pad_token_id;
  j["torch_dtype"] = "float32";
  return j.dump(2) + "\n";
}

Architecture architecture_of(const TransformerOptions& o) {
  const bool learned = o.positions == TransformerOptions::Positions::Learned;
  const bool post = o.norm == TransformerOptions::Norm::Post && o.embedding_norm && !o.causal && learned;
  if (post && o.position_offset == 0 && o.type_vocab_size > 0) return Architecture::Bert;
  if (post && o.position_offset == 0 && o.layer_norm_eps == 1e-12) return Architecture::DistilBert;
  const bool gpt2 = o.norm == TransformerOptions::Norm::Pre && !o.embedding_norm && o.causal && learned;
  return gpt2 && o.type_vocab_size == 0 && o.position_offset == 0 ? Architecture::Gpt2 : Architecture::Winnow;
}

}  // namespace winnow
