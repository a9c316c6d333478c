// BM25: the classic ranking of texts by the words they share with a query.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/string_index.h"

namespace winnow {

// score(query, text) = sum over the query's words t, each as often as it stands there, of
//   idf(t) tf (k1 + 1) / (tf + k1 (1 - b + b |text| / mean |text|)),  idf(t) = log(1 + (n - n_t + .5) / (n_t + .5))
// with tf the times that t is in the text, n_t of n texts with t (Robertson and Zaragoza 2009, "The probabilistic
// relevance framework: BM25 and beyond", section 3; the 1 within the logarithm keeps it positive). Words are those of a
// `text` feature (data/schema.h): normal form, folded case, runs of letters and digits, ideographs one by one.
class Bm25 {
 public:
  explicit Bm25(std::span<const std::string> texts, double k1 = 1.2, double b = 0.75);
  // scores[i] of text i; those without a common word have 0.
  void score(std::string_view query, std::span<float> scores) const;

 private:
  struct Posting {
    int32_t text;
    float weight;  // of one such word in the query
  };
  StringIndex words_;
  std::vector<std::vector<Posting>> postings_;  // of each word, by text ascending
};

}  // namespace winnow
