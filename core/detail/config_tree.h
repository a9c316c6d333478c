// The tree behind core/config.h: values with their source, built from YAML events, and written back as YAML.
#pragma once
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace winnow::detail {

inline constexpr size_t kConfigDepth = 64;
inline constexpr size_t kConfigBytes = size_t{1} << 20;

struct ConfigValue {
  enum class Kind : uint8_t { Null, Scalar, List, Map };
  enum class Origin : uint8_t { Text, Override, Default };
  Kind kind = Kind::Null;
  Origin origin = Origin::Text;
  bool quoted = false;  // a scalar in quotes or a block scalar: text, never a number
  bool read = false;
  uint32_t line = 0;  // 0: unknown
  std::string key;    // in a map
  std::string text;   // of a scalar
  std::vector<std::unique_ptr<ConfigValue>> children;

  ConfigValue* find(std::string_view wanted) const;
};

struct ConfigTree {
  std::string source;
  ConfigValue root;
  bool reading = false;  // root() was called; from here on values stay where they are
  std::map<const ConfigValue*, std::vector<std::string>> known;  // the keys that readers asked each map for
  void add_known(const ConfigValue& map, std::string_view key);
};

// "a.b", "a" when there is no path yet.
std::string config_path(const std::string& path, std::string_view key);
std::string config_path(const std::string& path, size_t index);
// "x.yaml:12", "x.yaml" for a default, "--set" for an override.
std::string config_place(const ConfigTree& tree, const ConfigValue& value);

// Parses one YAML document into `root`. ConfigError "source:line: ..."; memory stays below 16 x text + 1 MiB.
void parse_yaml(std::string_view text, const std::string& source, ConfigValue& root);
std::string emit_yaml(const ConfigValue& root);

}  // namespace winnow::detail
