// The `data:` section of a config. A key is read only where it means something, so that one given elsewhere is reported
// as unknown.
#include "core/config.h"
#include "core/text.h"
#include "data/schema.h"

namespace winnow {
namespace {

CsvOptions read_csv_options(const ConfigNode& n) {
  CsvOptions csv;
  const std::string format = n.choice("format", "csv", {"csv", "tsv", "recbole"});
  if (format != "csv") csv.separator = '\t';
  if (format == "recbole") csv.quoting = false, csv.strip_types = true;
  const std::string separator = n.get("separator", csv.separator == '\t' ? "tab" : ",");
  if (separator != "tab" && separator.size() != 1) n.fail("separator", "one character, or the word tab");
  csv.separator = separator == "tab" ? '\t' : separator[0];
  csv.quoting = n.get("quoting", csv.quoting);
  csv.strip_types = n.get("strip_types", csv.strip_types);
  return csv;
}

TableSpec read_table(const ConfigNode& n, const std::string& folder) {
  const std::string file = n.require<std::string>("file");
  if (file.empty()) n.fail("file", "must not be empty");
  const bool absolute = file.front() == '/' || folder.empty();
  return {.path = absolute ? file : folder + "/" + file, .csv = read_csv_options(n), .key = {}, .title = {}};
}

CellRule read_rule(const ConfigNode& n, const std::string& rule) {
  std::string column = n.require<std::string>("column");
  try {
    return parse_rule(std::move(column), rule);
  } catch (const ConfigError& e) { n.fail(e.what()); }
}

SplitSpec read_split(const ConfigNode& n) {
  SplitSpec s;
  s.method = n.choice("method", "time", {"time", "random"}) == "time" ? SplitSpec::Time : SplitSpec::Random;
  s.train = n.get("train", s.train);
  s.valid = n.get("valid", s.valid);
  s.test = n.get("test", s.test);
  return s;
}

}  // namespace

Schema parse_schema(const ConfigNode& n) {
  Schema s;
  const std::string folder = n.get("path", "");
  s.interactions = read_table(n.child("interactions"), folder);
  s.user_id = n.require<std::string>("user_id");
  s.item_id = n.require<std::string>("item_id");
  if (n.has("users")) {
    s.users = read_table(n.child("users"), folder);
    s.users.key = n.child("users").get("key", s.user_id);
  }
  if (n.has("items")) {
    s.items = read_table(n.child("items"), folder);
    s.items.key = n.child("items").get("key", s.item_id);
    s.items.title = n.child("items").get("title", "");
  } else {
    s.interactions.title = n.child("interactions").get("title", "");
  }
  if (n.has("timestamp")) {
    s.timestamp = n.child("timestamp").require<std::string>("column");
    s.time_format = n.child("timestamp").get("format", s.time_format);
  }
  if (n.has("label")) s.label = read_rule(n.child("label"), n.child("label").get("rule", ""));
  s.weight = n.get("weight", "");
  for (const ConfigNode& rule : n.list("drop")) s.drop.push_back(read_rule(rule, rule.require<std::string>("rule")));
  s.split = read_split(n.child("split"));
  if (n.has("negatives")) {
    s.negatives.per_positive = n.child("negatives").require<int64_t>("per_positive", between(1, 1000));
    s.negatives.by_popularity =
        n.child("negatives").choice("distribution", "uniform", {"uniform", "popularity"}) == "popularity";
  }
  s.seed = n.get("seed", s.seed);
  const auto min_categr_count = n.get<int64_t>("min_categr_count", 1, at_least(1));
  for (const ConfigNode& feature : n.list("features")) read_feature(feature, min_categr_count, s);
  try {
    check_schema(s);
  } catch (const ConfigError& e) { n.fail(e.what()); }
  return s;
}

}  // namespace winnow
