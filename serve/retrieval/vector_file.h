// Vectors and their ids from a file.
//
//   .npy           an array [rows, width] of numpy.save
//   .safetensors   the tensor "vectors" f32 [rows, width], as `winnow encode --out` writes it, and "ids" i64 [rows]
//   anything else  a table (data/rows.h): each column a number of the vector; a column named by `id` its id
// Where there are no ids they are the numbers of the rows from 0.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace winnow {

struct VectorFile {
  std::vector<int64_t> ids;
  Tensor vectors;  // f32 [rows, width]
};

// id: of tables, "" or the column with the ids. IoError, DataError "file:line: column: what".
VectorFile read_vectors(const std::string& path, const std::string& id = "");

}  // namespace winnow
