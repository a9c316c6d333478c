#include "serve/retrieval/vector_file.h"

#include <charconv>
#include <numeric>

#include "core/error.h"
#include "core/file.h"
#include "core/safetensors.h"
#include "core/text.h"
#include "data/rows.h"
#include "serve/retrieval/npy.h"

namespace winnow {
namespace {

void number_rows(VectorFile& file) {
  file.ids.resize(static_cast<size_t>(file.vectors.shape()[0]));
  std::iota(file.ids.begin(), file.ids.end(), 0);
}

VectorFile read_tensors(const std::string& path) {
  const SafeTensors all = SafeTensors::open(path);
  const Tensor vectors = all.at("vectors");
  WN_CHECK(vectors.dtype() == DType::F32 && vectors.shape().rank() == 2, DataError,
           "{}: tensor vectors is {}, not f32 [rows, width]", path, vectors.spec().str());
  VectorFile file{{}, vectors};
  const Tensor ids = all.find("ids");
  if (!ids.defined()) {
    number_rows(file);
    return file;
  }
  WN_CHECK(ids.dtype() == DType::I64 && ids.numel() == vectors.shape()[0], DataError,
           "{}: tensor ids is {}, not i64 [{}]", path, ids.spec().str(), vectors.shape()[0]);
  file.ids.assign(ids.data<int64_t>(), ids.data<int64_t>() + ids.numel());
  return file;
}

template <class T>
T parse_cell(const RowBlock& block, int64_t row, size_t column, const std::string& name, const char* what) {
  const std::string_view cell = block.cell(row, column);
  T value{};
  const auto [end, error] = std::from_chars(cell.data(), cell.data() + cell.size(), value);
  if (error != std::errc() || end != cell.data() + cell.size()) block.fail(row, name, quoted(cell) + what);
  return value;
}

VectorFile read_table(const std::string& path, const std::string& id) {
  SourceSpec source;
  source.path = path;
  const auto reader = open_rows(source);
  const size_t none = reader->columns().size(), id_column = id.empty() ? none : reader->column(id);
  const size_t width = none - (id.empty() ? 0 : 1);
  WN_CHECK(width > 0, DataError, "{}: no column of numbers beside '{}'", path, id);
  VectorFile file;
  std::vector<float> numbers;
  for (RowBlock block; reader->next(block);)
    for (int64_t r = 0; r < block.rows; ++r)
      for (size_t c = 0; c < none; ++c)
        if (c == id_column)
          file.ids.push_back(parse_cell<int64_t>(block, r, c, reader->columns()[c], " is no integer: ids are"));
        else
          numbers.push_back(
              parse_cell<float>(block, r, c, reader->columns()[c], " is no number; name a column of ids with --id"));
  const auto rows = static_cast<int64_t>(numbers.size() / width);
  file.vectors = Tensor::of(numbers, {rows, static_cast<int64_t>(width)});
  if (id.empty()) number_rows(file);
  return file;
}

}  // namespace

VectorFile read_vectors(const std::string& path, const std::string& id) {
  const bool npy = path.ends_with(".npy"), tensors = path.ends_with(".safetensors");
  WN_CHECK(id.empty() || !(npy || tensors), ConfigError, "{}: a column of ids is for tables; {}", path,
           npy ? "a .npy file holds no ids" : "ids are the tensor \"ids\"");
  if (tensors) return read_tensors(path);
  if (!npy) return read_table(path, id);
  VectorFile file{{}, parse_npy(MappedFile(path).bytes(), path)};
  number_rows(file);
  return file;
}

}  // namespace winnow
