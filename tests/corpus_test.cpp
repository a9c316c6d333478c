// Texts of several sources as rows of tokens.
#include "data/corpus.h"

#include <gtest/gtest.h>

#include "tests/data_files.h"
#include "tests/error_text.h"
#include "tokenizer/wordpiece.h"

namespace winnow {
namespace {

WordPiece tokenizer() {
  std::vector<std::string> v = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (char c = 'a'; c <= 'z'; ++c) v.emplace_back(1, c);
  return WordPiece(std::move(v));
}

CorpusOptions options_of(const TemporaryDirectory& folder, const std::string& yaml) {
  Config config = Config::parse("path: '" + folder.path() + "'\n" + yaml, "mlm.yaml");
  CorpusOptions o = read_corpus_options(config.root());
  config.finish();
  return o;
}

std::vector<std::string> rows_of(const JaggedIds& ids, const WordPiece& t) {
  std::vector<std::string> rows;
  for (size_t r = 0; r + 1 < ids.offsets.size(); ++r) {
    std::string row;
    for (int64_t i = ids.offsets[r]; i < ids.offsets[r + 1]; ++i)
      row += (row.empty() ? "" : " ") + std::string(t.token(ids.ids[static_cast<size_t>(i)]));
    rows.push_back(row);
  }
  return rows;
}

TEST(Corpus, TakesColumnsOfTablesAndLinesOfTexts) {
  TemporaryDirectory folder;
  folder.write("items.csv", "id,title,note\n1,a b,c\n2,,\n3,\"d\ne\",\n4,a b,c\n");
  folder.write("more.txt", "f g\n\r\n  \nh \"i\n");
  const WordPiece t = tokenizer();
  const Corpus corpus = load_corpus(
      options_of(folder, "sources: [{file: items.csv, columns: [title, note]}, {file: more.txt}]\nvalid: 0"), t, 16);
  EXPECT_EQ(rows_of(corpus.train, t), (std::vector<std::string>{"[CLS] a b c [SEP]", "[CLS] d e [SEP]",
                                                                "[CLS] f g [SEP]", "[CLS] h [UNK] i [SEP]"}));
  EXPECT_EQ(corpus.counts.rows, 8);
  EXPECT_EQ(corpus.counts.empty, 3);
  EXPECT_EQ(corpus.counts.duplicates, 1);
  EXPECT_EQ(corpus.counts.train, 4);
  EXPECT_EQ(corpus.valid.rows(), 0);
}

TEST(Corpus, LongDocumentsBecomeRowsOfEqualLength) {
  TemporaryDirectory folder;
  folder.write("x.txt", "a b c d e f g h i j k\nz\n");
  const WordPiece t = tokenizer();
  const Corpus corpus = load_corpus(options_of(folder, "sources: [{file: x.txt}]\nvalid: 0"), t, 7);
  EXPECT_EQ(rows_of(corpus.train, t), (std::vector<std::string>{"[CLS] a b c [SEP]", "[CLS] d e f g [SEP]",
                                                                "[CLS] h i j k [SEP]", "[CLS] z [SEP]"}));
}

TEST(Corpus, PackingJoinsShortDocuments) {
  TemporaryDirectory folder;
  folder.write("x.txt", "a b\nc\nd e f\ng h i j k l m n o\np\n");
  const WordPiece t = tokenizer();
  const Corpus corpus = load_corpus(options_of(folder, "sources: [{file: x.txt}]\nvalid: 0\npack: true"), t, 8);
  EXPECT_EQ(rows_of(corpus.train, t),
            (std::vector<std::string>{"[CLS] a b [SEP] c [SEP]", "[CLS] d e f [SEP]", "[CLS] g h i j [SEP]",
                                      "[CLS] k l m n o [SEP]", "[CLS] p [SEP]"}));
}

TEST(Corpus, ValidationIsAShareThatOrderDoesNotChange) {
  TemporaryDirectory folder;
  std::string forward, backward;
  for (int i = 0; i < 3000; ++i) {
    std::string line;
    for (int n = i; n > 0 || line.empty(); n /= 26) line += std::string(1, static_cast<char>('a' + n % 26)) + " ";
    forward += line + "\n";
    backward = line + "\n" + backward;
  }
  folder.write("f.txt", forward);
  folder.write("b.txt", backward);
  const auto held_out = [&](const char* file) {
    std::set<std::string> texts;
    for_each_document(options_of(folder, fmt::format("sources: [{{file: {}}}]\nvalid: 0.1", file)),
                      [&](std::string_view text, bool valid) {
                        if (valid) texts.emplace(text);
                      });
    return texts;
  };
  const auto a = held_out("f.txt");
  EXPECT_EQ(a, held_out("b.txt"));
  EXPECT_NEAR(static_cast<double>(a.size()), 300, 4 * std::sqrt(3000 * 0.1 * 0.9));
}

TEST(Corpus, CleansWhereAsked) {
  TemporaryDirectory folder;
  folder.write("x.txt", "a&amp;b\n\xEF\xBC\xA1 b \n\xff\n");
  const WordPiece t = tokenizer();
  std::vector<std::string> texts;
  const auto collect = [&](const CorpusOptions& o) {
    texts.clear();
    for_each_document(o, [&](std::string_view text, bool) { texts.emplace_back(text); });
  };
  collect(options_of(folder, "sources: [{file: x.txt}]\nvalid: 0\nclean: {case: lower}"));
  EXPECT_EQ(texts, (std::vector<std::string>{"a&b", "a b", "\xEF\xBF\xBD"}));
  collect(options_of(folder, "sources: [{file: x.txt}]\nvalid: 0"));
  EXPECT_EQ(texts[0], "a&amp;b");
  EXPECT_NE(text_of<DataError>([&] {
              collect(options_of(folder, "sources: [{file: x.txt}]\nvalid: 0\nclean: {invalid_utf8: error}"));
            }).find("x.txt:3"),
            std::string::npos);
}

TEST(Corpus, ErrorsSayWhatToGive) {
  TemporaryDirectory folder;
  folder.write("x.csv", "a,b\n1,2\n");
  folder.write("empty.txt", "\n\n");
  folder.write("nul.txt", std::string("a\nb\0c\n", 6));
  EXPECT_NE(text_of<ConfigError>([&] { options_of(folder, "valid: 0"); }).find("sources"), std::string::npos);
  EXPECT_NE(
      text_of<ConfigError>([&] { options_of(folder, "sources: [{file: x.csv}]"); }).find("columns that hold text"),
      std::string::npos);
  const WordPiece t = tokenizer();
  EXPECT_NE(text_of<DataError>([&] {
              load_corpus(options_of(folder, "sources: [{file: empty.txt}]"), t, 8);
            }).find("no text to train on"),
            std::string::npos);
  EXPECT_NE(text_of<DataError>([&] {
              load_corpus(options_of(folder, "sources: [{file: nul.txt}]\nvalid: 0"), t, 8);
            }).find("nul.txt:2: a NUL byte"),
            std::string::npos);
  EXPECT_NE(text_of<DataError>([&] {
              load_corpus(options_of(folder, "sources: [{file: x.csv, columns: [c]}]"), t, 8);
            }).find("c"),
            std::string::npos);
}

}  // namespace
}  // namespace winnow
