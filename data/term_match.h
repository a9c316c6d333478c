// How well a text answers a query by the tokens they share, pair by pair: Okapi BM25 (Robertson and Zaragoza 2009, "The
// Probabilistic Relevance Framework: BM25 and Beyond", section 3) over the tokens of any tokenizer, and features beside
// it. (data/bm25.h searches a whole catalogue by words.)
//   score(q, d) = sum over the distinct tokens t of q of idf(t) f (k1 + 1) / (f + k1 (1 - b + b |d| / mean |d|))
//   f = how often t is in d, |d| = tokens of d, idf(t) = ln(1 + (N - n_t + .5) / (n_t + .5)), n_t the documents with t
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace winnow {

struct Bm25Options {
  double k1 = 1.2, b = 0.75;
};

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
