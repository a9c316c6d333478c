// BM25: the classic ranking of texts by the words they share with a query.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/string_index.h"

namespace winnow {

// Robertson and Zaragoza 2009, "The probabilistic relevance framework: BM25 and beyond", section 3, of a term t:
//   weight(t) = idf(t) tf (k1 + 1) / (tf + k1 (1 - b + b |text| / mean |text|)),
//   idf(t) = log(1 + (n - n_t + .5) / (n_t + .5)); the 1 within the logarithm keeps it positive
// with tf the times that t is in the text, n_t of n texts with t.
struct Bm25Options {
  double k1 = 1.2, b = 0.75;
};
double bm25_idf(double texts, double with_term);
// relative_length: |text| / mean |text|.
double bm25_weight(double idf, double tf, double relative_length, const Bm25Options& options);

// score(query, text) = sum of the weights of the query's words, each as often as it stands there. Words are those of a
// `text` feature (data/schema.h): normal form, folded case, runs of letters and digits, ideographs one by one.
class Bm25 {
 public:
  explicit Bm25(std::span<const std::string> texts, const Bm25Options& options = {});
  // The number of a further text; idf and mean length are at once those of all texts. Not beside anything else.
  int32_t add(std::string_view text);
  int64_t texts() const { return static_cast<int64_t>(lengths_.size()); }
  // scores[i] of text i; those without a common word have 0. ShapeError: as many scores as texts.
  void score(std::string_view query, std::span<float> scores) const;
  // The words of the query with each that is in no text, and has at least four characters, replaced by the word that is
  // in most texts (the first of equals) of those one edit away: a character more, less, another, or two swapped. "":
  // nothing was replaced. Looks at every word.
  std::string corrected(std::string_view query) const;

 private:
  struct Posting {
    int32_t text;
    float count;  // of the word there
  };
  int32_t replacement(const std::string& word) const;  // -1: none
  Bm25Options options_;
  StringIndex words_;
  std::vector<std::vector<Posting>> postings_;  // of each word, by text ascending
  std::vector<int64_t> lengths_;
  double total_length_ = 0;
};

}  // namespace winnow
