// A bandit over lists: it learns which kind of candidate users take, and its propensities are those it said.
#include "serve/api/list_policy.h"

#include <gtest/gtest.h>

#include "core/file.h"
#include "core/rng.h"
#include "tests/data_files.h"
#include "tests/error_text.h"

namespace winnow {
namespace {

using namespace std::chrono_literals;

ListPolicyOptions options_of(const std::string& yaml) {
  Config config = Config::parse(yaml, "policy");
  ListPolicyOptions o = read_list_policy(config.root());
  config.finish();
  return o;
}
const std::vector<std::string> kKeys = {"a", "b", "c", "d"};

// New items are taken nine times of ten, others once: the list that the model would show has them last.
TEST(ListPolicy, LearnsWhatUsersTake) {
  for (const char* kind : {"epsilon_greedy", "linucb", "thompson", "thompson_logistic", "squarecb"}) {
    ListPolicy policy(options_of(fmt::format("{{kind: {}, window: 10}}", kind)));
    const std::vector<PolicyCandidate> candidates = {
        {1.f, false, 50}, {.9f, false, 40}, {.5f, false, 3}, {.1f, true, 0}};
    Rng rng(7);
    auto now = ListPolicy::Clock::now();
    int early = 0, late = 0;
    for (int t = 0; t < 600; ++t) {
      const std::string request = std::to_string(t);
      const auto choice = policy.choose(request, candidates, kKeys, 4, now);
      ASSERT_EQ(choice.order.size(), 4u);
      ASSERT_GT(choice.propensity, 0);
      ASSERT_LE(choice.propensity, 1);
      const auto first = static_cast<size_t>(choice.order[0]);
      if (rng.uniform() < (candidates[first].is_new ? 0.9 : 0.1)) {
        EXPECT_EQ(policy.feedback(request, kKeys[first], "click", now), choice.propensity);
      }
      now += 11s;
      if (first == 3) ++(t < 300 ? early : late);
    }
    policy.expire(now);
    EXPECT_GT(late, 220) << kind;
    EXPECT_EQ(policy.counts().decisions, 600);
    EXPECT_EQ(policy.counts().rewarded + policy.counts().unrewarded, 600) << kind;
    EXPECT_EQ(policy.counts().open, 0);
  }
}

TEST(ListPolicy, OnlyTheFirstItemOfARememberedAnswerHasAPropensity) {
  ListPolicy policy(options_of("{kind: epsilon_greedy, epsilon: 0.4, window: 60, rewards: {purchase: 1}}"));
  const auto now = ListPolicy::Clock::now();
  const auto choice = policy.choose("r", {{1.f, false, 0}, {0.f, false, 0}}, kKeys, 2, now);
  const std::string first = kKeys[static_cast<size_t>(choice.order[0])],
                    second = kKeys[static_cast<size_t>(choice.order[1])];
  EXPECT_EQ(policy.feedback("r", second, "purchase", now), 0);
  EXPECT_EQ(policy.feedback("other", first, "purchase", now), 0);
  EXPECT_EQ(policy.feedback("r", first, "click", now), choice.propensity) << "kinds without a reward have one too";
  EXPECT_EQ(policy.counts().rewarded, 0);
  EXPECT_EQ(policy.feedback("r", first, "purchase", now), choice.propensity);
  EXPECT_EQ(policy.feedback("r", first, "purchase", now), choice.propensity);
  EXPECT_EQ(policy.counts().rewarded, 1) << "an answer is learnt once";
  EXPECT_EQ(policy.feedback("r", first, "purchase", now + 61s), 0) << "forgotten after its window";
  EXPECT_EQ(policy.counts().unrewarded, 0);
  EXPECT_TRUE(policy.choose("none", {}, {}, 3, now).order.empty());
}

TEST(ListPolicy, StateIsKeptInItsFile) {
  const TemporaryDirectory directory;
  ListPolicyOptions o = options_of("{kind: linucb}");
  o.file = directory.path() + "/policy.safetensors";
  const std::vector<PolicyCandidate> candidates = {{1.f, false, 5}, {0.f, true, 0}};
  ListPolicy policy(o);
  for (int t = 0; t < 20; ++t) {
    const std::string request = std::to_string(t);
    policy.choose(request, candidates, kKeys, 1);
    policy.feedback(request, "b", "click");
  }
  policy.save();
  ListPolicy again(o);
  for (int t = 100; t < 110; ++t)
    EXPECT_EQ(policy.choose(std::to_string(t), candidates, kKeys, 2).order,
              again.choose(std::to_string(t), candidates, kKeys, 2).order);
  o.bandit.kind = BanditKind::SquareCb;
  EXPECT_NE(text_of<ConfigError>([&] { ListPolicy{o}; }).find("the state of a policy 'linucb'"), std::string::npos);
}

TEST(ListPolicy, RefusesWhatMeansNothing) {
  EXPECT_THROW(options_of("{kind: linucp}"), ConfigError);
  EXPECT_THROW(options_of("{kind: linucb, epsilon: 0.1}"), ConfigError);
  EXPECT_THROW(options_of("{among: 1}"), ConfigError);
}

}  // namespace
}  // namespace winnow
