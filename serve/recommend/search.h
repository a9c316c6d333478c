// Search in a catalogue: words (BM25) and meaning (the vectors of an encoder), fused, and personal where a user is
// given.
//
//   text of an item = title, and the values of its features that the title does not say
//   words   BM25 of the query; unknown words are replaced by known ones an edit away (data/bm25.h)
//   meaning cosine of encode(query) and the title's vector
//   hits    fuse(words, meaning) (serve/recommend/fusion.h), filters applied before
//   for a user, the best `rerank` hits by (1 - personal) relevance + personal probability, each scaled to [0, 1] by its
//   range among them
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "data/bm25.h"
#include "models/text_vectors.h"
#include "serve/recommend/fusion.h"
#include "serve/recommend/item_vectors.h"
#include "serve/recommend/recommender.h"

namespace winnow {

// vector [width] of a text. Called from the thread of the request.
using EncodeQuery = std::function<void(std::string_view query, std::span<float> vector)>;

struct ItemSearchOptions {
  Bm25Options bm25;
  FusionOptions fusion;
  double words = 1, meaning = 1;  // weights of the two lists
  int64_t candidates = 200;       // of each list
  bool correct = true;            // unknown words
  int64_t rerank = 100;
  double personal = 0.3;  // in [0, 1]
};
// The `search:` section: bm25: {k1, b}, fusion: reciprocal_rank or weighted, fusion_k, words, meaning, candidates,
// correct, rerank, personal. ConfigError.
ItemSearchOptions read_search_options(const ConfigNode& search);

struct SearchRequest {
  std::string_view query;
  int64_t k = 10;
  std::optional<EncodedSide> user = {};     // personal; none: by the query alone
  const ItemSet* may = nullptr;             // Recommender::available(); null: all
  std::span<const ValueFilter> where = {};  // all of them hold
};

struct SearchHit {
  int64_t item = -1;
  double score = 0;
  float words = 0;                   // BM25; 0: no common word, or not among the candidates
  float meaning = 0;                 // cosine; 0 likewise
  std::optional<float> probability;  // of the ranker, where a user was given
};

struct SearchAnswer {
  std::string corrected;  // what was searched instead of the query; "": the query itself
  std::vector<SearchHit> hits;
};

struct SearchScratch {
  ItemSet may;
  std::vector<float> scores, query, logits;
  std::vector<Found> found;
  std::vector<RankedItem> fused;
  std::vector<std::vector<RankedItem>> lists;
  std::vector<int64_t> items;
  std::vector<double> relevance, probability;
};

class ItemSearch {
 public:
  struct Parts {
    const Catalogue* catalogue = nullptr;  // outlives the search
    std::shared_ptr<const ItemValues> values;
    std::shared_ptr<const ItemVectors> text;  // with encode, or both empty: words alone
    EncodeQuery encode;
    RankItems rank;  // empty: never personal
  };
  ItemSearch(ItemSearchOptions options, Parts parts);
  // Overwrites answer; from several threads at a time, each with a scratch of its own. DataError: a filter on an
  // unknown feature or value; ConfigError: k < 1.
  void search(const SearchRequest& request, SearchScratch& scratch, SearchAnswer& answer) const;
  std::string item_text(int64_t item) const;

 private:
  void by_words(std::string_view query, SearchScratch& scratch) const;
  void by_meaning(std::string_view query, SearchScratch& scratch) const;
  void personalise(const EncodedSide& user, SearchScratch& scratch, std::vector<SearchHit>& hits) const;
  ItemSearchOptions options_;
  Parts parts_;
  Bm25 bm25_;
};

// encode() of an encoder, one query at a time, the others wait.
class QueryEncoder {
 public:
  explicit QueryEncoder(const TextEncoder& encoder);
  void operator()(std::string_view query, std::span<float> vector);

 private:
  const TextEncoder& encoder_;
  TextVectors vectors_;
  std::mutex mutex_;
};

}  // namespace winnow
