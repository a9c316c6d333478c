// Strict YAML configuration: every key is read or reported.
//
//   Config config = Config::load("examples/ctr/x.yaml");
//   config.apply_override("train.lr=0.01");           // --set train.lr=0.01, before root()
//   const ConfigNode train = config.root().child("train");
//   const int epochs = train.get("epochs", 10, at_least(1));
//   const auto units = train.get<std::vector<int64_t>>("hidden_units", {256, 128}, at_least(1));
//   const std::string optimizer = train.choice("optimizer", "adam", {"sgd", "adam"});
//   config.finish();                                  // ConfigError for every key that nobody read
//   write_atomically("config.yaml", config.emit());   // as resolved: with the defaults
//
// Errors are ConfigErrors "file:line: dotted.key: ...". Refused are: keys given twice, anchors, aliases, tags, several
// documents, nesting over 64 levels, texts over 1 MiB or not UTF-8. Types are strict: an integer has digits only, a
// boolean is true or false, a quoted scalar is text, and null is a value only for find(), child() and has().
#pragma once
#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/error.h"

namespace winnow {

namespace detail {
struct ConfigTree;
struct ConfigValue;
template <class T>
struct IsVector : std::false_type {};
template <class T>
struct IsVector<std::vector<T>> : std::true_type {};
}  // namespace detail

// The values that a number may take.
struct Range {
  double least = -std::numeric_limits<double>::infinity(), most = std::numeric_limits<double>::infinity();
  bool above_least = false, below_most = false;  // true: the bound itself is excluded
  bool holds(double v) const { return (above_least ? v > least : v >= least) && (below_most ? v < most : v <= most); }
  std::string str() const;  // ">= 1", "> 0 and <= 1"
};
inline Range at_least(double least) { return {.least = least}; }
inline Range more_than(double least) { return {.least = least, .above_least = true}; }
inline Range at_most(double most) { return {.most = most}; }
inline Range between(double least, double most) { return {.least = least, .most = most}; }  // both included
inline Range fraction() { return {.least = 0, .most = 1, .below_most = true}; }             // [0, 1), a dropout rate

// One value of the configuration: a map, a list, a scalar or null. A cheap handle that keeps the tree alive; reading
// through it records what was used. T below is bool, an integer type, float, double, std::string, or a vector of one of
// these; a Range applies to each number of a vector.
class ConfigNode {
 public:
  // The key's value in this map. get(): an absent key takes the fallback. require(): an absent key is an error. find():
  // an absent or null key is nullopt. Two readers that give one absent key different fallbacks are an error.
  template <class T>
  requires(!std::is_array_v<T> && !std::is_pointer_v<T>) T
      get(std::string_view key, const T& fallback, const Range& range = {})
  const;
  std::string get(std::string_view key, const char* fallback) const { return get(key, std::string(fallback)); }
  template <class T>
  T require(std::string_view key, const Range& range = {}) const;
  template <class T>
  std::optional<T> find(std::string_view key, const Range& range = {}) const;
  // One of the words, or an error that lists them.
  std::string choice(std::string_view key, const std::string& fallback, const std::vector<std::string>& words) const;
  std::string require_choice(std::string_view key, const std::vector<std::string>& words) const;

  bool has(std::string_view key) const;                             // present and not null; does not count as read
  ConfigNode child(std::string_view key) const;                     // a map; empty when the key is absent or null
  std::vector<ConfigNode> list(std::string_view key) const;         // of any values; empty when the key is absent
  std::vector<std::pair<std::string, ConfigNode>> entries() const;  // of this map, whose keys are free

  bool is_map() const;
  bool is_list() const;
  bool is_scalar() const;  // null is none of the three
  template <class T>
  T as(const Range& range = {}) const;    // this value itself
  std::vector<ConfigNode> items() const;  // of this list

  const std::string& path() const { return path_; }  // "train.layers[0]"
  std::string where() const;                         // "x.yaml:12: train.layers[0]"
  std::string text() const;                          // this value as Config::emit() shows it
  // ConfigError "x.yaml:12: train.lr: <text>" for rules beyond types and ranges.
  [[noreturn]] void fail(const std::string& text) const;
  [[noreturn]] void fail(std::string_view key, const std::string& text) const;
  void finish() const;  // as Config::finish(), for what lies under this value

 private:
  friend class Config;
  ConfigNode(std::shared_ptr<detail::ConfigTree> tree, detail::ConfigValue* value, std::string path)
      : tree_(std::move(tree)), value_(value), path_(std::move(path)) {}

  // A fallback as emit() shows it.
  struct Shown {
    std::vector<std::string> texts;
    bool list = false, null = false, quoted = false;
  };
  template <class T>
  static Shown shown(const T& v);
  static std::string shown_number(double v);
  static std::string shown_number(float v);

  // The key's value, marked as read; an undefined handle when it is absent.
  ConfigNode lookup(std::string_view key) const;
  ConfigNode lookup_or_remember(std::string_view key, const Shown& fallback) const;
  ConfigNode lookup_required(std::string_view key) const;
  bool is_null() const;
  bool to_bool() const;
  int64_t to_integer(int64_t least, int64_t most) const;
  uint64_t to_unsigned(uint64_t most) const;
  double to_number(double largest) const;
  std::string to_text() const;
  std::string one_of(const std::vector<std::string>& words) const;
  void check_range(double v, const Range& range) const;
  [[noreturn]] void expected(const std::string& what) const;

  std::shared_ptr<detail::ConfigTree> tree_;
  detail::ConfigValue* value_ = nullptr;  // in tree_; null: absent
  std::string path_;
};

class Config {
 public:
  static Config load(const std::string& path);                            // IoError, ConfigError
  static Config parse(std::string_view text, const std::string& source);  // `source` names the text in errors
  // "a.b=value" or "a.list.0=value" (also a.list[0]); the value is YAML. Maps on the way are made, list elements must
  // exist. Later overrides win. ConfigError "--set: ..." also when root() was called before.
  void apply_override(std::string_view assignment);
  ConfigNode root();
  // ConfigError with one line for each key that was not read: "x.yaml:12: unknown key 'train.epoch'; did you mean
  // 'train.epochs'?"
  void finish() const;
  // The configuration as YAML text, with every default that was taken. Parses back to the same values.
  std::string emit() const;

 private:
  explicit Config(std::shared_ptr<detail::ConfigTree> tree) : tree_(std::move(tree)) {}
  std::shared_ptr<detail::ConfigTree> tree_;
};

template <class T>
requires(!std::is_array_v<T> && !std::is_pointer_v<T>) T ConfigNode::get(std::string_view key, const T& fallback,
                                                                         const Range& range)
const { return lookup_or_remember(key, shown(fallback)).template as<T>(range); }

template <class T>
T ConfigNode::require(std::string_view key, const Range& range) const {
  return lookup_required(key).template as<T>(range);
}

template <class T>
std::optional<T> ConfigNode::find(std::string_view key, const Range& range) const {
  const ConfigNode found = lookup_or_remember(key, Shown{.texts = {}, .null = true});
  if (found.is_null()) return std::nullopt;
  return found.as<T>(range);
}

template <class T>
T ConfigNode::as(const Range& range) const {
  if constexpr (detail::IsVector<T>::value) {
    T list;
    for (const ConfigNode& item : items()) list.push_back(item.as<typename T::value_type>(range));
    return list;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return to_text();
  } else if constexpr (std::is_same_v<T, bool>) {
    return to_bool();
  } else {
    static_assert(std::is_arithmetic_v<T>, "no conversion from a configuration value");
    T v{};
    using Limits = std::numeric_limits<T>;
    if constexpr (std::is_floating_point_v<T>)
      v = static_cast<T>(to_number(static_cast<double>(Limits::max())));
    else if constexpr (std::is_signed_v<T>)
      v = static_cast<T>(to_integer(Limits::min(), Limits::max()));
    else
      v = static_cast<T>(to_unsigned(Limits::max()));
    check_range(static_cast<double>(v), range);
    return v;
  }
}

template <class T>
ConfigNode::Shown ConfigNode::shown(const T& v) {
  if constexpr (detail::IsVector<T>::value) {
    Shown all{.texts = {}, .list = true, .quoted = std::is_same_v<typename T::value_type, std::string>};
    for (const typename T::value_type& item : v) all.texts.push_back(shown<typename T::value_type>(item).texts[0]);
    return all;
  } else if constexpr (std::is_same_v<T, std::string>) {
    return {.texts = {v}, .quoted = true};
  } else if constexpr (std::is_floating_point_v<T>) {
    return {.texts = {shown_number(v)}};
  } else {
    return {.texts = {fmt::format("{}", v)}};
  }
}

}  // namespace winnow
