// A web shop that never was, of any size, whose true probabilities are known: users with tastes, items with titles and
// pictures, searches, sessions, clicks, purchases, reviews, questions. docs/synthetic_store.md has every table and
// formula.
#pragma once
#include <cstdint>
#include <string>

namespace winnow {

struct SyntheticStore {
  int64_t users = 1000, items = 400, impressions = 40000;
  uint64_t seed = 1;
  std::string format = "csv";  // of the tables: csv, csv.gz, csv.zst
  double missing = 0.02;       // of each cell of age, gender, city, interests, on its own
  int64_t pictures = 10000;    // at most; the first items have one
  bool dirty = false;          // adds what a cleaning must find, counted in truth.json
};

// Rates over all impressions; the rest over the last tenth, which is the test split of the schema.
struct SyntheticReport {
  double click_rate = 0, purchase_rate = 0;  // of impressions, of clicks
  // Of the true probabilities against the drawn clicks (purchases among the clicks): no model can expect more.
  double best_auc = 0, best_logloss = 0, best_purchase_auc = 0;
  double entropy = 0;  // mean of the clicks' entropies in nats: the expectation of best_logloss
  double seconds = 0;
  std::string str() const;   // for people
  std::string json() const;  // without `seconds`, so that it is the same for the same options
};

// Writes into `directory`, which is made, the tables users, items, impressions, sessions, reviews, queries, relevance,
// questions and probabilities (line n: the P(click) and P(purchase | click) of line n of impressions),
// pictures/NNNNNN.png, truth.json (the report, and with `dirty` the counts) and last schema.yaml, a config with the
// data section. Memory: users and items, and a few blocks of impressions. The same store for the same options, on any
// machine and any number of threads (packed files and pictures: the same after unpacking). ConfigError: fewer than 2
// users or items or 10 impressions, more than 2^31 users or items, a rate outside [0, 1], an unknown format. IoError.
SyntheticReport write_synthetic_store(const std::string& directory, const SyntheticStore& store = {});

}  // namespace winnow
