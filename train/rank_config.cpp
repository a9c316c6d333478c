#include "train/rank_config.h"

namespace winnow {
namespace {

FeatureRankerOptions read_model(const ConfigNode& n, const std::string& name) {
  FeatureRankerOptions o;
  o.name = name;
  o.members = n.get("members", o.members, between(1, 64));
  if (name == "linear") return o;
  o.mlp.hidden_units = n.get("hidden_units", std::vector<int64_t>{64, 32}, between(1, 65536));
  o.mlp.activation = n.choice("hidden_activation", "relu",
                              {"relu", "leaky_relu", "gelu", "gelu_tanh", "silu", "sigmoid", "tanh", "none"});
  o.mlp.dropout = n.get("net_dropout", 0.0, fraction());
  o.mlp.batch_norm = n.get("batch_norm", false);
  return o;
}

RankLoss read_loss(const ConfigNode& n) {
  using Kind = RankLoss::Kind;
  RankLoss loss;
  const std::string name = n.choice("name", "lambdarank", {"lambdarank", "ranknet", "listnet", "mse", "ordinal"});
  loss.kind = name == "mse"       ? Kind::Mse
              : name == "ordinal" ? Kind::Ordinal
              : name == "ranknet" ? Kind::RankNet
              : name == "listnet" ? Kind::ListNet
                                  : Kind::LambdaRank;
  if (loss.kind == Kind::RankNet) loss.sigma = n.get("sigma", 1.0, more_than(0));
  if (loss.kind != Kind::LambdaRank) return loss;
  LambdaRankOptions& o = loss.lambdarank;
  o.sigma = n.get("sigma", o.sigma, more_than(0));
  o.truncation = n.get("truncation", o.truncation, at_least(1));
  o.normalize = n.get("normalize", o.normalize);
  o.exponential_gain = n.choice("gain", "exponential", {"exponential", "linear"}) == "exponential";
  return loss;
}

RankEvaluation read_evaluation(const ConfigNode& n, bool texts) {
  RankEvaluation e;
  e.ks = n.get("ks", e.ks, between(1, 1e6));
  if (e.ks.empty()) n.fail("ks", "at least one");
  e.gain = n.choice("gain", "exponential", {"exponential", "linear"}) == "linear" ? Gain::Linear : Gain::Exponential;
  e.resamples = n.get("resamples", e.resamples, at_least(0));
  if (e.resamples > 0 && e.resamples < 200) n.fail("resamples", "0 (no intervals), or at least 200");
  e.seed = n.get("seed", e.seed);
  if (!texts) return e;
  const ConfigNode bm25 = n.child("bm25");
  e.bm25.k1 = bm25.get("k1", e.bm25.k1, at_least(0));
  e.bm25.b = bm25.get("b", e.bm25.b, between(0, 1));
  return e;
}

}  // namespace

RankConfig::RankConfig(const CommonOptions& options) {
  Config config = Config::load(options.config);
  for (const std::string& set : options.sets) config.apply_override(set);
  const ConfigNode root = config.root();
  root.choice("job", "rank", {"rank"});
  const ConfigNode model = root.child("model");
  model_name = model.choice("name", "mlp", {"mlp", "linear", "cross_encoder"});
  if (texts()) {
    cross_encoder.encoder = read_text_encoder_options(root.child("encoder"));
    cross_encoder.dropout = model.get("dropout", cross_encoder.dropout, fraction());
  } else {
    features = read_model(model, model_name);
  }
  schema = parse_ranking_schema(root.child("data"), texts());
  loss = read_loss(root.child("loss"));
  evaluation = read_evaluation(root.child("evaluation"), texts());
  Monitors monitors{.fallback = fmt::format("ndcg@{}", evaluation.ks.back()), .higher = {"map", "mrr"}, .lower = {}};
  for (const int64_t k : evaluation.ks) monitors.higher.push_back(fmt::format("ndcg@{}", k));
  loop = read_train_options(root.child("train"), monitors, {}, false);
  config.finish();
  resolved = config.emit();
}

}  // namespace winnow
