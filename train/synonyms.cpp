#include "train/synonyms.h"

#include <algorithm>

#include "core/text.h"
#include "data/string_index.h"
#include "models/text_vectors.h"
#include "ops/l2_normalize.h"
#include "train/match/search.h"

namespace winnow {
std::vector<Synonym> find_synonyms(const TextEncoder& encoder, std::span<const std::string> terms,
                                   const SynonymOptions& options) {
  WN_CHECK(terms.size() >= 2, ConfigError, "synonyms: {} terms, at least two are needed", terms.size());
  StringIndex seen;
  for (size_t i = 0; i < terms.size(); ++i)
    WN_CHECK(seen.add(terms[i]) == static_cast<int32_t>(i), ConfigError, "synonyms: the term {} is given twice",
             winnow::quoted(terms[i]));
  const std::vector<std::string_view> texts(terms.begin(), terms.end());
  TextVectors encode([&](const TokenInputs& in) { return l2_normalize(encoder.pooled(in, {})); }, encoder.width(),
                     std::max(TextVectors::kTokens, encoder.options().max_len));
  const Tensor vectors = encode(encoder.encode(texts));
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
