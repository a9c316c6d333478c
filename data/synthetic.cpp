#include "data/synthetic.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>
#include <set>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "core/rng.h"

namespace winnow {
namespace {

constexpr size_t kDim = 4;
constexpr double kClickRate = 0.25;
constexpr int64_t kBegin = 1704067200;         // 2024-01-01 00:00:00
constexpr int64_t kDuration = 60 * 24 * 3600;  // seconds
using Latent = std::array<double, kDim>;

constexpr std::array kCategories = {"books", "garden", "kitchen", "music", "outdoor", "shoes", "toys", "travel"};
constexpr std::array kNouns = {"Atlas", "Planter", "Kettle", "Guitar", "Tent", "Sneaker", "Puzzle", "Suitcase"};
constexpr std::array kBrands = {"Aldra",  "Borel",   "Castine", "Dunmore", "Eskola",  "Farrow",
                                "Gilden", "Harbour", "Ivo",     "Juniper", "Kestrel", "Lumen"};
constexpr std::array kTags = {"blue",  "compact", "gift", "green", "handmade",
                              "light", "organic", "red",  "sale",  "vintage"};
constexpr std::array kCities = {"Aachen", "Bergen", "Cork", "Dijon", "Espoo", "Faro", "Ghent", "Hull"};
constexpr std::array kDevices = {"desktop", "phone", "tablet"};
constexpr std::array kDeviceEffect = {0.25, -0.15, 0.0};
constexpr std::array kGenders = {"female", "male", ""};

struct User {
  double age = 0, mood = 0, thrift = 0, activity = 0;
  size_t gender = 0, city = 0;
  std::set<size_t> interests;
  Latent taste{};
};
struct Item {
  double price = 0, quality = 0, popularity = 0;
  size_t category = 0, brand = 0;
  std::set<size_t> tags;
  int64_t from = kBegin;
  Latent style{};
};
struct View {
  size_t user = 0, item = 0, device = 0;
  int64_t time = 0, hour = 0;
  double logit = 0, probability = 0;
  bool clicked = false;
};

Latent random_latent(Rng& rng, double scale) {
  Latent x;
  for (double& v : x) v = scale * rng.normal();
  return x;
}
void add(Latent& to, const Latent& x, double scale = 1) {
  for (size_t d = 0; d < kDim; ++d) to[d] += scale * x[d];
}
double dot(const Latent& a, const Latent& b) { return std::inner_product(a.begin(), a.end(), b.begin(), 0.0); }

std::set<size_t> some_of(Rng& rng, size_t n) {
  std::set<size_t> chosen;
  for (uint64_t count = 1 + rng.below(3); chosen.size() < count;) chosen.insert(rng.below(n));
  return chosen;
}

template <size_t N>
std::string names_of(const std::set<size_t>& chosen, const std::array<const char*, N>& names) {
  std::string text;
  for (const size_t i : chosen) {
    if (!text.empty()) text += '|';
    text += names[i];
  }
  return text;
}

// Picks positions in proportion to weights.
class Wheel {
 public:
  explicit Wheel(const std::vector<double>& weights) : sums_(weights.size()) {
    std::partial_sum(weights.begin(), weights.end(), sums_.begin());
  }
  size_t pick(Rng& rng) const {
    const auto at = std::ranges::upper_bound(sums_, rng.uniform() * sums_.back());
    return std::min(static_cast<size_t>(at - sums_.begin()), sums_.size() - 1);
  }

 private:
  std::vector<double> sums_;
};

class Store {
 public:
  explicit Store(const SyntheticStore& size) : rng_(size.seed) {
    for (Latent& x : categories_) x = random_latent(rng_, 0.9);
    for (Latent& x : brands_) x = random_latent(rng_, 0.5);
    for (Latent& x : tags_) x = random_latent(rng_, 0.35);
    age_ = random_latent(rng_, 0.4);
    gender_ = random_latent(rng_, 0.4);
    for (int64_t i = 0; i < size.users; ++i) users.push_back(make_user());
    for (int64_t i = 0; i < size.items; ++i) items.push_back(make_item());
    if (std::ranges::none_of(items, [](const Item& item) { return item.from == kBegin; })) items[0].from = kBegin;
    make_views(static_cast<size_t>(size.interactions));
  }
  std::vector<User> users;
  std::vector<Item> items;
  std::vector<View> views;

 private:
  User make_user() {
    User u;
    u.age = static_cast<double>(18 + rng_.below(53));
    u.gender = rng_.below(50) == 0 ? 2 : rng_.below(2);
    u.city = rng_.below(kCities.size());
    u.interests = some_of(rng_, kCategories.size());
    u.mood = 0.4 * rng_.normal();
    u.thrift = 0.15 + 0.15 * (44 - u.age) / 26 + 0.1 * rng_.normal();
    u.activity = std::exp(0.8 * rng_.normal());
    u.taste = random_latent(rng_, 0.3);
    for (const size_t c : u.interests) add(u.taste, categories_[c], 1 / static_cast<double>(u.interests.size()));
    add(u.taste, age_, (u.age - 44) / 15);
    if (u.gender < 2) add(u.taste, gender_, u.gender == 0 ? 1 : -1);
    return u;
  }
  Item make_item() {
    Item i;
    i.category = rng_.below(kCategories.size());
    i.brand = rng_.below(kBrands.size());
    i.tags = some_of(rng_, kTags.size());
    i.price = std::exp(2.5 + 0.15 * static_cast<double>(i.category) + 0.5 * rng_.normal());
    i.price = std::max(0.99, std::floor(i.price) + 0.99);
    i.quality = 0.4 * rng_.normal();
    i.popularity = std::exp(rng_.normal());
    if (rng_.below(10) == 0) i.from = kBegin + kDuration / 2 + static_cast<int64_t>(rng_.below(kDuration / 2));
    i.style = random_latent(rng_, 0.2);
    add(i.style, categories_[i.category]);
    add(i.style, brands_[i.brand]);
    for (const size_t t : i.tags) add(i.style, tags_[t]);
    return i;
  }
  void make_views(size_t n);
  void draw_clicks();

  Rng rng_;
  std::array<Latent, kCategories.size()> categories_;
  std::array<Latent, kBrands.size()> brands_;
  std::array<Latent, kTags.size()> tags_;
  Latent age_, gender_;
};

void Store::make_views(size_t n) {
  std::vector<double> activity, popularity;
  for (const User& u : users) activity.push_back(u.activity);
  for (const Item& i : items) popularity.push_back(i.popularity);
  const Wheel user_wheel(activity), item_wheel(popularity);
  std::vector<int64_t> times(n);
  for (int64_t& t : times) t = kBegin + static_cast<int64_t>(rng_.below(kDuration));
  std::ranges::sort(times);
  views.resize(n);
  for (size_t r = 0; r < n; ++r) {
    View& v = views[r];
    v.time = times[r];
    v.hour = v.time % (24 * 3600) / 3600;
    v.user = user_wheel.pick(rng_);
    do v.item = item_wheel.pick(rng_);
    while (items[v.item].from > v.time);
    v.device = rng_.below(kDevices.size());
    const User& u = users[v.user];
    const Item& i = items[v.item];
    v.logit = dot(u.taste, i.style) + u.mood + i.quality - u.thrift * std::log(i.price) + kDeviceEffect[v.device] +
              0.3 * std::sin(2 * std::numbers::pi * static_cast<double>(v.hour - 15) / 24);
  }
  draw_clicks();
}

// The bias that gives the click rate, then the clicks.
void Store::draw_clicks() {
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  double low = -20, high = 20;
  for (int i = 0; i < 60; ++i) {
    const double bias = (low + high) / 2;
    double sum = 0;
    for (const View& v : views) sum += sigmoid(v.logit + bias);
    (sum < kClickRate * static_cast<double>(views.size()) ? low : high) = bias;
  }
  for (View& v : views) {
    v.probability = sigmoid(v.logit + low);
    v.clicked = rng_.uniform() < v.probability;
  }
}

std::string users_csv(const Store& store) {
  std::string text = "user_id,age,gender,city,interests\n";
  for (size_t i = 0; i < store.users.size(); ++i) {
    const User& u = store.users[i];
    text += fmt::format("u{},{:.0f},{},{},{}\n", i, u.age, kGenders[u.gender], kCities[u.city],
                        names_of(u.interests, kCategories));
  }
  return text;
}

std::string items_csv(const Store& store) {
  std::string text = "item_id,title,category,brand,price,tags\n";
  for (size_t n = 0; n < store.items.size(); ++n) {
    const Item& i = store.items[n];
    text += fmt::format("i{},\"{} {} No. {}, {}\",{},{},{:.2f},{}\n", n, kBrands[i.brand], kNouns[i.category], n,
                        kTags[*i.tags.begin()], kCategories[i.category], kBrands[i.brand], i.price,
                        names_of(i.tags, kTags));
  }
  return text;
}

std::string views_csv(const Store& store) {
  std::string text = "user_id,item_id,timestamp,hour,device,clicked\n";
  for (const View& v : store.views)
    text += fmt::format("u{},i{},{},{},{},{}\n", v.user, v.item, v.time, v.hour, kDevices[v.device], v.clicked ? 1 : 0);
  return text;
}

std::string probabilities_csv(const Store& store) {
  std::string text = "row,probability\n";
  for (size_t r = 0; r < store.views.size(); ++r) text += fmt::format("{},{:.17g}\n", r, store.views[r].probability);
  return text;
}

constexpr const char* kSchema = R"(  interactions: {file: views.csv, format: csv}
  users: {file: users.csv, format: csv, key: user_id}
  items: {file: items.csv, format: csv, key: item_id, title: title}
  user_id: user_id
  item_id: item_id
  timestamp: {column: timestamp, format: unix}
  label: {column: clicked}
  split: {method: time, train: 0.8, valid: 0.1, test: 0.1}
  features:
    - {name: user_id, source: user}
    - {name: age, type: numeric, source: user, normalizer: standard}
    - {name: gender, source: user}
    - {name: city, source: user}
    - {name: interests, type: multi, source: user, separator: "|", max_len: 3}
    - {name: item_id, source: item}
    - {name: category, source: item}
    - {name: brand, source: item}
    - {name: price, type: numeric, source: item, normalizer: log_standard}
    - {name: tags, type: multi, source: item, separator: "|", max_len: 3}
    - {name: hour, source: context}
    - {name: device, source: context}
)";

std::string yaml_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c;
    if (c == '\'') quoted += c;
  }
  quoted += '\'';
  return quoted;
}

SyntheticReport report_of(const std::vector<View>& all) {
  SyntheticReport report;
  for (const View& v : all) report.click_rate += v.clicked;
  report.click_rate /= static_cast<double>(all.size());
  std::vector<View> views(all.begin() + static_cast<int64_t>(all.size() * 9 / 10), all.end());
  std::ranges::sort(views, {}, &View::probability);
  double clicks = 0, rank_sum = 0;
  for (size_t r = 0; r < views.size(); ++r) {
    const View& v = views[r];
    report.best_logloss -= std::log(v.clicked ? v.probability : 1 - v.probability);
    clicks += v.clicked;
    if (v.clicked) rank_sum += static_cast<double>(r + 1);
  }
  const double n = static_cast<double>(views.size()), others = n - clicks;
  report.best_logloss /= n;
  report.best_auc = clicks * others > 0 ? (rank_sum - clicks * (clicks + 1) / 2) / (clicks * others) : 0.5;
  return report;
}

}  // namespace

SyntheticReport write_synthetic_store(const std::string& directory, const SyntheticStore& size) {
  WN_CHECK(size.users >= 2 && size.items >= 2 && size.interactions >= 10, ConfigError,
           "synthetic store: {} users, {} items, {} interactions; at least 2, 2 and 10 are needed", size.users,
           size.items, size.interactions);
  const Store store(size);
  make_directories(directory);
  write_atomically(directory + "/users.csv", users_csv(store));
  write_atomically(directory + "/items.csv", items_csv(store));
  write_atomically(directory + "/views.csv", views_csv(store));
  write_atomically(directory + "/probabilities.csv", probabilities_csv(store));
  write_atomically(directory + "/schema.yaml", "data:\n  path: " + yaml_quoted(directory) + "\n" + kSchema);
  return report_of(store.views);
}

}  // namespace winnow
