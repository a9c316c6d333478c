// SentencePiece models: training, ids, sampling, and model files that must not be believed.
#include "tokenizer/sentencepiece.h"

#include <gtest/gtest.h>

#include <cstring>
#include <set>

#include "core/error.h"
#include "core/file.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

// A small model, trained once.
const std::string& model(bool bpe) {
  static std::array<std::string, 2> models;
  std::string& m = models[bpe ? 1 : 0];
  if (!m.empty()) return m;
  TemporaryDirectory folder;
  std::string text;
  for (int i = 0; i < 400; ++i)
    for (const char* word : {"red", "green", "cotton", "bag", "bags", "greener", "cottons", "\u7ea2\u8272", "\u5305"})
      text += fmt::format("{} {}{}", word, word, (i + word[0]) % 5 == 0 ? "\n" : " ");
  SentencePieceTraining t;
  folder.write("text.txt", text);
  t.inputs = {folder.path() + "/text.txt"};
  t.output = folder.path() + "/small.model";
  t.vocab_size = 34;
  t.bpe = bpe;
  train_sentencepiece(t);
  return m = read_text(t.output, 1 << 20);
}

std::vector<int32_t> ids(const SentencePiece& t, std::string_view text) {
  std::vector<int32_t> out;
  t.encode(text, out);
  return out;
}

TEST(SentencePiece, ATrainedModelHasBertsSpecialTokensAndDecodesWhatItEncodes) {
  for (const bool bpe : {false, true}) {
    const SentencePiece t(model(bpe), "small");
    EXPECT_EQ(t.special().pad, 0);
    EXPECT_EQ(t.special().unk, 1);
    EXPECT_EQ(t.special().cls, 2);
    EXPECT_EQ(t.special().sep, 3);
    EXPECT_EQ(t.token(t.special().mask), "[MASK]");
    EXPECT_EQ(t.is_bpe(), bpe);
    EXPECT_EQ(t.decode(ids(t, "red cotton bags")), "red cotton bags");
    EXPECT_THROW(t.decode(std::vector<int32_t>{t.size()}), DataError);
    EXPECT_EQ(t.find("no such piece"), -1);
  }
}

TEST(SentencePiece, SamplingVariesDecodesToTheTextAndRepeatsForItsSeed) {
  for (const bool bpe : {false, true}) {
    const SentencePiece t(model(bpe), "small");
    std::set<std::vector<int32_t>> seen;
    for (uint64_t stream = 0; stream < 40; ++stream) {
      std::vector<int32_t> a, b;
      t.sample("red cotton bags", {0.3, 16, 7}, stream, a);
      t.sample("red cotton bags", {0.3, 16, 7}, stream, b);
      EXPECT_EQ(a, b);
      EXPECT_EQ(t.decode(a), "red cotton bags");
      seen.insert(a);
    }
    EXPECT_GT(seen.size(), 1u);
  }
}

TEST(SentencePiece, BpeDropoutOfZeroIsTheModelsOwnSegmentation) {
  const SentencePiece t(model(true), "small");
  for (const char* text : {"red cotton bags", "greener", "", "\u7ea2\u8272 \u5305", "zebra"}) {
    std::vector<int32_t> sampled;
    t.sample(text, {0, 1, 1}, 0, sampled);
    EXPECT_EQ(sampled, ids(t, text)) << text;
  }
}

TEST(SentencePiece, RefusesBadSampling) {
  std::vector<int32_t> out;
  EXPECT_THROW(SentencePiece(model(true), "m").sample("a", {1.5, 1, 1}, 0, out), ConfigError);
  EXPECT_THROW(SentencePiece(model(false), "m").sample("a", {0.1, 0, 1}, 0, out), ConfigError);
  EXPECT_THROW(SentencePiece(model(false), "m").sample("a", {-1, 4, 1}, 0, out), ConfigError);
}

TEST(SentencePieceModel, CutAnywhereIsAnErrorOrAShorterModel) {
  const std::string& whole = model(false);
  for (size_t n = 0; n < whole.size(); n += 7) {
    try {
      check_sentencepiece_model(whole.substr(0, n), "cut");
    } catch (const DataError&) {}
  }
  EXPECT_THROW(SentencePiece(whole.substr(0, whole.size() - 3), "cut"), DataError);
  EXPECT_THROW(SentencePiece("", "empty"), DataError);
}

std::string varint(uint64_t v) {
  std::string s;
  for (; v >= 128; v >>= 7) s += static_cast<char>(v | 128);
  return s + static_cast<char>(v);
}
std::string field(uint64_t number, const std::string& bytes) {
  return varint(number << 3 | 2) + varint(bytes.size()) + bytes;
}

TEST(SentencePieceModel, RefusesLongPiecesNulBytesAndEmptyOnes) {
  EXPECT_THROW(check_sentencepiece_model(field(1, field(1, std::string(100000, 'a'))), "m"), DataError);
  EXPECT_THROW(check_sentencepiece_model(field(1, field(1, std::string("a\0b", 3))), "m"), DataError);
  EXPECT_THROW(check_sentencepiece_model(field(1, field(1, "")), "m"), DataError);
  EXPECT_THROW(check_sentencepiece_model(varint(1 << 3 | 2) + varint(uint64_t{1} << 60), "m"), DataError);
  EXPECT_EQ(check_sentencepiece_model(field(1, field(1, "a")), "m").pieces, 1);
}

TEST(SentencePieceModel, RefusesCharacterMapsThatLeadOutside) {
  const auto with_map = [](const std::vector<uint32_t>& units, const std::string& texts) {
    std::string map(4, '\0');
    const auto bytes = static_cast<uint32_t>(units.size() * 4);
    std::memcpy(map.data(), &bytes, 4);
    map.append(reinterpret_cast<const char*>(units.data()), bytes);
    return field(1, field(1, "a")) + field(3, field(2, map + texts));
  };
  std::vector<uint32_t> units(256, 0);
  EXPECT_NO_THROW(check_sentencepiece_model(with_map(units, std::string(1, '\0')), "m"));
  units[0] = 1u << 20 << 10;  // an offset far outside
  EXPECT_THROW(check_sentencepiece_model(with_map(units, std::string(1, '\0')), "m"), DataError);
  units[0] = 1u << 8;  // has a value: unit 0 itself, 256 as an index into one byte of text
  EXPECT_THROW(check_sentencepiece_model(with_map(units, std::string(1, '\0')), "m"), DataError);
  units[0] = 0;
  EXPECT_THROW(check_sentencepiece_model(with_map(units, "no end"), "m"), DataError);
}

TEST(LoadTokenizer, FindsTheFormByTheFolder) {
  TemporaryDirectory folder;
  EXPECT_THROW(load_tokenizer(folder.path()), IoError);
  folder.write("spiece.model", model(true));
  EXPECT_EQ(load_tokenizer(folder.path())->size(), 34);
  folder.write("vocab.txt", "[UNK]\nHello\n");
  folder.write("tokenizer_config.json", R"({"do_lower_case": false})");
  std::vector<int32_t> out;
  load_tokenizer(folder.path())->encode("Hello", out);
  EXPECT_EQ(out, std::vector<int32_t>{1});
}

}  // namespace
}  // namespace winnow
