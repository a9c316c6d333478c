// Batches of a masked language model: rows of tokens with some masked, and the places and tokens to predict.
#pragma once
#include <string>
#include <vector>

#include "data/token_batches.h"
#include "data/token_masking.h"

namespace winnow {

class MaskedBatches {
 public:
  // Room of a form: tokens, and places to predict.
  struct Form {
    int64_t tokens = 0, places = 0;
  };
  // rows and masker must outlive the batches.
  MaskedBatches(const JaggedIds& rows, TokenMasker& masker, const TokenBatchOptions& options);

  const std::vector<Form>& forms() const { return forms_; }  // ascending
  int64_t batches(int64_t epoch) const { return batches_.batches(epoch); }

  // The next batch, masked for `epoch` of the masks: that of the order, unless fix_masks() says otherwise. False at the
  // epoch's end. Allocates nothing once the longest batch has been seen.
  bool next();
  // ids, types, positions i64 [tokens], offsets i64 [batch_size + 1], then places i64 [places] (indices into the
  // tokens) and labels i64 [places], -1 where there is none. Hold until the next next().
  std::span<const Tensor> feeds() const { return feeds_[form_]; }
  size_t form() const { return form_; }  // an index into forms()
  int64_t tokens() const { return batches_.tokens(); }
  int64_t masked() const { return masked_; }  // places in use

  // Always the masks of this epoch, so that measurements can be compared.
  void fix_masks(int64_t epoch) { fixed_ = epoch; }
  Cursor cursor() const { return batches_.cursor(); }
  void seek(const Cursor& cursor) { batches_.seek(cursor); }
  void start_epoch(int64_t epoch) { batches_.start_epoch(epoch); }

 private:
  const JaggedIds& source_;
  TokenMasker& masker_;
  TokenBatches batches_;
  std::vector<Form> forms_;
  std::vector<TokenTensors> tokens_;  // a form
  std::vector<std::vector<Tensor>> feeds_;
  std::vector<MaskedToken> chosen_;
  int64_t fixed_ = -1, masked_ = 0;
  size_t form_ = 0;
};

}  // namespace winnow
