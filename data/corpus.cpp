#include "data/corpus.h"

#include <algorithm>
#include <unordered_set>

#include "core/error.h"
#include "data/hash.h"
#include "data/source_config.h"

namespace winnow {
namespace {

bool is_lines(const std::string& file) {
  std::string_view name = file;
  for (const std::string_view packed : {".gz", ".zst"})
    if (name.ends_with(packed)) name.remove_suffix(packed.size());
  return name.ends_with(".txt");
}

SourceSpec read_corpus_source(const ConfigNode& n, const std::string& folder) {
  const std::string file = n.has("file") ? n.require<std::string>("file") : "";
  if (is_lines(file) && !n.has("format")) {
    SourceSpec s;
    s.path = file.front() == '/' || folder.empty() ? file : folder + "/" + file;
    s.format = n.choice("format", "lines", source_formats());
    s.columns = {"text"};
    return s;
  }
  SourceSpec s = read_source(n, folder);
  if (s.format == "lines" && s.columns.empty()) s.columns = {"text"};
  if (s.columns.empty()) n.fail("columns", "the columns that hold text, such as [title, description]");
  return s;
}

TextNormalisation read_clean(const ConfigNode& n) {
  TextNormalisation t;
  t.html = n.get("html", t.html);
  t.nfkc = n.get("nfkc", t.nfkc);
  const std::string letter_case = n.choice("case", "keep", {"keep", "lower", "fold"});
  t.letter_case = letter_case == "keep" ? TextCase::Keep : letter_case == "lower" ? TextCase::Lower : TextCase::Fold;
  t.control = n.get("control", t.control);
  t.whitespace = n.get("whitespace", t.whitespace);
  t.invalid =
      n.choice("invalid_utf8", "replace", {"error", "replace"}) == "error" ? InvalidUtf8::Error : InvalidUtf8::Replace;
  return t;
}

constexpr uint64_t kSplitSeed = 0x76616c6964;

bool for_validation(std::string_view text, double share) {
  return static_cast<double>(xxh64(text, kSplitSeed) >> 11) * 0x1p-53 < share;
}

bool is_blank(std::string_view text) { return text.find_first_not_of(" \t\r\n") == std::string_view::npos; }

// Rows of one split as they grow.
class RowsBuilder {
 public:
  RowsBuilder(const Tokenizer& tokenizer, int64_t max_len, bool pack, JaggedIds& out)
      : special_(tokenizer.special()), most_(max_len), pack_(pack), out_(out) {}
  ~RowsBuilder() { end_row(); }

  void add(std::span<const int32_t> ids) {
    const int64_t room = most_ - 2, n = static_cast<int64_t>(ids.size());
    if (n == 0) return;
    if (pack_ && open_ && length() + n + 1 > most_) end_row();
    const int64_t pieces = (n + room - 1) / room;
    for (int64_t p = 0; p < pieces; ++p) {
      if (!pack_ || p > 0) end_row();
      if (!open_) append(special_.cls);
      open_ = true;
      for (int64_t i = n * p / pieces; i < n * (p + 1) / pieces; ++i) append(ids[static_cast<size_t>(i)]);
      append(special_.sep);
    }
    if (!pack_) end_row();
  }

 private:
  int64_t length() const { return static_cast<int64_t>(out_.ids.size()) - out_.offsets.back(); }
  void append(int32_t id) {
    out_.ids.push_back(id);
    out_.types.push_back(0);
  }
  void end_row() {
    if (open_) out_.offsets.push_back(static_cast<int64_t>(out_.ids.size()));
    open_ = false;
  }
  SpecialTokens special_;
  int64_t most_;
  bool pack_, open_ = false;
  JaggedIds& out_;
};

}  // namespace

CorpusOptions read_corpus_options(const ConfigNode& n) {
  CorpusOptions o;
  const std::string folder = n.get("path", "");
  for (const ConfigNode& source : n.list("sources")) o.sources.push_back(read_corpus_source(source, folder));
  if (o.sources.empty()) n.fail("sources", "where the texts are, such as [{file: titles.csv, columns: [title]}]");
  if (n.has("clean")) o.clean = read_clean(n.child("clean"));
  o.deduplicate = n.get("deduplicate", o.deduplicate);
  o.valid = n.get("valid", o.valid, between(0, 0.5));
  o.pack = n.get("pack", o.pack);
  return o;
}

CorpusCounts for_each_document(const CorpusOptions& options,
                               const std::function<void(std::string_view text, bool valid)>& f) {
  CorpusCounts counts;
  std::unordered_set<uint64_t> seen;  // two different texts of one 64-bit hash: once in 2^64 / documents
  std::string joined, cleaned;
  for (const SourceSpec& source : options.sources) {
    const auto reader = open_rows(source);
    RowBlock block;
    while (reader->next(block)) {
      counts.rows += block.rows;
      for (int64_t r = 0; r < block.rows; ++r) {
        joined.clear();
        for (size_t c = 0; c < static_cast<size_t>(block.width); ++c) {
          const std::string_view cell = block.cell(r, c);
          if (!joined.empty() && !cell.empty()) joined += ' ';
          joined += cell;
        }
        std::string_view text = joined;
        try {
          if (options.clean && normalise_text(text, *options.clean, cleaned)) text = cleaned;
        } catch (const DataError& e) { block.fail(r, reader->columns()[0], e.what()); }
        if (is_blank(text)) {
          ++counts.empty;
        } else if (options.deduplicate && !seen.insert(xxh64(text)).second) {
          ++counts.duplicates;
        } else {
          const bool valid = for_validation(text, options.valid);
          ++(valid ? counts.valid : counts.train);
          f(text, valid);
        }
      }
    }
  }
  WN_CHECK(counts.train > 0, DataError,
           "{}: no text to train on in {} rows ({} empty, {} duplicates, {} for validation)",
           options.sources.empty() ? "no source" : options.sources[0].name(), counts.rows, counts.empty,
           counts.duplicates, counts.valid);
  return counts;
}

Corpus load_corpus(const CorpusOptions& options, const Tokenizer& tokenizer, int64_t max_len) {
  WN_CHECK(tokenizer.special().cls >= 0 && tokenizer.special().sep >= 0, ConfigError,
           "the tokenizer has no token that begins ([CLS]) or ends ([SEP]) a row");
  WN_CHECK(max_len >= 3, ConfigError, "max_len {} leaves no room between [CLS] and [SEP]", max_len);
  Corpus corpus;
  {
    RowsBuilder train(tokenizer, max_len, options.pack, corpus.train);
    RowsBuilder valid(tokenizer, max_len, options.pack, corpus.valid);
    std::vector<int32_t> ids;
    corpus.counts = for_each_document(options, [&](std::string_view text, bool is_valid) {
      ids.clear();
      tokenizer.encode(text, ids);
      (is_valid ? valid : train).add(ids);
    });
  }
  WN_CHECK(corpus.train.rows() > 0, DataError, "the tokenizer gives no token for any training text");
  return corpus;
}

std::string Corpus::str() const {
  return fmt::format(
      "{} rows: {} without text, {} duplicates; {} documents to train on as {} rows of {} tokens, {} for validation as "
      "{} rows of {} tokens",
      counts.rows, counts.empty, counts.duplicates, counts.train, train.rows(), train.ids.size(), counts.valid,
      valid.rows(), valid.ids.size());
}

}  // namespace winnow
