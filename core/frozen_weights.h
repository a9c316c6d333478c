// For programs whose parameters never change again: those that operators read in another form (OpDef::pack), made once
// by the first compile() that meets them. Programs over the same parameters share one.
#pragma once
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "core/graph.h"

namespace winnow {

struct Ir;

// F32: packed in the order in which products read them; the results are those of unfrozen graphs (twice their memory,
// no packing while running). Int8: weights of products as bytes (core/cpu/int8_matmul.h), rounded: the caller checks
// what that does to his metric.
enum class WeightForm : uint8_t { F32, Int8 };
inline constexpr const char* kWeightFormNames[] = {"f32", "int8"};  // in options and files

struct FrozenWeights {
  explicit FrozenWeights(WeightForm weights = WeightForm::F32) : form(weights) {}
  struct Packed {
    std::vector<Tensor> tensors;
    VariablePtr from;
    const char* op = nullptr;  // that packs it
    Attrs attrs;
  };
  WeightForm form;
  std::map<std::pair<const Variable*, std::string>, Packed> packed;  // by variable and form
  // Packs again, in place, after parameters were given other values between two runs.
  void refresh();
};

// Parameters that nothing in the graph writes become packed constants where their node asks for it.
void pack_weights(Ir& ir, FrozenWeights& frozen);

}  // namespace winnow
