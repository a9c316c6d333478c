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
  double best_auc = 0;  // of the true probabilities against the drawn clicks: no model can expect more
  double best_logloss = 0;
};

// Writes views.csv (user_id, item_id, timestamp, device, clicked), users.csv (user_id, age, gender, city, interests:
// several values, separated by '|'), items.csv (item_id, title, category, brand, price, tags), probabilities.csv
// (row, probability of a click, in the order of views.csv) and schema.yaml into `directory`, which is made.
//   P(click) = sigmoid(bias + taste[user] . style[item] + quality[item] - price sensitivity[user] * log price
//                      + hour and device effects);  tastes depend on age, gender and interests, styles on category,
//                      brand.
// The same store on every machine for the same options. IoError.
SyntheticReport write_synthetic_store(const std::string& directory, const SyntheticStore& store = {});

}  // namespace winnow
