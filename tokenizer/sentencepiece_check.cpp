// The wire format of a SentencePiece model (protobuf), read as far as safety needs.
#include <cstring>
#include <vector>

#include "core/error.h"
#include "tokenizer/sentencepiece.h"

namespace winnow {
namespace {

constexpr int64_t kMaxPieces = int64_t{1} << 22;
constexpr size_t kMaxPieceBytes = 4096;

// Fields of one message, in order.
class WireReader {
 public:
  WireReader(std::string_view bytes, const std::string& name, std::string_view where)
      : bytes_(bytes), name_(name), where_(where) {}

  struct Field {
    uint64_t number = 0, value = 0;  // value of a varint
    std::string_view bytes;          // of a length-delimited field
    unsigned type = 0;
  };
  bool next(Field& field) {
    if (at_ == bytes_.size()) return false;
    const uint64_t key = varint();
    field = Field{};
    field.number = key >> 3;
    field.type = static_cast<unsigned>(key & 7);
    switch (field.type) {
      case 0: field.value = varint(); break;
      case 1: field.bytes = take(8); break;
      case 2: field.bytes = take(varint()); break;
      case 5: field.bytes = take(4); break;
      default: fail("a field of an unknown kind");
    }
    if (field.number == 0) fail("a field without a number");
    return true;
  }
  [[noreturn]] void fail(const std::string& what) const {
    raise<DataError>("{}: not a SentencePiece model: {} in {}, byte {}", name_, what, where_, at_);
  }

 private:
  uint64_t varint() {
    uint64_t v = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_ == bytes_.size()) fail("cut off");
      const auto b = static_cast<uint8_t>(bytes_[at_++]);
      v |= uint64_t{b & 0x7fu} << shift;
      if (b < 0x80) return v;
    }
    fail("a number of more than 10 bytes");
  }
  std::string_view take(uint64_t size) {
    if (size > bytes_.size() - at_) fail("cut off");
    const std::string_view part = bytes_.substr(at_, size);
    at_ += size;
    return part;
  }
  std::string_view bytes_;
  const std::string& name_;
  std::string_view where_;
  size_t at_ = 0;
};

void check_piece(std::string_view message, const std::string& name, int64_t number) {
  const std::string where = fmt::format("piece {}", number);
  WireReader reader(message, name, where);
  bool named = false;
  for (WireReader::Field f; reader.next(f);) {
    if (f.number != 1) continue;
    named = true;
    if (f.type != 2 || f.bytes.empty()) reader.fail("an empty text");
    if (f.bytes.size() > kMaxPieceBytes)
      reader.fail(fmt::format("a text of {} bytes (at most {})", f.bytes.size(), kMaxPieceBytes));
    if (f.bytes.find('\0') != std::string_view::npos) reader.fail("a NUL byte");
  }
  if (!named) reader.fail("no text");
}

// precompiled_charsmap: u32 size of the trie in bytes, its units, then replacements, each ended by a NUL. The library
// follows the trie without looking at bounds, so every state that can be reached must keep all its 256 children inside.
// A unit (darts-clone): bit 31 leaf, bits 0-7 label, bit 8 has a value, offset = bits 10-30, shifted by 8 with bit 9.
void check_character_map(std::string_view map, const WireReader& reader) {
  if (map.empty()) return;
  uint32_t trie_bytes = 0;
  if (map.size() <= sizeof trie_bytes) reader.fail("a character map that is cut off");
  std::memcpy(&trie_bytes, map.data(), sizeof trie_bytes);
  if (trie_bytes >= map.size() - sizeof trie_bytes || trie_bytes < 1024 || trie_bytes % 1024 != 0)
    reader.fail(fmt::format("a character map whose trie has {} bytes", trie_bytes));
  const std::string_view texts = map.substr(sizeof trie_bytes + trie_bytes);
  if (texts.back() != '\0') reader.fail("a character map whose last replacement has no end");
  std::vector<uint32_t> units(trie_bytes / 4);
  std::memcpy(units.data(), map.data() + sizeof trie_bytes, trie_bytes);
  const auto offset = [](uint32_t unit) { return (unit >> 10) << ((unit & (1u << 9)) >> 6); };
  std::vector<bool> seen(units.size());
  std::vector<uint32_t> open = {0};
  seen[0] = true;
  while (!open.empty()) {
    const uint32_t node = open.back(), unit = units[node], base = node ^ offset(unit);
    open.pop_back();
    if ((base | 0xff) >= units.size()) reader.fail(fmt::format("a character map whose state {} leads outside", node));
    if ((unit >> 8 & 1) != 0 && (units[base] & 0x7fffffffu) >= texts.size())
      reader.fail(fmt::format("a character map whose state {} names a replacement outside", node));
    for (uint32_t byte = 1; byte < 256; ++byte) {
      const uint32_t child = base ^ byte;
      if ((units[child] & (1u << 31 | 0xffu)) != byte || seen[child]) continue;
      seen[child] = true;
      open.push_back(child);
    }
  }
}

}  // namespace

SentencePieceModelInfo check_sentencepiece_model(std::string_view model, const std::string& name) {
  SentencePieceModelInfo info;
  WireReader reader(model, name, "the model");
  uint64_t type = 1;
  for (WireReader::Field f; reader.next(f);) {
    if (f.number == 1) {
      if (f.type != 2) reader.fail("a piece that is no message");
      if (++info.pieces > kMaxPieces) reader.fail(fmt::format("more than {} pieces", kMaxPieces));
      check_piece(f.bytes, name, info.pieces);
    } else if (f.number == 2 && f.type == 2) {
      WireReader trainer(f.bytes, name, "trainer_spec");
      for (WireReader::Field t; trainer.next(t);) {
        if (t.number == 3 && t.type == 0) type = t.value;
        if (t.number == 35 && t.type == 0) info.byte_fallback = t.value != 0;
      }
    } else if ((f.number == 3 || f.number == 5) && f.type == 2) {
      WireReader normalizer(f.bytes, name, f.number == 3 ? "normalizer_spec" : "denormalizer_spec");
      for (WireReader::Field t; normalizer.next(t);)
        if (t.number == 2 && t.type == 2) check_character_map(t.bytes, normalizer);
    }
  }
  if (info.pieces == 0) reader.fail("no pieces");
  if (type < 1 || type > 4) reader.fail(fmt::format("an unknown model type {}", type));
  info.bpe = type == 2;
  return info;
}

}  // namespace winnow
