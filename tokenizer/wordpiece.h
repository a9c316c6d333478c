// BERT's tokenization: cleaning, CJK characters apart, accents and case, punctuation apart, then WordPiece (Devlin et
// al. 2019; Wu et al. 2016, "Google's neural machine translation system", section 4.1): the longest piece that matches,
// continuations written "##piece". A word of more than max_word_chars characters, or with a rest that no piece matches,
// is one [UNK]. "[SEP]" in a text is ordinary text.
#pragma once
#include <string>
#include <vector>

#include "tokenizer/detail/bert_characters.h"
#include "tokenizer/detail/byte_trie.h"
#include "tokenizer/tokenizer.h"

namespace winnow {

struct WordPieceOptions {
  bool lower_case = true;
  bool strip_accents = true;  // NFD without Mn; needs lower_case
  bool split_cjk = true;      // each CJK ideograph is a word
  int max_word_chars = 100;   // 1 to 1000
  std::string unk = "[UNK]", pad = "[PAD]", cls = "[CLS]", sep = "[SEP]", mask = "[MASK]";
};

// encode() allocates nothing but room for the ids.
class WordPiece final : public Tokenizer {
 public:
  // vocabulary[i] is the token of id i. name: its source in messages. DataError: empty, without the [UNK] token, a
  // token twice, a token of over 512 bytes, more than 2^22 tokens. ConfigError: options that contradict each other.
  explicit WordPiece(std::vector<std::string> vocabulary, const WordPieceOptions& options = {},
                     const std::string& name = "vocabulary");
  // vocab.txt: a token a line (LF or CRLF), at most 256 MiB.
  static std::vector<std::string> read_vocabulary(const std::string& path);
  static std::vector<std::string> parse_vocabulary(std::string_view text);
  // do_lower_case, strip_accents, tokenize_chinese_chars and the special tokens of a tokenizer_config.json. DataError.
  static WordPieceOptions parse_options(std::string_view json, const std::string& name);
  // tokenizer.json of the tokenizers package: the vocabulary, and what it says about options. DataError also for a
  // model, normalizer or pre-tokenizer that is not BERT's.
  static std::vector<std::string> parse_tokenizer_json(std::string_view json, const std::string& name,
                                                       WordPieceOptions& options);

  void encode(std::string_view text, std::vector<int32_t>& ids) const override;
  std::string decode(std::span<const int32_t> ids) const override;  // pieces joined; words with a blank between
  int32_t size() const override { return static_cast<int32_t>(vocabulary_.size()); }
  std::string_view token(int32_t id) const override;
  int32_t find(std::string_view token) const override;
  void save(const std::string& directory, bool token_types = true) const override;  // vocab.txt, tokenizer_config.json
  const WordPieceOptions& options() const { return options_; }

 private:
  struct Word;
  void add(uint32_t character, Word& word, std::vector<int32_t>& ids) const;
  void add_alone(uint32_t character, Word& word, std::vector<int32_t>& ids) const;
  void finish(Word& word, std::vector<int32_t>& ids) const;
  void match(const Word& word, std::vector<int32_t>& ids) const;

  std::vector<std::string> vocabulary_;
  WordPieceOptions options_;
  detail::ByteTrie trie_;
  const detail::BertCharacters& characters_;
  int32_t continuation_ = -1;  // the trie's state behind "##"
  size_t max_word_chars_;
  std::vector<int32_t> ideographs_;  // id of U+4E00 + i as a word; empty when CJK is not split
};

}  // namespace winnow
