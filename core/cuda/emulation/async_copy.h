// cp.async: a copy lands as late as the program allows, at the wait for its group; until then the target reads as NaN.
#pragma once

namespace winnow::emulation {

void reset_async_copies();
void start_async_copy(void* shared, const void* global, const void* pc);
void commit_async_copies();
void wait_async_copies(int open_groups);

}  // namespace winnow::emulation
