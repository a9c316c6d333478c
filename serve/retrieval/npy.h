// Arrays of numpy's .npy files (numpy.lib.format, versions 1 to 3): rows of float32 or float64, little-endian, C order.
#pragma once
#include <cstddef>
#include <span>
#include <string>

#include "core/tensor.h"

namespace winnow {

// f32 [rows, width]; an array of one dimension is one row. IoError "vectors.npy: npy: what": not such a file, another
// type, order or number of dimensions, a shape that is not the size of the data.
Tensor parse_npy(std::span<const std::byte> bytes, const std::string& source);

}  // namespace winnow
