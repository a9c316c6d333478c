#include "data/detail/store_log.h"

#include <algorithm>

#include "data/detail/store_words.h"

namespace winnow::store {
namespace {

constexpr double kClickRate = 0.25, kPurchaseRate = 0.2;  // of impressions, of clicks
constexpr int64_t kSmallestBlock = 4000, kMostBlocks = 1000;

// Share of the traffic that falls into each hour, in thousandths.
constexpr std::array kTraffic = {18, 11, 7,  5,  5,  8,  16, 28, 38, 46, 50, 52,
                                 56, 52, 46, 46, 48, 52, 60, 74, 86, 88, 68, 40};
constexpr std::array kHourEffect = {.10, .04, -.06, -.15, -.22, -.27, -.29, -.28, -.24, -.18, -.10, -.02,
                                    .05, .08, .06,  .03,  .04,  .09,  .16,  .23,  .28,  .30,  .26,  .19};
constexpr std::array<double, kDevices> kDeviceEffect = {0.15, -0.10, 0.05};
constexpr std::array<double, kDevices> kDevicePurchase = {0.25, -0.15, 0.0};
// -0.5 ln(position): how much less a lower place is looked at.
constexpr std::array<double, kPageItems> kPositionEffect = {0,       -0.3466, -0.5493, -0.6931, -0.8047,
                                                            -0.8959, -0.9730, -1.0397, -1.0986, -1.1513};
constexpr std::array<double, 4> kRelevanceEffect = {-0.5, -0.3, 0.2, 0.4};

int64_t rows_per_block(const SyntheticStore& o) {
  return std::max(kSmallestBlock, (o.impressions + kMostBlocks - 1) / kMostBlocks);
}

// The time at which a fraction of all traffic has been.
int64_t time_at(double fraction) {
  constexpr int kAll = [] {
    int sum = 0;
    for (const int t : kTraffic) sum += t;
    return sum;
  }();
  const double days = fraction * static_cast<double>(kDays);
  const auto day = std::min(static_cast<int64_t>(days), kDays - 1);
  double rest = (days - static_cast<double>(day)) * kAll;
  int64_t hour = 0;
  for (const int t : kTraffic) {
    if (rest < t) return kBegin + day * kDay + hour * 3600 + static_cast<int64_t>(rest / t * 3600);
    rest -= t;
    ++hour;
  }
  return kBegin + (day + 1) * kDay;
}

struct Logits {
  double click = 0, purchase = 0;
};

Logits logits(const World& world, const Impression& r) {
  const User& u = world.users[r.user];
  const Item& i = world.items[r.item];
  const double affinity = world.affinity * dot(u.taste, i.style);
  double fit = 0;
  if (r.page == Page::Search) fit = kRelevanceEffect[static_cast<size_t>(world.relevance(world.queries[r.query], i))];
  if (r.page == Page::Category) fit = i.leaf == r.leaf ? 0.3 : -0.4;
  const double price = i.log_price - 3.5;
  return {affinity + u.mood + i.quality - u.thrift * price + fit + kHourEffect[r.hour] + kDeviceEffect[r.device] +
              kPositionEffect[r.position],
          0.4 * affinity + 0.8 * i.quality - 1.2 * u.thrift * price + 0.5 * fit + (u.brand == i.brand ? 0.9 : 0.0) +
              kDevicePurchase[r.device]};
}

size_t pick_user(const World& world, int64_t time, Draws& draws) {
  for (;;)
    if (const size_t u = world.user_wheel.pick(draws); world.users[u].signup <= time) return u;
}

// Of a leaf while it has items on sale, else of the whole store.
size_t pick_item(const World& world, size_t leaf, int64_t time, Draws& draws) {
  if (leaf != kNone && !world.in_leaf[leaf].empty())
    for (int i = 0; i < 8; ++i)
      if (const size_t n = world.in_leaf[leaf][world.leaf_items[leaf].pick(draws)]; world.items[n].launch <= time)
        return n;
  for (;;)
    if (const size_t n = world.item_wheel.pick(draws); world.items[n].launch <= time) return n;
}

class BlockMaker {
 public:
  BlockMaker(const World& world, Draws draws, int64_t first_row, int64_t rows, int64_t begin, int64_t end)
      : world_(world), draws_(draws), rows_(static_cast<size_t>(rows)), begin_(begin), end_(end) {
    block_.first_row = first_row;
  }
  Block make() {
    while (block_.rows.size() < rows_) add_session();
    number_sessions();
    std::ranges::stable_sort(block_.rows, {}, [](const Impression& r) { return std::pair(r.time, r.session); });
    draw_outcomes();
    return std::move(block_);
  }

 private:
  void add_session();
  void add_page(Impression page);
  void number_sessions();
  void draw_outcomes();
  size_t intent(size_t user, int64_t time);

  const World& world_;
  Draws draws_;
  Block block_;
  size_t rows_;
  int64_t begin_, end_;
};

size_t BlockMaker::intent(size_t user, int64_t time) {
  const double kind = draws_.uniform();
  if (kind < 0.5) return world_.project(user, time);
  if (kind < 0.75) return world_.interest(user, draws_);
  return world_.leaf_wheel.pick(draws_);
}

void BlockMaker::add_session() {
  Session s;
  s.id = static_cast<int64_t>(block_.sessions.size());
  s.begin = begin_ + static_cast<int64_t>(draws_.uniform() * static_cast<double>(std::max<int64_t>(1, end_ - begin_)));
  s.user = static_cast<uint32_t>(pick_user(world_, s.begin, draws_));
  s.device = static_cast<uint8_t>(std::min<size_t>(draws_.below(5) / 2, kDevices - 1));
  s.channel = static_cast<uint8_t>(draws_.below(4));
  const size_t leaf = intent(s.user, s.begin);
  int64_t time = s.begin;
  do {
    Impression page;
    page.session = s.id;
    page.time = std::min(time, end_ - 1);  // a session ends with its block
    page.user = s.user;
    page.device = s.device;
    page.leaf = static_cast<uint8_t>(leaf);
    const double kind = draws_.uniform();
    page.page = s.pages == 0 && kind < 0.25 ? Page::Home : kind < 0.6 ? Page::Category : Page::Search;
    if (page.page == Page::Search) {
      const size_t first = world_.query_begin[leaf], n = world_.query_begin[leaf + 1] - first;
      do page.query = static_cast<uint32_t>(first + draws_.below(n));
      while (world_.queries[page.query].chinese != world_.users[s.user].chinese);
    }
    add_page(page);
    ++s.pages;
    s.end = page.time;
    time += 15 + static_cast<int64_t>(draws_.below(90));
  } while (block_.rows.size() < rows_ && s.pages < 8 && draws_.chance(0.6));
  block_.sessions.push_back(s);
}

void BlockMaker::add_page(Impression page) {
  const size_t first = block_.rows.size();
  page.hour = static_cast<uint8_t>(page.time % kDay / 3600);
  const size_t near = department_of(page.leaf) * (kLeaves / kDepartments);
  for (size_t position = 0; position < kPageItems && block_.rows.size() < rows_; ++position) {
    page.position = static_cast<uint8_t>(position);
    for (int attempt = 0; attempt < 4; ++attempt) {  // a page shows an item once, where the store is not too small
      const double from = draws_.uniform();
      const size_t leaf = page.page == Page::Home ? (from < 0.3 ? page.leaf : kNone)
                          : from < 0.65           ? page.leaf
                          : from < 0.8            ? near + draws_.below(kLeaves / kDepartments)
                                                  : kNone;
      page.item = static_cast<uint32_t>(pick_item(world_, leaf, page.time, draws_));
      if (std::none_of(block_.rows.begin() + static_cast<int64_t>(first), block_.rows.end(),
                       [&](const Impression& r) { return r.item == page.item; }))
        break;
    }
    block_.rows.push_back(page);
  }
}

// Sessions by their beginning; their numbers rise over all blocks, with gaps.
void BlockMaker::number_sessions() {
  std::ranges::stable_sort(block_.sessions, {}, &Session::begin);
  std::vector<int64_t> number(block_.sessions.size());
  for (size_t s = 0; s < block_.sessions.size(); ++s) {
    int64_t& id = block_.sessions[s].id;
    number[static_cast<size_t>(id)] = block_.first_row + static_cast<int64_t>(s);
    id = block_.first_row + static_cast<int64_t>(s);
  }
  for (Impression& r : block_.rows) r.session = number[static_cast<size_t>(r.session)];
}

void BlockMaker::draw_outcomes() {
  for (Impression& r : block_.rows) {
    const Logits z = logits(world_, r);
    r.p_click = sigmoid(z.click + world_.click_bias);
    const double purchase_logit = z.purchase + world_.purchase_bias;
    r.p_purchase = sigmoid(purchase_logit);
    r.clicked = draws_.chance(r.p_click);
    // one number for both: what is bought was put into the cart before, with the odds of a cart e times as high
    const double step = draws_.uniform();
    r.carted = r.clicked && step < sigmoid(purchase_logit + 1);
    r.purchased = r.clicked && step < r.p_purchase;
    if (r.purchased)
      r.cents = std::max<int64_t>(
          1, static_cast<int64_t>(exp(world_.items[r.item].log_price + 0.3 * draws_.normal()) * 100 + 0.5));
    Session& s = block_.sessions[static_cast<size_t>(r.session - block_.first_row)];
    ++s.impressions;
    s.clicks += r.clicked;
    s.carts += r.carted;
    s.purchases += r.purchased;
    s.cents += r.cents;
  }
}

double solve_bias(const std::vector<double>& logits, const std::vector<double>& weights, double rate) {
  double low = -20, high = 20, total = 0;
  for (const double w : weights) total += w;
  for (int i = 0; i < 60; ++i) {
    const double bias = (low + high) / 2;
    double sum = 0;
    for (size_t r = 0; r < logits.size(); ++r) sum += weights[r] * sigmoid(logits[r] + bias);
    (sum < rate * total ? low : high) = bias;
  }
  return low;
}

}  // namespace

int64_t block_count(const SyntheticStore& o) { return (o.impressions + rows_per_block(o) - 1) / rows_per_block(o); }

Block make_block(const World& world, int64_t number) {
  const int64_t all = world.options.impressions, size = rows_per_block(world.options);
  const int64_t first = number * size, last = std::min(first + size, all);
  const auto time = [&](int64_t row) { return time_at(static_cast<double>(row) / static_cast<double>(all)); };
  return BlockMaker(world, Draws(world.options.seed, Stream::Block, static_cast<uint64_t>(number)), first, last - first,
                    time(first), time(last))
      .make();
}

void calibrate(World& world) {
  constexpr int64_t kParts = 60, kRows = 2000;
  std::vector<double> click, purchase, p_click;
  for (int64_t part = 0; part < kParts; ++part) {
    Draws draws(world.options.seed, Stream::Sample, static_cast<uint64_t>(1 + part));
    const auto time = [](int64_t n) { return time_at(static_cast<double>(n) / kParts); };
    for (const Impression& r : BlockMaker(world, draws, 0, kRows, time(part), time(part + 1)).make().rows) {
      const Logits z = logits(world, r);
      click.push_back(z.click);
      purchase.push_back(z.purchase);
    }
  }
  world.click_bias = solve_bias(click, std::vector<double>(click.size(), 1.0), kClickRate);
  for (const double z : click) p_click.push_back(sigmoid(z + world.click_bias));
  world.purchase_bias = solve_bias(purchase, p_click, kPurchaseRate);
}

}  // namespace winnow::store
