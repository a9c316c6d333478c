// core/config.h over any text: ConfigError or a configuration that can be read, finished and written back.
// The text ends at the first zero byte; what follows are overrides, a zero byte between them.
#include <optional>
#include <string_view>

#include "core/config.h"
#include "core/error.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow {
namespace {

template <class F>
void tolerate_config_error(F&& f) {
  try {
    f();
  } catch (const ConfigError&) {}
}

// Reads every second key as if it were known, and each value as every type.
void read(const ConfigNode& node) {
  if (node.is_map()) {
    bool known = false;
    tolerate_config_error([&] { node.get("lr", 0.1, between(0, 1)); });
    tolerate_config_error([&] { node.choice("optimizer", "adam", {"adam", "sgd"}); });
    tolerate_config_error([&] { node.find<std::vector<int64_t>>("hidden_units", at_least(1)); });
    tolerate_config_error([&] { node.get<std::vector<std::string>>("words", {"a b", "1"}); });
    if (node.has("train")) tolerate_config_error([&] { read(node.child("train")); });
    if (node.has("free"))
      for (const auto& [key, value] : node.entries())
        if ((known = !known)) read(value);
  } else if (node.is_list()) {
    for (const ConfigNode& item : node.items()) read(item);
  } else {
    tolerate_config_error([&] { node.as<bool>(); });
    tolerate_config_error([&] { node.as<int>(); });
    tolerate_config_error([&] { node.as<uint64_t>(); });
    tolerate_config_error([&] { node.as<float>(more_than(0)); });
    tolerate_config_error([&] { node.as<double>(); });
    tolerate_config_error([&] { node.as<std::string>(); });
  }
}

void check_written_back(const Config& config) {
  constexpr size_t kWithinEveryLimit = 768;  // of the values and parts that a text of any size may have
  const std::string text = config.emit();
  if (text.size() > kWithinEveryLimit) return;
  try {
    expect(Config::parse(text, "emitted").emit() == text, "emit() parses back to itself");
  } catch (const ConfigError& e) {
    std::fprintf(stderr, "%s\n%s", e.what(), text.c_str());
    expect(false, "emit() can be parsed");
  }
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  const auto next_part = [&] {
    const std::string_view part = rest.substr(0, rest.find('\0'));
    rest.remove_prefix(std::min(rest.size(), part.size() + 1));
    return part;
  };
  std::optional<Config> config;
  try {
    const std::string_view text = next_part();
    const MemoryBound bound(text.size());
    config = Config::parse(text, "fuzzed");
  } catch (const ConfigError&) { return 0; }
  while (!rest.empty()) tolerate_config_error([&] { config->apply_override(next_part()); });
  check_written_back(*config);
  tolerate_config_error([&] { read(config->root()); });
  check_written_back(*config);
  tolerate_config_error([&] { config->finish(); });
  return 0;
}
