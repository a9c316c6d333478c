#include "data/detail/store_world.h"

#include <algorithm>
#include <numeric>

#include "core/parallel.h"
#include "data/detail/store_words.h"

namespace winnow::store {
namespace {

constexpr double kAffinityDeviation = 1.25;  // of taste . style over random pairs, in logits

Latent random_latent(Draws& draws, double scale) {
  Latent x;
  for (double& v : x) v = scale * draws.normal();
  return x;
}

void add(Latent& to, const Latent& x, double scale = 1) {
  for (size_t d = 0; d < kDim; ++d) to[d] += scale * x[d];
}

// One to `most` different numbers below n.
Few few_of(Draws& draws, size_t n, size_t most) {
  Few chosen;
  for (const size_t count = 1 + draws.below(most); chosen.count < count;)
    if (const size_t x = draws.below(n); !chosen.has(x)) chosen.add(x);
  return chosen;
}

}  // namespace

double dot(const Latent& a, const Latent& b) {
  double sum = 0;
  for (size_t d = 0; d < kDim; ++d) sum += a[d] * b[d];
  return sum;
}

bool Few::has(size_t x) const { return std::find(begin(), end(), x) != end(); }

Wheel::Wheel(const std::vector<double>& weights) : sums_(weights.size()) {
  std::partial_sum(weights.begin(), weights.end(), sums_.begin());
}

size_t Wheel::pick(Draws& draws) const {
  const auto at = std::ranges::upper_bound(sums_, draws.uniform() * sums_.back());
  return std::min(static_cast<size_t>(at - sums_.begin()), sums_.size() - 1);
}

World::World(const SyntheticStore& o) : options(o) {
  make_parts();
  users.resize(static_cast<size_t>(o.users));
  items.resize(static_cast<size_t>(o.items));
  parallel_for(o.users, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) users[static_cast<size_t>(i)] = make_user(static_cast<size_t>(i));
  });
  parallel_for(o.items, 1024, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) items[static_cast<size_t>(i)] = make_item(static_cast<size_t>(i));
  });
  // somebody and something are there from the beginning
  users[0].signup = kBegin - kDay;
  items[0].launch = kBegin - kDay;
  make_queries();
  make_wheels();
  double sum = 0, squares = 0;
  constexpr int kPairs = 4096;
  Draws draws(o.seed, Stream::Sample, 0);
  for (int i = 0; i < kPairs; ++i) {
    const size_t user = draws.below(users.size()), item = draws.below(items.size());
    const double x = dot(users[user].taste, items[item].style);
    sum += x;
    squares += x * x;
  }
  const double variance = squares / kPairs - sum / kPairs * (sum / kPairs);
  affinity = variance > 0 ? kAffinityDeviation / std::sqrt(variance) : 1;
}

void World::make_parts() {
  Draws draws(options.seed, Stream::World);
  const auto some = [&](size_t n, double scale) {
    std::vector<Latent> parts(n);
    for (Latent& x : parts) x = random_latent(draws, scale);
    return parts;
  };
  departments_ = some(kDepartments, 0.9);
  leaves_ = some(kLeaves, 0.35);
  for (size_t l = 0; l < kLeaves; ++l) add(leaves_[l], departments_[department_of(l)]);
  brands_ = some(kBrands, 0.4);
  tags_ = some(kTags, 0.45);
  cities_ = some(kCities, 0.12);
  age_ = random_latent(draws, 0.4);
  gender_ = random_latent(draws, 0.35);
  for (size_t b = 0; b < kBrands; ++b) brand_level_.push_back(0.3 * draws.normal());
}

User World::make_user(size_t n) const {
  Draws draws(options.seed, Stream::User, n);
  User u;
  u.age = static_cast<double>(18 + draws.below(53));
  u.gender = static_cast<uint8_t>(draws.below(2));
  u.city = static_cast<uint8_t>(draws.below(kCities));
  u.interests = few_of(draws, kDepartments, 2);
  u.mood = 0.2 * draws.normal();
  u.thrift = 0.3 + 0.15 * (44 - u.age) / 26 + 0.05 * draws.normal();
  u.activity = exp(0.6 * draws.normal());
  u.brand = static_cast<uint8_t>(draws.below(kBrands));
  u.chinese = draws.chance(0.7);
  u.taste = random_latent(draws, 0.08);
  for (const size_t d : u.interests) add(u.taste, departments_[d], 1 / static_cast<double>(u.interests.count));
  add(u.taste, age_, (u.age - 44) / 15);
  add(u.taste, gender_, u.gender == 0 ? 1 : -1);
  add(u.taste, cities_[u.city]);
  // a tenth of the users arrives during the time of the log, evenly
  u.signup = draws.chance(0.1) ? kBegin + static_cast<int64_t>(draws.below(kEnd - kBegin))
                               : kBegin - 1 - static_cast<int64_t>(draws.below(700 * kDay));
  for (int bit = 0; bit < 4; ++bit)
    if (draws.chance(options.missing)) u.missing |= static_cast<uint8_t>(1 << bit);
  return u;
}

Item World::make_item(size_t n) const {
  Draws draws(options.seed, Stream::Item, n);
  Item i;
  i.leaf = static_cast<uint8_t>(draws.below(kLeaves));
  i.brand = static_cast<uint8_t>(draws.below(kBrands));
  i.noun = static_cast<uint8_t>(draws.below(kLeafWords[i.leaf].nouns.size()));
  i.tags = few_of(draws, kTags, 3);
  i.quality = 0.3 * draws.normal();
  const double price = exp(kLeafWords[i.leaf].log_price + brand_level_[i.brand] + 0.35 * draws.normal());
  i.cents = std::max<int64_t>(99, static_cast<int64_t>(price) * 100 + 99);
  i.log_price = log(static_cast<double>(i.cents) / 100);
  i.popularity = exp(0.7 * draws.normal());
  // a tenth of the items is launched in the second half of the time
  i.launch = draws.chance(0.1) ? kBegin + (kEnd - kBegin) / 2 + static_cast<int64_t>(draws.below((kEnd - kBegin) / 2))
                               : kBegin - 1 - static_cast<int64_t>(draws.below(400 * kDay));
  i.own = random_latent(draws, 0.2);
  i.style = i.own;
  add(i.style, leaves_[i.leaf]);
  add(i.style, brands_[i.brand]);
  for (const size_t t : i.tags) add(i.style, tags_[t], 1 / static_cast<double>(i.tags.count));
  return i;
}

void World::make_queries() {
  for (size_t leaf = 0; leaf < kLeaves; ++leaf) {
    query_begin.push_back(queries.size());
    for (size_t noun = 0; noun < kLeafWords[leaf].nouns.size(); ++noun)
      for (const bool chinese : {true, false}) {
        Draws draws(options.seed, Stream::Query, queries.size());
        queries.push_back({leaf, noun, kNone, kNone, chinese});
        queries.push_back({leaf, noun, draws.below(kBrands), kNone, chinese});
        queries.push_back({leaf, noun, kNone, draws.below(kTags), chinese});
      }
  }
  query_begin.push_back(queries.size());
}

void World::make_wheels() {
  std::vector<double> activity, popularity;
  activity.reserve(users.size());
  popularity.reserve(items.size());
  for (const User& u : users) activity.push_back(u.activity);
  for (const Item& i : items) popularity.push_back(i.popularity);
  user_wheel = Wheel(activity);
  item_wheel = Wheel(popularity);
  in_leaf.resize(kLeaves);
  std::vector<std::vector<double>> weights(kLeaves);
  std::vector<double> leaf_weight(kLeaves, 0.0);
  for (size_t i = 0; i < items.size(); ++i) {
    in_leaf[items[i].leaf].push_back(static_cast<uint32_t>(i));
    weights[items[i].leaf].push_back(items[i].popularity);
    leaf_weight[items[i].leaf] += items[i].popularity;
  }
  leaf_wheel = Wheel(leaf_weight);
  for (const auto& w : weights) leaf_items.emplace_back(w);
}

int World::relevance(const Query& query, const Item& item) const {
  if (item.leaf != query.leaf) return department_of(item.leaf) == department_of(query.leaf) ? 1 : 0;
  const bool exact =
      (query.brand == kNone || query.brand == item.brand) && (query.tag == kNone || item.tags.has(query.tag));
  return exact ? 3 : 2;
}

size_t World::project(size_t user, int64_t time) const {
  const auto period = static_cast<uint64_t>((time - kBegin) / (kProjectDays * kDay));
  Draws draws(options.seed, Stream::Project, user * 1024 + period);
  if (!draws.chance(0.7)) return leaf_wheel.pick(draws);
  return interest(user, draws);
}

size_t World::interest(size_t user, Draws& draws) const {
  constexpr size_t kEach = kLeaves / kDepartments;
  const Few& interests = users[user].interests;
  const size_t first = interests.values[draws.below(interests.count)] * kEach;
  return first + draws.below(kEach);
}

}  // namespace winnow::store
