#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "tokenizer/sentencepiece.h"
#include "tokenizer/wordpiece.h"

namespace winnow {
namespace {

constexpr size_t kMaxConfig = size_t{16} << 20, kMaxTokenizer = size_t{64} << 20;

using Json = nlohmann::json;

// An empty object where there is no file.
Json config_of(const std::string& folder) {
  const std::string path = folder + "/tokenizer_config.json";
  if (!file_exists(path)) return Json::object();
  Json j = Json::parse(read_text(path, kMaxConfig), nullptr, false);
  WN_CHECK(j.is_object(), DataError, "{}: an object is expected", path);
  return j;
}

// Other classes of transformers read files of the same names in another way: XLMRobertaTokenizer shifts the ids of its
// SentencePiece model, BertJapaneseTokenizer looks for words first.
void check_class(const std::string& folder, const Json& config, std::initializer_list<std::string_view> known) {
  const auto at = config.find("tokenizer_class");
  if (at == config.end() || at->is_null()) return;
  WN_CHECK(at->is_string(), DataError, "{}/tokenizer_config.json: tokenizer_class: a text is expected", folder);
  std::string name = at->get<std::string>();
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  WN_CHECK(std::find(known.begin(), known.end(), name) != known.end(), DataError,
           "{}/tokenizer_config.json: tokenizer_class {} is not supported here; give another tokenizer if its ids are "
           "those of the model",
           folder, winnow::quoted(name));
}

// ALBERT's class lower-cases and strips accents before the model sees the text, unless it is told not to.
std::unique_ptr<Tokenizer> sentencepiece(const std::string& folder, const char* name) {
  const Json config = config_of(folder);
  check_class(folder, config, {"AlbertTokenizer"});
  const auto says = [&](const char* key, bool value) {
    const auto at = config.find(key);
    return at != config.end() && *at == value;
  };
  WN_CHECK(
      !config.contains("tokenizer_class") || (says("do_lower_case", false) && says("keep_accents", true)), DataError,
      "{}/tokenizer_config.json: only do_lower_case false with keep_accents true is supported with a SentencePiece "
      "model",
      folder);
  return SentencePiece::load(folder + name);
}

WordPieceOptions options_of(const std::string& folder) {
  check_class(folder, config_of(folder),
              {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MPNetTokenizer", "PreTrainedTokenizer",
               "TokenizersBackend"});
  const std::string config = folder + "/tokenizer_config.json";
  return file_exists(config) ? WordPiece::parse_options(read_text(config, kMaxConfig), config) : WordPieceOptions{};
}

std::unique_ptr<Tokenizer> wordpiece(const std::string& vocabulary) {
  const WordPieceOptions options = options_of(parent_directory(vocabulary));
  return std::make_unique<WordPiece>(WordPiece::read_vocabulary(vocabulary), options, vocabulary);
}

std::unique_ptr<Tokenizer> from_json(const std::string& folder) {
  const std::string path = folder + "/tokenizer.json";
  WordPieceOptions options = options_of(folder);
  auto vocabulary = WordPiece::parse_tokenizer_json(read_text(path, kMaxTokenizer), path, options);
  return std::make_unique<WordPiece>(std::move(vocabulary), options, path);
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path) {
  if (!directory_exists(path)) return path.ends_with(".txt") ? wordpiece(path) : SentencePiece::load(path);
  if (file_exists(path + "/vocab.txt")) return wordpiece(path + "/vocab.txt");
  for (const char* name : {"/spiece.model", "/sentencepiece.bpe.model", "/tokenizer.model"})
    if (file_exists(path + name)) return sentencepiece(path, name);
  if (file_exists(path + "/tokenizer.json")) return from_json(path);
  raise<IoError>(
      "{}: no tokenizer here: neither vocab.txt, tokenizer.json nor spiece.model, sentencepiece.bpe.model, "
      "tokenizer.model",
      path);
}

}  // namespace winnow
