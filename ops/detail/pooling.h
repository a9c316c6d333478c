// Attr mode of jagged_pool.
#pragma once
#include "core/attrs.h"
#include "ops/embedding_bag.h"

namespace winnow::detail {

inline Pooling pooling_of(const Attrs& attrs) {
  const std::string& name = attrs.text("mode");
  return name == "sum" ? Pooling::Sum : name == "mean" ? Pooling::Mean : Pooling::Max;
}

}  // namespace winnow::detail
