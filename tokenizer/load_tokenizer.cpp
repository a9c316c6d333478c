#include "core/error.h"
#include "core/file.h"
#include "tokenizer/sentencepiece.h"
#include "tokenizer/wordpiece.h"

namespace winnow {
namespace {

constexpr size_t kMaxConfig = size_t{16} << 20;

std::unique_ptr<Tokenizer> wordpiece(const std::string& vocabulary) {
  const std::string config = parent_directory(vocabulary) + "/tokenizer_config.json";
  WordPieceOptions options;
  if (file_exists(config)) options = WordPiece::parse_options(read_text(config, kMaxConfig), config);
  return std::make_unique<WordPiece>(WordPiece::read_vocabulary(vocabulary), options, vocabulary);
}

}  // namespace

std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path) {
  if (!directory_exists(path)) return path.ends_with(".txt") ? wordpiece(path) : SentencePiece::load(path);
  if (file_exists(path + "/vocab.txt")) return wordpiece(path + "/vocab.txt");
  for (const char* name : {"/spiece.model", "/sentencepiece.bpe.model", "/tokenizer.model"})
    if (file_exists(path + name)) return SentencePiece::load(path + name);
  raise<IoError>("{}: no tokenizer here: neither vocab.txt nor spiece.model, sentencepiece.bpe.model, tokenizer.model",
                 path);
}

}  // namespace winnow
