#include "train/click_text.h"
#include "train/text_job.h"

namespace winnow {
namespace {

LoopOptions defaults() {
  LoopOptions loop;
  loop.train.optimizer.clip_norm = 1;
  return loop;
}

EvaluationOptions read_evaluation(const ConfigNode& n, const Schema& schema) {
  EvaluationOptions e;
  e.ranking = false;
  e.importance_rows = 0;
  e.resamples = n.get("resamples", e.resamples, between(0, 100000));
  e.seed = n.get("seed", e.seed);
  e.slices = read_slices(n, schema);
  e.slice_min_rows = n.get("slice_min_rows", e.slice_min_rows, at_least(1));
  return e;
}

}  // namespace

ClickTextConfig::ClickTextConfig(const CommonOptions& options, const std::string& encoder) {
  Config config = Config::load(options.config);
  for (const std::string& set : options.sets) config.apply_override(set);
  const auto saved = replace_encoder(config, options.config, encoder);
  const ConfigNode root = config.root();
  root.choice("job", "click-text", {"click-text"});
  schema = parse_schema(root.child("data"));
  if (schema.storage == Storage::Disk) root.child("data").fail("storage", "texts of clicks need memory");
  model.encoder = read_text_encoder_options(root.child("encoder"));
  if (saved) model.encoder = *saved;

  const ConfigNode text = root.child("text");
  model.pair = text.choice("design", "towers", {"towers", "pair"}) == "pair";
  model.dropout = text.get("dropout", model.dropout, fraction());
  model.freeze_encoder = text.get("freeze_encoder", false);
  if (model.freeze_encoder && model.encoder.path.empty())
    text.fail("freeze_encoder", "an encoder that starts from scratch must be trained; give encoder.path");
  history.len = text.get("history", history.len, between(0, 1000));
  if (history.len > 0) history.frozen = text.choice("history_until", "row", {"row", "split"}) == "split";
  item_features = text.get<std::vector<std::string>>("item_features", {});
  if (model.pair) user_features = text.get<std::vector<std::string>>("user_features", {});
  if (text.get("fuse", true)) {
    model.text_fields = text.get("text_fields", model.text_fields, between(1, 64));
    model.ids = read_ctr_options(root.child("model"));
  }
  loop = read_train_options(root.child("train"), {}, defaults(), model.ids.has_value());
  evaluation = read_evaluation(root.child("evaluation"), schema);
  config.finish();
  resolved = config.emit();
}

}  // namespace winnow
