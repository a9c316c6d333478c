// From text to ids and back: what every tokenizer can do, and the encoding of texts and pairs into jagged batches.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

// Ids of the tokens with a meaning of their own; -1: the vocabulary has no such token.
struct SpecialTokens {
  int32_t pad = -1, unk = -1, cls = -1, sep = -1, mask = -1;
};

// All methods are const and may be called from several threads at once.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // Appends the ids of a text, without special tokens. Any bytes are a text: ill-formed UTF-8 reads as U+FFFD.
  virtual void encode(std::string_view text, std::vector<int32_t>& ids) const = 0;
  // DataError: an id outside [0, size()).
  virtual std::string decode(std::span<const int32_t> ids) const = 0;
  virtual int32_t size() const = 0;
  virtual std::string_view token(int32_t id) const = 0;    // DataError as decode()
  virtual int32_t find(std::string_view token) const = 0;  // its id, or -1
  const SpecialTokens& special() const { return special_; }
  // Writes the files that load_tokenizer() and transformers read. token_types: whether the model takes them.
  virtual void save(const std::string& directory, bool token_types = true) const = 0;

 protected:
  void check_ids(std::span<const int32_t> ids) const;
  SpecialTokens special_;
};

struct EncodeOptions {
  int64_t max_len = 0;         // most ids of a row, special tokens included; 0: no limit
  bool special_tokens = true;  // [CLS] a [SEP], or [CLS] a [SEP] b [SEP]
};

// B rows: row i is ids[offsets[i] .. offsets[i + 1]); types: 0 for the first text and its frame, 1 for the second.
struct JaggedIds {
  std::vector<int32_t> ids;
  std::vector<int8_t> types;
  std::vector<int64_t> offsets = {0};
  int64_t rows() const { return static_cast<int64_t>(offsets.size()) - 1; }
  int64_t length(int64_t row) const {
    return offsets[static_cast<size_t>(row) + 1] - offsets[static_cast<size_t>(row)];
  }
  std::vector<int64_t> lengths() const;  // [rows]
  std::span<const int32_t> row(int64_t row) const {
    return std::span(ids).subspan(static_cast<size_t>(offsets[static_cast<size_t>(row)]),
                                  static_cast<size_t>(length(row)));
  }
};

// Appends one row. Over max_len, ids are taken from the end of the longer text, one by one (of the second where both
// are equally long), as BERT does. ConfigError: max_len without room for the special tokens, or a vocabulary that lacks
// them.
class RowEncoder {
 public:
  explicit RowEncoder(const Tokenizer& tokenizer, const EncodeOptions& options = {});
  void append(std::string_view text, JaggedIds& out);
  void append(std::string_view first, std::string_view second, JaggedIds& out);

 private:
  void frame(std::span<const int32_t> ids, int8_t type, bool begin, JaggedIds& out) const;
  const Tokenizer& tokenizer_;
  EncodeOptions options_;
  std::vector<int32_t> first_, second_;
};

// Rows of many texts (pairs when `second` is not empty; then of equal length), the same for any number of threads.
JaggedIds encode_batch(const Tokenizer& tokenizer, std::span<const std::string_view> first,
                       std::span<const std::string_view> second, const EncodeOptions& options, int threads);

// A tokenizer from its file or folder:
//   vocab.txt, or a folder with it or tokenizer.json    WordPiece, options from tokenizer_config.json beside it
//   *.model, or a folder with spiece.model / sentencepiece.bpe.model / tokenizer.model    SentencePiece
// IoError, DataError: names the file and what is wrong with it, such as a tokenizer_config.json of another class.
std::unique_ptr<Tokenizer> load_tokenizer(const std::string& path);

}  // namespace winnow
