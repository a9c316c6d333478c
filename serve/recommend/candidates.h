// Where the items come from that a ranker looks at: each source names a few hundred of a whole catalogue, with a score
// and a reason. Behaviour models, rules, campaigns: whatever can name items plugs in here.
#pragma once
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "data/catalogue.h"
#include "serve/recommend/item_set.h"
#include "serve/retrieval/index.h"

namespace winnow {

// Why an item is proposed, for people: `text`, and what it refers to. "bought together with" the item, "popular in" a
// value. The views live as long as the source.
struct Reason {
  std::string_view text;
  int64_t item = -1;       // -1: none
  std::string_view value;  // "": none
};

struct Candidate {
  int64_t item = -1;
  float score = 0;  // of this source alone: higher is better, nothing else is comparable between sources
  Reason reason;
};

// Scores that are summed item by item, with the largest part of each: what a request needs again and again. Nothing is
// allocated once it has been used.
class ScoreBoard {
 public:
  void start(int64_t items);
  // because: what the part comes from, kept for the largest part of an item (the first of equals).
  void add(int64_t item, float part, int64_t because);
  // The best `limit` items of `may` with a score above 0, equal ones by item; appended to `best` with their reasons of
  // `text`.
  void take(int64_t limit, const ItemSet& may, std::string_view text, std::vector<Candidate>& best);

 private:
  std::vector<float> score_, largest_;
  std::vector<int64_t> because_, touched_;
  std::vector<Candidate> kept_;
};

struct SourceScratch {
  ScoreBoard board;
  std::vector<float> query, weights;
  std::vector<int64_t> items;
  std::vector<Found> found;
};

struct CandidateRequest {
  int64_t user = -1;                   // of the catalogue; -1: nobody knows this user
  std::span<const TakenItem> history;  // what the user liked, oldest first, with what came since training
  int64_t now = 0;                     // seconds, as the times of the history
  const ItemSet* may = nullptr;        // never null: the items that may be proposed
  SourceScratch* scratch = nullptr;    // never null: of this request alone
};

class CandidateSource {
 public:
  virtual ~CandidateSource() = default;
  virtual std::string_view name() const = 0;
  // Appends at most `limit` distinct items of request.may, best first; fewer or none when the source knows no more. The
  // same for the same request; several requests may ask at the same time.
  virtual void candidates(const CandidateRequest& request, int64_t limit, std::vector<Candidate>& out) const = 0;
};

}  // namespace winnow
