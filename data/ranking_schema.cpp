// The `data:` section of a ranking config.
#include "core/config.h"
#include "data/ranking_data.h"
#include "data/source_config.h"

namespace winnow {
namespace {

RankingSource read_table(const ConfigNode& n, const std::string& folder) {
  RankingSource s;
  s.source = read_source(n, folder);
  s.groups = n.get("groups", "");
  if (!s.groups.empty() && s.groups.front() != '/' && !folder.empty()) s.groups = folder + "/" + s.groups;
  return s;
}

KeyedTexts read_texts(const ConfigNode& n, const std::string& folder, const std::string& key) {
  KeyedTexts t;
  t.source = read_source(n, folder);
  t.key = n.get("key", key);
  t.columns = n.require<std::vector<std::string>>("text");
  if (t.columns.empty()) n.fail("text", "name at least one column");
  return t;
}

void read_text_tables(const ConfigNode& data, const std::string& folder, RankingSchema& s) {
  const auto read = [&](const char* table, const char* columns, const std::string& key, KeyedTexts& texts,
                        std::vector<std::string>& own) {
    if (data.has(table))
      texts = read_texts(data.child(table), folder, key);
    else
      own = data.get<std::vector<std::string>>(columns, {});
    if (!data.has(table) && own.empty())
      data.fail(fmt::format("texts are needed: a table `{}` with key and text, or `{}`, columns of the rows", table,
                            columns));
  };
  s.columns.item = data.get("item", data.has("items") ? "item_id" : "");
  if (data.has("items") && s.columns.item.empty())
    data.fail("item", "the column of the rows that `items` is looked up by");
  read("queries", "query_text", s.columns.query, s.queries, s.query_text);
  read("items", "item_text", s.columns.item, s.items, s.item_text);
}

void read_features(const ConfigNode& data, const std::string& folder, RankingSchema& s) {
  s.text_features = data.get("text_features", "");
  s.texts = !s.text_features.empty();
  if (s.texts && !data.has("items"))
    data.fail("text_features", "a table `items` is needed, whose texts say how rare a word is");
  if (s.texts) read_text_tables(data, folder, s);
  if (!s.texts) s.columns.item = data.get("item", "");
  s.columns.features = data.get<std::vector<std::string>>("features", {});
  s.columns.all_features = s.columns.features.empty();
  s.normalizer = parse_normalizer(
      data.choice("normalizer", "standard", {"none", "standard", "log", "log_standard", "min_max", "quantile"}),
      data.where());
  const std::string scaling = data.choice("per_query", "none", {"none", "center", "standard"});
  s.per_query = scaling == "none"     ? QueryScaling::None
                : scaling == "center" ? QueryScaling::Center
                                      : QueryScaling::Standard;
  bool sparse = false;
  for (const RankingSource& table : s.tables) sparse = sparse || table.source.format == "libsvm";
  if (sparse && !s.columns.features.empty())
    data.fail("features", "the features of libsvm lines are their indices; leave the key out");
  if (sparse) s.absent_is_zero = data.choice("absent", "zero", {"zero", "missing"}) == "zero";
}

}  // namespace

RankingSchema parse_ranking_schema(const ConfigNode& data, bool texts) {
  RankingSchema s;
  s.texts = texts;
  const std::string folder = data.get("path", "");
  const char* tables[] = {"train", "valid", "test"};
  for (size_t i = 0; i < 3; ++i)
    if (i == 0 || data.has(tables[i])) s.tables[i] = read_table(data.child(tables[i]), folder);
  const bool draws_valid = !s.tables[1].source.given(), draws_test = !s.tables[2].source.given();
  if (draws_valid)
    s.valid_fraction =
        data.get("valid_fraction", s.valid_fraction, {.least = 0, .most = 1, .above_least = true, .below_most = true});
  if (draws_test)
    s.test_fraction =
        data.get("test_fraction", s.test_fraction, {.least = 0, .most = 1, .above_least = true, .below_most = true});
  if ((draws_valid ? s.valid_fraction : 0) + (draws_test ? s.test_fraction : 0) >= 1)
    data.fail("valid_fraction", "validation and test leave no query for training");
  if (draws_valid || draws_test) s.seed = data.get("seed", s.seed);
  s.columns.label = data.get("label", s.columns.label);
  s.columns.query = data.get("query", texts ? "query_id" : s.columns.query);
  texts ? read_text_tables(data, folder, s) : read_features(data, folder, s);
  return s;
}

}  // namespace winnow
