#include "tokenizer/detail/bert_characters.h"

#include <iterator>
#include <map>
#include <utility>

namespace winnow::detail {
namespace {

#include "tokenizer/detail/bert_characters.inc"

constexpr uint32_t bits(BertKind kind) { return uint32_t{static_cast<uint8_t>(kind)} << 29; }

// Entries of the generated tables end at the first zero.
template <size_t N>
uint32_t count_of(const uint32_t (&entry)[N]) {
  uint32_t n = 1;
  while (n + 1 < N && entry[n + 1] != 0) ++n;
  return n;
}

}  // namespace

void BertCharacters::map_to(std::vector<uint32_t>& table, const std::vector<uint32_t>& plain, uint32_t c,
                            const uint32_t* to, uint32_t count) {
  const auto kind_of = [&](uint32_t x) {
    return plain[x] == bits(BertKind::Punctuation) ? BertKind::Punctuation : BertKind::Letter;
  };
  if (count == 1) {
    const BertKind kind = plain[c] == bits(BertKind::Cjk) ? BertKind::Cjk : kind_of(to[0]);
    table[c] = bits(kind) | ((to[0] - c) & kPayload);
    return;
  }
  table[c] = bits(BertKind::Sequence) | static_cast<uint32_t>(sequences_.size());
  sequences_.push_back(count);
  for (uint32_t i = 0; i < count; ++i) sequences_.push_back(bits(kind_of(to[i])) | to[i]);
}

BertCharacters::BertCharacters(const BertCharacterOptions& options) {
  std::vector<uint32_t> table(kEnd, bits(BertKind::Letter));
  const auto fill = [&](uint32_t first, uint32_t last, BertKind kind) {
    for (uint32_t c = first; c <= last; ++c) table[c] = bits(kind);
  };
  for (const auto& r : kClassRuns) {
    const auto kind = static_cast<BertKind>(r.kind);
    fill(r.first, r.last, kind == BertKind::Cjk && !options.split_cjk ? BertKind::Letter : kind);
  }
  if (!options.strip_accents)
    for (const auto& r : kMarkRuns) fill(r.first, r.last, BertKind::Letter);
  const std::vector<uint32_t> plain = table;
  if (options.strip_accents) {
    for (const auto& entry : kStripped) map_to(table, plain, entry[0], entry + 1, count_of(entry));
    fill(0xAC00, 0xD7A3, BertKind::Hangul);
  } else if (options.lower_case) {
    for (const auto& entry : kLower) map_to(table, plain, entry[0], entry + 1, count_of(entry));
  }
  fill(0xD800, 0xDFFF, BertKind::Drop);
  compress(table);
  for (uint32_t c = 0; c < ascii_.size(); ++c) {
    const Character to = (*this)[c];
    ascii_[c] = static_cast<uint8_t>(to.kind == BertKind::Letter ? to.code : static_cast<uint32_t>(to.kind));
  }
}

void BertCharacters::compress(const std::vector<uint32_t>& table) {
  std::map<std::vector<uint32_t>, uint16_t> known;
  for (auto at = table.begin(); at != table.end(); at += kBlock) {
    const auto [entry, fresh] =
        known.try_emplace(std::vector<uint32_t>(at, at + kBlock), static_cast<uint16_t>(pool_.size() / kBlock));
    if (fresh) pool_.insert(pool_.end(), at, at + kBlock);
    blocks_.push_back(entry->second);
  }
}

namespace {

template <size_t Form>
const BertCharacters& form() {
  static const BertCharacters table({(Form & 1) != 0, (Form & 2) != 0, (Form & 4) != 0});
  return table;
}

template <size_t... Forms>
const BertCharacters& form(size_t wanted, std::index_sequence<Forms...>) {
  static constexpr std::array<const BertCharacters& (*)(), sizeof...(Forms)> kForms = {form<Forms>...};
  return kForms[wanted]();
}

}  // namespace

const BertCharacters& bert_characters(const BertCharacterOptions& o) {
  const size_t wanted = (o.lower_case ? 1u : 0u) | (o.strip_accents ? 2u : 0u) | (o.split_cjk ? 4u : 0u);
  return form(wanted, std::make_index_sequence<8>{});
}

}  // namespace winnow::detail
