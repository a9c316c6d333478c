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

// Other classes of transformers read files of the same names in another way: XLMRobertaTokenizer shifts the ids of its
// SentencePiece model, BertJapaneseTokenizer looks for words first.
void check_class(const std::string& folder, std::initializer_list<std::string_view> known) {
  const std::string path = folder + "/tokenizer_config.json";
  if (!file_exists(path)) return;
  const auto j = nlohmann::json::parse(read_text(path, kMaxConfig), nullptr, false);
  WN_CHECK(j.is_object(), DataError, "{}: an object is expected", path);
  const auto at = j.find("tokenizer_class");
  if (at == j.end() || at->is_null()) return;
  WN_CHECK(at->is_string(), DataError, "{}: tokenizer_class: a text is expected", path);
  std::string name = at->get<std::string>();
  if (name.ends_with("Fast")) name.resize(name.size() - 4);
  WN_CHECK(std::find(known.begin(), known.end(), name) != known.end(), DataError,
           "{}: tokenizer_class {} is not supported here; give another tokenizer if its ids are those of the model",
           path, winnow::quoted(name));
}

WordPieceOptions options_of(const std::string& folder) {
  check_class(folder, {"BertTokenizer", "DistilBertTokenizer", "ElectraTokenizer", "MPNetTokenizer",
                       "PreTrainedTokenizer", "TokenizersBackend"});
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
    if (file_exists(path + name)) {
      check_class(path, {"AlbertTokenizer"});
      return SentencePiece::load(path + name);
    }
  if (file_exists(path + "/tokenizer.json")) return from_json(path);
  raise<IoError>(
      "{}: no tokenizer here: neither vocab.txt, tokenizer.json nor spiece.model, sentencepiece.bpe.model, "
      "tokenizer.model",
      path);
}

}  // namespace winnow
