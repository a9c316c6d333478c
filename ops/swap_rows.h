// Rows of a table and rows that wait outside it change places: how a device's cache of a larger table is filled.
#pragma once
#include "core/graph.h"

namespace winnow {

// For each i whose slots[i] lies in [0, R): table[slots[i], :] <-> packed[i, column .. column + D).
//   table   f32 [R, D], or [R] with D = 1
//   packed  f32 [M, W], records of the rows of several tables side by side
//   slots   i64 [M], distinct ones; those outside the table move nothing
// Mutates both. ShapeError: columns that packed does not have.
void swap_rows(Value table, Value packed, Value slots, int64_t column, Loc loc = Loc::current());

}  // namespace winnow
