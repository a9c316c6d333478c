// tokenizer.json, as the tokenizers package writes it; transformers 5 saves no vocab.txt beside it.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "tokenizer/wordpiece.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

constexpr size_t kMaxTokens = size_t{1} << 22;

std::string type_of(const Json& j, const char* key) {
  const auto at = j.find(key);
  return at != j.end() && at->is_object() ? at->value("type", "") : "";
}

void expect_type(const Json& j, const char* key, const char* type, const std::string& name) {
  const std::string found = type_of(j, key);
  WN_CHECK(found == type, DataError, "{}: the {} is {}, only {} is supported", name, key,
           found.empty() ? "absent" : winnow::quoted(found), type);
}

void put(std::vector<std::string>& vocabulary, const std::string& token, const Json& id, const std::string& name) {
  WN_CHECK(id.is_number_unsigned() && id.get<uint64_t>() < vocabulary.size(), DataError,
           "{}: the id {} of {} is not below the {} tokens of the vocabulary", name, winnow::quoted(id.dump()),
           winnow::quoted(token), vocabulary.size());
  std::string& place = vocabulary[id.get<size_t>()];
  WN_CHECK(place.empty() || place == token, DataError, "{}: id {} is that of {} and of {}", name, id.get<size_t>(),
           winnow::quoted(place), winnow::quoted(token));
  place = token;
}

// The model's tokens, and behind them those that were added.
std::vector<std::string> vocabulary_of(const Json& j, const std::string& name) {
  const Json& tokens = j.at("model").at("vocab");
  WN_CHECK(tokens.is_object(), DataError, "{}: model.vocab must be an object", name);
  const Json added = j.value("added_tokens", Json::array());
  size_t size = tokens.size();
  for (const Json& token : added)
    if (!tokens.contains(token.at("content").get<std::string>())) ++size;
  WN_CHECK(size <= kMaxTokens, DataError, "{}: {} tokens; at most {} are supported", name, size, kMaxTokens);
  std::vector<std::string> vocabulary(size);
  for (const auto& [token, id] : tokens.items()) put(vocabulary, token, id, name);
  for (const Json& token : added) put(vocabulary, token.at("content").get<std::string>(), token.at("id"), name);
  return vocabulary;
}

}  // namespace

std::vector<std::string> WordPiece::parse_tokenizer_json(std::string_view text, const std::string& name,
                                                         WordPieceOptions& o) {
  try {
    const Json j = Json::parse(text);
    WN_CHECK(j.is_object(), DataError, "{}: an object is expected", name);
    expect_type(j, "model", "WordPiece", name);
    expect_type(j, "normalizer", "BertNormalizer", name);
    expect_type(j, "pre_tokenizer", "BertPreTokenizer", name);
    const Json &model = j.at("model"), &normalizer = j.at("normalizer");
    WN_CHECK(model.value("continuing_subword_prefix", "##") == "##", DataError,
             "{}: a continuing_subword_prefix other than ## is not supported", name);
    WN_CHECK(normalizer.value("clean_text", true), DataError, "{}: clean_text false is not supported", name);
    o.unk = model.value("unk_token", "[UNK]");
    o.max_word_chars = model.value("max_input_chars_per_word", 100);
    o.lower_case = normalizer.value("lowercase", true);
    const auto accents = normalizer.find("strip_accents");
    o.strip_accents = accents == normalizer.end() || accents->is_null() ? o.lower_case : accents->get<bool>();
    o.split_cjk = normalizer.value("handle_chinese_chars", true);
    return vocabulary_of(j, name);
  } catch (const Json::exception& e) { raise<DataError>("{}: {}", name, e.what()); }
}

}  // namespace winnow
