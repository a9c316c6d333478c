#include "data/synthetic.h"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/parallel.h"
#include "data/detail/packing.h"
#include "data/detail/store_pictures.h"
#include "data/detail/store_tables.h"
#include "data/detail/store_truth.h"
#include "data/png.h"

namespace winnow {
namespace {

using detail::Packing;
using store::World;

// The files of a store, which all come into being when all are whole.
class Tables {
 public:
  Tables(std::string directory, const std::string& format)
      : directory_(std::move(directory)), ending_("." + format), packing_(detail::packing_of(format)) {}
  std::string path(const std::string& name) const { return directory_ + "/" + name + ending_; }
  std::string pack(std::string text) const { return detail::packed(std::move(text), packing_); }
  const std::string& directory() const { return directory_; }
  const std::string& ending() const { return ending_; }

 private:
  std::string directory_, ending_;
  Packing packing_;
};

// Rows 0 .. n of a table, a few thousand at a time on each thread.
template <class AddRow>
store::Dirt write_table(const Tables& tables, const std::string& name, const char* header, size_t n, AddRow&& add_row) {
  constexpr size_t kPart = 8192;
  AtomicFile file(tables.path(name));
  file.write(tables.pack(header));
  store::Dirt dirt;
  const size_t wave = static_cast<size_t>(num_threads()) * 2;
  for (size_t first = 0; first < n; first += kPart * wave) {
    std::vector<std::string> parts(std::min(wave, (n - first + kPart - 1) / kPart));
    std::vector<store::Dirt> found(parts.size());
    parallel_tasks(static_cast<int64_t>(parts.size()), [&](int64_t task) {
      const auto p = static_cast<size_t>(task);
      std::string text;
      for (size_t i = first + p * kPart; i < std::min(n, first + (p + 1) * kPart); ++i) add_row(text, i, found[p]);
      parts[p] = tables.pack(std::move(text));
    });
    for (const std::string& part : parts) file.write(part);
    for (const store::Dirt& d : found) dirt += d;
  }
  file.commit();
  return dirt;
}

void write_pictures(const std::string& directory, const World& world) {
  const int64_t n = std::min(world.options.pictures, world.options.items);
  if (n == 0) return;
  make_directories(directory + "/pictures");
  std::vector<std::string> failed(static_cast<size_t>(n));
  parallel_for(n, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const auto item = static_cast<size_t>(i);
      const std::string path = fmt::format("{}/pictures/{:06}.png", directory, i);
      const std::string png = encode_png(store::kPictureSize, store::kPictureSize, store::draw_picture(world, item));
      // not synced one by one, as an AtomicFile is: schema.yaml, the last file, tells that the store is whole
      std::ofstream file(path, std::ios::binary | std::ios::trunc);
      file.write(png.data(), static_cast<std::streamsize>(png.size()));
      file.close();
      if (!file) failed[item] = path;
    }
  });
  for (const std::string& path : failed) WN_CHECK(path.empty(), IoError, "{}: cannot be written", path);
}

// The log, block by block: made and packed on all threads, written and counted in order.
store::Dirt write_log(const Tables& tables, const World& world, store::Truth& truth) {
  struct Part {
    store::Block block;
    store::BlockTexts texts;
  };
  AtomicFile impressions(tables.path("impressions"));
  AtomicFile sessions(tables.path("sessions"));
  AtomicFile reviews(tables.path("reviews"));
  AtomicFile probabilities(tables.path("probabilities"));
  impressions.write(tables.pack(store::kImpressionsHeader));
  sessions.write(tables.pack(store::kSessionsHeader));
  reviews.write(tables.pack(store::kReviewsHeader));
  probabilities.write(tables.pack(store::kProbabilitiesHeader));
  store::Dirt dirt;
  const int64_t blocks = store::block_count(world.options), wave = 2 * num_threads();
  for (int64_t first = 0; first < blocks; first += wave) {
    std::vector<Part> parts(static_cast<size_t>(std::min(wave, blocks - first)));
    parallel_tasks(static_cast<int64_t>(parts.size()), [&](int64_t task) {
      Part& part = parts[static_cast<size_t>(task)];
      part.block = store::make_block(world, first + task);
      part.texts = store::write_block(world, part.block);
      for (std::string* text :
           {&part.texts.impressions, &part.texts.sessions, &part.texts.reviews, &part.texts.probabilities})
        *text = tables.pack(std::move(*text));
    });
    for (const Part& part : parts) {
      impressions.write(part.texts.impressions);
      sessions.write(part.texts.sessions);
      reviews.write(part.texts.reviews);
      probabilities.write(part.texts.probabilities);
      dirt += part.texts.dirt;
      truth.add(part.block);
    }
  }
  for (AtomicFile* file : {&sessions, &reviews, &probabilities, &impressions}) file->commit();
  return dirt;
}

std::string yaml_quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    quoted += c;
    if (c == '\'') quoted += c;
  }
  quoted += '\'';
  return quoted;
}

constexpr const char* kSchema = R"(  user_id: user_id
  item_id: item_id
  timestamp: {column: timestamp, format: unix}
  label: {column: clicked}
  split: {method: time, train: 0.8, valid: 0.1, test: 0.1}
  features:
    - {name: user_id, source: user}
    - {name: age, type: numeric, source: user, normalizer: standard}
    - {name: gender, source: user}
    - {name: city, source: user}
    - {name: interests, type: multi, source: user, separator: "|", max_len: 2}
    - {name: item_id, source: item}
    - {name: category, source: item}
    - {name: department, source: item}
    - {name: brand, source: item}
    - {name: price, type: numeric, source: item, normalizer: log_standard}
    - {name: tags, type: multi, source: item, separator: "|", max_len: 3}
    - {name: hour, source: context}
    - {name: device, source: context}
    - {name: position, source: context}
    - {name: page, source: context}
    - {name: page_category, source: context}
    - {name: query_id, source: context}
)";

std::string schema_yaml(const Tables& tables) {
  const std::string& e = tables.ending();
  return fmt::format(
      "data:\n  path: {}\n  interactions: {{file: impressions{}, format: csv}}\n"
      "  users: {{file: users{}, format: csv, key: user_id}}\n"
      "  items: {{file: items{}, format: csv, key: item_id, title: title}}\n{}",
      yaml_quoted(tables.directory()), e, e, e, kSchema);
}

std::string truth_json(const SyntheticStore& o, const SyntheticReport& report, const store::Dirt& dirt) {
  nlohmann::ordered_json j = nlohmann::ordered_json::parse(report.json());
  if (o.dirty)
    j["dirty"] = {{"duplicate_rows", dirt.duplicate_rows},
                  {"cancelled_orders", dirt.cancelled_orders},
                  {"bot_rows", dirt.bot_rows},
                  {"impossible_times", dirt.impossible_times},
                  {"impossible_ages", dirt.impossible_ages},
                  {"impossible_prices", dirt.impossible_prices},
                  {"html_titles", dirt.html_titles},
                  {"full_width_titles", dirt.full_width_titles}};
  return j.dump(2) + "\n";
}

void check(const SyntheticStore& o) {
  WN_CHECK(o.users >= 2 && o.items >= 2 && o.impressions >= 10, ConfigError,
           "synthetic store: {} users, {} items, {} impressions; at least 2, 2 and 10 are needed", o.users, o.items,
           o.impressions);
  WN_CHECK(o.users <= INT32_MAX && o.items <= INT32_MAX, ConfigError,
           "synthetic store: {} users, {} items; at most {} of each", o.users, o.items, INT32_MAX);
  WN_CHECK(o.missing >= 0 && o.missing <= 1, ConfigError, "synthetic store: missing {}; a rate lies in [0, 1]",
           o.missing);
  WN_CHECK(o.pictures >= 0, ConfigError, "synthetic store: {} pictures", o.pictures);
}

}  // namespace

SyntheticReport write_synthetic_store(const std::string& directory, const SyntheticStore& options) {
  const auto begin = std::chrono::steady_clock::now();
  check(options);
  const Tables tables(directory, options.format);
  World world(options);
  calibrate(world);
  make_directories(directory);
  store::Dirt dirt;
  const auto table = [&](const char* name, const char* header, size_t n, auto&& add_row) {
    dirt += write_table(tables, name, header, n, add_row);
  };
  table("users", store::kUsersHeader, world.users.size(),
        [&](std::string& text, size_t i, store::Dirt& d) { store::add_user(text, world, i, d); });
  table("items", store::kItemsHeader, world.items.size(),
        [&](std::string& text, size_t i, store::Dirt& d) { store::add_item(text, world, i, d); });
  table("queries", store::kQueriesHeader, world.queries.size(),
        [&](std::string& text, size_t i, store::Dirt&) { store::add_query(text, world, i); });
  table("relevance", store::kRelevanceHeader, world.queries.size(),
        [&](std::string& text, size_t i, store::Dirt&) { store::add_relevance(text, world, i); });
  table("questions", store::kQuestionsHeader, world.items.size(),
        [&](std::string& text, size_t i, store::Dirt&) { store::add_questions(text, world, i); });
  write_pictures(directory, world);
  store::Truth truth(options.impressions);
  dirt += write_log(tables, world, truth);
  SyntheticReport report = truth.report();
  write_atomically(directory + "/truth.json", truth_json(options, report, dirt));
  write_atomically(directory + "/schema.yaml", schema_yaml(tables));
  report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  return report;
}

std::string SyntheticReport::str() const {
  return fmt::format(
      "click rate {:.4f}, purchases {:.4f} of the clicks\n"
      "best possible on the last tenth: AUC {:.4f}, logloss {:.4f} (entropy {:.4f}); of purchases among clicks: AUC "
      "{:.4f}\n",
      click_rate, purchase_rate, best_auc, best_logloss, entropy, best_purchase_auc);
}

std::string SyntheticReport::json() const {
  const nlohmann::ordered_json j{{"click_rate", click_rate}, {"purchase_rate", purchase_rate},
                                 {"best_auc", best_auc},     {"best_logloss", best_logloss},
                                 {"entropy", entropy},       {"best_purchase_auc", best_purchase_auc}};
  return j.dump(2);
}

}  // namespace winnow
