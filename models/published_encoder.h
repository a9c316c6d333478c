// A text encoder's directory as it stands on disk: config.json and model.safetensors of transformers, and what
// sentence-transformers (Reimers and Gurevych 2019) puts around them: modules.json, 1_Pooling/config.json,
// sentence_bert_config.json, config_sentence_transformers.json.
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "nn/pretrained.h"

namespace winnow {

struct PublishedEncoder {
  std::string directory;  // of config.json, model.safetensors and the tokenizer
  PretrainedConfig config;
  bool sentence_transformers = false;  // there is a modules.json; without one the rest keeps its defaults
  TokenPooling pooling = TokenPooling::Mean;
  bool normalize = false;
  int64_t max_len = 0;  // 0: not said
};

// IoError: a file is absent. DataError: it is broken, or asks for what is not supported: a module that is not a
// Transformer, a Pooling or a Normalize (such as Dense), another pooling, a prompt before every text.
PublishedEncoder read_published_encoder(const std::string& directory);

// The parts, as foreign input.
struct SentenceModules {
  std::string transformer, pooling;  // folders within the directory
  bool normalize = false;
};
SentenceModules parse_sentence_modules(std::string_view json, const std::string& name);
TokenPooling parse_sentence_pooling(std::string_view json, const std::string& name, int64_t width);
struct SentenceLength {
  int64_t max_len = 0;  // 0: not said
  bool lower_case = false;
};
SentenceLength parse_sentence_length(std::string_view json, const std::string& name);
void check_sentence_prompts(std::string_view json, const std::string& name);

// The files around a saved encoder.
void save_sentence_files(const std::string& directory, TokenPooling pooling, bool normalize, int64_t max_len,
                         int64_t width);

}  // namespace winnow
