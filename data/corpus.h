// A corpus: texts of many sources as rows of token ids, for training on text without labels.
#pragma once
#include <functional>
#include <string>
#include <vector>

#include "core/config.h"
#include "data/rows.h"
#include "data/text_normalise.h"
#include "tokenizer/tokenizer.h"

namespace winnow {

struct CorpusOptions {
  // Of each row the cells of SourceSpec::columns, joined by a blank, are one document; the format "lines" has one
  // column, text. Rows without any text are left out.
  std::vector<SourceSpec> sources;
  std::optional<TextNormalisation> clean;  // of each document
  bool deduplicate = true;                 // keeps the first of equal documents, over all sources
  // Share of the documents that are kept for validation: those whose hash (XXH64) is small, so that equal documents
  // are on one side whatever their order.
  double valid = 0.05;
  // Rows that hold several documents, one [SEP] after each, up to max_len tokens (Liu et al. 2019, RoBERTa,
  // "doc-sentences" across documents); else a row is a document or a piece of one.
  bool pack = false;
};

// Keys of `data:`: path (the folder of relative files), sources: [{file, columns, format, ...}] (data/source_config.h;
// a .txt file has the format lines), clean: {html, nfkc, case, control, whitespace, invalid_utf8} (absent: as it is),
// deduplicate, valid, pack.
CorpusOptions read_corpus_options(const ConfigNode& data);

// Each document of the sources in order: its text and whether it is for validation. `text` holds during the call.
// DataError, IoError of the sources; DataError: not a single document.
struct CorpusCounts {
  int64_t rows = 0, empty = 0, duplicates = 0, train = 0, valid = 0;  // rows of the sources, then documents
};
CorpusCounts for_each_document(const CorpusOptions& options,
                               const std::function<void(std::string_view text, bool valid)>& f);

// Documents as rows of [CLS] tokens [SEP], at most max_len ids each; longer documents become several rows of equal
// length (but for rounding), so that no row is a short rest.
struct Corpus {
  JaggedIds train, valid;
  CorpusCounts counts;
  int64_t tokens() const { return static_cast<int64_t>(train.ids.size() + valid.ids.size()); }
  std::string str() const;  // a line or two for people
};
// ConfigError: the tokenizer has no [CLS] or [SEP], max_len < 3.
Corpus load_corpus(const CorpusOptions& options, const Tokenizer& tokenizer, int64_t max_len);

}  // namespace winnow
