// core/safetensors.h over any bytes: IoError or a file whose tensors can all be read.
#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>

#include "core/error.h"
#include "core/safetensors.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow {
namespace {

volatile uint32_t sink;

void read_all(const SafeTensors& file, size_t file_bytes) {
  size_t total = 0;
  for (const SafeTensors::Entry& e : file.entries()) {
    const Tensor t = file.at(e.name);
    expect(t.defined() && t.spec() == e.spec, "at() gives the entry's tensor");
    expect(reinterpret_cast<uintptr_t>(t.raw()) % size_of(t.dtype()) == 0, "tensors are aligned");
    uint32_t sum = 0;
    for (size_t i = 0; i < t.bytes(); ++i) sum += static_cast<const unsigned char*>(t.raw())[i];
    sink = sum;
    total += t.bytes();
  }
  expect(total < file_bytes, "tensors lie in the file, each byte in one of them");
  auto names = file.names();
  std::sort(names.begin(), names.end());
  expect(std::adjacent_find(names.begin(), names.end()) == names.end(), "names are unique");
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  // The exact size, so that a read past the end is seen; the second run has all data misaligned.
  for (const size_t shift : {size_t{0}, size_t{1}}) {
    const auto owner = std::shared_ptr<std::byte[]>(new std::byte[size + shift]);
    if (size > 0) std::memcpy(owner.get() + shift, data, size);
    std::optional<SafeTensors> file;
    try {
      const MemoryBound bound(size);
      file = SafeTensors::parse({owner.get() + shift, size}, owner, "fuzzed");
    } catch (const IoError&) { return 0; }
    read_all(*file, size);
    try {
      file->verify();
    } catch (const IoError&) {  // foreign or damaged
    }
  }
  return 0;
}
