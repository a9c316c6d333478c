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

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0) == 0x80; }
int64_t characters(std::string_view text) {
  return std::ranges::count_if(text, [](char c) { return !continues(c); });
}

// Of different words in UTF-8; what both begin and end with is cut off at whole characters.
bool one_edit_apart(std::string_view a, std::string_view b) {
  if (a.size() > b.size()) std::swap(a, b);
  if (b.size() - a.size() > 4) return false;
  size_t begin = 0, end = 0;
  while (begin < a.size() && a[begin] == b[begin]) ++begin;
  while (begin > 0 && ((begin < a.size() && continues(a[begin])) || (begin < b.size() && continues(b[begin])))) --begin;
  while (end < a.size() - begin && a[a.size() - 1 - end] == b[b.size() - 1 - end]) ++end;
  while (end > 0 && continues(a[a.size() - end])) --end;
  a = a.substr(begin, a.size() - end - begin);
  b = b.substr(begin, b.size() - end - begin);
  const int64_t in_a = characters(a), in_b = characters(b);
  if (in_a <= 1 && in_b <= 1) return true;
  if (in_a != 2 || in_b != 2 || a.size() != b.size()) return false;
  size_t second = 1;
  while (continues(a[second])) ++second;
  return b == std::string(a.substr(second)) + std::string(a.substr(0, second));
}

}  // namespace

double bm25_idf(double texts, double with_term) { return std::log1p((texts - with_term + 0.5) / (with_term + 0.5)); }

double bm25_weight(double idf, double tf, double relative_length, const Bm25Options& o) {
  return idf * tf * (o.k1 + 1) / (tf + o.k1 * (1 - o.b + o.b * relative_length));
}

Bm25::Bm25(std::span<const std::string> texts, const Bm25Options& options) : options_(options) {
  const auto [k1, b] = options;
  WN_CHECK(k1 >= 0 && b >= 0 && b <= 1, ConfigError, "bm25: k1 {} must not be negative and b {} lies in [0, 1]", k1, b);
  for (const std::string& text : texts) add(text);
}

int32_t Bm25::add(std::string_view text) {
  const auto number = static_cast<int32_t>(lengths_.size());
  std::map<int32_t, int64_t> counts;
  int64_t length = 0;
  for_each_word(text, [&](const std::string& word) {
    ++counts[words_.add(word)];
    ++length;
  });
  postings_.resize(static_cast<size_t>(words_.size()));
  for (const auto& [word, count] : counts)
    postings_[static_cast<size_t>(word)].push_back({number, static_cast<float>(count)});
  lengths_.push_back(length);
  total_length_ += static_cast<double>(length);
  return number;
}

void Bm25::score(std::string_view query, std::span<float> scores) const {
  WN_CHECK(scores.size() == lengths_.size(), ShapeError, "bm25: {} texts and room for {} scores", lengths_.size(),
           scores.size());
  std::ranges::fill(scores, 0.0f);
  const auto n = static_cast<double>(lengths_.size());
  for_each_word(query, [&](const std::string& word) {
    const int32_t w = words_.find(word);
    if (w < 0) return;
    const auto& list = postings_[static_cast<size_t>(w)];
    const double idf = bm25_idf(n, static_cast<double>(list.size()));
    for (const Posting& p : list) {
      const double length = static_cast<double>(lengths_[static_cast<size_t>(p.text)]) * n / total_length_;
      scores[static_cast<size_t>(p.text)] +=
          static_cast<float>(bm25_weight(idf, static_cast<double>(p.count), length, options_));
    }
  });
}

int32_t Bm25::replacement(const std::string& word) const {
  if (characters(word) < 4) return -1;
  int32_t best = -1;
  for (int32_t w = 0; w < words_.size(); ++w)
    if (one_edit_apart(word, words_.text(w)) &&
        (best < 0 || postings_[static_cast<size_t>(w)].size() > postings_[static_cast<size_t>(best)].size()))
      best = w;
  return best;
}

std::string Bm25::corrected(std::string_view query) const {
  std::string text;
  bool any = false;
  for_each_word(query, [&](const std::string& word) {
    const int32_t w = words_.find(word) < 0 ? replacement(word) : -1;
    any = any || w >= 0;
    text += text.empty() ? "" : " ";
    text += w >= 0 ? words_.text(w) : std::string_view(word);
  });
  return any ? text : "";
}

}  // namespace winnow
