// The row sources that make_row_source() chooses from.
#pragma once
#include <memory>

#include "data/batches.h"

namespace winnow::detail {

// Rows of a file. shuffle: the blocks are permuted by (seed, epoch), and kWindowBlocks of them at a time are held,
// whose rows are permuted by (seed, epoch, window). The row of a cursor alone tells what comes next. A window's words
// are reserved at the start, so that nothing is allocated later.
constexpr size_t kWindowBlocks = 128;
std::unique_ptr<RowSource> make_disk_rows(const Dataset& dataset, Split split, bool shuffle, uint64_t seed);

// Positives of the training split, each followed by up to per_positive rows with the items of other positives of the
// batch.
std::unique_ptr<RowSource> make_in_batch_rows(const Dataset& dataset, uint64_t seed);

// The batches of `rows` in which each id of a vocabulary is the OOV id with probability dataset.id_dropout, drawn by
// (seed, epoch, row of the batch, place).
std::unique_ptr<RowSource> make_id_dropout(const Dataset& dataset, std::unique_ptr<RowSource> rows, uint64_t seed);

}  // namespace winnow::detail
