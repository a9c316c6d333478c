// Attributes of a graph node: a small sorted map of named constants, compared in full.
#pragma once
#include <cstdint>
#include <initializer_list>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace winnow {

class Attrs {
 public:
  using Item = std::variant<int64_t, double, std::string, std::vector<int64_t>, std::vector<double>>;
  Attrs() = default;
  Attrs(std::initializer_list<std::pair<std::string, Item>> items);
  Attrs& set(const std::string& name, Item item);
  bool has(const std::string& name) const { return find(name) != nullptr; }
  // Each throws Error naming the attribute when it is absent or of another type.
  int64_t integer(const std::string& name) const;
  int64_t integer(const std::string& name, int64_t fallback) const;
  bool flag(const std::string& name) const { return integer(name, 0) != 0; }
  double number(const std::string& name) const;
  double number(const std::string& name, double fallback) const;
  const std::string& text(const std::string& name) const;
  std::string text(const std::string& name, const std::string& fallback) const;
  const std::vector<int64_t>& integers(const std::string& name) const;
  const std::vector<double>& numbers(const std::string& name) const;
  std::string str() const;  // "axis=1, eps=1e-05"
  bool operator==(const Attrs&) const = default;

 private:
  const Item* find(const std::string& name) const;
  const Item& require(const std::string& name) const;
  std::vector<std::pair<std::string, Item>> items_;
};

}  // namespace winnow
