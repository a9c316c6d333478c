#include "train/row_cells.h"

#include <algorithm>
#include <numeric>

namespace winnow {
namespace {

constexpr int64_t kRowsAtATime = 4096;

// The tensors of a batch by name; those that a batch lacks are undefined.
struct NamedInputs {
  NamedInputs(const BatchSpec& spec, std::span<const Tensor> tensors) {
    for (size_t i = 0; i < spec.inputs.size(); ++i) {
      const std::string& name = spec.inputs[i].name;
      if (name == "ids") ids = tensors[i];
      if (name == "offsets") offsets = tensors[i];
      if (name == "dense") dense = tensors[i];
      if (name == "label") label = tensors[i];
      if (name == "weight") weight = tensors[i];
    }
  }
  Tensor ids, offsets, dense, label, weight;
};

void append(const NamedInputs& in, int64_t rows, RowCells& cells) {
  const int64_t bags = rows * cells.fields;
  if (cells.offsets.empty()) cells.offsets.push_back(0);
  if (in.ids.defined()) {
    const int64_t* ids = in.ids.data<int64_t>();
    const int64_t* offsets = in.offsets.defined() ? in.offsets.data<int64_t>() : nullptr;
    const int64_t before = cells.offsets.back();
    for (int64_t b = 1; b <= bags; ++b) cells.offsets.push_back(before + (offsets != nullptr ? offsets[b] : b));
    cells.ids.insert(cells.ids.end(), ids, ids + (cells.offsets.back() - before));
  }
  const auto take = [&](const Tensor& from, int64_t width, std::vector<float>& to) {
    if (from.defined()) to.insert(to.end(), from.data<float>(), from.data<float>() + rows * width);
  };
  take(in.dense, cells.width, cells.dense);
  take(in.label, 1, cells.labels);
  take(in.weight, 1, cells.weights);
  cells.rows += rows;
}

class CellsSource final : public RowSource {
 public:
  CellsSource(const RowCells& cells, const RowSource& like, const CellRange& moved,
              std::span<const uint32_t> permutation)
      : cells_(cells), like_(like), moved_(moved), permutation_(permutation) {}
  BatchSpec spec(int64_t batch_size) const override { return like_.spec(batch_size); }
  int64_t rows() const override { return cells_.rows; }
  int64_t fill(const Cursor& at, int64_t batch_size, std::span<const Tensor> tensors,
               std::span<int32_t> index) override {
    const int64_t live = std::min(batch_size, rows() - at.row);
    if (live <= 0) return 0;
    const NamedInputs out(spec(batch_size), tensors);
    fill_ids(at.row, live, out);
    std::ranges::fill(out.label.span<float>(), 0.f);
    std::ranges::fill(out.weight.span<float>(), 0.f);
    if (out.dense.defined()) std::ranges::fill(out.dense.span<float>(), 0.f);
    for (int64_t b = 0; b < live; ++b) {
      const int64_t row = at.row + b, width = cells_.width;
      const auto r = static_cast<size_t>(row);
      out.label.data<float>()[b] = cells_.labels[r];
      out.weight.data<float>()[b] = cells_.weights[r];
      index[static_cast<size_t>(b)] = cells_.index[r];
      if (!out.dense.defined()) continue;
      float* dense = out.dense.data<float>() + b * width;
      std::copy_n(cells_.dense.begin() + row * width, width, dense);
      std::copy_n(cells_.dense.begin() + source_of(row) * width + moved_.begin, moved_.end - moved_.begin,
                  dense + moved_.begin);
    }
    return live;
  }

 private:
  int64_t source_of(int64_t row) const {
    return permutation_.empty() ? row : int64_t{permutation_[static_cast<size_t>(row)]};
  }
  void fill_ids(int64_t begin, int64_t live, const NamedInputs& out) const {
    if (!out.ids.defined()) return;
    const auto ids = out.ids.span<int64_t>();
    std::ranges::fill(ids, -1);
    int64_t used = 0;
    for (int64_t b = 0; b < live; ++b) {
      for (int64_t f = 0; f < cells_.fields; ++f) {
        const int64_t row = f == moved_.field ? source_of(begin + b) : begin + b;
        for (const int64_t id : cells_.bag(row, f)) ids[static_cast<size_t>(used++)] = id;
        if (out.offsets.defined()) out.offsets.data<int64_t>()[b * cells_.fields + f + 1] = used;
      }
    }
    if (!out.offsets.defined()) return;
    const auto offsets = out.offsets.span<int64_t>();
    offsets[0] = 0;
    std::fill(offsets.begin() + live * cells_.fields + 1, offsets.end(), used);
  }

  const RowCells& cells_;
  const RowSource& like_;
  CellRange moved_;
  std::span<const uint32_t> permutation_;
};

}  // namespace

CellRange cell_range(const FeatureMap& map, size_t feature) {
  const auto is = [&](int32_t f) { return static_cast<size_t>(f) == feature; };
  if (const auto at = std::ranges::find_if(map.fields(), is); at != map.fields().end())
    return {.field = at - map.fields().begin()};
  const auto k = static_cast<size_t>(std::ranges::find_if(map.numbers(), is) - map.numbers().begin());
  return {.begin = map.dense_begin(k), .end = map.dense_begin(k + 1)};
}

void visit_cells(const FeatureMap& map, RowSource& source, int64_t most_rows, const VisitCells& f) {
  const BatchSpec spec = source.spec(kRowsAtATime);
  std::vector<Tensor> tensors;
  for (const auto& input : spec.inputs) tensors.emplace_back(input.spec);
  std::vector<int32_t> index(kRowsAtATime);
  for (int64_t row = 0; row < most_rows;) {
    const int64_t filled = source.fill({0, row}, kRowsAtATime, tensors, index);
    if (filled == 0) return;
    const int64_t rows = std::min(filled, most_rows - row);
    RowCells cells{.fields = static_cast<int64_t>(map.fields().size()), .width = map.dense_width()};
    append(NamedInputs(spec, tensors), rows, cells);
    cells.index.assign(index.begin(), index.begin() + rows);
    f(cells);
    row += rows;
  }
}

RowCells read_cells(const FeatureMap& map, RowSource& source, int64_t most_rows) {
  RowCells all{.fields = static_cast<int64_t>(map.fields().size()), .width = map.dense_width()};
  all.offsets.push_back(0);
  const auto add = [](auto& to, const auto& from) { to.insert(to.end(), from.begin(), from.end()); };
  visit_cells(map, source, most_rows, [&](const RowCells& cells) {
    const int64_t before = all.offsets.back();
    for (size_t b = 1; b < cells.offsets.size(); ++b) all.offsets.push_back(before + cells.offsets[b]);
    add(all.ids, cells.ids);
    add(all.dense, cells.dense);
    add(all.labels, cells.labels);
    add(all.weights, cells.weights);
    add(all.index, cells.index);
    all.rows += cells.rows;
  });
  return all;
}

std::unique_ptr<RowSource> make_cells_source(const RowCells& cells, const RowSource& like, const CellRange& moved,
                                             std::span<const uint32_t> permutation) {
  return std::make_unique<CellsSource>(cells, like, moved, permutation);
}

}  // namespace winnow
