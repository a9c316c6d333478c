// vocab.txt, tokenizer_config.json and any text: errors, or ids inside the vocabulary. The input is cut at bytes 0xFF:
// vocabulary, options, text.
#include <string_view>

#include "core/error.h"
#include "tests/fuzz/memory_bound.h"
#include "tokenizer/wordpiece.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t first = std::min(input.find('\xff'), size), second = std::min(input.find('\xff', first + 1), size);
  const std::string_view vocabulary = input.substr(0, first),
                         config = first < size ? input.substr(first + 1, second - first - 1) : "",
                         text = second < size ? input.substr(second + 1) : "";
  try {
    WordPieceOptions options;
    if (!config.empty()) options = WordPiece::parse_options(config, "config");
    auto tokens = WordPiece::parse_vocabulary(vocabulary);
    tokens.emplace_back(options.unk);
    const WordPiece tokenizer(std::move(tokens), options);
    const MemoryBound bound(size);
    JaggedIds rows;
    RowEncoder(tokenizer, {16, false}).append(text, vocabulary, rows);
    expect(rows.ids.size() <= 16, "max_len holds");
    std::vector<int32_t> ids;
    tokenizer.encode(text, ids);
    expect(ids.size() <= text.size() * 4, "no more ids than characters of the decomposed text");
    for (const int32_t id : ids) expect(id >= 0 && id < tokenizer.size(), "ids lie in the vocabulary");
    (void)tokenizer.decode(ids);
  } catch (const DataError&) {
  } catch (const ConfigError&) {}
  return 0;
}
