// A saved policy (serve/bandits/policy.h) of any bytes: an Error, or a policy that can choose.
#include <cstring>
#include <memory>

#include "core/error.h"
#include "serve/bandits/policy.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow {
namespace {

void play(BanditPolicy& policy) {
  const BanditOptions& o = policy.options();
  if (o.draws > 1000 || o.context_dim + o.feature_dim > 256) return;
  const std::vector<int64_t> arms(o.arms > 0 ? 1 : 0);
  const std::vector<double> context(static_cast<size_t>(o.context_dim), 1.0),
      features(static_cast<size_t>(o.feature_dim), 1.0);
  const Decision d = policy.choose({.arms = arms, .context = context, .features = features});
  expect(d.ranking.size() == 1 && d.ranking[0] == 0, "the one candidate is chosen");
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  const auto owner = std::shared_ptr<std::byte[]>(new std::byte[size]);
  if (size > 0) std::memcpy(owner.get(), data, size);
  std::unique_ptr<BanditPolicy> policy;
  try {
    const MemoryBound bound(size);
    policy = BanditPolicy::parse(SafeTensors::parse({owner.get(), size}, owner, "fuzzed"), "fuzzed");
  } catch (const Error&) { return 0; }
  play(*policy);
  return 0;
}
