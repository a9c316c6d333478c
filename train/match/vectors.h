// Texts as vectors of length 1: one tower of a dual encoder in inference.
#pragma once
#include "models/dual_encoder.h"
#include "models/text_vectors.h"

namespace winnow {

TextVectors query_vectors(const DualEncoder& model, const CompileOptions& options = {});
TextVectors item_vectors(const DualEncoder& model, const CompileOptions& options = {});

// The first `prefix` elements of each row, brought to length 1; all of them: the vectors themselves.
Tensor prefix_vectors(const Tensor& vectors, int64_t prefix);

}  // namespace winnow
