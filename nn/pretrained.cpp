#include "nn/pretrained.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "core/parallel.h"
#include "core/text.h"

namespace winnow {
namespace {

constexpr size_t kListed = 20;  // names of each kind in an error

struct Names {
  const char* prefix;  // of models with a head
  const char* word;    // the tensor that tells whether the prefix is there
  // Carried by files and not needed here: exact names without the prefix, and prefixes of the heads' names.
  std::vector<std::string> harmless, heads;
};

const Names& names_of(Architecture a) {
  static const Names bert{"bert.",
                          "embeddings.word_embeddings.weight",
                          {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"},
                          {"cls.", "classifier.", "qa_outputs."}};
  static const Names roberta{"roberta.",
                             "embeddings.word_embeddings.weight",
                             {"embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias"},
                             {"lm_head.", "classifier.", "qa_outputs."}};
  static const Names distilbert{
      "distilbert.",
      "embeddings.word_embeddings.weight",
      {"embeddings.position_ids"},
      {"vocab_transform.", "vocab_layer_norm.", "vocab_projector.", "pre_classifier.", "classifier.", "qa_outputs."}};
  static const Names gpt2{"transformer.", "wte.weight", {}, {"lm_head.", "score."}};
  static const Names own{"", "embeddings.word", {}, {}};
  switch (a) {
    case Architecture::Bert: return bert;
    case Architecture::Roberta: return roberta;
    case Architecture::DistilBert: return distilbert;
    case Architecture::Gpt2: return gpt2;
    case Architecture::Winnow: break;
  }
  return own;
}

// Of one layer: the stem of ours, the stems of theirs.
struct LayerNames {
  const char* layer;
  std::vector<const char*> qkv;
  const char *output, *attention_norm, *up, *down, *ffn_norm;
};

const LayerNames& layer_names(Architecture a) {
  static const LayerNames bert{
      "encoder.layer.{}.",      {"attention.self.query", "attention.self.key", "attention.self.value"},
      "attention.output.dense", "attention.output.LayerNorm",
      "intermediate.dense",     "output.dense",
      "output.LayerNorm"};
  static const LayerNames distilbert{"transformer.layer.{}.",
                                     {"attention.q_lin", "attention.k_lin", "attention.v_lin"},
                                     "attention.out_lin",
                                     "sa_layer_norm",
                                     "ffn.lin1",
                                     "ffn.lin2",
                                     "output_layer_norm"};
  static const LayerNames gpt2{"h.{}.", {"attn.c_attn"}, "attn.c_proj", "ln_1", "mlp.c_fc", "mlp.c_proj", "ln_2"};
  static const LayerNames own{"layers.{}.", {"attention.qkv"}, "attention.output", "attention.norm",
                              "ffn.up",     "ffn.down",        "ffn.norm"};
  switch (a) {
    case Architecture::Bert:
    case Architecture::Roberta: return bert;
    case Architecture::DistilBert: return distilbert;
    case Architecture::Gpt2: return gpt2;
    case Architecture::Winnow: break;
  }
  return own;
}

class Links {
 public:
  Links(Architecture a, bool head) : own_(a == Architecture::Winnow), head_(head) {
    transposed_ = a != Architecture::Gpt2 && !own_;
  }
  void table(const std::string& ours, const std::string& theirs, const Shape& shape) {
    links.push_back({ours, shape, {theirs}, false, head_});
  }
  void norm(const std::string& ours, const std::string& theirs, int64_t width) {
    links.push_back({ours + ".gamma", {width}, {theirs + (own_ ? ".gamma" : ".weight")}, false, head_});
    links.push_back({ours + ".beta", {width}, {theirs + (own_ ? ".beta" : ".bias")}, false, head_});
  }
  void linear(const std::string& ours, const std::vector<std::string>& theirs, int64_t in, int64_t out) {
    TensorLink weight{ours + ".weight", {in, out}, {}, transposed_, head_},
        bias{ours + ".bias", {out}, {}, false, head_};
    for (const std::string& name : theirs) {
      weight.theirs.push_back(name + ".weight");
      bias.theirs.push_back(name + ".bias");
    }
    links.push_back(std::move(weight));
    links.push_back(std::move(bias));
  }
  std::vector<TensorLink> links;

 private:
  bool own_, head_, transposed_ = false;
};

void add_embeddings(Architecture a, const TransformerOptions& o, Links& l) {
  const bool gpt2 = a == Architecture::Gpt2, own = a == Architecture::Winnow;
  const auto there = [&](const char* ours, const char* gpt, const char* theirs) {
    return std::string(own ? ours : gpt2 ? gpt : theirs);
  };
  l.table("embeddings.word", there("embeddings.word", "wte.weight", "embeddings.word_embeddings.weight"),
          {o.vocab_size, o.hidden_size});
  if (o.positions == TransformerOptions::Positions::Learned)
    l.table("embeddings.position", there("embeddings.position", "wpe.weight", "embeddings.position_embeddings.weight"),
            {o.max_position_embeddings, o.hidden_size});
  if (o.type_vocab_size > 0)
    l.table("embeddings.type", there("embeddings.type", "", "embeddings.token_type_embeddings.weight"),
            {o.type_vocab_size, o.hidden_size});
  if (o.embedding_norm) l.norm("embeddings.norm", there("embeddings.norm", "", "embeddings.LayerNorm"), o.hidden_size);
}

}  // namespace

std::vector<TensorLink> transformer_links(const PretrainedConfig& c) {
  const TransformerOptions& o = c.transformer;
  const LayerNames& n = layer_names(c.architecture);
  Links l(c.architecture, false);
  add_embeddings(c.architecture, o, l);
  for (int64_t i = 0; i < o.num_hidden_layers; ++i) {
    const std::string ours = fmt::format("layers.{}.", i), theirs = fmt::format(fmt::runtime(n.layer), i);
    std::vector<std::string> qkv;
    for (const char* part : n.qkv) qkv.push_back(theirs + part);
    l.linear(ours + "attention.qkv", qkv, o.hidden_size, 3 * o.hidden_size);
    l.linear(ours + "attention.output", {theirs + n.output}, o.hidden_size, o.hidden_size);
    l.norm(ours + "attention.norm", theirs + n.attention_norm, o.hidden_size);
    l.linear(ours + "ffn.up", {theirs + n.up}, o.hidden_size, o.intermediate_size);
    l.linear(ours + "ffn.down", {theirs + n.down}, o.intermediate_size, o.hidden_size);
    l.norm(ours + "ffn.norm", theirs + n.ffn_norm, o.hidden_size);
  }
  if (o.norm == TransformerOptions::Norm::Pre)
    l.norm("norm", c.architecture == Architecture::Gpt2 ? "ln_f" : "norm", o.hidden_size);
  return std::move(l.links);
}

std::vector<TensorLink> mlm_head_links(const PretrainedConfig& c) {
  const TransformerOptions& o = c.transformer;
  WN_CHECK(c.tied_embeddings, ConfigError,
           "tie_word_embeddings false is not supported: the MLM head here is tied to the word embedding");
  Links l(c.architecture, true);
  const auto add = [&](const char* transform, const char* norm, const char* bias) {
    l.linear("transform", {transform}, o.hidden_size, o.hidden_size);
    l.norm("norm", norm, o.hidden_size);
    l.table("bias", bias, {o.vocab_size});
  };
  switch (c.architecture) {
    case Architecture::Bert:
      add("cls.predictions.transform.dense", "cls.predictions.transform.LayerNorm", "cls.predictions.bias");
      break;
    case Architecture::Roberta: add("lm_head.dense", "lm_head.layer_norm", "lm_head.bias"); break;
    case Architecture::DistilBert: add("vocab_transform", "vocab_layer_norm", "vocab_projector.bias"); break;
    case Architecture::Winnow: add("mlm.transform", "mlm.norm", "mlm.bias"); break;
    case Architecture::Gpt2: raise<ConfigError>("gpt2 has no MLM head");
  }
  return std::move(l.links);
}

namespace {

// Shape of one of a link's tensors, as it stands in the file.
Shape shape_there(const TensorLink& link) {
  const auto parts = static_cast<int64_t>(link.theirs.size());
  const int last = link.shape.rank() - 1;
  const Shape part = link.shape.with(last, link.shape[last] / parts);
  return link.transposed ? Shape{part[1], part[0]} : part;
}

bool is_readable(DType t) { return is_float(t); }

void append_list(std::string& text, const char* what, const std::vector<std::string>& names) {
  if (names.empty()) return;
  text += fmt::format("\n  {} ({}):", what, names.size());
  for (size_t i = 0; i < std::min(names.size(), kListed); ++i) text += "\n    " + names[i];
  if (names.size() > kListed) text += fmt::format("\n    and {} more", names.size() - kListed);
}

// Files from before 2020 call a norm's parameters gamma and beta.
std::string older_name(const std::string& name) {
  constexpr std::string_view weight = "LayerNorm.weight", bias = "LayerNorm.bias";
  if (name.ends_with(weight)) return name.substr(0, name.size() - weight.size()) + "LayerNorm.gamma";
  if (name.ends_with(bias)) return name.substr(0, name.size() - bias.size()) + "LayerNorm.beta";
  return name;
}

bool is_causal_mask(std::string_view name) {  // gpt2's buffers h.N.attn.bias and h.N.attn.masked_bias
  return name.starts_with("h.") && (name.ends_with(".attn.bias") || name.ends_with(".attn.masked_bias"));
}

bool is_harmless(const Names& names, Architecture a, std::string_view name, const std::string& prefix) {
  for (const std::string& head : names.heads)
    if (name.starts_with(head)) return true;
  if (!name.starts_with(prefix)) return false;
  name.remove_prefix(prefix.size());
  if (a == Architecture::Gpt2 && is_causal_mask(name)) return true;
  return std::find(names.harmless.begin(), names.harmless.end(), name) != names.harmless.end();
}

}  // namespace

std::string PretrainedTensors::found(const TensorLink& link, const std::string& theirs) const {
  const std::string name = link.head ? theirs : prefix_ + theirs;
  if (file_.spec(name) != nullptr) return name;
  const std::string older = older_name(name);
  return file_.spec(older) != nullptr ? older : name;
}

std::vector<std::string> PretrainedTensors::names(const TensorLink& link) const {
  std::vector<std::string> all;
  for (const std::string& theirs : link.theirs) all.push_back(found(link, theirs));
  return all;
}

PretrainedTensors::PretrainedTensors(SafeTensors file, std::string name, const PretrainedConfig& config,
                                     const std::vector<TensorLink>& links)
    : file_(std::move(file)), name_(std::move(name)) {
  const Names& known = names_of(config.architecture);
  if (file_.spec(std::string(known.prefix) + known.word) != nullptr) prefix_ = known.prefix;
  std::set<std::string> used;
  std::vector<std::string> missing, unexpected, wrong;
  for (const TensorLink& link : links) {
    const Shape wanted = shape_there(link);
    for (const std::string& n : names(link)) {
      const TensorSpec* spec = file_.spec(n);
      if (spec == nullptr)
        missing.push_back(n);
      else if (spec->shape != wanted || !is_readable(spec->dtype))
        wrong.push_back(fmt::format("{}: {}, expected {}", n, spec->str(), wanted.str()));
      used.insert(n);
    }
  }
  for (const std::string& n : file_.names()) {
    if (used.contains(n)) continue;
    if (is_harmless(known, config.architecture, n, prefix_))
      unused_.push_back(n);
    else
      unexpected.push_back(n);
  }
  if (missing.empty() && unexpected.empty() && wrong.empty()) return;
  std::string text = fmt::format("{}: the tensors are not those of the {} of config.json:", name_,
                                 winnow::name_of(config.architecture));
  append_list(text, "missing", missing);
  append_list(text, "unexpected", unexpected);
  append_list(text, "of another shape or type", wrong);
  raise<DataError>("{}", text);
}

namespace {

// Copies between [rows, columns] and its transpose by tiles, both sides with a row stride.
void transpose_tiles(const float* in, int64_t in_stride, int64_t rows, int64_t columns, float* out,
                     int64_t out_stride) {
  constexpr int64_t kTile = 32;
  parallel_for((rows + kTile - 1) / kTile, 1, [&](int64_t begin, int64_t end) {
    for (int64_t r0 = begin * kTile; r0 < std::min(end * kTile, rows); r0 += kTile)
      for (int64_t c0 = 0; c0 < columns; c0 += kTile)
        for (int64_t r = r0; r < std::min(r0 + kTile, rows); ++r)
          for (int64_t c = c0; c < std::min(c0 + kTile, columns); ++c) out[c * out_stride + r] = in[r * in_stride + c];
  });
}

void copy_rows(const float* in, int64_t in_stride, int64_t rows, int64_t columns, float* out, int64_t out_stride) {
  for (int64_t r = 0; r < rows; ++r) std::copy_n(in + r * in_stride, columns, out + r * out_stride);
}

}  // namespace

void PretrainedTensors::copy_to(const TensorLink& link, Tensor& ours) const {
  WN_CHECK(ours.shape() == link.shape, ShapeError, "{}: {} where {} is expected", link.ours, ours.spec().str(),
           link.shape.str());
  const int64_t width = link.shape.back(), rows = link.shape.numel() / std::max<int64_t>(width, 1);
  const int64_t part = width / static_cast<int64_t>(link.theirs.size());
  float* out = ours.data<float>();
  for (const std::string& n : names(link)) {
    Tensor theirs = file_.at(n);
    if (theirs.dtype() != DType::F32) theirs = theirs.to(DType::F32);
    const float* in = theirs.data<float>();
    if (link.transposed)
      transpose_tiles(in, rows, part, rows, out, width);
    else
      copy_rows(in, part, rows, part, out, width);
    out += part;
  }
}

void append_pretrained(const PretrainedConfig& config, const TensorLink& link, const Tensor& ours, bool prefixed,
                       std::vector<NamedTensor>& tensors) {
  const int64_t width = link.shape.back(), rows = link.shape.numel() / std::max<int64_t>(width, 1);
  const int64_t part = width / static_cast<int64_t>(link.theirs.size());
  const Tensor here = ours.on({});
  const float* in = here.data<float>();
  for (const std::string& name : link.theirs) {
    Tensor theirs(TensorSpec{DType::F32, shape_there(link)});
    if (link.transposed)
      transpose_tiles(in, width, rows, part, theirs.data<float>(), rows);
    else
      copy_rows(in, width, rows, part, theirs.data<float>(), part);
    const std::string prefix = prefixed && !link.head ? names_of(config.architecture).prefix : "";
    tensors.push_back({prefix + name, std::move(theirs)});
    in += part;
  }
}

std::string pretrained_tensors_path(const std::string& directory) {
  const std::string path = directory + "/model.safetensors";
  if (file_exists(path)) return path;
  WN_CHECK(!file_exists(directory + "/model.safetensors.index.json"), IoError,
           "{}: the weights are in parts (model.safetensors.index.json); save the model as one file", directory);
  WN_CHECK(!file_exists(directory + "/pytorch_model.bin"), IoError,
           "{}: only pytorch_model.bin, which runs code when it is read; save the model as model.safetensors "
           "(transformers: save_pretrained)",
           directory);
  raise<IoError>("{}: no model.safetensors here", directory);
}

}  // namespace winnow
