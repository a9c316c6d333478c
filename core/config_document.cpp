#include <algorithm>
#include <charconv>

#include "core/config.h"
#include "core/detail/config_tree.h"
#include "core/file.h"
#include "core/text.h"

namespace winnow {

using detail::ConfigTree;
using detail::ConfigValue;
using Kind = ConfigValue::Kind;
using Origin = ConfigValue::Origin;

Config Config::load(const std::string& path) { return parse(read_text(path, detail::kConfigBytes), path); }

Config Config::parse(std::string_view text, const std::string& source) {
  auto tree = std::make_shared<ConfigTree>();
  tree->source = source;
  detail::parse_yaml(text, source, tree->root);
  if (tree->root.kind == Kind::Null) tree->root.kind = Kind::Map;
  WN_CHECK(tree->root.kind == Kind::Map, ConfigError, "{}: expected keys and values, found {}",
           detail::config_place(*tree, tree->root), tree->root.kind == Kind::List ? "a list" : "a single value");
  tree->root.read = true;
  return Config(std::move(tree));
}

ConfigNode Config::root() {
  tree_->reading = true;
  return {tree_, &tree_->root, ""};
}

std::string Config::emit() const { return detail::emit_yaml(tree_->root); }
std::string ConfigNode::text() const { return value_ == nullptr ? std::string() : detail::emit_yaml(*value_); }

namespace {

// "a.b[0].c" as a, b, 0, c; an index may also stand as "a.b.0.c".
std::vector<std::string> split_path(std::string_view path) {
  std::vector<std::string> steps(1);
  for (size_t i = 0; i < path.size(); ++i) {
    const bool closes = path[i] == ']' && (i + 1 == path.size() || path[i + 1] == '.' || path[i + 1] == '[');
    if (closes) continue;
    if (path[i] == '.' || path[i] == '[')
      steps.emplace_back();
    else
      steps.back() += path[i];
  }
  return steps;
}

void mark_override(ConfigValue& value) {
  value.origin = Origin::Override;
  for (const auto& child : value.children) mark_override(*child);
}

size_t depth_of(const ConfigValue& value) {
  size_t deepest = 0;
  for (const auto& child : value.children) deepest = std::max(deepest, depth_of(*child));
  return deepest + (value.kind == Kind::Map || value.kind == Kind::List ? 1 : 0);
}

ConfigValue& list_element(ConfigValue& list, const std::string& step, const std::string& path) {
  size_t index = 0;
  const auto [end, error] = std::from_chars(step.data(), step.data() + step.size(), index);
  WN_CHECK(error == std::errc() && end == step.data() + step.size(), ConfigError,
           "--set: {}: is a list; expected an index, found {}", path, quoted(step));
  WN_CHECK(index < list.children.size(), ConfigError, "--set: {}: the list has {} elements, there is no element {}",
           path, list.children.size(), index);
  return *list.children[index];
}

// The value at the path, made with the maps on the way where it is absent.
ConfigValue& make_path(ConfigValue& root, const std::vector<std::string>& steps) {
  ConfigValue* at = &root;
  std::string path;
  for (const std::string& step : steps) {
    if (at->kind == Kind::List) {
      at = &list_element(*at, step, path);
    } else {
      if (at->kind == Kind::Null) at->kind = Kind::Map;
      WN_CHECK(at->kind == Kind::Map, ConfigError, "--set: {}: is a single value, it has no key {}", path,
               quoted(step));
      ConfigValue* child = at->find(step);
      if (child == nullptr) {
        child = at->children.emplace_back(std::make_unique<ConfigValue>()).get();
        child->key = step;
        child->origin = Origin::Override;
      }
      at = child;
    }
    path = detail::config_path(path, step);
  }
  return *at;
}

// What finish() needs to know of the tree.
struct Survey {
  explicit Survey(const ConfigTree& t) : tree(t) {}
  struct Unread {
    const ConfigValue* value;
    const ConfigValue* parent;
    std::string parent_path;
  };
  const ConfigTree& tree;
  std::vector<Unread> unread;
  std::vector<std::string> known;  // dotted keys that readers asked for, anywhere

  const std::vector<std::string>& known_of(const ConfigValue& map) const {
    static const std::vector<std::string> kNone;
    const auto at = tree.known.find(&map);
    return at == tree.known.end() ? kNone : at->second;
  }
  void visit(const ConfigValue& v, const std::string& path) {
    for (const std::string& key : known_of(v)) known.push_back(detail::config_path(path, key));
    for (size_t i = 0; i < v.children.size(); ++i) {
      const ConfigValue& child = *v.children[i];
      if (!child.read)
        unread.push_back({&child, &v, path});
      else
        visit(child, v.kind == Kind::List ? detail::config_path(path, i) : detail::config_path(path, child.key));
    }
  }
};

// A near key of the same map; the same key in another map; or all keys of the map.
std::string suggestion(const Survey& survey, const Survey::Unread& unread) {
  const std::string& key = unread.value->key;
  const std::string near = nearest(key, survey.known_of(*unread.parent));
  if (!near.empty()) return fmt::format("; did you mean '{}'?", detail::config_path(unread.parent_path, near));
  for (const std::string& path : survey.known)
    if (path.size() > key.size() && path.ends_with(key) && path[path.size() - key.size() - 1] == '.')
      return fmt::format("; did you mean '{}'?", path);
  auto keys = survey.known_of(*unread.parent);
  if (keys.empty() || keys.size() > 20) return "";
  std::sort(keys.begin(), keys.end());
  return fmt::format("; known here: {}", fmt::join(keys, ", "));
}

void check_all_read(const ConfigTree& tree, const ConfigValue& value, const std::string& path) {
  constexpr size_t kMostLines = 20;
  Survey survey(tree);
  survey.visit(value, path);
  if (survey.unread.empty()) return;
  std::string text;
  for (size_t i = 0; i < std::min(survey.unread.size(), kMostLines); ++i) {
    const Survey::Unread& u = survey.unread[i];
    text += fmt::format("{}{}: unknown key {}{}", i == 0 ? "" : "\n", detail::config_place(tree, *u.value),
                        quoted(detail::config_path(u.parent_path, u.value->key), 200), suggestion(survey, u));
  }
  if (survey.unread.size() > kMostLines) text += fmt::format("\nand {} more", survey.unread.size() - kMostLines);
  throw ConfigError(text);
}

}  // namespace

void Config::apply_override(std::string_view assignment) {
  WN_CHECK(!tree_->reading, ConfigError, "--set {}: came after the configuration was read", quoted(assignment));
  const size_t equals = assignment.find('=');
  WN_CHECK(equals != assignment.npos, ConfigError, "--set {}: expected key=value", quoted(assignment));
  const std::vector<std::string> steps = split_path(assignment.substr(0, equals));
  const bool bad =
      std::any_of(steps.begin(), steps.end(), [](const auto& s) { return s.empty() || s.size() > 256 || !is_utf8(s); });
  WN_CHECK(!bad && steps.size() <= detail::kConfigDepth, ConfigError,
           "--set {}: expected dotted keys before '=', as in train.lr=0.1", quoted(assignment));
  ConfigValue parsed;
  detail::parse_yaml(assignment.substr(equals + 1), "--set", parsed);
  mark_override(parsed);
  ConfigValue& target = make_path(tree_->root, steps);
  parsed.key = target.key;
  target = std::move(parsed);
  WN_CHECK(depth_of(tree_->root) <= detail::kConfigDepth, ConfigError, "--set {}: nested more than {} levels deep",
           quoted(assignment), detail::kConfigDepth);
}

void Config::finish() const { check_all_read(*tree_, tree_->root, ""); }
void ConfigNode::finish() const { check_all_read(*tree_, *value_, path_); }

}  // namespace winnow
