// Basic tokenization and WordPiece against hand values, and what must not be in a vocabulary.
#include "tokenizer/wordpiece.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

WordPiece tokenizer(std::vector<std::string> more, WordPieceOptions options = {}) {
  std::vector<std::string> vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  vocabulary.insert(vocabulary.end(), more.begin(), more.end());
  return WordPiece(std::move(vocabulary), options);
}

std::string pieces(const WordPiece& t, std::string_view text) {
  std::vector<int32_t> ids;
  t.encode(text, ids);
  std::string out;
  for (const int32_t id : ids) out += (out.empty() ? "" : " ") + std::string(t.token(id));
  return out;
}

TEST(WordPiece, TakesTheLongestPieceAndContinuesWithMarkedOnes) {
  const WordPiece t = tokenizer({"un", "##aff", "##able", "##a", "unaff"});
  EXPECT_EQ(pieces(t, "unaffable"), "unaff ##able");
  EXPECT_EQ(pieces(t, "una"), "un ##a");
}

TEST(WordPiece, AWordWithARestIsUnknownAsAWhole) {
  const WordPiece t = tokenizer({"un", "##aff"});
  EXPECT_EQ(pieces(t, "unaffx un"), "[UNK] un");
}

TEST(WordPiece, LowersStripsAccentsAndTakesHangulApart) {
  const WordPiece t = tokenizer({"cafe", "\u1112\u1161\u11ab"});
  EXPECT_EQ(pieces(t, "CAF\u00c9"), "cafe");
  EXPECT_EQ(pieces(t, "cafe\u0301"), "cafe");
  EXPECT_EQ(pieces(t, "\ud55c"), "\u1112\u1161\u11ab");
}

TEST(WordPiece, CasedVocabulariesKeepCaseAndAccents) {
  WordPieceOptions cased;
  cased.lower_case = cased.strip_accents = false;
  const WordPiece t = tokenizer({"Caf\u00e9", "cafe"}, cased);
  EXPECT_EQ(pieces(t, "Caf\u00e9 cafe CAFE"), "Caf\u00e9 cafe [UNK]");
}

TEST(WordPiece, LowerCaseAloneKeepsAccents) {
  WordPieceOptions lower;
  lower.strip_accents = false;
  EXPECT_EQ(pieces(tokenizer({"caf\u00e9"}, lower), "CAF\u00c9"), "caf\u00e9");
}

TEST(WordPiece, SeparatesIdeographsAndPunctuationAndDropsControls) {
  const WordPiece t = tokenizer({"\u7ea2", "\u8272", "a", "b", "-", "!"});
  EXPECT_EQ(pieces(t, "\u7ea2\u8272a-b!"), "\u7ea2 \u8272 a - b !");
  EXPECT_EQ(pieces(t, std::string_view("a\0\x01\u200d b", 8)), "a b");
}

TEST(WordPiece, IllFormedUtf8ReadsAsReplacementAndIsDropped) {
  const WordPiece t = tokenizer({"ab", "a", "b"});
  EXPECT_EQ(pieces(t,
                   "a\xff\xc3"
                   "b"),
            "ab");
  EXPECT_EQ(pieces(t, "\xe4\xb8"), "");
}

TEST(WordPiece, AnEndlessWordIsUnknownAndTakesNoMemory) {
  const WordPiece t = tokenizer({"x", "##x"});
  std::vector<int32_t> ids;
  t.encode(std::string(100, 'x'), ids);
  EXPECT_EQ(ids.size(), 100u);
  ids.clear();
  t.encode(std::string(1 << 20, 'x'), ids);
  EXPECT_EQ(ids, std::vector<int32_t>{1});
}

TEST(WordPiece, SpecialTokensInATextAreText) { EXPECT_EQ(pieces(tokenizer({"[", "sep", "]"}), "[SEP]"), "[ sep ]"); }

TEST(WordPiece, DecodesPiecesToWords) {
  const WordPiece t = tokenizer({"un", "##aff", "able"});
  const std::vector<int32_t> ids = {5, 6, 7};
  EXPECT_EQ(t.decode(ids), "unaff able");
  EXPECT_THROW(t.decode(std::vector<int32_t>{8}), DataError);
  EXPECT_THROW(t.decode(std::vector<int32_t>{-1}), DataError);
}

TEST(RowEncoder, FramesTextsAndPairs) {
  const WordPiece t = tokenizer({"a", "b"});
  JaggedIds rows;
  RowEncoder encoder(t);
  encoder.append("a a", rows);
  encoder.append("a", "b b", rows);
  EXPECT_EQ(rows.ids, (std::vector<int32_t>{2, 5, 5, 3, 2, 5, 3, 6, 6, 3}));
  EXPECT_EQ(rows.types, (std::vector<int8_t>{0, 0, 0, 0, 0, 0, 0, 1, 1, 1}));
  EXPECT_EQ(rows.offsets, (std::vector<int64_t>{0, 4, 10}));
}

// Lengths as the tokenizers package 0.22 cuts them with strategy longest_first.
TEST(RowEncoder, CutsTheLongerTextFirst) {
  const WordPiece t = tokenizer({"a", "b"});
  struct Case {
    int first, second, max_len, kept_first, kept_second;
  };
  for (const Case& c : {Case{5, 5, 8, 2, 3},
                        {5, 5, 9, 3, 3},
                        {6, 2, 8, 3, 2},
                        {2, 6, 8, 2, 3},
                        {7, 4, 8, 3, 2},
                        {4, 7, 8, 2, 3},
                        {1, 9, 6, 1, 2},
                        {9, 1, 6, 2, 1},
                        {10, 3, 9, 3, 3},
                        {3, 3, 3, 0, 0}}) {
    const auto words = [](const char* w, int n) {
      std::string s;
      for (int i = 0; i < n; ++i) s += w;
      return s;
    };
    JaggedIds rows;
    RowEncoder(t, {c.max_len, true}).append(words("a ", c.first), words("b ", c.second), rows);
    EXPECT_EQ(std::ranges::count(rows.ids, 5), c.kept_first) << c.first << " " << c.second << " " << c.max_len;
    EXPECT_EQ(std::ranges::count(rows.ids, 6), c.kept_second) << c.first << " " << c.second << " " << c.max_len;
  }
  EXPECT_THROW(RowEncoder(t, {2, true}), ConfigError);
}

TEST(EncodeBatch, IsTheSameOnAnyNumberOfThreads) {
  const WordPiece t = tokenizer({"a", "b", "##b"});
  std::vector<std::string> texts;
  for (int i = 0; i < 101; ++i) texts.push_back(std::string(static_cast<size_t>(i % 7), 'a') + " b");
  const std::vector<std::string_view> views(texts.begin(), texts.end());
  const JaggedIds one = encode_batch(t, views, {}, {16, true}, 1), seven = encode_batch(t, views, {}, {16, true}, 7);
  EXPECT_EQ(one.ids, seven.ids);
  EXPECT_EQ(one.offsets, seven.offsets);
  EXPECT_EQ(one.rows(), 101);
  EXPECT_EQ(encode_batch(t, {}, {}, {}, 3).rows(), 0);
}

TEST(WordPiece, RefusesBrokenVocabularies) {
  EXPECT_THROW(WordPiece({}), DataError);
  EXPECT_THROW(WordPiece({"a", "b"}), DataError);           // no [UNK]
  EXPECT_THROW(WordPiece({"[UNK]", "a", "a"}), DataError);  // twice
  EXPECT_THROW(WordPiece({"[UNK]", std::string(513, 'a')}), DataError);
  EXPECT_THROW(WordPiece::parse_options("{\"do_lower_case\": \"yes\"}", "x"), DataError);
  EXPECT_THROW(WordPiece::parse_options("[", "x"), DataError);
  const WordPieceOptions o =
      WordPiece::parse_options(R"({"do_lower_case": false, "unk_token": {"content": "<unk>"}, "more": 1})", "x");
  EXPECT_FALSE(o.lower_case || o.strip_accents);
  EXPECT_EQ(o.unk, "<unk>");
}

}  // namespace
}  // namespace winnow
