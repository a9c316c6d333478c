// winnow bandit simulate
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/parallel.h"
#include "serve/bandits/simulate.h"
#include "train/commands.h"
#include "train/report/chart.h"
#include "train/report/html.h"

namespace winnow {
namespace {

struct BanditArguments {
  std::vector<std::string> policies = {"linucb"};
  SimulationOptions options;
  std::string world = "auto", form = "disjoint", csv, html, log, save;
  int64_t arms = 20, dim = 8, world_seed = -1;
  int repeats = 1, threads = 0;
  bool json = false;
};

// A policy's repeats beside each other: means, and the range of the regret.
struct PolicyCurve {
  std::string policy;
  std::vector<RegretPoint> mean;
  std::vector<double> low = {}, high = {};
  double exponent = 0, reward = 0, random_reward = 0, oracle_reward = 0;
};

SimulationOptions simulation_of(const BanditArguments& a, const std::string& policy, int repeat) {
  SimulationOptions o = a.options;
  o.policy.kind = parse_bandit_kind(policy);
  const std::string world = a.world != "auto"                                ? a.world
                            : o.policy.kind == BanditKind::ThompsonBernoulli ? "bernoulli"
                            : o.policy.kind == BanditKind::ThompsonLogistic  ? "logistic"
                                                                             : "linear";
  o.world = world == "linear"     ? BanditWorld::Linear
            : world == "logistic" ? BanditWorld::Logistic
                                  : BanditWorld::Bernoulli;
  const bool contexts = o.world != BanditWorld::Bernoulli && o.policy.kind != BanditKind::ThompsonBernoulli;
  o.policy.arms = contexts && a.form == "shared" ? 0 : a.arms;
  o.candidates = a.arms;
  o.policy.context_dim = contexts && a.form != "shared" ? a.dim : 0;
  o.policy.feature_dim = contexts && a.form != "disjoint" ? a.dim : 0;
  const auto shift = static_cast<uint64_t>(repeat);
  o.world_seed = (a.world_seed < 0 ? o.seed : static_cast<uint64_t>(a.world_seed)) + shift;
  o.seed += shift;
  o.policy.seed = o.seed;
  check_bandit_options(o.policy);
  return o;
}

PolicyCurve curve_of(const std::string& policy, const std::vector<SimulationResult>& runs) {
  PolicyCurve out{.policy = policy, .mean = runs[0].curve};
  const auto n = static_cast<double>(runs.size());
  for (size_t i = 0; i < out.mean.size(); ++i) {
    RegretPoint sum{.round = out.mean[i].round};
    double low = INFINITY, high = -INFINITY;
    for (const SimulationResult& run : runs) {
      sum.regret += run.curve[i].regret / n, sum.random += run.curve[i].random / n;
      low = std::min(low, run.curve[i].regret), high = std::max(high, run.curve[i].regret);
    }
    out.mean[i] = sum;
    out.low.push_back(low), out.high.push_back(high);
  }
  for (const SimulationResult& run : runs) {
    out.reward += run.reward / n, out.random_reward += run.random_reward / n;
    out.oracle_reward += run.oracle_reward / n;
  }
  out.exponent = regret_exponent(out.mean, out.mean.back().round / 10);
  return out;
}

std::string json_of(const BanditArguments& a, const std::vector<PolicyCurve>& curves) {
  nlohmann::json j{{"rounds", a.options.rounds}, {"arms", a.arms},         {"dim", a.dim},
                   {"repeats", a.repeats},       {"seed", a.options.seed}, {"policies", nlohmann::json::array()}};
  for (const PolicyCurve& c : curves) {
    nlohmann::json points = nlohmann::json::array();
    for (const RegretPoint& p : c.mean)
      points.push_back({{"round", p.round}, {"regret", p.regret}, {"random", p.random}});
    j["policies"].push_back({{"policy", c.policy},
                             {"regret", c.mean.back().regret},
                             {"regret_range", {c.low.back(), c.high.back()}},
                             {"regret_exponent", std::isfinite(c.exponent) ? nlohmann::json(c.exponent) : nullptr},
                             {"random_regret", c.mean.back().random},
                             {"reward", c.reward},
                             {"random_reward", c.random_reward},
                             {"oracle_reward", c.oracle_reward},
                             {"curve", std::move(points)}});
  }
  return j.dump(2) + "\n";
}

std::string text_of(const std::vector<PolicyCurve>& curves) {
  std::string out = fmt::format("{:<20} {:>12} {:>12} {:>12} {:>10} {:>12} {:>12} {:>12}\n", "policy", "regret",
                                "of random", "of oracle", "exponent", "reward", "of random", "of oracle");
  for (const PolicyCurve& c : curves)
    out += fmt::format("{:<20} {:>12.1f} {:>12.1f} {:>12} {:>10.3f} {:>12.1f} {:>12.1f} {:>12.1f}\n", c.policy,
                       c.mean.back().regret, c.mean.back().random, 0, c.exponent, c.reward, c.random_reward,
                       c.oracle_reward);
  return out;
}

std::string csv_of(const std::vector<PolicyCurve>& curves) {
  std::string out = "policy,round,regret,regret_low,regret_high,random\n";
  for (const PolicyCurve& c : curves)
    for (size_t i = 0; i < c.mean.size(); ++i)
      out += fmt::format("{},{},{},{},{},{}\n", c.policy, c.mean[i].round, c.mean[i].regret, c.low[i], c.high[i],
                         c.mean[i].random);
  return out;
}

std::string page_of(const BanditArguments& a, const std::vector<PolicyCurve>& curves) {
  std::vector<ChartSeries> lines, logs;
  int number = 0;
  for (const PolicyCurve& c : curves) {
    ChartSeries line;
    line.name = c.policy;
    line.colour = number % 6 + 1, line.dash = number % 4 + 1;
    line.band = a.repeats > 1;
    ChartSeries log = line;
    log.band = false;
    for (size_t i = 0; i < c.mean.size(); ++i) {
      const auto round = static_cast<double>(c.mean[i].round);
      line.points.push_back({round, c.mean[i].regret, c.low[i], c.high[i]});
      if (c.mean[i].regret > 0) log.points.push_back({std::log10(round), std::log10(c.mean[i].regret)});
    }
    lines.push_back(std::move(line)), logs.push_back(std::move(log));
    ++number;
  }
  const std::string about = fmt::format("{} arms, {} numbers of context, mean of {} worlds{}", a.arms, a.dim, a.repeats,
                                        a.repeats > 1 ? "; the bands span them" : "");
  ChartOptions plain, logarithmic;
  plain.title = "Regret", plain.explanation = about + ".";
  plain.x_label = "round", plain.y_label = "regret";
  logarithmic.title = "Regret, logarithmic";
  logarithmic.explanation = "A slope of 1/2 is sqrt(T), 1 is a policy that learns nothing.";
  logarithmic.x_label = "log10 round", logarithmic.y_label = "log10 regret";
  const std::string body = line_chart(plain, lines) + line_chart(logarithmic, logs);
  return html_page("Bandit simulation", html_section("regret", "Regret of simulated bandits", body));
}

int run_simulate(const BanditArguments& a) {
  if (a.threads > 0) set_num_threads(a.threads);
  const bool one = a.policies.size() == 1 && a.repeats == 1;
  WN_CHECK(one || (a.log.empty() && a.save.empty()), ConfigError,
           "bandit simulate: --log and --save take one policy and one repeat");
  const auto repeats = static_cast<size_t>(a.repeats);
  std::vector<SimulationOptions> options;
  for (const std::string& policy : a.policies)
    for (int r = 0; r < a.repeats; ++r) options.push_back(simulation_of(a, policy, r));
  std::vector<SimulationResult> runs(options.size());
  if (!a.log.empty()) {
    const BanditOptions& p = options[0].policy;
    WN_CHECK(p.feature_dim == 0, ConfigError, "bandit simulate: --log is for candidates without features of their own");
    AtomicFile file(a.log);
    for (int64_t i = 0; i < p.context_dim; ++i) file.write(fmt::format("x_{},", i));
    file.write("action,reward,propensity\n");
    runs[0] = simulate_bandit(options[0],
                              [&](std::span<const double> context, int64_t arm, double reward, double propensity) {
                                for (const double v : context) file.write(fmt::format("{},", v));
                                file.write(fmt::format("{},{},{}\n", arm, reward, propensity));
                              });
    file.commit();
  } else {
    parallel_tasks(static_cast<int64_t>(runs.size()),
                   [&](int64_t i) { runs[static_cast<size_t>(i)] = simulate_bandit(options[static_cast<size_t>(i)]); });
  }
  if (!a.save.empty()) runs[0].policy->save(a.save);
  std::vector<PolicyCurve> curves;
  for (size_t p = 0; p < a.policies.size(); ++p) {
    std::vector<SimulationResult> mine;
    for (size_t r = 0; r < repeats; ++r) mine.push_back(std::move(runs[p * repeats + r]));
    curves.push_back(curve_of(a.policies[p], mine));
  }
  if (!a.csv.empty()) write_atomically(a.csv, csv_of(curves));
  if (!a.html.empty()) write_atomically(a.html, page_of(a, curves));
  std::fputs((a.json ? json_of(a, curves) : text_of(curves)).c_str(), stdout);
  return 0;
}

void add_policy_options(CLI::App& command, BanditOptions& p) {
  command.add_option("--ridge", p.ridge, "of the regressions")->capture_default_str();
  command.add_option("--alpha", p.alpha, "linucb: width of the bound")->capture_default_str();
  command.add_option("--epsilon", p.epsilon, "epsilon_greedy: share of uniform choices")->capture_default_str();
  command.add_option("--epsilon-decay", p.epsilon_decay, "epsilon_greedy: epsilon (1 + t)^-decay")
      ->capture_default_str();
  command.add_option("--scale", p.scale, "thompson, thompson_logistic: of the posterior's deviation")
      ->capture_default_str();
  command.add_option("--gamma", p.gamma, "squarecb: gamma sqrt(arms t)")->capture_default_str();
  command.add_option("--prior-alpha", p.prior_alpha, "thompson_bernoulli")->capture_default_str();
  command.add_option("--prior-beta", p.prior_beta, "thompson_bernoulli")->capture_default_str();
  command.add_option("--draws", p.draws, "of propensities that are estimated")->capture_default_str();
  command.add_flag("--importance-weighted", p.importance_weighted,
                   "epsilon_greedy, squarecb: regress with 1 / propensity");
}

}  // namespace

void add_bandit_command(CLI::App& app, Action& chosen) {
  CLI::App* group = app.add_subcommand("bandit", "Contextual bandits; `winnow bandit COMMAND --help`");
  group->require_subcommand(1);
  CLI::App* command = group->add_subcommand(
      "simulate", "Policies against simulated arms: regret beside a random policy and one that knows the truth");
  auto a = std::make_shared<BanditArguments>();
  command->add_option("--policy", a->policies, fmt::format("some of {}", fmt::join(bandit_kinds(), ", ")))
      ->delimiter(',')
      ->capture_default_str();
  command->add_option("--arms", a->arms, "candidates")->check(CLI::Range(1, 100000))->capture_default_str();
  command->add_option("--dim", a->dim, "numbers of the context, or features of a candidate")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command->add_option("--rounds", a->options.rounds)->check(CLI::PositiveNumber)->capture_default_str();
  command->add_option("--world", a->world, "auto: logistic and bernoulli for the policies of that name, else linear")
      ->check(CLI::IsMember({"auto", "linear", "logistic", "bernoulli"}))
      ->capture_default_str();
  command
      ->add_option("--form", a->form,
                   "disjoint: weights of each arm; shared: weights of candidates' features; hybrid: both")
      ->check(CLI::IsMember({"disjoint", "shared", "hybrid"}))
      ->capture_default_str();
  add_policy_options(*command, a->options.policy);
  command->add_option("--delay", a->options.delay, "rounds until the feedback comes")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command->add_option("--batch", a->options.batch, "feedback learnt at a time")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command->add_option("--repeats", a->repeats, "worlds, of the seeds that follow")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  command->add_option("--seed", a->options.seed, "of rounds, world and policy")->capture_default_str();
  command->add_option("--world-seed", a->world_seed, "of the world's weights; default: the seed")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--csv", a->csv, "also write the curves");
  command->add_option("--html", a->html, "also write a page of the curves");
  command->add_option("--log", a->log,
                      "also write each round: context x_0, ..., action, reward, propensity; for winnow ope");
  command->add_option("--save", a->save, "also save the policy as it is in the end");
  command->add_option("--threads", a->threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  command->add_flag("--json", a->json, "print JSON");
  command->footer(
      "Example:\n"
      "  winnow bandit simulate --policy linucb --arms 20 --dim 8 --rounds 20000 --seed 1\n"
      "  winnow bandit simulate --policy epsilon_greedy,linucb,thompson,squarecb --repeats 10 --html regret.html\n"
      "docs/bandits.md");
  command->callback([a, &chosen] { chosen = [a] { return run_simulate(*a); }; });
}

}  // namespace winnow
