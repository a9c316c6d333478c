// DualEncoder: queries and items as vectors of one space, near where they belong together (DSSM, Huang et al. 2013;
// sentence encoders, Reimers and Gurevych 2019).
#pragma once
#include <memory>

#include "models/text_encoder.h"

namespace winnow {

struct DualEncoderOptions {
  TextEncoderOptions query;
  TextEncoderOptions item;  // two towers only
  bool two_towers = false;  // false: one encoder for both
  int64_t projection = 0;   // width of a linear map without bias behind the pooling; 0: none
};
// The section `encoder`, `item_encoder` (where given there are two towers) and `model.projection`.
DualEncoderOptions read_dual_encoder_options(const ConfigNode& root);

class DualEncoder final : public Module {
 public:
  // Errors of TextEncoder. ConfigError: towers of different width without projection.
  explicit DualEncoder(const DualEncoderOptions& options);
  const DualEncoderOptions& options() const { return options_; }
  bool two_towers() const { return options_.two_towers; }
  const TextEncoder& query_encoder() const { return *query_; }
  const TextEncoder& item_encoder() const { return *item_; }  // one tower: query_encoder()
  int64_t width() const;                                      // of the vectors

  // Pooled and projected, of any length; [B, H] or [B, projection].
  Value queries(const TokenInputs& in, const StepContext& context, Loc loc = Loc::current()) const;
  Value items(const TokenInputs& in, const StepContext& context, Loc loc = Loc::current()) const;

  // The parameters outside the encoders: the projections.
  std::vector<Parameter> head() const;
  // <directory>/encoder/, and of two towers <directory>/item_encoder/, in the layout of sentence-transformers. With a
  // projection <directory> itself is such a directory too, of the query tower with its projection behind it.
  void save(const std::string& directory) const;

 private:
  Value project(Value pooled, const Linear* map, Loc loc) const;
  DualEncoderOptions options_;
  TextEncoder *query_, *item_;
  Linear *query_map_ = nullptr, *item_map_ = nullptr;
};

}  // namespace winnow
