// Occurrences of lookups sorted by row, on a CUDA device: what embedding_segments puts out, also for operators that
// need it on the way. Defined in ops/segments.cu.
#pragma once
#include "core/op.h"
#include "ops/detail/segment_plan.h"

namespace winnow::cuda {

// As RowSegments of ops/segments.h. position: where each occurrence is among the ids of all uses; null: not wanted.
struct SegmentArrays {
  int64_t* unique_rows;
  int32_t* starts;
  int64_t* count;
  int32_t* bag;
  float* coef;
  int32_t* position = nullptr;
};

size_t occurrence_scratch_bytes(const SegmentPlan& plan);
void sort_occurrences(const Call& c, const SegmentPlan& plan, void* scratch, const SegmentArrays& out);

}  // namespace winnow::cuda
