// Numbers of a policy as tensors of its file.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/safetensors.h"

namespace winnow {

NamedTensor bandit_tensor(const std::string& name, const Shape& shape, std::span<const double> values);
// DataError: absent, another shape or type, a number that is not finite.
std::vector<double> bandit_numbers(const SafeTensors& file, const std::string& source, const std::string& name,
                                   const Shape& shape);

}  // namespace winnow
