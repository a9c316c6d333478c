// serve/retrieval/index.h: any bytes as an index, the checksums passed over: IoError, or an index that can be searched,
// changed and searched again.
#include <array>
#include <cstring>
#include <memory>
#include <numeric>
#include <optional>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"
#include "serve/retrieval/index.h"
#include "serve/retrieval/index_file.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow {
namespace {

void search(const VectorIndex& index) {
  std::vector<float> query(static_cast<size_t>(index.width()), 0.5f);
  std::array<Found, 8> found;
  index.search(query, static_cast<int64_t>(found.size()), {}, found);
  for (const Found& f : found) expect(f.id == -1 || index.contains(f.id), "what is found is there");
  index.search(query, static_cast<int64_t>(found.size()), {nullptr, [](int64_t, int64_t id) { return id % 2 == 0; }},
               found);
  for (const Found& f : found) expect(f.id == -1 || (index.contains(f.id) && f.id % 2 == 0), "the filter holds");
}

void use(VectorIndex& index) {
  search(index);
  const std::vector<int64_t> ids = index.ids();
  expect(static_cast<int64_t>(ids.size()) == index.size(), "as many ids as vectors");
  index.facts();
  const auto half = std::span(ids).first(ids.size() / 2);
  expect(index.remove(half) == static_cast<int64_t>(half.size()), "each id is removed");
  search(index);
  if (half.empty()) return;
  std::vector<float> vectors(half.size() * static_cast<size_t>(index.width()));
  for (size_t i = 0; i < vectors.size(); ++i) vectors[i] = static_cast<float>(i % 7) - 3;
  index.add(half, vectors);
  expect(index.ids() == ids, "and is there again");
  search(index);
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  set_num_threads(1);
  const auto owner = std::shared_ptr<std::byte[]>(new std::byte[size]);
  if (size > 0) std::memcpy(owner.get(), data, size);
  std::unique_ptr<VectorIndex> index;
  try {
    const MemoryBound bound(size);
    index = read_index(IndexFile(SafeTensors::parse({owner.get(), size}, owner, "fuzzed"), "fuzzed", false));
  } catch (const IoError&) { return 0; }
  use(*index);
  return 0;
}
