// concat and split: all pieces in one launch, a row of blocks for each.
#include "ops/detail/copy_kernel.h"
#include "ops/detail/row_pieces.h"

namespace winnow {
namespace {

using namespace detail;

void prepare_concat(const NodeSpec& n, Prepare& p) {
  p.state<RowPieces>() = row_pieces(n.out[0], n.in, n.attrs.integer("axis"));
}
void run_concat(const Call& c) {
  const RowPieces& s = c.state<RowPieces>();
  char* y = c.out<char>(0);
  copy_all(c, s.outer, static_cast<int>(s.widths.size()), [&](int k) {
    const int64_t width = s.widths[static_cast<size_t>(k)];
    return RowCopy{c.in<char>(k), std::exchange(y, y + width), width, s.width, width};
  });
}
void prepare_split(const NodeSpec& n, Prepare& p) {
  p.state<RowPieces>() = row_pieces(n.in[0], n.out, n.attrs.integer("axis"));
}
void run_split(const Call& c) {
  const RowPieces& s = c.state<RowPieces>();
  const char* x = c.in<char>(0);
  copy_all(c, s.outer, static_cast<int>(s.widths.size()), [&](int k) {
    const int64_t width = s.widths[static_cast<size_t>(k)];
    return RowCopy{std::exchange(x, x + width), c.out<char>(k), s.width, width, width};
  });
}

}  // namespace

void register_concat_cuda(Registry& r) {
  r.add_kernel("concat", {.name = "rows", .device = Device::CUDA, .prepare = prepare_concat, .run = run_concat});
  r.add_kernel("split", {.name = "rows", .device = Device::CUDA, .prepare = prepare_split, .run = run_split});
}

}  // namespace winnow
