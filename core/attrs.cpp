#include "core/attrs.h"

#include <algorithm>

#include "core/error.h"

namespace winnow {
namespace {

template <class T>
const T& typed(const Attrs::Item& item, const std::string& name, const char* wanted) {
  const T* p = std::get_if<T>(&item);
  WN_CHECK(p != nullptr, Error, "attribute '{}' is not {}", name, wanted);
  return *p;
}

}  // namespace

Attrs::Attrs(std::initializer_list<std::pair<std::string, Item>> items) {
  for (const auto& [name, item] : items) set(name, item);
}

Attrs& Attrs::set(const std::string& name, Item item) {
  const auto at = std::lower_bound(items_.begin(), items_.end(), name,
                                   [](const auto& a, const std::string& b) { return a.first < b; });
  if (at != items_.end() && at->first == name)
    at->second = std::move(item);
  else
    items_.insert(at, {name, std::move(item)});
  return *this;
}

const Attrs::Item* Attrs::find(const std::string& name) const {
  for (const auto& [key, item] : items_)
    if (key == name) return &item;
  return nullptr;
}
const Attrs::Item& Attrs::require(const std::string& name) const {
  const Item* item = find(name);
  WN_CHECK(item != nullptr, Error, "attribute '{}' is missing (have: {})", name, str());
  return *item;
}

int64_t Attrs::integer(const std::string& name) const { return typed<int64_t>(require(name), name, "an integer"); }
int64_t Attrs::integer(const std::string& name, int64_t fallback) const { return has(name) ? integer(name) : fallback; }
double Attrs::number(const std::string& name) const {
  const Item& item = require(name);
  if (const auto* i = std::get_if<int64_t>(&item)) return static_cast<double>(*i);
  return typed<double>(item, name, "a number");
}
double Attrs::number(const std::string& name, double fallback) const { return has(name) ? number(name) : fallback; }
const std::string& Attrs::text(const std::string& name) const {
  return typed<std::string>(require(name), name, "a text");
}
std::string Attrs::text(const std::string& name, const std::string& fallback) const {
  return has(name) ? text(name) : fallback;
}
const std::vector<int64_t>& Attrs::integers(const std::string& name) const {
  return typed<std::vector<int64_t>>(require(name), name, "a list of integers");
}
const std::vector<double>& Attrs::numbers(const std::string& name) const {
  return typed<std::vector<double>>(require(name), name, "a list of numbers");
}

std::string Attrs::str() const {
  std::string out;
  for (const auto& [name, item] : items_) {
    out += out.empty() ? "" : ", ";
    out += name + "=";
    std::visit(
        [&](const auto& v) {
          using T = std::decay_t<decltype(v)>;
          if constexpr (std::is_same_v<T, std::string> || std::is_arithmetic_v<T>)
            out += fmt::format("{}", v);
          else
            out += v.size() > 8 ? fmt::format("[{}, ... {} values]", v.front(), v.size())
                                : fmt::format("[{}]", fmt::join(v, ","));
        },
        item);
  }
  return out;
}

}  // namespace winnow
