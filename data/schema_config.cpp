// The `data:` section of a config. A key is read only where it means something, so that one given elsewhere is reported
// as unknown.
#include <algorithm>

#include "core/config.h"
#include "core/text.h"
#include "data/schema.h"
#include "data/source_config.h"

namespace winnow {
namespace {

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
  const std::vector<std::string> methods = {"time", "random", "stratified", "leave_last_out", "user", "kfold"};
  const std::string method = n.choice("method", "time", methods);
  SplitSpec s;
  s.method = static_cast<SplitSpec::Method>(std::ranges::find(methods, method) - methods.begin());
  if (s.method == SplitSpec::LeaveLastOut) return s;
  s.test = n.get("test", s.test);
  if (s.method == SplitSpec::KFold) {
    s.folds = n.get("folds", s.folds, between(2, 1000));
    s.fold = n.get("fold", s.fold, at_least(0));
    s.test_by_time = n.choice("test_method", "time", {"time", "random"}) == "time";
    return s;
  }
  s.train = n.get("train", s.train);
  s.valid = n.get("valid", s.valid);
  if (s.method == SplitSpec::Stratified) s.by = n.get("by", s.by);
  return s;
}

NegativeSpec read_negatives(const ConfigNode& n) {
  NegativeSpec s;
  s.per_positive = n.require<int64_t>("per_positive", between(1, 1000));
  const std::vector<std::string> distributions = {"uniform", "popularity", "in_batch"};
  const std::string distribution = n.choice("distribution", "uniform", distributions);
  s.distribution =
      static_cast<NegativeSpec::Distribution>(std::ranges::find(distributions, distribution) - distributions.begin());
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
  if (n.has("negatives")) s.negatives = read_negatives(n.child("negatives"));
  s.storage = n.choice("storage", "memory", {"memory", "disk"}) == "disk" ? Storage::Disk : Storage::Memory;
  if (s.storage == Storage::Disk) s.cache = n.get("cache", "");
  s.seed = n.get("seed", s.seed);
  s.id_dropout = n.get("id_dropout", s.id_dropout, fraction());
  const auto min_categr_count = n.get<int64_t>("min_categr_count", 1, at_least(1));
  for (const ConfigNode& feature : n.list("features")) read_feature(feature, min_categr_count, s);
  try {
    check_schema(s);
  } catch (const ConfigError& e) { n.fail(e.what()); }
  s.text = n.text();
  return s;
}

}  // namespace winnow
