#include "train/update/reservoir.h"

#include "core/rng.h"

namespace winnow {
namespace {

constexpr uint64_t kPlaces = 0x72657376, kDraws = 0x64726177;  // Philox streams

uint64_t below(const std::array<uint32_t, 4>& bits, uint64_t n) {
  __extension__ typedef unsigned __int128 Uint128;
  return static_cast<uint64_t>((static_cast<Uint128>((uint64_t{bits[0]} << 32) | bits[1]) * n) >> 64);
}

}  // namespace

void Reservoir::add(const UpdateRow& row) {
  ++seen_;
  if (static_cast<int64_t>(rows_.size()) < capacity_) {
    rows_.push_back(row);
    return;
  }
  const uint64_t place = below(Philox{seed_, kPlaces}(static_cast<uint64_t>(seen_)), static_cast<uint64_t>(seen_));
  if (place < rows_.size()) rows_[place] = row;
}

void Reservoir::draw(int64_t n, int64_t batch, std::vector<UpdateRow>& out) const {
  if (rows_.empty()) return;
  const Philox random{seed_, kDraws};
  for (int64_t i = 0; i < n; ++i)
    out.push_back(rows_[below(random(static_cast<uint64_t>(i), static_cast<uint64_t>(batch)), rows_.size())]);
}

void Reservoir::restore(std::vector<UpdateRow> rows, int64_t seen) {
  WN_CHECK(static_cast<int64_t>(rows.size()) == std::min(capacity_, seen), DataError,
           "a reservoir of {} after {} rows holds {}, not {}", capacity_, seen, std::min(capacity_, seen), rows.size());
  rows_ = std::move(rows);
  seen_ = seen;
}

}  // namespace winnow
