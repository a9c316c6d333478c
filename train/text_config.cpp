// The config of a text job.
#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "train/text_job.h"
#include "train/train_arguments.h"

namespace winnow {
namespace {

using MakeJob = std::unique_ptr<TextJob> (*)(const ConfigNode& root);
constexpr std::pair<const char*, MakeJob> kJobs[] = {{"classify", make_classify}, {"value-text", make_value_text}};

std::vector<std::string> job_names() {
  std::vector<std::string> names;
  for (const auto& [name, make] : kJobs) names.emplace_back(name);
  return names;
}

}  // namespace

// A published encoder's keys are read again with the copy as their path. Those of one from scratch do not go with a
// path: they are read as they are, and what the copy says takes their place.
std::optional<TextEncoderOptions> replace_encoder(Config& config, const std::string& file,
                                                  const std::string& directory) {
  if (directory.empty()) return std::nullopt;
  const auto path = Config::load(file).root().child("encoder").find<std::string>("path");
  if (!path || path->empty()) return published_encoder_options(directory);
  config.apply_override("encoder.path=" + nlohmann::json(directory).dump());
  config.apply_override("encoder.tokenizer=''");
  return std::nullopt;
}

TextConfig::TextConfig(const CommonOptions& options, const std::string& wanted, const std::string& encoder) {
  Config config = Config::load(options.config);
  for (const std::string& set : options.sets) config.apply_override(set);
  const auto saved = replace_encoder(config, options.config, encoder);
  const ConfigNode root = config.root();
  const std::string name =
      wanted.empty() ? root.require_choice("job", job_names()) : root.choice("job", wanted, {wanted});
  for (const auto& [known, make] : kJobs)
    if (name == known) job = make(root);
  data = read_text_rows(root.child("data"), true);
  data.columns = job->columns();
  model = read_text_model_options(root.child("encoder"), root.child("model"));
  if (saved) model.encoder = *saved;
  const ConfigNode train = root.child("train");
  const Monitors monitors = data.held_out(Split::Valid) ? job->monitors() : Monitors{"none", {}, {}};
  loop = read_train_options(train, monitors, fine_tuning_defaults(32, 4, 2e-4), false);
  batches.batch_size = loop.batch_size;
  batches.max_tokens = train.get("max_tokens", batches.max_tokens, at_least(0));
  batches.by_length = train.get("by_length", batches.by_length);
  batches.seed = loop.train.seed;
  if (const double decay = train.get("layer_decay", 1.0, {.least = 0, .most = 1, .above_least = true}); decay < 1)
    loop.train.optimizer.rate_factor =
        [decay, layers = model.encoder.transformer.num_hidden_layers](const std::string& parameter) {
          return std::pow(decay, static_cast<double>(layers + 1 - depth_of(parameter, layers)));
        };
  config.finish();
  resolved = config.emit();
}

bool is_text_job(const std::string& job) {
  return std::ranges::any_of(kJobs, [&](const auto& known) { return job == known.first; });
}

}  // namespace winnow
