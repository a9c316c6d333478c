#include "data/term_match.h"

#include <algorithm>

#include "data/string_index.h"

namespace winnow {

struct TermMatch::Match {
  double score = 0, found = 0, found_idf = 0, idf = 0;  // over the query's distinct tokens
  double query_distinct = 0, query_length = 0, length = 0;
  double shared = 0;  // tokens of the document that are the query's
};

TermMatch::TermMatch(const Tokenizer& tokenizer, std::span<const std::string> documents, const Bm25Options& options)
    : tokenizer_(tokenizer), options_(options), documents_with_(static_cast<size_t>(tokenizer.size())) {
  StringIndex seen;
  std::vector<int32_t> ids;
  double tokens = 0;
  for (const std::string& document : documents) {
    if (seen.add(document) < static_cast<int32_t>(documents_)) continue;
    ++documents_;
    ids.clear();
    tokenizer_.encode(document, ids);
    tokens += static_cast<double>(ids.size());
    std::ranges::sort(ids);
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    for (const int32_t id : ids) ++documents_with_[static_cast<size_t>(id)];
  }
  mean_length_ = documents_ > 0 ? tokens / documents_ : 0;
}

double TermMatch::idf(int32_t token) const { return bm25_idf(documents_, documents_with_[static_cast<size_t>(token)]); }

TermMatch::Match TermMatch::match(std::string_view query, std::string_view document) const {
  std::vector<int32_t> q, d;
  tokenizer_.encode(query, q);
  tokenizer_.encode(document, d);
  Match m;
  m.query_length = static_cast<double>(q.size());
  m.length = static_cast<double>(d.size());
  std::ranges::sort(q);
  q.erase(std::unique(q.begin(), q.end()), q.end());
  m.query_distinct = static_cast<double>(q.size());
  const double relative = mean_length_ > 0 ? m.length / mean_length_ : 1;
  for (const int32_t token : q) {
    const double weight = idf(token), f = static_cast<double>(std::ranges::count(d, token));
    m.idf += weight;
    if (f == 0) continue;
    m.found += 1;
    m.found_idf += weight;
    m.shared += f;
    m.score += bm25_weight(weight, f, relative, options_);
  }
  return m;
}

double TermMatch::score(std::string_view query, std::string_view document) const {
  return match(query, document).score;
}

const std::vector<std::string>& TermMatch::feature_names() {
  static const std::vector<std::string> names = {
      "text.bm25",         "text.query_covered", "text.query_idf_covered", "text.item_from_query",
      "text.query_tokens", "text.item_tokens"};
  return names;
}

void TermMatch::features(std::string_view query, std::string_view document, std::vector<float>& out) const {
  const Match m = match(query, document);
  const auto share = [](double part, double whole) { return whole > 0 ? part / whole : 0; };
  for (const double x : {m.score, share(m.found, m.query_distinct), share(m.found_idf, m.idf),
                         share(m.shared, m.length), m.query_length, m.length})
    out.push_back(static_cast<float>(x));
}

}  // namespace winnow
