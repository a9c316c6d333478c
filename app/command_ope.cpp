// winnow ope
#include <cstdio>

#include "app/commands.h"
#include "core/parallel.h"
#include "serve/bandits/ope.h"

namespace winnow {
namespace {

struct OpeArguments {
  LoggedBanditSpec spec;
  OpeOptions options;
  std::string model = "auto";
  int threads = 0;
  bool json = false;
};

int run_ope(OpeArguments a) {
  if (a.threads > 0) set_num_threads(a.threads);
  using Model = RewardModelOptions;
  a.options.model.kind = a.model == "auto" ? Model::Auto : a.model == "logistic" ? Model::Logistic : Model::Ridge;
  a.options.model.seed = a.options.bootstrap.seed;
  const OpeReport report = evaluate_policy(read_logged_bandit(a.spec), a.options);
  std::fputs((a.json ? report.json() + "\n" : report.str()).c_str(), stdout);
  for (const std::string& warning : report.warnings) std::fputs(("warning: " + warning + "\n").c_str(), stderr);
  return 0;
}

void add_log_options(CLI::App& command, LoggedBanditSpec& spec) {
  command.add_option("--log", spec.log.path, "what was played: a file of any format (docs/data_sources.md)")
      ->required();
  command.add_option("--action", spec.action, "column of what was chosen")->capture_default_str();
  command.add_option("--reward", spec.reward, "column of what came of it")->capture_default_str();
  command.add_option("--propensity", spec.propensity, "column of the probability with which it was chosen")
      ->capture_default_str();
  command.add_option("--position", spec.position, "column of the place in the list; default: one place");
  command.add_option("--features", spec.features, "columns of the context; user_* for all that begin so")
      ->delimiter(',');
  command.add_option("--action-table", spec.action_table,
                     "table of the actions: their column as in the log, and features");
  command.add_option("--action-features", spec.action_features, "columns of that table")->delimiter(',');
  auto* policy = command.add_option_group("policy", "the policy to evaluate, one of");
  policy->add_option("--policy-columns", spec.policy_columns, "prefix of columns with its probability of each action");
  policy->add_option("--policy-table", spec.policy_table,
                     "table of action, probability and, with --position, position");
  policy->add_option("--policy", spec.policy_file, "a saved policy (winnow bandit simulate --save)");
  policy->require_option(1);
  command.add_option("--draws", spec.draws, "of a saved policy whose probabilities have no closed form")
      ->check(CLI::Range(1, 100000000))
      ->capture_default_str();
}

}  // namespace

void add_ope_command(CLI::App& app, Action& chosen) {
  auto a = std::make_shared<OpeArguments>();
  CLI::App* command =
      app.add_subcommand("ope", "Off-policy evaluation: what another policy would have earned, from a log");
  add_log_options(*command, a->spec);
  command->add_option("--estimators", a->options.estimators, "some of ips, snips, clipped, dm, dr, switch")
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--reward-model", a->model, "auto: logistic for rewards of 0 and 1, else ridge")
      ->check(CLI::IsMember({"auto", "logistic", "ridge"}))
      ->capture_default_str();
  command->add_option("--l2", a->options.model.l2, "penalty of the reward model")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--folds", a->options.model.folds, "of cross-fitting; 1: none")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--fold", a->spec.fold, "column of the fold of a row, instead of folds that are drawn")
      ->excludes("--folds");
  command->add_option("--clip", a->options.clip, "largest weight of clipped; default: sqrt(rows)");
  command->add_option("--switch-threshold", a->options.switch_threshold, "tau of switch; default: sqrt(rows)");
  command->add_option("--resamples", a->options.bootstrap.resamples, "of the bootstrap; 0: normal intervals alone")
      ->capture_default_str();
  command->add_option("--seed", a->options.bootstrap.seed, "of folds and resamples")->capture_default_str();
  command->add_option("--threads", a->threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  command->add_flag("--json", a->json, "print JSON");
  command->footer(
      "Example:\n"
      "  winnow bandit simulate --policy epsilon_greedy --epsilon 0.5 --arms 5 --dim 3 --rounds 5000 --log log.csv\n"
      "  winnow bandit simulate --policy squarecb --arms 5 --dim 3 --rounds 5000 --seed 2 --world-seed 1 --save "
      "policy.safetensors\n"
      "  winnow ope --log log.csv --features 'x_*' --policy policy.safetensors --json\n"
      "docs/bandits.md");
  command->callback([a, &chosen] { chosen = [a] { return run_ope(*a); }; });
}

}  // namespace winnow
