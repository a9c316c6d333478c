// Two-stage recommendation (Covington, Adams and Sargin 2016, "Deep neural networks for YouTube recommendations"):
// sources name candidates, a model ranks them, rules arrange the list.
//
//   1. may = available items, those that pass the filters, without the seen and the denied
//   2. each source names up to its limit of them; the union, taken in turn from all of them, up to `candidates`
//   3. score = logit of the ranker + the boosts + blend log r, r = 61 sum over the sources that name the item of
//      1 / (60 + its rank there) (reciprocal rank fusion, serve/recommend/fusion.h); without a ranker the logit is log
//      r
//   4. diversity over the best `among`; then limits, pins and the share of new items (serve/recommend/rules.h)
//
//   const auto recommender = make_recommender(options, catalogue, &saved, encoder, rank);   // serve/recommend/build.h
//   RecommendScratch scratch;                                                                // one a thread
//   recommender->recommend({.user = catalogue.find_user("196"), .k = 10}, scratch, items);
#pragma once
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "serve/recommend/candidates.h"
#include "serve/recommend/fusion.h"
#include "serve/recommend/options.h"
#include "serve/recommend/popularity.h"
#include "serve/recommend/rerank.h"
#include "serve/recommend/rules.h"

namespace winnow {

class ItemVectors;

// logits[n] of items[n] for a user. Called from the thread of the request, several at a time: a server that batches
// waits in it.
using RankItems = std::function<void(const EncodedSide& user, std::span<const int64_t> items, std::span<float> logits)>;

struct RecommendRequest {
  int64_t user = -1;                      // of the catalogue; -1: nobody knows this user
  std::optional<EncodedSide> side = {};   // what the ranker gets of the user; default: the catalogue's, a stranger's
  std::span<const TakenItem> since = {};  // what the user did since training, oldest first; label > .5: liked
  int64_t now = 0;                        // seconds; 0: the latest time of training or of `since`
  int64_t k = 10;
  std::span<const ValueFilter> where = {};  // all of them hold
  std::span<const int64_t> allow = {};      // these items alone; empty: all
  std::span<const int64_t> deny = {};
  bool seen_too = false;  // true: what the user took may be named again
};

// One source that named an item.
struct Cause {
  std::string_view source;
  float score = 0;   // of that source
  int64_t rank = 0;  // there, from 1
  Reason reason;
};

struct RecommendedItem {
  int64_t item = -1;
  float score = 0;        // 3. above: what the list was ordered by before diversity and rules
  float probability = 0;  // sigmoid(logit): of the model alone
  bool pinned = false;
  std::vector<Cause> causes;  // in the order of the sources; none for a pinned item that no source named
};

struct RecommendTrace {
  int64_t may = 0;                  // items left by filters
  std::vector<int64_t> of_sources;  // named by each
  int64_t candidates = 0;           // ranked
  double source_seconds = 0, rank_seconds = 0, arrange_seconds = 0;
};

// Memory of one request after another: nothing is allocated once it has grown, but for request filters, rules and
// indexes of vectors.
struct RecommendScratch {
  ItemSet may;
  SourceScratch source;
  std::vector<TakenItem> history;
  std::vector<std::vector<Candidate>> lists;
  std::vector<float> named;  // of each item: the sum of its reciprocal ranks
  std::vector<int64_t> items, order, diverse, ranked;
  std::vector<float> agreement, logits, scores;
  std::vector<double> relevance;
  std::vector<Arrangement::Pin> pins;
  RerankScratch rerank;
};

class Recommender {
 public:
  struct Slot {
    std::unique_ptr<CandidateSource> source;
    int64_t limit;
  };
  struct Parts {
    const Catalogue* catalogue = nullptr;  // outlives the recommender, as `map` does within it
    std::shared_ptr<const ItemValues> values;
    std::vector<Slot> sources;
    RankItems rank;                                // empty: what the sources say decides
    std::shared_ptr<const ItemVectors> diversity;  // of options.diversity.by embedding and text
    std::shared_ptr<const NewSource> fresh;        // what is new to rules; null: nothing
  };
  // ConfigError: rules of unknown items; DataError: of unknown features or values; two sources of one name.
  Recommender(RecommendOptions options, Parts parts);

  // At most request.k items, fewer when fewer may be named; overwritten, its memory is kept. From several threads at a
  // time, each with a scratch of its own. DataError: a filter on an unknown feature or value, an item that is none;
  // ConfigError: k < 1.
  void recommend(const RecommendRequest& request, RecommendScratch& scratch, std::vector<RecommendedItem>& out,
                 RecommendTrace* trace = nullptr) const;

  // One source alone, without the ranker: "popular", "new", .. ; DataError lists the names.
  void from_source(std::string_view source, const RecommendRequest& request, RecommendScratch& scratch,
                   std::vector<Candidate>& out) const;
  // Items for an item: `source` asked with a history of this item alone ("co_occurrence": bought together). similar():
  // what the sources embedding, text and co_occurrence say, those that there are, by reciprocal rank. The item itself
  // is left out; request.user's seen items too unless seen_too.
  void related(std::string_view source, int64_t item, const RecommendRequest& request, RecommendScratch& scratch,
               std::vector<Candidate>& out) const;
  void similar(int64_t item, const RecommendRequest& request, RecommendScratch& scratch,
               std::vector<RankedItem>& out) const;

  // Items that are not to be named from now on (out of stock), in place of those of the last call; at any time.
  void set_unavailable(std::span<const int64_t> items);
  std::shared_ptr<const ItemSet> available() const;
  std::vector<std::string_view> sources() const;
  std::string text(const Reason& reason) const;  // "bought together with Toy Story (1995)"
  const ItemValues& values() const { return *parts_.values; }
  const RecommendOptions& options() const { return options_; }

 private:
  struct Boost {
    ItemSet items;
    float by;
  };
  const CandidateSource& source(std::string_view name) const;
  void prepare(const RecommendRequest& request, RecommendScratch& scratch) const;
  int64_t now(const RecommendRequest& request) const;
  CandidateRequest candidate_request(const RecommendRequest& request, RecommendScratch& scratch) const;
  void merge(const RecommendRequest& request, RecommendScratch& scratch, RecommendTrace* trace) const;
  void score(const RecommendRequest& request, RecommendScratch& scratch) const;
  void diversify(const RecommendRequest& request, RecommendScratch& scratch) const;
  void finish(const RecommendRequest& request, RecommendScratch& scratch, std::vector<RecommendedItem>& out) const;
  void check_items(std::span<const int64_t> items) const;
  double similarity(int64_t a, int64_t b) const;

  RecommendOptions options_;
  Parts parts_;
  int64_t latest_ = 0;  // time of training
  ItemSet sellable_;    // without those of options.exclude
  std::shared_ptr<const ItemSet> available_;
  mutable std::mutex available_mutex_;
  std::vector<Boost> boosts_;
  std::vector<Arrangement::Pin> pins_;
  std::vector<Arrangement::Limit> limits_;
  std::optional<size_t> diversity_feature_;
};

}  // namespace winnow
