#include "models/text_encoder.h"

#include "core/file.h"
#include "core/parallel.h"
#include "models/published_encoder.h"
#include "ops/l2_normalize.h"

namespace winnow {
namespace {

constexpr int64_t kMaxLen = 128;

constexpr std::pair<const char*, TokenPooling> kPoolings[] = {
    {"cls", TokenPooling::Cls}, {"mean", TokenPooling::Mean}, {"max", TokenPooling::Max}};

std::string name_of(TokenPooling pooling) {
  for (const auto& [name, value] : kPoolings)
    if (value == pooling) return name;
  return "";
}

// How long a row may be; 0: as long as one likes.
int64_t places(const TransformerOptions& o) {
  return o.positions == TransformerOptions::Positions::Learned ? o.max_position_embeddings - o.position_offset : 0;
}

int64_t default_max_len(const TransformerOptions& o, int64_t said) {
  const int64_t wanted = said > 0 ? said : kMaxLen, most = places(o);
  return most > 0 ? std::min(wanted, most) : wanted;
}

void read_scratch(const ConfigNode& c, TransformerOptions& o) {
  o.hidden_size = c.get<int64_t>("hidden_size", 256, between(1, 65536));
  o.num_hidden_layers = c.get<int64_t>("num_hidden_layers", 4, between(0, 1024));
  o.num_attention_heads =
      c.get<int64_t>("num_attention_heads", std::max<int64_t>(1, o.hidden_size / 64), between(1, 65536));
  o.intermediate_size = c.get<int64_t>("intermediate_size", 4 * o.hidden_size, between(1, 1 << 20));
  o.type_vocab_size = c.get<int64_t>("type_vocab_size", 2, between(0, 65536));
  o.hidden_act = c.choice("hidden_act", "gelu", {"gelu", "gelu_tanh", "relu", "silu", "tanh", "sigmoid"});
  o.layer_norm_eps = c.get<double>("layer_norm_eps", 1e-12, between(0, 1));
  o.initializer_range = c.get<double>("initializer_range", 0.02, at_least(0));
  using Norm = TransformerOptions::Norm;
  using Positions = TransformerOptions::Positions;
  o.norm = c.choice("norm", "post", {"post", "pre"}) == "pre" ? Norm::Pre : Norm::Post;
  const std::string positions = c.choice("positions", "learned", {"learned", "rotary", "none"});
  o.positions = positions == "learned"  ? Positions::Learned
                : positions == "rotary" ? Positions::Rotary
                                        : Positions::None;
  if (o.positions == Positions::Learned)
    o.max_position_embeddings = c.get<int64_t>("max_position_embeddings", 512, between(1, 1 << 20));
  if (o.positions == Positions::Rotary) o.rotary_base = c.get<double>("rotary_base", 10000, at_least(1));
  o.causal = c.get("causal", false);
  o.embedding_norm = c.get("embedding_norm", true);
}

}  // namespace

TextEncoderOptions published_encoder_options(const std::string& path) {
  const PublishedEncoder e = read_published_encoder(path);
  TextEncoderOptions o;
  o.path = path;
  o.transformer = e.config.transformer;
  o.pooling = e.pooling;
  o.normalize = e.normalize;
  o.max_len = default_max_len(o.transformer, e.max_len);
  return o;
}

TextEncoderOptions read_text_encoder_options(const ConfigNode& c) {
  TextEncoderOptions o;
  if (const auto path = c.find<std::string>("path"); path && !path->empty()) {
    o = published_encoder_options(*path);
    o.tokenizer = c.get("tokenizer", "");
  } else {
    o.tokenizer = c.require<std::string>("tokenizer");
    read_scratch(c, o.transformer);
    o.max_len = default_max_len(o.transformer, 0);
  }
  TransformerOptions& t = o.transformer;
  t.hidden_dropout_prob = c.get("hidden_dropout_prob", t.hidden_dropout_prob, fraction());
  t.attention_probs_dropout_prob = c.get("attention_probs_dropout_prob", t.attention_probs_dropout_prob, fraction());
  const int64_t most = places(t);
  o.max_len = c.get("max_len", o.max_len, most > 0 ? between(3, static_cast<double>(most)) : at_least(3));
  const std::string pooling = c.choice("pooling", name_of(o.pooling), {"cls", "mean", "max"});
  for (const auto& [name, value] : kPoolings)
    if (pooling == name) o.pooling = value;
  o.normalize = c.get("normalize", o.normalize);
  return o;
}

TextEncoder::TextEncoder(const TextEncoderOptions& options) : options_(options) {
  TransformerOptions& t = options_.transformer;
  std::string tokenizer = options_.tokenizer;
  if (options_.path.empty()) {
    WN_CHECK(!tokenizer.empty(), ConfigError, "encoder: neither a path of published weights nor a tokenizer is given");
    tokenizer_ = load_tokenizer(tokenizer);
    t.vocab_size = tokenizer_->size();
    config_.architecture = architecture_of(t);
    config_.pad_token_id = tokenizer_->special().pad;
  } else {
    const PublishedEncoder e = read_published_encoder(options_.path);
    weights_ = e.directory;
    config_ = e.config;
    for (double TransformerOptions::*p :
         {&TransformerOptions::hidden_dropout_prob, &TransformerOptions::attention_probs_dropout_prob})
      if (t.*p >= 0) config_.transformer.*p = t.*p;
    t = config_.transformer;
    // Before any memory is taken for them: sizes that the file does not have are an error of the file.
    const std::string path = pretrained_tensors_path(weights_);
    (void)PretrainedTensors(SafeTensors::open(path), path, config_, transformer_links(config_));
    if (tokenizer.empty()) tokenizer = weights_;
    tokenizer_ = load_tokenizer(tokenizer);
    WN_CHECK(tokenizer_->size() <= t.vocab_size, ConfigError, "encoder: {} has {} tokens, the weights of {} have {}",
             tokenizer, tokenizer_->size(), weights_, t.vocab_size);
  }
  config_.transformer = t;
  const int64_t most = places(t);
  WN_CHECK(options_.max_len >= 3 && (most == 0 || options_.max_len <= most), ConfigError,
           "encoder: max_len {} must be 3 to {}, the places that the transformer has", options_.max_len,
           most == 0 ? std::string("any number") : std::to_string(most));
  transformer_ = &child<TransformerEncoder>("transformer", t);
  std::map<std::string, VariablePtr> by_name;
  for (const Parameter& p : transformer_->parameters()) by_name[p.name()] = p.variable;
  for (const TensorLink& link : transformer_links(config_)) parameters_.push_back(by_name.at(link.ours));
}

void TextEncoder::initialized() {
  if (weights_.empty()) return;
  const std::string path = pretrained_tensors_path(weights_);
  const std::vector<TensorLink> links = transformer_links(config_);
  const PretrainedTensors tensors(SafeTensors::open(path), path, config_, links);
  for (size_t i = 0; i < links.size(); ++i) tensors.copy_to(links[i], parameters_[i]->value);
}

JaggedIds TextEncoder::encode(std::span<const std::string_view> first, std::span<const std::string_view> second) const {
  JaggedIds rows = encode_batch(*tokenizer_, first, second, {options_.max_len, true}, num_threads());
  if (options_.transformer.type_vocab_size < 2) std::fill(rows.types.begin(), rows.types.end(), int8_t{0});
  return rows;
}

Value TextEncoder::tokens(const TokenInputs& in, const StepContext& context, Loc loc) const {
  return (*transformer_)(in, context, loc);
}

Value TextEncoder::pooled(const TokenInputs& in, const StepContext& context, Loc loc) const {
  const Value vectors = pool_tokens(tokens(in, context, loc), in.offsets, options_.pooling, loc);
  return options_.normalize ? l2_normalize(vectors, 1e-12, loc) : vectors;
}

namespace {

std::map<std::string, VariablePtr> named(const MlmHead& head) {
  std::map<std::string, VariablePtr> all;
  for (const Parameter& p : head.parameters()) {
    const std::string& name = p.name();
    all[name] = p.variable;
  }
  return all;
}

}  // namespace

bool TextEncoder::load_mlm_head(MlmHead& head) const {
  if (weights_.empty() || config_.architecture == Architecture::Gpt2) return false;
  const std::string path = pretrained_tensors_path(weights_);
  SafeTensors file = SafeTensors::open(path);
  const std::vector<TensorLink> of_head = mlm_head_links(config_);
  if (file.spec(of_head.front().theirs.front()) == nullptr) return false;
  std::vector<TensorLink> links = transformer_links(config_);
  links.insert(links.end(), of_head.begin(), of_head.end());
  const PretrainedTensors tensors(std::move(file), path, config_, links);
  const auto parameters = named(head);
  for (const TensorLink& link : of_head) tensors.copy_to(link, parameters.at(link.ours)->value);
  return true;
}

void TextEncoder::save(const std::string& directory, const MlmHead* head) const {
  make_directories(directory);
  std::vector<NamedTensor> tensors;
  const std::vector<TensorLink> links = transformer_links(config_);
  for (size_t i = 0; i < links.size(); ++i)
    append_pretrained(config_, links[i], parameters_[i]->value, head != nullptr, tensors);
  if (head != nullptr) {
    const auto parameters = named(*head);
    for (const TensorLink& link : mlm_head_links(config_))
      append_pretrained(config_, link, parameters.at(link.ours)->value, true, tensors);
  }
  write_atomically(directory + "/config.json", pretrained_config_json(config_, head != nullptr));
  tokenizer_->save(directory, options_.transformer.type_vocab_size > 0);
  save_sentence_files(directory, options_.pooling, options_.normalize, options_.max_len, width());
  save_safetensors(directory + "/model.safetensors", tensors, {{"format", "pt"}});
}

TokenInputs token_inputs(Graph& graph, int64_t rows, int64_t capacity, const std::string& prefix) {
  const auto input = [&](const char* name, int64_t n) { return graph.input(prefix + name, {DType::I64, {n}}); };
  TokenInputs in;
  in.ids = input("ids", capacity);
  in.types = input("types", capacity);
  in.positions = input("positions", capacity);
  in.offsets = input("offsets", rows + 1);
  return in;
}

}  // namespace winnow
