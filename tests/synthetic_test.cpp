// The synthetic store: what its files promise, against the files as written.
#include "data/synthetic.h"

#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "core/file.h"
#include "core/parallel.h"
#include "core/text.h"
#include "data/rows.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

constexpr size_t kAnySize = size_t{1} << 30;

using Row = std::map<std::string, std::string>;

std::vector<Row> rows_of(const std::string& path) {
  SourceSpec spec;
  spec.path = path;
  const std::unique_ptr<RowReader> reader = open_rows(spec);
  std::vector<Row> rows;
  for (RowBlock block; reader->next(block);)
    for (int64_t r = 0; r < block.rows; ++r) {
      Row& row = rows.emplace_back();
      for (size_t c = 0; c < reader->columns().size(); ++c) row[reader->columns()[c]] = block.cell(r, c);
    }
  return rows;
}

struct Written {
  TemporaryDirectory directory;
  SyntheticReport report;
  explicit Written(const SyntheticStore& options) : report(write_synthetic_store(directory.path(), options)) {}
  std::string path(const std::string& name) const { return directory.path() + "/" + name; }
  const std::vector<Row>& table(const std::string& name) const {
    const auto [at, is_new] = tables_.try_emplace(name);
    if (is_new) at->second = rows_of(path(name + ".csv"));
    return at->second;
  }
  nlohmann::json truth() const { return nlohmann::json::parse(read_text(path("truth.json"), kAnySize)); }

 private:
  mutable std::map<std::string, std::vector<Row>> tables_;
};

const Written& small() {
  static const Written store({.users = 300, .items = 120, .impressions = 20000, .seed = 7});
  return store;
}

std::vector<std::string> parts(const std::string& text, char separator) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, separator);) out.push_back(part);
  return out;
}

TEST(Synthetic, TablesHaveTheirRowsAndRanges) {
  const std::vector<Row>&users = small().table("users"), &items = small().table("items");
  ASSERT_EQ(users.size(), 300u);
  ASSERT_EQ(items.size(), 120u);
  for (const Row& u : users) {
    if (const std::string& age = u.at("age"); !age.empty()) {
      EXPECT_TRUE(std::stoi(age) >= 18 && std::stoi(age) <= 70) << age;
    }
    EXPECT_LE(parts(u.at("interests"), '|').size(), 3u);
  }
  for (const Row& i : items) {
    EXPECT_GT(std::stod(i.at("price")), 0);
    EXPECT_TRUE(i.at("category").starts_with(i.at("department") + "/"));
    EXPECT_TRUE(file_exists(small().path(i.at("picture"))));
  }
  const std::vector<Row>& impressions = small().table("impressions");
  ASSERT_EQ(impressions.size(), 20000u);
  std::set<std::string> known_users, known_items;
  for (const Row& u : users) known_users.insert(u.at("user_id"));
  for (const Row& i : items) known_items.insert(i.at("item_id"));
  for (const Row& r : impressions) {
    ASSERT_TRUE(known_users.contains(r.at("user_id")) && known_items.contains(r.at("item_id")));
    ASSERT_TRUE(std::stoi(r.at("position")) >= 1 && std::stoi(r.at("position")) <= 10);
    ASSERT_EQ(std::stoll(r.at("timestamp")) % 86400 / 3600, std::stoll(r.at("hour")));
    ASSERT_EQ(r.at("query_id").empty(), r.at("page") != "search");
    ASSERT_EQ(r.at("page_category").empty(), r.at("page") == "home");
    ASSERT_LE(r.at("purchased"), r.at("carted"));
    ASSERT_LE(r.at("carted"), r.at("clicked"));
    ASSERT_EQ(r.at("order_value").empty(), r.at("purchased") == "0");
    if (r.at("purchased") == "1") { ASSERT_GT(std::stod(r.at("order_value")), 0); }
  }
}

TEST(Synthetic, TimesRiseAndNothingIsSeenBeforeItsTime) {
  std::map<std::string, int64_t> signup, launch, begins, ends, count;
  for (const Row& u : small().table("users")) signup[u.at("user_id")] = std::stoll(u.at("signup_time"));
  for (const Row& i : small().table("items")) launch[i.at("item_id")] = std::stoll(i.at("launch_time"));
  int64_t last = 0;
  for (const Row& r : small().table("impressions")) {
    const int64_t time = std::stoll(r.at("timestamp"));
    ASSERT_GE(time, last);
    last = time;
    // a session signs up before it begins; its pages come later
    ASSERT_GE(time, signup.at(r.at("user_id")));
    ASSERT_GE(time, launch.at(r.at("item_id")));
    const std::string& session = r.at("session_id");
    begins.try_emplace(session, time);
    ends[session] = time;
    ++count[session];
  }
  const std::vector<Row>& sessions = small().table("sessions");
  ASSERT_EQ(sessions.size(), count.size());
  int64_t begin = 0, id = -1, impressions = 0;
  for (const Row& s : sessions) {
    const std::string& name = s.at("session_id");
    ASSERT_EQ(std::stoll(s.at("begin")), begins.at(name));
    ASSERT_EQ(std::stoll(s.at("end")), ends.at(name));
    ASSERT_EQ(std::stoll(s.at("impressions")), count.at(name));
    ASSERT_GE(begins.at(name), begin);
    ASSERT_GT(std::stoll(name.substr(1)), id);
    begin = begins.at(name);
    id = std::stoll(name.substr(1));
    impressions += count.at(name);
  }
  EXPECT_EQ(impressions, 20000);
}

// Every bin's clicks lie within 4.5 deviations of the sum of its probabilities (a chance of 1 in 150,000 a bin), and so
// do the purchases of the clicked rows.
TEST(Synthetic, OutcomesFollowTheStatedProbabilities) {
  const std::vector<Row>&impressions = small().table("impressions"), &probabilities = small().table("probabilities");
  ASSERT_EQ(impressions.size(), probabilities.size());
  struct Bin {
    double expected = 0, variance = 0, got = 0;
  };
  std::map<int, Bin> bins;
  const auto add = [&](int bin, double p, bool happened) {
    bins[bin].expected += p;
    bins[bin].variance += p * (1 - p);
    bins[bin].got += happened;
  };
  for (size_t r = 0; r < impressions.size(); ++r) {
    const double click = std::stod(probabilities[r].at("click_probability"));
    const double purchase = std::stod(probabilities[r].at("purchase_probability"));
    ASSERT_TRUE(click > 0 && click < 1 && purchase > 0 && purchase < 1);
    const bool clicked = impressions[r].at("clicked") == "1";
    add(static_cast<int>(click * 20), click, clicked);
    if (clicked) add(100 + static_cast<int>(purchase * 10), purchase, impressions[r].at("purchased") == "1");
  }
  EXPECT_GT(bins.size(), 20u);
  for (const auto& [bin, b] : bins) EXPECT_LE(std::abs(b.got - b.expected), 4.5 * std::sqrt(b.variance) + 1) << bin;
}

// Of the rows from floor(9 n / 10) on, over all pairs.
TEST(Synthetic, BestAucAndLoglossAreThoseOfTheTestSplit) {
  const std::vector<Row>&impressions = small().table("impressions"), &probabilities = small().table("probabilities");
  std::vector<double> clicked, others;
  double clicks = 0, logloss = 0;
  for (size_t r = 0; r < impressions.size(); ++r) {
    const bool click = impressions[r].at("clicked") == "1";
    clicks += click;
    if (r < impressions.size() * 9 / 10) continue;
    const double p = std::stod(probabilities[r].at("click_probability"));
    (click ? clicked : others).push_back(p);
    logloss -= std::log(click ? p : 1 - p);
  }
  double won = 0;
  for (const double p : clicked)
    for (const double q : others) won += p > q ? 1 : p == q ? 0.5 : 0;
  const auto pairs = static_cast<double>(clicked.size() * others.size());
  EXPECT_NEAR(small().report.best_auc, won / pairs, 2e-6);
  EXPECT_NEAR(small().report.best_logloss, logloss / static_cast<double>(clicked.size() + others.size()), 1e-7);
  EXPECT_NEAR(small().report.click_rate, clicks / static_cast<double>(impressions.size()), 1e-12);
  EXPECT_NEAR(small().report.click_rate, 0.25, 0.03);
  EXPECT_NEAR(small().report.entropy, small().report.best_logloss, 0.03);
  EXPECT_GT(small().report.best_auc, 0.78);
  EXPECT_LT(small().report.best_auc, 0.90);
}

std::map<std::string, std::string> files_of(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(directory))
    if (entry.is_regular_file() && entry.path().filename() != "schema.yaml")  // which names the directory
      files[std::filesystem::relative(entry.path(), directory).string()] = read_text(entry.path().string(), kAnySize);
  return files;
}

TEST(Synthetic, TheSameBytesForAnyNumberOfThreads) {
  const SyntheticStore options{.users = 200, .items = 90, .impressions = 9001, .seed = 3, .dirty = true};
  const int threads = num_threads();
  set_num_threads(1);
  const Written one(options);
  set_num_threads(3);
  const Written three(options);
  set_num_threads(threads);
  SyntheticStore other = options;
  other.seed = 4;
  const Written different(other);
  const auto a = files_of(one.directory.path()), b = files_of(three.directory.path()),
             c = files_of(different.directory.path());
  ASSERT_EQ(a.size(), 10u + 90u);
  for (const auto& [name, bytes] : a) {
    EXPECT_TRUE(b.at(name) == bytes) << name;
    EXPECT_TRUE(c.at(name) != bytes) << name;
  }
}

// Pins the bits of the arithmetic: another machine, compiler or C library must write the same store.
TEST(Synthetic, TheSameStoreOnAnyMachine) {
  const Written store({.users = 50, .items = 30, .impressions = 1000, .pictures = 0});
  uLong sum = 0;
  for (const auto& [name, bytes] : files_of(store.directory.path()))
    sum = crc32(sum, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
  EXPECT_EQ(sum, 127398160u);
}

TEST(Synthetic, TextsAreUtf8AndSayWhatTheItemIs) {
  for (const auto& [name, bytes] : files_of(small().directory.path())) {
    if (name.ends_with(".csv")) { EXPECT_TRUE(is_utf8(bytes)) << name; }
  }
  std::set<std::string> titles;
  for (const Row& i : small().table("items")) {
    EXPECT_TRUE(i.at("title").starts_with(i.at("brand") + " ")) << i.at("title");
    EXPECT_NE(i.at("title").find(parts(i.at("tags"), '|').front()), std::string::npos) << i.at("title");
    EXPECT_FALSE(i.at("title_zh").empty());
    titles.insert(i.at("title"));
  }
  EXPECT_GT(titles.size(), 115u);
  double words_good = 0, words_bad = 0;
  for (const Row& r : small().table("reviews")) {
    const int rating = std::stoi(r.at("rating"));
    ASSERT_TRUE(rating >= 1 && rating <= 5);
    if (r.at("text").find("love") != std::string::npos) (rating >= 4 ? words_good : words_bad) += 1;
    EXPECT_FALSE(r.at("text").empty());
  }
  EXPECT_GT(words_good, 0);
  for (const char* table : {"reviews", "questions"})
    for (const Row& r : small().table(table)) EXPECT_TRUE(r.at("language") == "en" || r.at("language") == "zh");
}

TEST(Synthetic, RelevanceIsWhatTheQueryMeans) {
  std::map<std::string, Row> queries, items;
  for (const Row& q : small().table("queries")) queries[q.at("query_id")] = q;
  for (const Row& i : small().table("items")) items[i.at("item_id")] = i;
  std::map<std::string, int> seen;
  for (const Row& r : small().table("relevance")) {
    const Row &q = queries.at(r.at("query_id")), &i = items.at(r.at("item_id"));
    const std::vector<std::string> tags = parts(i.at("tags"), '|');
    const bool exact = (q.at("brand").empty() || q.at("brand") == i.at("brand")) &&
                       (q.at("tag").empty() || std::ranges::find(tags, q.at("tag")) != tags.end());
    const int want = q.at("category") == i.at("category")       ? (exact ? 3 : 2)
                     : q.at("department") == i.at("department") ? 1
                                                                : 0;
    ASSERT_EQ(std::stoi(r.at("relevance")), want) << q.at("text") << " / " << i.at("title");
    ++seen[r.at("relevance")];
  }
  EXPECT_EQ(seen.size(), 4u);
}

uint32_t big_endian(const std::string& bytes, size_t at) {
  uint32_t x = 0;
  for (size_t i = 0; i < 4; ++i) x = x << 8 | static_cast<uint8_t>(bytes.at(at + i));
  return x;
}

// The pixels of an 8-bit RGB PNG without filters; every chunk's checksum is checked.
std::vector<uint8_t> decode_png(const std::string& png, uint32_t size) {
  EXPECT_EQ(png.substr(0, 8), "\x89PNG\r\n\x1a\n");
  std::string packed, order;
  for (size_t at = 8; at < png.size();) {
    const uint32_t length = big_endian(png, at);
    const std::string type = png.substr(at + 4, 4), data = png.substr(at + 8, length);
    const std::string checked = type + data;
    EXPECT_EQ(big_endian(png, at + 8 + length),
              crc32(0, reinterpret_cast<const Bytef*>(checked.data()), static_cast<uInt>(checked.size())));
    if (type == "IHDR") {
      EXPECT_EQ(big_endian(data, 0), size);
      EXPECT_EQ(big_endian(data, 4), size);
      EXPECT_EQ(data.substr(8), std::string("\x08\x02\0\0\0", 5));
    }
    if (type == "IDAT") packed += data;
    order += type;
    at += 12 + length;
  }
  EXPECT_EQ(order, "IHDRIDATIEND");
  std::vector<uint8_t> rows(size_t{size} * (3 * size + 1)), pixels;
  uLongf bytes = rows.size();
  EXPECT_EQ(uncompress(rows.data(), &bytes, reinterpret_cast<const Bytef*>(packed.data()), packed.size()), Z_OK);
  EXPECT_EQ(bytes, rows.size());
  for (size_t y = 0; y < size; ++y) {
    EXPECT_EQ(rows[y * (3 * size + 1)], 0);
    const auto begin = rows.begin() + static_cast<int64_t>(y * (3 * size + 1) + 1);
    pixels.insert(pixels.end(), begin, begin + 3 * size);
  }
  return pixels;
}

// Means of the department's background, which the corners show where there is no frame.
TEST(Synthetic, PicturesDecodeAndShowTheDepartment) {
  std::map<std::string, std::vector<double>> reds, blues;
  for (const Row& i : small().table("items")) {
    const std::vector<uint8_t> pixels = decode_png(read_text(small().path(i.at("picture")), kAnySize), 32);
    ASSERT_EQ(pixels.size(), 32u * 32 * 3);
    const size_t at = (4 * 32 + 28) * 3;  // beside the shape, inside the frame
    reds[i.at("department")].push_back(pixels[at]);
    blues[i.at("department")].push_back(pixels[at + 2]);
  }
  const auto mean = [](const std::vector<double>& x) {
    double sum = 0;
    for (const double v : x) sum += v;
    return sum / static_cast<double>(x.size());
  };
  EXPECT_GT(mean(reds.at("electronics")), mean(blues.at("electronics")) + 20);  // hue 0: red
  EXPECT_LT(mean(reds.at("clothing")), mean(blues.at("clothing")));             // half way round: cyan
}

TEST(Synthetic, MissingCellsAreAsManyAsAsked) {
  const Written none({.users = 2000, .items = 10, .impressions = 100, .missing = 0, .pictures = 0}),
      half({.users = 2000, .items = 10, .impressions = 100, .missing = 0.5, .pictures = 0});
  for (const char* column : {"age", "gender", "city", "interests"}) {
    const auto missing = [&](const Written& w) {
      return std::ranges::count_if(w.table("users"), [&](const Row& u) { return u.at(column).empty(); });
    };
    EXPECT_EQ(missing(none), 0) << column;
    EXPECT_NEAR(static_cast<double>(missing(half)), 1000, 4.5 * std::sqrt(500.0)) << column;
  }
}

// The counts of truth.json, recounted from the files.
TEST(Synthetic, DirtIsCounted) {
  const Written clean({.users = 500, .items = 400, .impressions = 20000, .seed = 5, .pictures = 0}),
      dirty({.users = 500, .items = 400, .impressions = 20000, .seed = 5, .pictures = 0, .dirty = true});
  const nlohmann::json counts = dirty.truth().at("dirty");
  std::map<std::string, int64_t> found;
  std::string last;
  const std::vector<Row>& rows = dirty.table("impressions");
  EXPECT_EQ(rows.size(), dirty.table("probabilities").size());
  Row before;
  for (const Row& r : rows) {
    found["duplicate_rows"] += r == before;
    const bool again = r == before;
    before = r;
    found["bot_rows"] += r.at("user_id").starts_with("bot");
    found["cancelled_orders"] += r.at("order_id").starts_with("C");
    if (r.at("order_id").starts_with("C")) { EXPECT_LT(std::stod(r.at("order_value")), 0); }
    const int64_t time = std::stoll(r.at("timestamp"));
    const bool impossible = time < 1704067200 || time >= 1709251200;
    found["impossible_times"] += impossible && !again && !r.at("order_id").starts_with("C");
  }
  for (const Row& u : dirty.table("users"))
    if (!u.at("age").empty()) {
      const int age = std::stoi(u.at("age"));
      found["impossible_ages"] += age < 18 || age > 70;
    }
  for (const Row& i : dirty.table("items")) {
    const double price = std::stod(i.at("price"));
    found["impossible_prices"] += price <= 0 || price > 1e6;
    found["html_titles"] += i.at("title").starts_with("<b>");
    found["full_width_titles"] += i.at("title").starts_with("\xEF\xBC");
  }
  for (const auto& [what, count] : counts.items()) {
    EXPECT_GT(count.get<int64_t>(), 0) << what;
    EXPECT_EQ(found[what], count.get<int64_t>()) << what;
  }
  EXPECT_EQ(found.size(), counts.size());
  EXPECT_FALSE(clean.truth().contains("dirty"));
  EXPECT_EQ(clean.report.best_auc, dirty.report.best_auc);  // of the rows that are meant
}

std::string unpacked_gzip(const std::string& bytes) {
  std::string out;
  size_t at = 0;
  while (at < bytes.size()) {
    z_stream stream{};
    EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data() + at));
    stream.avail_in = static_cast<uInt>(bytes.size() - at);
    int end = Z_OK;
    while (end == Z_OK) {
      char buffer[1 << 16];
      stream.next_out = reinterpret_cast<Bytef*>(buffer);
      stream.avail_out = sizeof buffer;
      end = inflate(&stream, Z_NO_FLUSH);
      out.append(buffer, sizeof buffer - stream.avail_out);
    }
    EXPECT_EQ(end, Z_STREAM_END);
    at = bytes.size() - stream.avail_in;
    inflateEnd(&stream);
    if (end != Z_STREAM_END) break;
  }
  return out;
}

TEST(Synthetic, PackedTablesHoldTheSameText) {
  SyntheticStore options{.users = 50, .items = 30, .impressions = 9000, .pictures = 0};
  const Written plain(options);
  options.format = "csv.gz";
  const Written gzip(options);
  for (const char* table : {"users", "items", "impressions", "probabilities", "reviews", "sessions"})
    EXPECT_TRUE(unpacked_gzip(read_text(gzip.path(std::string(table) + ".csv.gz"), kAnySize)) ==
                read_text(plain.path(std::string(table) + ".csv"), kAnySize))
        << table;
  options.format = "csv.bz2";
  EXPECT_THROW(Written{options}, ConfigError);
}

TEST(Synthetic, OptionsThatMakeNoStoreAreRefused) {
  const TemporaryDirectory directory;
  EXPECT_THROW(write_synthetic_store(directory.path(), {.users = 1}), ConfigError);
  EXPECT_THROW(write_synthetic_store(directory.path(), {.items = 1}), ConfigError);
  EXPECT_THROW(write_synthetic_store(directory.path(), {.impressions = 9}), ConfigError);
  EXPECT_THROW(write_synthetic_store(directory.path(), {.missing = 1.5}), ConfigError);
  EXPECT_THROW(write_synthetic_store(directory.path(), {.missing = std::nan("")}), ConfigError);
  EXPECT_THROW(write_synthetic_store(directory.path(), {.pictures = -1}), ConfigError);
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
}

TEST(Synthetic, TheSmallestStoreIsWhole) {
  const Written store({.users = 2, .items = 2, .impressions = 10, .seed = 11});
  EXPECT_EQ(store.table("impressions").size(), 10u);
  EXPECT_EQ(store.table("users").size(), 2u);
}

}  // namespace
}  // namespace winnow
