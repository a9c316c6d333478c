// The `data:` section of a config. A key is read only where it means something, so that one given elsewhere is reported
// as unknown.
#include "core/config.h"
#include "core/text.h"
#include "data/schema.h"
#include "data/source_config.h"

namespace winnow {
namespace {

FeatureSource read_feature_source(const ConfigNode& n, const FeatureSpec& f, const Schema& s) {
  const std::vector<std::string> words = {"user", "item", "context"};
  const char* natural = f.column == s.user_id ? "user" : f.column == s.item_id ? "item" : nullptr;
  const std::string text = natural != nullptr ? n.choice("source", natural, words) : n.require_choice("source", words);
  return parse_feature_source(text, n.where());
}

FeatureSpec read_feature(const ConfigNode& n, const Schema& s, int64_t min_categr_count) {
  FeatureSpec f;
  f.name = n.require<std::string>("name");
  f.type = parse_feature_type(n.choice("type", "categorical", {"categorical", "multi", "numeric"}), n.where());
  f.column = n.get("column", f.name);
  f.source = read_feature_source(n, f, s);
  f.fill_na = n.find<std::string>("fill_na");
  if (f.type == FeatureType::Numeric) {
    f.normalizer =
        parse_normalizer(n.choice("normalizer", "standard", {"none", "standard", "log", "log_standard"}), n.where());
    return f;
  }
  f.min_categr_count = n.get("min_categr_count", min_categr_count, at_least(1));
  if (f.type != FeatureType::Multi) return f;
  f.max_len = n.require<int64_t>("max_len", between(1, 65536));
  f.separator = n.get("separator", f.separator);
  f.pooling = parse_bag_pooling(n.choice("pooling", "mean", {"mean", "sum", "max"}), n.where());
  return f;
}

CellRule read_rule(const ConfigNode& n, const std::string& rule) {
  std::string column = n.require<std::string>("column");
  try {
    return parse_rule(std::move(column), rule);
  } catch (const ConfigError& e) { n.fail(e.what()); }
}

LeakCheck read_leak_check(const ConfigNode& n) {
  const std::string word = n.choice("leak_check", "warn", {"warn", "error", "off"});
  return word == "warn" ? LeakCheck::Warn : word == "error" ? LeakCheck::Error : LeakCheck::Off;
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
  s.interactions.source = read_source(n.child("interactions"), folder);
  s.user_id = n.require<std::string>("user_id");
  s.item_id = n.require<std::string>("item_id");
  if (n.has("users")) {
    s.users.source = read_source(n.child("users"), folder);
    s.users.key = n.child("users").get("key", s.user_id);
  }
  if (n.has("items")) {
    s.items.source = read_source(n.child("items"), folder);
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
  s.clean = parse_clean(n.list("clean"));
  s.leak_check = read_leak_check(n);
  s.split = read_split(n.child("split"));
  if (n.has("negatives")) {
    s.negatives.per_positive = n.child("negatives").require<int64_t>("per_positive", between(1, 1000));
    const std::string words =
        n.child("negatives").choice("distribution", "uniform", {"uniform", "popularity", "in_batch"});
    s.negatives.distribution = words == "popularity" ? NegativeSpec::Popularity
                               : words == "in_batch" ? NegativeSpec::InBatch
                                                     : NegativeSpec::Uniform;
  }
  s.seed = n.get("seed", s.seed);
  const auto min_categr_count = n.get<int64_t>("min_categr_count", 1, at_least(1));
  for (const ConfigNode& feature : n.list("features")) s.features.push_back(read_feature(feature, s, min_categr_count));
  try {
    check_schema(s);
  } catch (const ConfigError& e) { n.fail(e.what()); }
  return s;
}

}  // namespace winnow
