#include "tokenizer/wordpiece.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "core/utf8.h"

namespace winnow {
namespace {

using detail::BertKind;
using detail::ByteTrie;

constexpr size_t kMaxTokens = size_t{1} << 22, kMaxTokenBytes = 512, kMaxWordChars = 1000;
constexpr uint32_t kFirstIdeograph = 0x4E00, kLastIdeograph = 0x9FFF;

std::vector<std::string> checked(std::vector<std::string> vocabulary, const std::string& name) {
  WN_CHECK(!vocabulary.empty(), DataError, "{}: the vocabulary is empty", name);
  WN_CHECK(vocabulary.size() <= kMaxTokens, DataError, "{}: {} tokens; at most {} are supported", name,
           vocabulary.size(), kMaxTokens);
  for (size_t i = 0; i < vocabulary.size(); ++i)
    WN_CHECK(vocabulary[i].size() <= kMaxTokenBytes, DataError, "{}:{}: a token of {} bytes; at most {} are supported",
             name, i + 1, vocabulary[i].size(), kMaxTokenBytes);
  return vocabulary;
}

int32_t find_in(const ByteTrie& trie, std::string_view token) {
  int32_t state = ByteTrie::kRoot;
  for (const char c : token) {
    state = trie.step(state, static_cast<uint8_t>(c));
    if (state == ByteTrie::kNone) return -1;
  }
  return token.empty() ? -1 : trie.number(state);
}

}  // namespace

// The bytes of the word being collected. Characters past the limit are counted and not stored. A word of ASCII letters
// is looked up as it comes: `state` is that of its bytes in the trie, kNone when no token begins so, or other bytes
// came.
struct WordPiece::Word {
  size_t limit, bytes = 0, chars = 0;
  int32_t state = ByteTrie::kRoot;
  uint8_t text[4 * kMaxWordChars + 8];
  explicit Word(size_t max_chars) : limit(max_chars) {}
  void add(uint32_t c) {
    state = ByteTrie::kNone;
    if (++chars <= limit) bytes += static_cast<size_t>(write_utf8(c, text + bytes));
  }
  void add_ascii(uint8_t c, const ByteTrie& trie) {
    if (state != ByteTrie::kNone) state = trie.step(state, c);
    if (++chars <= limit) text[bytes++] = c;
  }
  void clear() {
    bytes = chars = 0;
    state = ByteTrie::kRoot;
  }
};

WordPiece::WordPiece(std::vector<std::string> vocabulary, const WordPieceOptions& options, const std::string& name)
    : vocabulary_(checked(std::move(vocabulary), name)),
      options_(options),
      trie_(vocabulary_),
      characters_(detail::bert_characters({options.lower_case, options.strip_accents, options.split_cjk})),
      max_word_chars_(static_cast<size_t>(options.max_word_chars)) {
  WN_CHECK(options.max_word_chars >= 1 && max_word_chars_ <= kMaxWordChars, ConfigError,
           "{}: max_word_chars {} must be 1 to {}", name, options.max_word_chars, kMaxWordChars);
  WN_CHECK(options.lower_case || !options.strip_accents, ConfigError,
           "{}: strip_accents without lower case is not supported; set both or neither", name);
  for (size_t i = 0; i < vocabulary_.size(); ++i) {
    const int32_t last = find(vocabulary_[i]);
    WN_CHECK(vocabulary_[i].empty() || last == static_cast<int32_t>(i), DataError,
             "{}:{}: the token {} stands on line {} too", name, i + 1, quoted(vocabulary_[i]), last + 1);
  }
  special_ = {find(options.pad), find(options.unk), find(options.cls), find(options.sep), find(options.mask)};
  WN_CHECK(special_.unk >= 0, DataError, "{}: the vocabulary has no token {} for unknown words", name,
           quoted(options.unk));
  continuation_ = trie_.step(ByteTrie::kRoot, '#');
  if (continuation_ != ByteTrie::kNone) continuation_ = trie_.step(continuation_, '#');
  if (!options.split_cjk) return;
  ideographs_.assign(kLastIdeograph - kFirstIdeograph + 1, special_.unk);
  for (uint32_t c = kFirstIdeograph; c <= kLastIdeograph; ++c) {
    Word word(1);
    word.add(c);
    const int32_t id = find({reinterpret_cast<const char*>(word.text), word.bytes});
    if (id >= 0) ideographs_[c - kFirstIdeograph] = id;
  }
}

std::string_view WordPiece::token(int32_t id) const {
  check_ids({&id, 1});
  return vocabulary_[static_cast<size_t>(id)];
}

int32_t WordPiece::find(std::string_view token) const { return find_in(trie_, token); }

// The longest piece at each place; one [UNK] when some place has none.
void WordPiece::match(const Word& word, std::vector<int32_t>& ids) const {
  const size_t mark = ids.size();
  for (size_t begin = 0; begin < word.bytes;) {
    int32_t state = begin == 0 ? ByteTrie::kRoot : continuation_, best = -1;
    size_t end = begin;
    for (size_t i = begin; i < word.bytes && state != ByteTrie::kNone; ++i) {
      state = trie_.step(state, word.text[i]);
      if (state == ByteTrie::kNone || trie_.number(state) < 0) continue;
      best = trie_.number(state);
      end = i + 1;
    }
    if (best < 0) {
      ids.resize(mark);
      ids.push_back(special_.unk);
      return;
    }
    ids.push_back(best);
    begin = end;
  }
}

void WordPiece::finish(Word& word, std::vector<int32_t>& ids) const {
  if (word.chars == 0) return;
  if (word.chars > max_word_chars_)
    ids.push_back(special_.unk);
  else if (word.state != ByteTrie::kNone && trie_.number(word.state) >= 0)
    ids.push_back(trie_.number(word.state));  // the word is a token
  else
    match(word, ids);
  word.clear();
}

void WordPiece::add_alone(uint32_t character, Word& word, std::vector<int32_t>& ids) const {
  finish(word, ids);
  word.add(character);
  finish(word, ids);
}

void WordPiece::add(uint32_t character, Word& word, std::vector<int32_t>& ids) const {
  const auto c = characters_[character];
  switch (c.kind) {
    case BertKind::Drop: break;
    case BertKind::Space: finish(word, ids); break;
    case BertKind::Letter: word.add(c.code); break;
    case BertKind::Punctuation:
    case BertKind::Cjk: add_alone(c.code, word, ids); break;
    case BertKind::Sequence:
      characters_.for_each(character, [&](const auto& part) {
        if (part.kind == BertKind::Punctuation)
          add_alone(part.code, word, ids);
        else
          word.add(part.code);
      });
      break;
    case BertKind::Hangul: {  // arithmetic decomposition (Unicode 15, section 3.12)
      const uint32_t s = character - 0xAC00;
      word.add(0x1100 + s / 588);
      word.add(0x1161 + s % 588 / 28);
      if (s % 28 != 0) word.add(0x11A7 + s % 28);
      break;
    }
  }
}

void WordPiece::encode(std::string_view text, std::vector<int32_t>& ids) const {
  const auto* p = reinterpret_cast<const uint8_t*>(text.data());
  const uint8_t* const end = p + text.size();
  Word word(max_word_chars_);
  while (p < end) {
    if (*p < 0x80) {
      const uint8_t a = characters_.ascii(*p++);
      if (a > static_cast<uint8_t>(BertKind::Punctuation)) {
        word.add_ascii(a, trie_);
      } else if (a == static_cast<uint8_t>(BertKind::Space)) {
        finish(word, ids);
      } else if (a == static_cast<uint8_t>(BertKind::Punctuation)) {
        add_alone(p[-1], word, ids);
      }
      continue;
    }
    uint32_t c = 0;
    p += decode_utf8(p, end, c);
    if (c - kFirstIdeograph < ideographs_.size()) {
      finish(word, ids);
      ids.push_back(ideographs_[c - kFirstIdeograph]);
    } else {
      add(c, word, ids);
    }
  }
  finish(word, ids);
}

std::string WordPiece::decode(std::span<const int32_t> ids) const {
  check_ids(ids);
  std::string text;
  for (const int32_t id : ids) {
    const std::string& piece = vocabulary_[static_cast<size_t>(id)];
    const bool continues = piece.size() > 2 && piece.starts_with("##") && !text.empty();
    if (!continues && !text.empty()) text += ' ';
    text += std::string_view(piece).substr(continues ? 2 : 0);
  }
  return text;
}

}  // namespace winnow
