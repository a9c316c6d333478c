// A SentencePiece model of any bytes: refused, or used without reading outside it.
#include "core/error.h"
#include "tests/fuzz/memory_bound.h"
#include "tokenizer/sentencepiece.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  const std::string_view model(reinterpret_cast<const char*>(data), size);
  try {
    {
      const MemoryBound bound(size);
      check_sentencepiece_model(model, "fuzzed");
    }
    const SentencePiece tokenizer(model, "fuzzed");
    std::vector<int32_t> ids;
    tokenizer.encode("Hello \xe7\xba\xa2 world", ids);
    for (const int32_t id : ids) expect(id >= 0 && id < tokenizer.size(), "ids lie in the vocabulary");
    (void)tokenizer.decode(ids);
  } catch (const DataError&) {}
  return 0;
}
