// Transformers in the Hugging Face layout: a config.json beside a model.safetensors, whose tensors are found by name.
// BERT (and MiniLM, which is one): Devlin et al. 2019. RoBERTa: Liu et al. 2019. DistilBERT: Sanh et al. 2019. GPT-2:
// Radford et al. 2019. Linear weights of the first three are [out, in] there and [in, out] here, with query, key and
// value side by side; GPT-2's are [in, out] already.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "core/safetensors.h"
#include "nn/transformer.h"

namespace winnow {

// Winnow: what none of the others can hold, such as rotary positions; the tensors have our names and shapes.
enum class Architecture : uint8_t { Bert, Roberta, DistilBert, Gpt2, Winnow };
const char* name_of(Architecture architecture);  // "bert", the model_type of config.json

struct PretrainedConfig {
  Architecture architecture = Architecture::Bert;
  TransformerOptions transformer;
  int64_t pad_token_id = -1;    // -1: not said
  bool tied_embeddings = true;  // the MLM head's last layer is the word embedding
};

// config.json as foreign input: every size is within bounds. DataError "name: key: ..." for a model_type that is not
// one of the above, and for each key that changes the computation in a way that is not supported (is_decoder,
// position_embedding_type, pruned_heads, ...). What is left, such as labels and versions, is not read.
PretrainedConfig parse_pretrained_config(std::string_view json, const std::string& name);
PretrainedConfig read_pretrained_config(const std::string& directory);

// As transformers reads it; head: the architecture has an MLM head.
std::string pretrained_config_json(const PretrainedConfig& config, bool mlm_head = false);

// The architecture whose computation the options are, Winnow when there is none.
Architecture architecture_of(const TransformerOptions& options);

// A parameter of ours and the tensors that hold it, without the prefix ("bert.") that models with a head write.
struct TensorLink {
  std::string ours;
  Shape shape;                      // ours
  std::vector<std::string> theirs;  // several: side by side along the last axis of ours
  bool transposed = false;          // theirs are [out, in]
  bool head = false;                // of the MLM head: never prefixed
};
std::vector<TensorLink> transformer_links(const PretrainedConfig& config);  // of TransformerEncoder's parameters
std::vector<TensorLink> mlm_head_links(const PretrainedConfig& config);     // of MlmHead's; ConfigError: it has none

// A file's tensors, matched with links. Every tensor is a view of the mapped file: nothing is read before copy_to().
class PretrainedTensors {
 public:
  // DataError: one text that lists every missing, unexpected and wrongly shaped tensor. Not unexpected are what the
  // architecture is known to carry and the links leave out: position_ids, a pooler, the heads of other tasks.
  PretrainedTensors(SafeTensors file, std::string name, const PretrainedConfig& config,
                    const std::vector<TensorLink>& links);
  const std::vector<std::string>& unused() const { return unused_; }  // names in the file
  // The names of a link's tensors in this file.
  std::vector<std::string> names(const TensorLink& link) const;
  void copy_to(const TensorLink& link, Tensor& ours) const;  // f32; bf16 and f64 are converted

 private:
  std::string found(const TensorLink& link, const std::string& theirs) const;
  SafeTensors file_;
  std::string name_, prefix_;
  std::vector<std::string> unused_;
};

// The tensors of one link, as they stand in a file. prefixed: with the architecture's prefix.
void append_pretrained(const PretrainedConfig& config, const TensorLink& link, const Tensor& ours, bool prefixed,
                       std::vector<NamedTensor>& tensors);

// The file of a directory. IoError says what to do with pytorch_model.bin and with files in parts.
std::string pretrained_tensors_path(const std::string& directory);

}  // namespace winnow
