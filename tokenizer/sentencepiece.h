// SentencePiece (Kudo and Richardson 2018): unigram language model (Kudo 2018, "Subword regularization") and BPE
// (Sennrich et al. 2016), through the library of that name. A model file is checked in full before the library sees it.
#pragma once
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace sentencepiece {
class SentencePieceProcessor;
}

namespace winnow {

class SentencePiece final : public Tokenizer {
 public:
  // model: the bytes of a .model file; name: its source in messages. DataError: see check_sentencepiece_model().
  SentencePiece(std::string_view model, const std::string& name);
  static std::unique_ptr<SentencePiece> load(const std::string& path);  // at most 256 MiB
  ~SentencePiece() override;

  void encode(std::string_view text, std::vector<int32_t>& ids) const override;
  std::string decode(std::span<const int32_t> ids) const override;
  int32_t size() const override;
  std::string_view token(int32_t id) const override;
  int32_t find(std::string_view token) const override;
  void save(const std::string& directory, bool token_types = true) const override;  // spiece.model and a config

  // Another segmentation of the text, for augmentation; the same for the same (text, seed, stream).
  // Unigram: one of the `nbest` likeliest, with probability proportional to likelihood^alpha (Kudo 2018, section 3.2).
  // BPE: each merge is skipped with probability alpha (Provilkov et al. 2020, "BPE-dropout"); nbest is not used.
  // ConfigError: alpha outside [0, 1] (BPE), negative or not finite (unigram), nbest outside 1 .. 512.
  struct Sampling {
    double alpha = 0.1;
    int nbest = 64;
    uint64_t seed = 42;
  };
  void sample(std::string_view text, const Sampling& sampling, uint64_t stream, std::vector<int32_t>& ids) const;
  bool is_bpe() const { return bpe_; }

 private:
  void sample_bpe(std::string_view text, const Sampling& sampling, uint64_t stream, std::vector<int32_t>& ids) const;
  std::string name_;
  std::unique_ptr<sentencepiece::SentencePieceProcessor> processor_;
  bool bpe_ = false, byte_fallback_ = false;
};

// What must hold of a model before it is used: a well-formed protobuf of the fields that count, 1 to 2^22 pieces of 1
// to 4096 bytes without NUL, a character map whose trie stays inside its array and whose replacements end. DataError
// says where. Tells the model's type.
struct SentencePieceModelInfo {
  bool bpe = false, byte_fallback = false;
  int64_t pieces = 0;
};
SentencePieceModelInfo check_sentencepiece_model(std::string_view model, const std::string& name);

struct SentencePieceTraining {
  std::vector<std::string> inputs;  // text files, a sentence a line
  std::string output;               // the .model file; a .vocab beside it lists pieces and scores
  int64_t vocab_size = 8000;
  bool bpe = false;
  double character_coverage = 0.9995;
  int64_t max_sentences = 0;  // 0: all; else a sample of the lines
  bool byte_fallback = false;
  int threads = 2;
  uint64_t seed = 42;  // of the sample
};
// Pieces: [PAD] 0, [UNK] 1, [CLS] 2, [SEP] 3, [MASK] 4, so that the model serves BERT-class encoders.
// ConfigError: settings; DataError: text that cannot give so many pieces; IoError: files.
void train_sentencepiece(const SentencePieceTraining& options);

}  // namespace winnow
