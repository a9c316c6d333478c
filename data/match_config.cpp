// The section `data` of a matching job. A key is read only where it means something.
#include "core/config.h"
#include "data/match_data.h"
#include "data/source_config.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

TextTableSpec read_table(const ConfigNode& n, const std::string& folder, const std::string& key) {
  TextTableSpec t;
  t.source = read_source(n, folder);
  t.key = n.get("key", key);
  t.text = n.require<std::vector<std::string>>("text");
  if (t.text.empty()) n.fail("text", "at least one column");
  return t;
}

void read_strength(const ConfigNode& n, MatchSpec& s) {
  s.strength = n.get("strength", "");
  if (!n.has("strengths")) return;
  if (s.strength.empty()) n.fail("strengths", "needs `strength`, the column that holds these words");
  for (const auto& [word, value] : n.child("strengths").entries()) s.strengths[word] = value.as<double>(at_least(0));
}

void read_timestamp(const ConfigNode& n, MatchSpec& s) {
  s.timestamp = n.child("timestamp").require<std::string>("column");
  s.time_format = n.child("timestamp").get("format", s.time_format);
  TimeFormat{s.time_format};
}

void read_split(const ConfigNode& n, MatchSpec& s) {
  const ConfigNode split = n.child("split");
  const bool time = split.choice("method", s.timestamp.empty() ? "query" : "time", {"time", "query"}) == "time";
  if (time && s.timestamp.empty()) n.fail("split", "method time needs `timestamp`");
  s.split.method = time ? SplitSpec::Time : SplitSpec::Random;
  if (!s.test.given()) s.split.test = split.get("test", s.split.test, fraction());
  if (s.test.given()) s.split.test = 0;
  s.split.valid = s.valid.given() ? 0 : split.get("valid", s.split.valid, fraction());
  s.split.train = 1 - s.split.valid - s.split.test;
  if (s.split.train <= 0) n.fail("split", "valid and test leave nothing to train on");
}

void read_given_splits(const ConfigNode& n, const std::string& folder, MatchSpec& s) {
  if (n.has("valid")) s.valid = read_source(n.child("valid"), folder);
  if (n.has("test")) s.test = read_source(n.child("test"), folder);
}

}  // namespace

MatchSpec parse_match_spec(const ConfigNode& n) {
  MatchSpec s;
  const std::string folder = n.get("path", "");
  const bool pairs = n.has("pairs"), labelled = n.has("labelled"), interactions = n.has("interactions");
  if (pairs + labelled + interactions != 1) n.fail("needs one of `pairs`, `labelled` and `interactions`");
  if (pairs) {
    const ConfigNode t = n.child("pairs");
    s.form = MatchSpec::Pairs;
    s.source = read_source(t, folder);
    s.query = t.get("query", "query");
    s.item = t.get("item", "item");
    s.query_id = t.get("query_id", "");
    s.item_id = t.get("item_id", "");
    read_strength(t, s);
    read_given_splits(n, folder, s);
    if (n.has("timestamp")) read_timestamp(n, s);
  } else if (labelled) {
    const ConfigNode t = n.child("labelled");
    s.form = MatchSpec::Labelled;
    s.source = read_source(t, folder);
    s.query = t.get("text", "text");
    s.item = t.get("label", "label");
    read_given_splits(n, folder, s);
  } else {
    s.form = MatchSpec::Interactions;
    const ConfigNode t = n.child("interactions");
    s.source = read_source(t, folder);
    s.user_id = n.require<std::string>("user_id");
    s.item_id = n.require<std::string>("item_id");
    s.basket = n.get("basket", "");
    read_strength(n, s);
    if (n.has("users")) s.users = read_table(n.child("users"), folder, s.user_id);
    if (n.has("items"))
      s.items = read_table(n.child("items"), folder, s.item_id);
    else
      s.title = t.require<std::string>("title");
    const ConfigNode query = n.child("query");
    s.history = query.get("titles", s.history, between(0, 1000));
    s.baskets = query.get("baskets", s.baskets, between(0, 1e6));
    if (s.history == 0 && !s.users.source.given())
      n.fail("query", "without titles of earlier items a query needs the text of `users`");
    read_timestamp(n, s);
  }
  if (!s.strength.empty()) s.answer_from = n.get("answer_from", s.answer_from, at_least(0));
  s.clean = parse_clean(n.list("clean"));
  read_split(n, s);
  if (s.form == MatchSpec::Labelled)
    s.draw = true;
  else
    s.draw = n.choice("rows", "pairs", {"pairs", "queries"}) == "queries";
  s.seed = n.get("seed", s.seed);
  return s;
}

}  // namespace winnow
