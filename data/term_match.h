// How well a text answers a query by the tokens they share, pair by pair: BM25 over the tokens of any tokenizer, and
// features beside it. (Bm25 of data/bm25.h searches a whole catalogue by words.)
//   score(q, d) = sum over the distinct tokens of q of their weights in d (data/bm25.h)
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/bm25.h"
#include "tokenizer/tokenizer.h"

namespace winnow {

class TermMatch {
 public:
  // documents: whose statistics idf and the mean length are; a text that comes twice counts once.
  TermMatch(const Tokenizer& tokenizer, std::span<const std::string> documents, const Bm25Options& options = {});
  double score(std::string_view query, std::string_view document) const;

  // What a model may learn from beside the score.
  static const std::vector<std::string>& feature_names();
  // feature_names().size() numbers: the score, the share of the query's distinct tokens that the document has and the
  // same weighted by idf, the share of the document's tokens that are the query's, both lengths in tokens.
  void features(std::string_view query, std::string_view document, std::vector<float>& out) const;

 private:
  struct Match;
  Match match(std::string_view query, std::string_view document) const;
  double idf(int32_t token) const;
  const Tokenizer& tokenizer_;
  Bm25Options options_;
  std::vector<int32_t> documents_with_;  // by token
  double documents_ = 0, mean_length_ = 0;
};

}  // namespace winnow
