// Scratch of the losses over groups: which rows each group has, and room for what is found about them.
#pragma once
#include <algorithm>
#include <cstddef>
#include <cstdint>

namespace winnow::detail {

struct GroupRange {
  int64_t begin, end;
  int64_t rows() const { return end - begin; }
};

// Offsets are data: nothing trusts them. A group begins where the one before ended at the earliest, so that no row has
// two groups and threads that write rows never meet.
struct GroupWork {
  GroupWork(void* scratch, const int64_t* offsets, int64_t group_count, int64_t row_count)
      : groups(group_count), rows(row_count) {
    ranges = static_cast<GroupRange*>(scratch);
    losses = reinterpret_cast<double*>(ranges + groups);
    gains = losses + groups;
    sums = gains + rows;
    order = reinterpret_cast<int32_t*>(sums + rows);
    for (int64_t b = 0, end = 0; b < groups; ++b) {
      const int64_t begin = std::clamp<int64_t>(offsets[b], end, rows);
      end = std::clamp<int64_t>(offsets[b + 1], begin, rows);
      ranges[b] = {begin, end};
    }
  }
  static size_t bytes(int64_t groups, int64_t rows) {
    return static_cast<size_t>(groups) * (sizeof(GroupRange) + sizeof(double)) +
           static_cast<size_t>(rows) * (2 * sizeof(double) + sizeof(int32_t));
  }

  int64_t groups, rows;
  GroupRange* ranges;    // [groups]
  double* losses;        // [groups]
  double *gains, *sums;  // [rows]
  int32_t* order;        // [rows]
};

}  // namespace winnow::detail
