// The JSON files of a published encoder: errors, or values that a transformer can be built from. The first byte says
// which file it is.
#include <string_view>

#include "core/error.h"
#include "models/published_encoder.h"
#include "tests/fuzz/memory_bound.h"
#include "tokenizer/wordpiece.h"

namespace winnow {
namespace {

void config(std::string_view text) {
  const PretrainedConfig c = parse_pretrained_config(text, "config.json");
  const TransformerOptions& o = c.transformer;
  expect(o.hidden_size >= 1 && o.hidden_size % o.num_attention_heads == 0, "heads divide the width");
  expect(o.position_offset >= 0 && o.position_offset < o.max_position_embeddings, "there are places");
  expect(o.hidden_dropout_prob >= 0 && o.hidden_dropout_prob < 1, "a dropout");
  const std::string json = pretrained_config_json(c);
  expect(pretrained_config_json(parse_pretrained_config(json, "again")) == json, "reads back equal");
  if (o.num_hidden_layers > 16) return;
  for (const TensorLink& link : transformer_links(c))
    expect(link.shape.numel() > 0 && !link.theirs.empty(), "each parameter has a size and a place");
}

void tokenizer(std::string_view text) {
  WordPieceOptions options;
  const auto vocabulary = WordPiece::parse_tokenizer_json(text, "tokenizer.json", options);
  expect(vocabulary.size() <= text.size(), "no more tokens than the text holds");
  (void)WordPiece(vocabulary, options);
}

void parse(uint8_t which, std::string_view text) {
  switch (which) {
    case 'c': return config(text);
    case 'm': return (void)parse_sentence_modules(text, "modules.json");
    case 'p': return (void)parse_sentence_pooling(text, "1_Pooling/config.json", 8);
    case 'l': return (void)parse_sentence_length(text, "sentence_bert_config.json");
    case 's': return check_sentence_prompts(text, "config_sentence_transformers.json");
    case 't': return tokenizer(text);
    case 'o': return (void)WordPiece::parse_options(text, "tokenizer_config.json");
    default: return;
  }
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  if (size == 0) return 0;
  try {
    parse(data[0], {reinterpret_cast<const char*>(data) + 1, size - 1});
  } catch (const DataError&) {
  } catch (const ConfigError&) {}
  return 0;
}
