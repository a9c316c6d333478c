#include "train/match/config.h"

namespace winnow {
namespace {

using Kind = SimilarityLossOptions::Kind;

void read_loss(const ConfigNode& n, MatchConfig& c) {
  SimilarityLossOptions& loss = c.loss;
  const std::string name = n.choice("name", "softmax", {"softmax", "triplet", "cosent"});
  if (name == "triplet") {
    loss.kind = n.choice("negatives", "hardest", {"hardest", "all"}) == "all" ? Kind::TripletAll : Kind::TripletHardest;
    loss.margin = n.get("margin", loss.margin, more_than(0));
  } else {
    loss.kind = name == "softmax" ? Kind::Softmax : Kind::Cosent;
    loss.temperature = n.get("temperature", loss.temperature, more_than(0));
  }
  if (loss.kind == Kind::Softmax) {
    loss.symmetric = n.get("symmetric", loss.symmetric);
    c.log_q = n.get("log_q", c.log_q);
  }
  if (loss.kind == Kind::Cosent)
    if (const auto others = n.find<int64_t>("other_items", between(0, 1000))) c.other_items = *others;
  loss.prefixes = n.get("dims", loss.prefixes, at_least(1));
  if (!loss.prefixes.empty()) loss.prefix_weights = n.get("dim_weights", loss.prefix_weights, more_than(0));
  if (!loss.prefix_weights.empty() && loss.prefix_weights.size() != loss.prefixes.size())
    n.fail("dim_weights", "one for each of `dims`, or none");
}

void read_mining(const ConfigNode& n, MiningOptions& m) {
  m.negatives = n.get("negatives", m.negatives, between(0, 64));
  if (m.negatives == 0) return;
  m.every = n.get("every", m.every, at_least(1));
  m.from = n.get("from", m.from, at_least(0));
  m.until = n.get("until", m.until, between(1, 100000));
  if (m.from >= m.until) n.fail("until", "must be above `from`");
  m.margin = n.find<double>("margin", between(-2, 2));
  m.hardest = n.choice("pick", "random", {"random", "hardest"}) == "hardest";
}

void read_evaluation(const ConfigNode& n, bool published, MatchEvaluationOptions& e) {
  e.ks = n.get("ks", e.ks, between(1, 1e5));
  if (e.ks.empty()) n.fail("ks", "at least one");
  e.remove_known = n.choice("known", "keep", {"keep", "remove"}) == "remove";
  e.valid_queries = n.get("valid_queries", e.valid_queries, at_least(0));
  e.zero_shot = published && n.get("zero_shot", e.zero_shot);
  e.resamples = n.get("resamples", e.resamples, at_least(0));
  if (e.resamples > 0 && e.resamples < 200) n.fail("resamples", "0 (no intervals), or at least 200");
  e.seed = n.get("seed", e.seed);
}

Monitors monitors_of(const MatchSpec& data, const std::vector<int64_t>& ks) {
  if (data.split.valid == 0 && !data.valid.given()) return {"none", {}, {}};
  Monitors monitors{fmt::format("mrr@{}", ks.back()), {}, {}};
  for (const char* metric : {"hr", "recall", "precision", "mrr", "ndcg", "map"})
    for (const int64_t k : ks) monitors.higher.push_back(fmt::format("{}@{}", metric, k));
  if (!data.strength.empty()) monitors.higher.emplace_back("spearman");
  return monitors;
}

}  // namespace

MatchConfig::MatchConfig(const CommonOptions& options) {
  Config config = Config::load(options.config);
  for (const std::string& set : options.sets) config.apply_override(set);
  const ConfigNode root = config.root();
  root.choice("job", "match", {"match"});
  data = parse_match_spec(root.child("data"));
  model = read_dual_encoder_options(root);
  read_loss(root.child("loss"), *this);
  read_mining(root.child("mining"), mining);
  const bool published = !model.query.path.empty() && (!model.two_towers || !model.item.path.empty());
  read_evaluation(root.child("evaluation"), published && model.projection == 0, evaluation);
  loop = read_train_options(root.child("train"), monitors_of(data, evaluation.ks), fine_tuning_defaults(64, 3, 5e-5),
                            false);
  mining.seed = loop.train.seed;
  config.finish();
  resolved = config.emit();
}

}  // namespace winnow
