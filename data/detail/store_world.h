// The latent world behind a synthetic store: who its users are and what its items are like.
// docs/synthetic_store.md gives every formula.
#pragma once
#include <array>
#include <cstdint>
#include <vector>

#include "data/detail/store_math.h"
#include "data/synthetic.h"

namespace winnow::store {

constexpr size_t kDim = 4;
using Latent = std::array<double, kDim>;
double dot(const Latent& a, const Latent& b);

constexpr int64_t kBegin = 1704067200;  // 2024-01-01 00:00:00 UTC
constexpr int64_t kDay = 24 * 3600, kDays = 60, kEnd = kBegin + kDays * kDay;
constexpr int64_t kProjectDays = 12;  // how long a user stays with a plan to buy something
constexpr size_t kNone = SIZE_MAX;

// Up to three different small numbers.
struct Few {
  std::array<uint8_t, 3> values{};
  uint8_t count = 0;
  bool has(size_t x) const;
  void add(size_t x) { values[count++] = static_cast<uint8_t>(x); }
  auto begin() const { return values.begin(); }
  auto end() const { return values.begin() + count; }
};

struct User {
  double age = 0, mood = 0, thrift = 0, activity = 0;
  int64_t signup = kBegin;
  Latent taste{};
  Few interests;  // departments
  uint8_t gender = 0, city = 0;
  uint8_t brand = 0;    // the one the user is loyal to
  bool chinese = true;  // the language of searches and texts
  uint8_t missing = 0;  // bit by bit: age, gender, city, interests are not in the table
};

struct Item {
  double log_price = 0, quality = 0, popularity = 0;
  int64_t cents = 0, launch = kBegin;
  Latent style{}, own{};  // style includes `own`, which words and pictures show
  Few tags;
  uint8_t leaf = 0, brand = 0, noun = 0;
};

// What a search means. relevance of an item: 3 of the leaf category with the brand and tag the query names (if any),
// 2 of the leaf category, 1 of its department, 0 else.
struct Query {
  size_t leaf = 0, noun = 0, brand = kNone, tag = kNone;
  bool chinese = false;
};

// Picks positions in proportion to weights.
class Wheel {
 public:
  Wheel() = default;
  explicit Wheel(const std::vector<double>& weights);
  size_t pick(Draws& draws) const;
  bool empty() const { return sums_.empty(); }

 private:
  std::vector<double> sums_;
};

class World {
 public:
  explicit World(const SyntheticStore& options);

  const SyntheticStore options;
  std::vector<User> users;
  std::vector<Item> items;
  std::vector<Query> queries;  // those of leaf l: [query_begin[l], query_begin[l + 1])
  std::vector<size_t> query_begin;
  Wheel user_wheel, item_wheel, leaf_wheel;
  std::vector<Wheel> leaf_items;               // of each leaf, over `in_leaf`
  std::vector<std::vector<uint32_t>> in_leaf;  // items of each leaf
  double affinity = 1;                         // scales taste . style
  double click_bias = 0, purchase_bias = 0;    // set by calibrate()

  int relevance(const Query& query, const Item& item) const;
  // The leaf that a user plans to buy from at a time.
  size_t project(size_t user, int64_t time) const;
  size_t interest(size_t user, Draws& draws) const;  // a leaf of one of the user's interests

 private:
  void make_parts();
  User make_user(size_t n) const;
  Item make_item(size_t n) const;
  void make_queries();
  void make_wheels();

  std::vector<Latent> departments_, leaves_, brands_, tags_, cities_;
  std::vector<double> brand_level_;  // of its prices
  Latent age_{}, gender_{};
};

}  // namespace winnow::store
