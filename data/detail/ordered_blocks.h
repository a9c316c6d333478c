// Blocks of a source handled by several threads, with results in the source's order.
#pragma once
#include <functional>

#include "data/rows.h"

namespace winnow::detail {

// first_row: how many rows came before the block. work(...): of several blocks at the same time, 0 <= worker < workers.
// take(...): of one block after another in the order of the source, on the thread that did its work. What is thrown
// first in that order, by the reader, by work or by take, is thrown here, so that the same broken row is reported
// whatever the number of threads.
using BlockStep = std::function<void(int worker, RowBlock& block, int64_t first_row)>;
void ordered_blocks(RowReader& reader, int workers, const BlockStep& work, const BlockStep& take);

int reading_workers();  // as many as compute threads, at most 8

}  // namespace winnow::detail
