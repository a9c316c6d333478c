// Clicks from texts: what a user took before (or is) and what an item is called, alone or beside ids and context.
//   towers  v = encoder(item text); u = mean of encoder(texts of the user's last items); x = norm([u, v, u * v])
//           Item texts repeat in a batch: each is encoded once.
//   pair    x = pool(encoder("[CLS] user text [SEP] item text [SEP]")): every row runs through the encoder, whose
//           attention sees both texts
//   text alone   logit = linear(dropout(x))
//   fused        logit = base(ids, numbers, vectors), base: a click model of models/ctr.h, which takes the rows of
//                linear(dropout(x)) [text_fields, embedding_dim] as embeddings of further fields: a factorization
//                machine or cross layers multiply them with those of the ids
#pragma once
#include <memory>
#include <optional>

#include "models/ctr.h"
#include "models/text_encoder.h"

namespace winnow {

struct ClickTextOptions {
  TextEncoderOptions encoder;
  bool pair = false;
  bool freeze_encoder = false;  // towers: item texts are encoded once, before training, and the encoder stays as it is
  double dropout = 0.3;
  int64_t text_fields = 2;        // fused: embeddings that stand for the text
  std::optional<CtrOptions> ids;  // fused: the click model
};

// The item vectors of a batch's rows.
struct TowerInputs {
  Value vectors;                   // [U, H]
  Value items;                     // i64 [B] into vectors
  Value history, history_offsets;  // i64 [capacity] into vectors, i64 [B + 1]; empty histories give zeros
};

// Parameters: encoder.*, norm.* (towers), text.* (linear), base.* (fused).
class ClickTextModel final : public Module {
 public:
  ClickTextModel(const ClickTextOptions& options, const CtrSpec& spec);
  const TextEncoder& encoder() const { return *encoder_; }
  const ClickTextOptions& options() const { return options_; }
  Value tower_text(const TowerInputs& in, Loc loc = Loc::current()) const;                             // [B, 3 H]
  Value pair_text(const TokenInputs& in, const StepContext& context, Loc loc = Loc::current()) const;  // [B, H]
  Value logits(Value text, const CtrInputs& in, const StepContext& context, Loc loc = Loc::current()) const;  // [B]
  std::vector<Parameter> other_parameters() const;  // all but the encoder's

 private:
  ClickTextOptions options_;
  TextEncoder* encoder_;
  LayerNorm* norm_ = nullptr;
  Linear* text_;
  CtrModel* base_ = nullptr;
};

}  // namespace winnow
