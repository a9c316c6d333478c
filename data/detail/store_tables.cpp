#include "data/detail/store_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "data/detail/store_texts.h"
#include "data/detail/store_words.h"

namespace winnow::store {
namespace {

constexpr std::array kGenders = {"female", "male"};
constexpr std::array<const char*, kDevices> kDeviceNames = {"desktop", "phone", "tablet"};
constexpr std::array kChannels = {"direct", "search engine", "advert", "newsletter"};
constexpr std::array kPages = {"home", "category", "search"};
constexpr size_t kPictureDigits = 6;

template <class... Args>
void append(std::string& text, fmt::format_string<Args...> format, Args&&... args) {
  fmt::format_to(std::back_inserter(text), format, std::forward<Args>(args)...);
}

void append_quoted(std::string& text, std::string_view cell) {
  if (cell.find_first_of(",\"\n") == std::string_view::npos) {
    text += cell;
    return;
  }
  text += '"';
  for (const char c : cell) {
    if (c == '"') text += c;
    text += c;
  }
  text += '"';
}

std::string money(int64_t cents) {
  const int64_t size = cents < 0 ? -cents : cents;
  return fmt::format("{}{}.{:02}", cents < 0 ? "-" : "", size / 100, size % 100);
}

std::string path_of(size_t leaf) { return fmt::format("{}/{}", kLeafWords[leaf].department, kLeafWords[leaf].name); }

template <class Names>
std::string joined(const Few& few, const Names& name) {
  std::string text;
  for (const size_t x : few) {
    if (!text.empty()) text += '|';
    text += name(x);
  }
  return text;
}

}  // namespace

const char* const kUsersHeader = "user_id,age,gender,city,interests,signup_time\n";
const char* const kItemsHeader = "item_id,title,title_zh,category,department,brand,price,tags,launch_time,picture\n";
const char* const kQueriesHeader = "query_id,text,language,category,department,brand,tag\n";
const char* const kRelevanceHeader = "query_id,item_id,relevance\n";
const char* const kQuestionsHeader = "question_id,item_id,timestamp,language,intent,question,answer\n";
const char* const kImpressionsHeader =
    "session_id,user_id,item_id,timestamp,hour,device,position,page,page_category,query_id,clicked,carted,purchased,"
    "order_id,order_value\n";
const char* const kSessionsHeader =
    "session_id,user_id,begin,end,device,channel,pages,impressions,clicks,carts,purchases,revenue\n";
const char* const kReviewsHeader = "review_id,user_id,item_id,timestamp,rating,language,text\n";
const char* const kProbabilitiesHeader = "click_probability,purchase_probability\n";

Dirt& Dirt::operator+=(const Dirt& d) {
  duplicate_rows += d.duplicate_rows;
  cancelled_orders += d.cancelled_orders;
  bot_rows += d.bot_rows;
  impossible_times += d.impossible_times;
  impossible_ages += d.impossible_ages;
  impossible_prices += d.impossible_prices;
  html_titles += d.html_titles;
  full_width_titles += d.full_width_titles;
  return *this;
}

void add_user(std::string& text, const World& world, size_t n, Dirt& dirt) {
  const User& u = world.users[n];
  const auto has = [&](int bit) { return (u.missing >> bit & 1) == 0; };
  std::string age = has(0) ? fmt::format("{}", static_cast<int>(u.age)) : "";
  Draws draws(world.options.seed, Stream::Dirt, 2 * n);
  if (world.options.dirty && draws.chance(0.01)) {
    constexpr std::array kAges = {"-1", "0", "150", "999"};
    age = kAges[draws.below(kAges.size())];
    ++dirt.impossible_ages;
  }
  append(text, "u{},{},{},{},{},{}\n", n, age, has(1) ? kGenders[u.gender] : "", has(2) ? kCityNames[u.city] : "",
         has(3) ? joined(u.interests, [](size_t d) { return kDepartmentWords[d].en; }) : "", u.signup);
}

void add_item(std::string& text, const World& world, size_t n, Dirt& dirt) {
  const Item& i = world.items[n];
  Titles title = titles(world, n);
  std::string price = money(i.cents);
  Draws draws(world.options.seed, Stream::Dirt, 2 * n + 1);
  if (world.options.dirty) {
    constexpr std::array kPrices = {"0.00", "-5.00", "99999999.00"};
    const double what = draws.uniform();
    if (what < 0.05) {
      make_html(title.en);
      make_html(title.zh);
      ++dirt.html_titles;
    } else if (what < 0.1) {
      make_full_width(title.en);
      make_full_width(title.zh);
      ++dirt.full_width_titles;
    } else if (what < 0.12) {
      price = kPrices[draws.below(kPrices.size())];
      ++dirt.impossible_prices;
    }
  }
  append(text, "i{},", n);
  append_quoted(text, title.en);
  text += ',';
  append_quoted(text, title.zh);
  append(text, ",{},{},{},{},{},{},", path_of(i.leaf), kLeafWords[i.leaf].department, kBrandWords[i.brand].en, price,
         joined(i.tags, [](size_t t) { return kTagWords[t].en; }), i.launch);
  if (static_cast<int64_t>(n) < world.options.pictures) append(text, "pictures/{:0{}}.png", n, kPictureDigits);
  text += '\n';
}

void add_query(std::string& text, const World& world, size_t n) {
  const Query& q = world.queries[n];
  append(text, "q{},{},{},{},{},{},{}\n", n, query_text(q), q.chinese ? "zh" : "en", path_of(q.leaf),
         kLeafWords[q.leaf].department, q.brand == kNone ? "" : kBrandWords[q.brand].en,
         q.tag == kNone ? "" : kTagWords[q.tag].en);
}

// Half of the judged items from the leaf itself, where it has any, the others from anywhere.
void add_relevance(std::string& text, const World& world, size_t query) {
  constexpr size_t kJudged = 20;
  const Query& q = world.queries[query];
  Draws draws(world.options.seed, Stream::Query, query + world.queries.size());
  std::vector<size_t> judged;
  for (size_t i = 0; i < kJudged; ++i) {
    const std::vector<uint32_t>& own = world.in_leaf[q.leaf];
    const size_t item =
        i < kJudged / 2 && !own.empty() ? own[draws.below(own.size())] : draws.below(world.items.size());
    if (std::ranges::find(judged, item) != judged.end()) continue;
    judged.push_back(item);
    append(text, "q{},i{},{}\n", query, item, world.relevance(q, world.items[item]));
  }
}

void add_questions(std::string& text, const World& world, size_t item) {
  Draws draws(world.options.seed, Stream::Question, item);
  for (size_t k = 0, count = draws.below(4); k < count; ++k) {
    const Question q = question(world, item, draws);
    const int64_t from = std::max(kBegin, world.items[item].launch);
    const int64_t time = from + static_cast<int64_t>(draws.uniform() * static_cast<double>(kEnd - from));
    append(text, "a{}_{},i{},{},{},{},", item, k, item, time, q.chinese ? "zh" : "en", kIntentWords[q.intent].name);
    append_quoted(text, q.question);
    text += ',';
    append_quoted(text, q.answer);
    text += '\n';
  }
}

namespace {

class BlockWriter {
 public:
  BlockWriter(const World& world, const Block& block)
      : world_(world), block_(block), draws_(world.options.seed, Stream::Dirt, dirt_step(block)) {}
  BlockTexts write();

 private:
  // Steps of blocks lie beyond those of users and items.
  static uint64_t dirt_step(const Block& b) { return (uint64_t{1} << 40) + static_cast<uint64_t>(b.first_row); }
  void add_row(const Impression& r, int64_t row);
  void add_dirt_after(const Impression& r, int64_t row);
  void add_bots(const Impression& at);
  void add_probability(const Impression& r);
  void add_review(const Impression& r, int64_t row);
  void add_session(const Session& s);

  const World& world_;
  const Block& block_;
  Draws draws_;
  BlockTexts out_;
};

BlockTexts BlockWriter::write() {
  out_.impressions.reserve(block_.rows.size() * 96);
  out_.probabilities.reserve(block_.rows.size() * 36);
  const bool dirty = world_.options.dirty;
  const size_t bots_at = dirty ? draws_.below(block_.rows.size()) : kNone;
  for (size_t k = 0; k < block_.rows.size(); ++k) {
    Impression r = block_.rows[k];
    const int64_t row = block_.first_row + static_cast<int64_t>(k);
    if (dirty && draws_.chance(0.001)) {
      r.time = draws_.chance(0.5) ? 0 : 4102444800;  // 1970, 2100
      ++out_.dirt.impossible_times;
    }
    add_row(r, row);
    if (dirty) add_dirt_after(r, row);
    if (k == bots_at) add_bots(block_.rows[k]);
    if (r.purchased) add_review(block_.rows[k], row);
  }
  for (const Session& s : block_.sessions) add_session(s);
  return std::move(out_);
}

void BlockWriter::add_row(const Impression& r, int64_t row) {
  std::string& text = out_.impressions;
  append(text, "s{},u{},i{},{},{},{},{},{},", r.session, r.user, r.item, r.time, r.hour, kDeviceNames[r.device],
         r.position + 1, kPages[static_cast<size_t>(r.page)]);
  if (r.page != Page::Home) append(text, "{}/{}", kLeafWords[r.leaf].department, kLeafWords[r.leaf].name);
  text += ',';
  if (r.page == Page::Search) append(text, "q{}", r.query);
  append(text, ",{},{},{},", r.clicked ? 1 : 0, r.carted ? 1 : 0, r.purchased ? 1 : 0);
  if (r.purchased)
    append(text, "o{},{}", row, money(r.cents));
  else
    text += ',';
  text += '\n';
  add_probability(r);
}

void BlockWriter::add_probability(const Impression& r) {
  append(out_.probabilities, "{:.9g},{:.9g}\n", r.p_click, r.p_purchase);
  ++out_.rows;
}

void BlockWriter::add_dirt_after(const Impression& r, int64_t row) {
  if (draws_.chance(0.01)) {
    add_row(r, row);
    ++out_.dirt.duplicate_rows;
  }
  if (r.purchased && draws_.chance(0.03)) {
    append(out_.impressions, "s{},u{},i{},{},{},{},{},,,,1,1,1,C{},{}\n", r.session, r.user, r.item, r.time, r.hour,
           kDeviceNames[r.device], r.position + 1, row, money(-r.cents));
    add_probability(r);
    ++out_.dirt.cancelled_orders;
  }
}

// A program that reads a hundredth of a block's rows in one second and clicks on everything.
void BlockWriter::add_bots(const Impression& at) {
  const size_t bot = draws_.below(20);
  for (size_t k = 0, n = 1 + block_.rows.size() / 100; k < n; ++k) {
    const size_t item = draws_.below(world_.items.size()), leaf = draws_.below(kLeaves);
    append(out_.impressions, "s{},bot{},i{},{},{},desktop,{},category,{},,1,0,0,,\n", at.session, bot, item, at.time,
           at.hour, k % kPageItems + 1, path_of(leaf));
    out_.probabilities += ",\n";  // there is none
    ++out_.rows;
    ++out_.dirt.bot_rows;
  }
}

void BlockWriter::add_review(const Impression& r, int64_t row) {
  Draws draws(world_.options.seed, Stream::Review, static_cast<uint64_t>(row));
  if (!draws.chance(0.25)) return;
  const User& u = world_.users[r.user];
  const Item& i = world_.items[r.item];
  const double liking = 3.6 + 2 * i.quality + 0.35 * world_.affinity * dot(u.taste, i.style) + 0.8 * draws.normal();
  const int rating = static_cast<int>(std::clamp(liking + 0.5, 1.0, 5.0));
  const int64_t time = r.time + 3 * kDay + static_cast<int64_t>(draws.below(17 * kDay));
  append(out_.reviews, "r{},u{},i{},{},{},{},", row, r.user, r.item, time, rating, u.chinese ? "zh" : "en");
  append_quoted(out_.reviews, review_text(world_, r.item, rating, u.chinese, draws));
  out_.reviews += '\n';
}

void BlockWriter::add_session(const Session& s) {
  append(out_.sessions, "s{},u{},{},{},{},{},{},{},{},{},{},{}\n", s.id, s.user, s.begin, s.end, kDeviceNames[s.device],
         kChannels[s.channel], s.pages, s.impressions, s.clicks, s.carts, s.purchases, money(s.cents));
}

}  // namespace

BlockTexts write_block(const World& world, const Block& block) { return BlockWriter(world, block).write(); }

}  // namespace winnow::store
