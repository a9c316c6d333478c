// Texts that belong together, for matching: queries, items, and which item is the answer to which query.
#pragma once
#include <array>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/clean.h"
#include "data/dataset.h"

namespace winnow {

class ConfigNode;

// A table of texts by key: users or items.
struct TextTableSpec {
  SourceSpec source;  // not given: there is none
  std::string key;
  std::vector<std::string> text;  // columns, joined by ", " where they are not empty
};

// The section `data` of a matching job, in one of three forms:
//   pairs         rows (query text, item text[, strength]), with ids where texts are no identities
//   labelled      rows (text, label): texts of one label answer each other; items are the training texts
//   interactions  rows (user, item, time[, event]): the query is the text of the user's earlier items, and of the
//                 users' table, the item that of the next purchase
struct MatchSpec {
  enum Form : uint8_t { Pairs, Labelled, Interactions } form = Pairs;
  SourceSpec source, valid, test;  // valid, test: given splits; pairs and labelled only
  // pairs: query, item and their ids ("" none: the text is the identity). labelled: query = text, item = label.
  std::string query, item, query_id, item_id;
  std::string strength;                     // pairs, interactions: a column; "" none: 1
  std::map<std::string, double> strengths;  // its words (view, buy, ..); empty: it holds numbers
  // interactions
  std::string user_id, title, basket;  // title: a column of the interactions; basket: rows bought at once; "" none
  TextTableSpec users, items;
  int64_t history = 10;  // titles of the query, the latest first
  int64_t baskets = 0;   // from at most so many baskets before; 0: all
  CleanSpec clean;
  std::string timestamp, time_format = "unix";
  SplitSpec split;         // Time, or Random: by query (interactions: by user)
  double answer_from = 0;  // an answer has a strength above 0 and of at least this
  // An epoch has each query once with one of its items, drawn anew; false: each pair once.
  bool draw = false;
  uint64_t seed = 42;
};
MatchSpec parse_match_spec(const ConfigNode& data);  // ConfigError with file:line

struct MatchData {
  struct Pair {
    int32_t query, item;
    float strength;
  };
  std::vector<std::string> queries;  // texts
  std::vector<int32_t> owner;        // of each query: who likes items (a user, a label, the query itself)
  std::vector<std::string> item_keys, items;
  std::vector<int32_t> item_text;          // of each item: equal for equal texts
  std::array<std::vector<Pair>, 3> pairs;  // by Split
  // Items of each owner by training, ascending: items[known_begin[o] .. known_begin[o + 1]).
  std::vector<int64_t> known_begin;
  std::vector<int32_t> known;
  std::vector<int32_t> known_texts;  // item_text of the same, ascending for each owner
  bool labelled = false;
  bool draw = false;    // MatchSpec::draw
  bool graded = false;  // training strengths differ
  double answer_from = 0;
  bool is_answer(const Pair& p) const { return p.strength > 0 && static_cast<double>(p.strength) >= answer_from; }

  struct Report {
    int64_t rows_read = 0, without_text = 0;  // rows left out: without user, item or text
    int64_t without_answer = 0;  // queries left out: no other text of the label, no earlier basket, an unknown label
    std::shared_ptr<CleanReport> clean;  // null: no cleaning
  } report;

  std::span<const int32_t> known_of(int32_t query) const;
  // Whether the query's owner is known to like the item, or another of the same text.
  bool is_known(int32_t query, int32_t item) const;
  // The queries of a split, and what each is to find, ascending (labelled: all texts of its label).
  struct Targets {
    std::vector<int32_t> queries;
    std::vector<int64_t> begin = {0};
    std::vector<int64_t> items;
  };
  Targets targets(Split split) const;
  std::vector<int64_t> item_counts() const;  // training pairs of each item
  std::string summary() const;               // a few lines for people
};

// DataError: broken rows, a split without pairs.
MatchData load_match_data(const MatchSpec& spec);

namespace detail {
// Fills known and the rest that follows from pairs and owners; used by the loaders.
void finish_match_data(MatchData& data, std::vector<std::pair<int32_t, int32_t>> owner_items);
void load_pairs(const MatchSpec& spec, MatchData& data);
void load_labelled(const MatchSpec& spec, MatchData& data);
void load_interactions(const MatchSpec& spec, MatchData& data);
// DataError names row and column.
double strength_of(const MatchSpec& spec, const RowBlock& block, int64_t row, size_t column);
// The rows of the source, cleaned; with a report the counts go there.
std::unique_ptr<RowReader> open_match_rows(const MatchSpec& spec, const SourceSpec& source,
                                           std::shared_ptr<CleanReport> report);
// Of a query (interactions: of a user), drawn by (seed, owner).
Split random_split(const MatchSpec& spec, int32_t owner);
}  // namespace detail

}  // namespace winnow
