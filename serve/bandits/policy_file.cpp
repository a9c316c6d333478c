#include <charconv>
#include <cmath>

#include "core/error.h"
#include "core/text.h"
#include "serve/bandits/policy.h"

namespace winnow {
namespace {

constexpr const char *kFormat = "winnow_bandit", *kVersion = "1";

// Every number of the options, under the name it has in the file: written and read from one list.
template <class Options, class F>
void visit_options(Options& o, F&& f) {
  f("arms", o.arms), f("context_dim", o.context_dim), f("feature_dim", o.feature_dim), f("ridge", o.ridge);
  f("alpha", o.alpha), f("epsilon", o.epsilon), f("epsilon_decay", o.epsilon_decay), f("scale", o.scale);
  f("prior_alpha", o.prior_alpha), f("prior_beta", o.prior_beta), f("gamma", o.gamma), f("draws", o.draws);
  f("seed", o.seed);
}

class Metadata {
 public:
  Metadata(const SafeTensors& file, const std::string& source) : file_(file), source_(source) {}
  const std::string& text(const std::string& key) const {
    const auto found = file_.metadata().find(key);
    WN_CHECK(found != file_.metadata().end(), DataError, "{}: no '{}': not a saved policy", source_, key);
    return found->second;
  }
  template <class T>
  void number(const std::string& key, T& value) const {
    const std::string& written = text(key);
    const char* last = written.data() + written.size();
    const auto [end, error] = std::from_chars(written.data(), last, value);
    WN_CHECK(error == std::errc() && end == last, DataError, "{}: {} is {}", source_, key, quoted(written));
  }

 private:
  const SafeTensors& file_;
  const std::string& source_;
};

}  // namespace

void BanditPolicy::save(const std::string& path) const {
  std::map<std::string, std::string> metadata{{kFormat, kVersion},
                                              {"kind", name_of(options_.kind)},
                                              {"importance_weighted", options_.importance_weighted ? "1" : "0"},
                                              {"decisions", std::to_string(decisions_)}};
  visit_options(options_, [&](const char* name, auto value) { metadata[name] = fmt::format("{}", value); });
  save_safetensors(path, state(), metadata);
}

std::unique_ptr<BanditPolicy> BanditPolicy::load(const std::string& path) {
  const SafeTensors file = SafeTensors::open(path);
  file.verify();
  return parse(file, path);
}

std::unique_ptr<BanditPolicy> BanditPolicy::parse(const SafeTensors& file, const std::string& source) {
  const Metadata metadata(file, source);
  WN_CHECK(metadata.text(kFormat) == kVersion, DataError, "{}: a policy of version {}, this program reads {}", source,
           quoted(metadata.text(kFormat)), kVersion);
  BanditOptions options;
  options.kind = parse_bandit_kind(metadata.text("kind"));
  visit_options(options, [&](const char* name, auto& value) { metadata.number(name, value); });
  int weighted = 0;
  metadata.number("importance_weighted", weighted);
  WN_CHECK(weighted == 0 || weighted == 1, DataError, "{}: importance_weighted is {}", source, weighted);
  options.importance_weighted = weighted == 1;
  check_bandit_options(options);
  // Nothing is made from a declared size that the file does not hold.
  const int64_t d = options.context_dim + options.feature_dim > 0 ? options.context_dim : 1;
  int64_t numbers = options.feature_dim * (options.feature_dim + 1) / 2;
  if (options.kind == BanditKind::ThompsonBernoulli)
    numbers = 2 * options.arms;
  else if (d > 0)
    numbers += options.arms * (d * (d + 1) / 2 + d + d * options.feature_dim);
  int64_t held = 0;
  for (const SafeTensors::Entry& e : file.entries()) held += e.spec.shape.numel();
  WN_CHECK(held >= numbers, DataError, "{}: holds {} numbers, a policy of these options has {} and more", source, held,
           numbers);
  auto policy = create(options);
  policy->restore(file, source);
  metadata.number("decisions", policy->decisions_);
  return policy;
}

}  // namespace winnow
