#include "core/config.h"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "core/detail/config_tree.h"
#include "core/file.h"
#include "core/text.h"

namespace winnow {

using detail::ConfigValue;
using Kind = ConfigValue::Kind;
using Origin = ConfigValue::Origin;

std::string Range::str() const {
  std::string text;
  if (std::isfinite(least)) text = fmt::format("{} {}", above_least ? ">" : ">=", least);
  if (std::isfinite(most)) text += fmt::format("{}{} {}", text.empty() ? "" : " and ", below_most ? "<" : "<=", most);
  return text;
}

// Reading a map.

ConfigNode ConfigNode::lookup(std::string_view key) const {
  if (value_->kind != Kind::Map) expected("a map");
  tree_->add_known(*value_, key);
  ConfigValue* found = value_->find(key);
  if (found != nullptr) found->read = true;
  return {tree_, found, detail::config_path(path_, key)};
}

ConfigNode ConfigNode::lookup_required(std::string_view key) const {
  ConfigNode found = lookup(key);
  if (found.value_ == nullptr)
    raise<ConfigError>("{}: {}: this key is required", detail::config_place(*tree_, *value_), found.path_);
  return found;
}

ConfigNode ConfigNode::lookup_or_remember(std::string_view key, const Shown& fallback) const {
  ConfigNode found = lookup(key);
  if (found.value_ != nullptr && found.value_->origin != Origin::Default) return found;
  auto value = std::make_unique<ConfigValue>();
  const auto fill = [&](ConfigValue& v, Kind kind, const std::string& text) {
    v.kind = kind;
    v.origin = Origin::Default;
    v.text = text;
    v.quoted = fallback.quoted;
    v.read = true;
  };
  if (fallback.list) {
    fill(*value, Kind::List, "");
    for (const std::string& text : fallback.texts)
      fill(*value->children.emplace_back(std::make_unique<ConfigValue>()), Kind::Scalar, text);
  } else {
    fill(*value, fallback.null ? Kind::Null : Kind::Scalar, fallback.null ? "" : fallback.texts[0]);
  }
  value->key = key;
  if (found.value_ == nullptr) {
    found.value_ = value_->children.emplace_back(std::move(value)).get();
    return found;
  }
  const std::string before = detail::emit_yaml(*found.value_), now = detail::emit_yaml(*value);
  if (before != now)
    found.fail(fmt::format("two readers take different defaults, {} and {}; give the key",
                           before.substr(0, before.size() - 1), now.substr(0, now.size() - 1)));
  return found;
}

bool ConfigNode::has(std::string_view key) const {
  if (value_->kind != Kind::Map) expected("a map");
  tree_->add_known(*value_, key);
  const ConfigValue* found = value_->find(key);
  return found != nullptr && found->kind != Kind::Null;
}

ConfigNode ConfigNode::child(std::string_view key) const {
  ConfigNode found = lookup(key);
  if (found.value_ == nullptr) {
    auto value = std::make_unique<ConfigValue>();
    value->origin = Origin::Default;
    value->read = true;
    value->key = key;
    found.value_ = value_->children.emplace_back(std::move(value)).get();
  }
  if (found.value_->kind == Kind::Null) found.value_->kind = Kind::Map;  // "train:" with nothing below
  if (found.value_->kind != Kind::Map) found.expected("a map");
  return found;
}

std::vector<ConfigNode> ConfigNode::list(std::string_view key) const {
  return lookup_or_remember(key, Shown{.texts = {}, .list = true}).items();
}

std::vector<std::pair<std::string, ConfigNode>> ConfigNode::entries() const {
  if (value_->kind != Kind::Map) expected("a map");
  std::vector<std::pair<std::string, ConfigNode>> all;
  for (const auto& child : value_->children) {
    child->read = true;
    all.emplace_back(child->key, ConfigNode(tree_, child.get(), detail::config_path(path_, child->key)));
  }
  return all;
}

std::vector<ConfigNode> ConfigNode::items() const {
  if (value_->kind != Kind::List) expected("a list");
  std::vector<ConfigNode> all;
  for (const auto& child : value_->children) {
    child->read = true;
    all.push_back(ConfigNode(tree_, child.get(), detail::config_path(path_, all.size())));
  }
  return all;
}

// Reading a scalar.

bool ConfigNode::is_map() const { return value_->kind == Kind::Map; }
bool ConfigNode::is_list() const { return value_->kind == Kind::List; }
bool ConfigNode::is_scalar() const { return value_->kind == Kind::Scalar; }
bool ConfigNode::is_null() const { return value_->kind == Kind::Null; }

std::string ConfigNode::to_text() const {
  if (value_->kind != Kind::Scalar) expected("text");
  return value_->text;
}

bool ConfigNode::to_bool() const {
  const bool plain = value_->kind == Kind::Scalar && !value_->quoted;
  if (!plain || (value_->text != "true" && value_->text != "false")) expected("true or false");
  return value_->text == "true";
}

namespace {

// An integer in decimal digits, without sign or leading zeros but "-" where T has one.
template <class T>
std::errc parse_integer(const ConfigValue& v, T& out) {
  if (v.kind != Kind::Scalar || v.quoted || v.text.empty()) return std::errc::invalid_argument;
  const std::string_view digits = std::string_view(v.text).substr(v.text[0] == '-' ? 1 : 0);
  if (digits.empty() || (digits.size() > 1 && digits[0] == '0')) return std::errc::invalid_argument;
  const auto [end, error] = std::from_chars(v.text.data(), v.text.data() + v.text.size(), out);
  if (end != v.text.data() + v.text.size()) return std::errc::invalid_argument;
  return error;
}

}  // namespace

int64_t ConfigNode::to_integer(int64_t least, int64_t most) const {
  int64_t v = 0;
  const std::errc error = parse_integer(*value_, v);
  if (error == std::errc::invalid_argument) expected("an integer");
  if (error != std::errc() || v < least || v > most) expected(fmt::format("an integer from {} to {}", least, most));
  return v;
}

uint64_t ConfigNode::to_unsigned(uint64_t most) const {
  uint64_t v = 0;
  int64_t negative = 0;
  const std::errc error = parse_integer(*value_, v);
  if (error == std::errc::invalid_argument && parse_integer(*value_, negative) == error) expected("an integer");
  if (error != std::errc() || v > most) expected(fmt::format("an integer from 0 to {}", most));
  return v;
}

double ConfigNode::to_number(double largest) const {
  if (value_->kind != Kind::Scalar || value_->quoted) expected("a number");
  std::string_view text = value_->text;
  if (text == ".inf") return std::numeric_limits<double>::infinity();
  if (text == "-.inf") return -std::numeric_limits<double>::infinity();
  // from_chars would also take "inf" and "nan".
  if (text.empty() || text.find_first_not_of("0123456789+-.eE") != text.npos) expected("a number");
  if (text[0] == '+' && text.size() > 1 && text[1] != '-') text.remove_prefix(1);
  double v = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), v);
  if (end != text.data() + text.size() || error == std::errc::invalid_argument) expected("a number");
  if (error != std::errc() || std::abs(v) > largest) expected(fmt::format("a number within {:.3g} of 0", largest));
  return v;
}

std::string ConfigNode::one_of(const std::vector<std::string>& words) const {
  std::string word = value_->kind == Kind::Scalar ? value_->text : "";
  if (value_->kind != Kind::Scalar || std::find(words.begin(), words.end(), word) == words.end())
    fail(fmt::format("expected one of {}; found {}{}", fmt::join(words, ", "),
                     value_->kind == Kind::Scalar ? quoted(word) : "no word", did_you_mean(word, words)));
  return word;
}

std::string ConfigNode::choice(std::string_view key, const std::string& fallback,
                               const std::vector<std::string>& words) const {
  return lookup_or_remember(key, shown(fallback)).one_of(words);
}
std::string ConfigNode::require_choice(std::string_view key, const std::vector<std::string>& words) const {
  return lookup_required(key).one_of(words);
}

void ConfigNode::check_range(double v, const Range& range) const {
  if (!range.holds(v)) fail(fmt::format("must be {}, found {}", range.str(), v));
}

std::string ConfigNode::shown_number(double v) {
  if (std::isinf(v)) return v > 0 ? ".inf" : "-.inf";
  const std::string text = fmt::format("{}", v);
  return text.find_first_of(".en") == text.npos ? text + ".0" : text;
}
std::string ConfigNode::shown_number(float v) {
  if (std::isinf(v)) return v > 0 ? ".inf" : "-.inf";
  const std::string text = fmt::format("{}", v);
  return text.find_first_of(".en") == text.npos ? text + ".0" : text;
}

// Errors.

std::string ConfigNode::where() const {
  return fmt::format("{}: {}", detail::config_place(*tree_, *value_), path_.empty() ? "(the whole text)" : path_);
}

void ConfigNode::fail(const std::string& text) const { raise<ConfigError>("{}: {}", where(), text); }

void ConfigNode::fail(std::string_view key, const std::string& text) const {
  const ConfigValue* found = value_->find(key);
  raise<ConfigError>("{}: {}: {}", detail::config_place(*tree_, found == nullptr ? *value_ : *found),
                     detail::config_path(path_, key), text);
}

void ConfigNode::expected(const std::string& what) const {
  std::string found;
  switch (value_->kind) {
    case Kind::Null: found = "nothing"; break;
    case Kind::List: found = "a list"; break;
    case Kind::Map: found = "a map"; break;
    case Kind::Scalar:
      found = value_->quoted ? fmt::format("the quoted text {}", quoted(value_->text)) : quoted(value_->text);
  }
  fail(fmt::format("expected {}, found {}", what, found));
}

}  // namespace winnow
