// A small web shop that never was: users with tastes, items with category, price and title, views with time and clicks.
#pragma once
#include <cstdint>
#include <string>

namespace winnow {

struct SyntheticStore {
  int64_t users = 1000, items = 400, interactions = 40000;
  uint64_t seed = 1;
};

struct SyntheticReport {
  double click_rate = 0;
  // Of the true probabilities against the drawn clicks, on the last tenth of the views, which is the test split of the
  // schema: no model can expect more.
  double best_auc = 0, best_logloss = 0;
};

// Writes, into `directory`, which is made:
//   views.csv          user_id, item_id, timestamp (Unix seconds, rising), hour, device, clicked
//   users.csv          user_id, age, gender (some missing), city, interests (one to three categories, cut by '|')
//   items.csv          item_id, title, category, brand, price, tags (one to three, cut by '|')
//   probabilities.csv  row (of views.csv, from 0), probability of a click
//   schema.yaml        a config with the data section for these files
//   P(click) = sigmoid(bias + taste[user] . style[item] + mood[user] + quality[item]
//                      - thrift[user] log price + hour and device effects)
// Tastes follow age, gender and interests, styles category, brand and tags, both with something of their own. Users and
// items are viewed unequally often, and a tenth of the items appears only after the first half of the time.
// The same store for the same options. ConfigError: fewer than 2 users or items, or 10 interactions. IoError.
SyntheticReport write_synthetic_store(const std::string& directory, const SyntheticStore& store = {});

}  // namespace winnow
