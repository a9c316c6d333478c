// Cells of some rows, held in memory as a source's batches gave them, and a source of them in which one feature's cells
// come from other rows.
#pragma once
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

#include "data/batches.h"

namespace winnow {

// Where a feature's cells are in a batch: a field of ids, else floats [begin, end) of a row.
struct CellRange {
  int64_t field = -1, begin = 0, end = 0;
};
CellRange cell_range(const FeatureMap& map, size_t feature);

// R rows, F fields, D floats. Row r's bag of field f is ids[offsets[r F + f] .. offsets[r F + f + 1]).
struct RowCells {
  int64_t rows = 0, fields = 0, width = 0;
  std::vector<int64_t> ids = {}, offsets = {};
  std::vector<float> dense = {}, labels = {}, weights = {};
  std::vector<int32_t> index = {};  // rows of the Dataset
  std::span<const int64_t> bag(int64_t row, int64_t field) const {
    const auto b = static_cast<size_t>(row * fields + field);
    return std::span(ids).subspan(static_cast<size_t>(offsets[b]), static_cast<size_t>(offsets[b + 1] - offsets[b]));
  }
};

// f(cells) for the rows of the source's epoch 0 in its order, some thousands at a time, most_rows at most.
using VisitCells = std::function<void(const RowCells& cells)>;
void visit_cells(const FeatureMap& map, RowSource& source, int64_t most_rows, const VisitCells& f);
RowCells read_cells(const FeatureMap& map, RowSource& source, int64_t most_rows);

// A source of the cells' rows in order, with batches like those of `like`. permutation empty: as they are; else row r
// has the cells `moved` of row permutation[r] and its own of all other features. All of them must outlive the source.
std::unique_ptr<RowSource> make_cells_source(const RowCells& cells, const RowSource& like, const CellRange& moved = {},
                                             std::span<const uint32_t> permutation = {});

}  // namespace winnow
