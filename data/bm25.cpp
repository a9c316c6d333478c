#include "data/bm25.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "core/error.h"
#include "data/detail/words.h"
#include "data/text_normalise.h"

namespace winnow {
namespace {

template <class F>
void for_each_word(std::string_view text, F&& f) {
  std::string normal, word;
  normalise_text(text, {.letter_case = TextCase::Fold, .invalid = InvalidUtf8::Replace}, normal);
  for (std::string_view rest = normal; detail::next_word(rest, word);) f(word);
}

}  // namespace

double bm25_idf(double texts, double with_term) { return std::log1p((texts - with_term + 0.5) / (with_term + 0.5)); }

double bm25_weight(double idf, double tf, double relative_length, const Bm25Options& o) {
  return idf * tf * (o.k1 + 1) / (tf + o.k1 * (1 - o.b + o.b * relative_length));
}

Bm25::Bm25(std::span<const std::string> texts, const Bm25Options& options) {
  const auto [k1, b] = options;
  WN_CHECK(k1 >= 0 && b >= 0 && b <= 1, ConfigError, "bm25: k1 {} must not be negative and b {} lies in [0, 1]", k1, b);
  std::vector<int64_t> lengths;
  double total = 0;
  for (size_t i = 0; i < texts.size(); ++i) {
    std::map<int32_t, int64_t> counts;
    int64_t length = 0;
    for_each_word(texts[i], [&](const std::string& word) {
      ++counts[words_.add(word)];
      ++length;
    });
    postings_.resize(static_cast<size_t>(words_.size()));
    for (const auto& [word, count] : counts)
      postings_[static_cast<size_t>(word)].push_back({static_cast<int32_t>(i), static_cast<float>(count)});
    lengths.push_back(length);
    total += static_cast<double>(length);
  }
  const auto n = static_cast<double>(texts.size());
  for (auto& list : postings_) {
    const double idf = bm25_idf(n, static_cast<double>(list.size()));
    for (Posting& p : list) {
      const double length = static_cast<double>(lengths[static_cast<size_t>(p.text)]) * n / total;
      p.weight = static_cast<float>(bm25_weight(idf, static_cast<double>(p.weight), length, options));
    }
  }
}

void Bm25::score(std::string_view query, std::span<float> scores) const {
  std::ranges::fill(scores, 0.0f);
  for_each_word(query, [&](const std::string& word) {
    const int32_t w = words_.find(word);
    if (w < 0) return;
    for (const Posting& p : postings_[static_cast<size_t>(w)]) scores[static_cast<size_t>(p.text)] += p.weight;
  });
}

}  // namespace winnow
