// The log of a synthetic store: sessions of pages of impressions, block by block of the time, each block on its own.
#pragma once
#include <vector>

#include "data/detail/store_world.h"

namespace winnow::store {

constexpr size_t kPageItems = 10;
enum class Page : uint8_t { Home, Category, Search };
constexpr size_t kDevices = 3;

struct Impression {
  int64_t session = 0, time = 0;
  uint32_t user = 0, item = 0;
  uint32_t query = UINT32_MAX;  // of a search page
  Page page = Page::Home;
  uint8_t leaf = 0;  // that a category or search page shows
  uint8_t device = 0, hour = 0, position = 0;
  bool clicked = false, carted = false, purchased = false;
  int64_t cents = 0;                   // order value of a purchase
  double p_click = 0, p_purchase = 0;  // the true P(click) and P(purchase | click)
};

struct Session {
  int64_t id = 0, begin = 0, end = 0;
  uint32_t user = 0;
  uint8_t device = 0, channel = 0;
  int64_t pages = 0, impressions = 0, clicks = 0, carts = 0, purchases = 0, cents = 0;
};

struct Block {
  int64_t first_row = 0;
  std::vector<Impression> rows;  // times rise; each session's too
  std::vector<Session> sessions;
};

// Blocks of impressions follow each other in time; there are at most about a thousand.
int64_t block_count(const SyntheticStore& options);
Block make_block(const World& world, int64_t number);

// Sets the biases of the world so that the mean probabilities over a sample of impressions are the wanted ones.
void calibrate(World& world);

}  // namespace winnow::store
