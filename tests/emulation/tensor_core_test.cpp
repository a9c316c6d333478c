// The layouts of mma.m16n8k16's fragments and of ldmatrix, one element at a time, from the PTX ISA's own formulas.
#include "core/cuda/emulation/tensor_core.h"

#include "tests/emulation/support.h"

namespace winnow::emulation_test {
namespace {

constexpr std::uint32_t kOneBf16 = 0x3F80;

// Runs one product of a warp on given fragments.
struct Fragments {
  std::uint32_t a[32][4] = {}, b[32][2] = {};
  float d[32][4] = {};
  void multiply() {
    MmaSlot slots[32];
    void* pointers[32];
    for (int lane = 0; lane < 32; ++lane) {
      slots[lane] = {d[lane], a[lane], b[lane]};
      pointers[lane] = &slots[lane];
    }
    combine_mma(pointers, ~0u);
  }
};

// PTX ISA, "Matrix fragments for mma.m16n8k16 with floating point type": element i of a lane's 8, 4 or 4.
struct Position {
  int row, column;
  bool operator==(const Position&) const = default;
};
Position a_at(int lane, int i) {
  const bool low_rows = i < 2 || (i >= 4 && i < 6);
  return {low_rows ? lane / 4 : lane / 4 + 8, lane % 4 * 2 + (i & 1) + (i >= 4 ? 8 : 0)};
}
Position b_at(int lane, int i) { return {lane % 4 * 2 + (i & 1) + (i >= 2 ? 8 : 0), lane / 4}; }
Position d_at(int lane, int i) { return {i < 2 ? lane / 4 : lane / 4 + 8, lane % 4 * 2 + (i & 1)}; }

void set(std::uint32_t* registers, int element) { registers[element / 2] |= kOneBf16 << element % 2 * 16; }

TEST(TensorCore, EachElementMeetsExactlyItsPartners) {
  for (int a_lane = 0; a_lane < 32; ++a_lane)
    for (int i = 0; i < 8; ++i)
      for (int b_lane = 0; b_lane < 32; b_lane += 5)
        for (int j = 0; j < 4; ++j) {
          Fragments f;
          set(f.a[a_lane], i);
          set(f.b[b_lane], j);
          f.multiply();
          const Position a = a_at(a_lane, i), b = b_at(b_lane, j);
          for (int lane = 0; lane < 32; ++lane)
            for (int k = 0; k < 4; ++k) {
              const bool hit = a.column == b.row && d_at(lane, k) == Position{a.row, b.column};
              ASSERT_EQ(f.d[lane][k], hit ? 1.f : 0.f) << a_lane << " " << i << " " << b_lane << " " << j;
            }
        }
}

TEST(TensorCore, SwappedRegistersGiveAnotherProduct) {
  std::mt19937 generator(3);
  const auto near_one = [&generator] { return kOneBf16 + static_cast<std::uint32_t>(generator() % 64); };
  Fragments right;
  for (int lane = 0; lane < 32; ++lane) {
    for (std::uint32_t& r : right.a[lane]) r = near_one() << 16 | near_one();
    for (std::uint32_t& r : right.b[lane]) r = near_one() << 16 | near_one();
  }
  for (int first = 0; first < 4; ++first)
    for (int second = 0; second < first; ++second) {
      Fragments a = right, b = right;
      for (int lane = 0; lane < 32; ++lane) std::swap(b.a[lane][first], b.a[lane][second]);
      a.multiply();
      b.multiply();
      EXPECT_NE(std::memcmp(a.d, b.d, sizeof a.d), 0) << first << " and " << second;
    }
}

// PTX ISA, ldmatrix: lanes 8 m .. 8 m + 7 bring the rows of matrix m; each lane gets the elements 2 (lane % 4) and the
// next one of row lane / 4, of rows and columns exchanged with .trans.
template <bool kTransposed>
void expect_rows_in_their_lanes() {
  std::uint16_t matrices[4][8][8];
  for (int m = 0; m < 4; ++m)
    for (int i = 0; i < 8; ++i)
      for (int j = 0; j < 8; ++j) matrices[m][i][j] = static_cast<std::uint16_t>(1000 * m + 10 * i + j);
  std::uint32_t out[32][4] = {};
  MatrixSlot slots[32];
  void* pointers[32];
  for (int lane = 0; lane < 32; ++lane) {
    slots[lane] = {matrices[lane / 8][lane % 8], out[lane]};
    pointers[lane] = &slots[lane];
  }
  combine_matrices<kTransposed>(pointers, ~0u);
  for (int lane = 0; lane < 32; ++lane)
    for (int m = 0; m < 4; ++m)
      for (int half = 0; half < 2; ++half) {
        const int across = lane % 4 * 2 + half, down = lane / 4;
        const int expected = 1000 * m + (kTransposed ? 10 * across + down : 10 * down + across);
        EXPECT_EQ(out[lane][m] >> 16 * half & 0xffff, static_cast<unsigned>(expected)) << lane << " " << m << half;
      }
}
TEST(TensorCore, MatricesAreLoadedRowByRow) { expect_rows_in_their_lanes<false>(); }
TEST(TensorCore, MatricesAreLoadedTransposed) { expect_rows_in_their_lanes<true>(); }

TEST(TensorCore, PairsAreRoundedToNearestEven) {
  EXPECT_EQ(pack_bf16(1.0f, -2.0f), 0xC0003F80u);
  EXPECT_EQ(pack_bf16(1 + 0x1p-8f, 1 + 3 * 0x1p-8f), 0x3F823F80u);  // ties
}

}  // namespace
}  // namespace winnow::emulation_test
