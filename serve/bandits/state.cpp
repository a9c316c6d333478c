#include "serve/bandits/state.h"

#include <cmath>

#include "core/error.h"

namespace winnow {

NamedTensor bandit_tensor(const std::string& name, const Shape& shape, std::span<const double> values) {
  return {name, Tensor::of(values, shape)};
}

std::vector<double> bandit_numbers(const SafeTensors& file, const std::string& source, const std::string& name,
                                   const Shape& shape) {
  const TensorSpec* spec = file.spec(name);
  WN_CHECK(spec != nullptr, DataError, "{}: no tensor {}: not a saved policy of these options", source, name);
  const TensorSpec expected{DType::F64, shape};
  WN_CHECK(*spec == expected, DataError, "{}: {} is {}, expected {}", source, name, spec->str(), expected.str());
  const Tensor tensor = file.at(name);
  const double* data = tensor.data<double>();
  std::vector<double> out(data, data + tensor.numel());
  for (const double v : out) WN_CHECK(std::isfinite(v), DataError, "{}: {} holds {}", source, name, v);
  return out;
}

}  // namespace winnow
