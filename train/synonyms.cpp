#include "train/synonyms.h"

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "data/string_index.h"
#include "models/text_vectors.h"
#include "train/match/search.h"

namespace winnow {
namespace {

// Rows to length 1; a row of zeros stays.
void normalize_rows(Tensor& vectors) {
  const int64_t width = vectors.shape()[1];
  for (int64_t r = 0; r < vectors.shape()[0]; ++r) {
    float* row = vectors.data<float>() + r * width;
    double squares = 0;
    for (int64_t i = 0; i < width; ++i) squares += double{row[i]} * double{row[i]};
    if (squares > 0)
      for (int64_t i = 0; i < width; ++i) row[i] = static_cast<float>(double{row[i]} / std::sqrt(squares));
  }
}

}  // namespace

std::vector<Synonym> find_synonyms(const TextEncoder& encoder, std::span<const std::string> terms,
                                   const SynonymOptions& options) {
  WN_CHECK(terms.size() >= 2, ConfigError, "synonyms: {} terms, at least two are needed", terms.size());
  StringIndex seen;
  for (size_t i = 0; i < terms.size(); ++i)
    WN_CHECK(seen.add(terms[i]) == static_cast<int32_t>(i), ConfigError, "synonyms: the term {} is given twice",
             winnow::quoted(terms[i]));
  const std::vector<std::string_view> texts(terms.begin(), terms.end());
  TextVectors encode(encoder);
  Tensor vectors = encode(texts);
  normalize_rows(vectors);
  const auto found = nearest(vectors, vectors, options.k, [](int64_t query, int32_t item) { return query != item; });
  std::vector<Synonym> out;
  for (size_t t = 0; t < found.size(); ++t)
    for (const Neighbour& n : found[t]) {
      const auto& back = found[static_cast<size_t>(n.item)];
      const bool mutual = std::ranges::find(back, static_cast<int32_t>(t), &Neighbour::item) != back.end();
      if (double{n.cosine} >= options.threshold && (mutual || !options.mutual))
        out.push_back({static_cast<int32_t>(t), n.item, double{n.cosine}, mutual});
    }
  return out;
}

}  // namespace winnow
