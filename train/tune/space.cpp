#include "train/tune/space.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/text.h"

namespace winnow {
namespace {

constexpr double kUnset = std::numeric_limits<double>::quiet_NaN();
constexpr int64_t kMostGrid = 100000;

struct NamedKind {
  const char* name;
  Dimension::Kind kind;
};
constexpr NamedKind kKinds[] = {
    {"uniform", Dimension::Uniform}, {"log_uniform", Dimension::LogUniform}, {"int", Dimension::Int},
    {"int_log", Dimension::IntLog},  {"quantized", Dimension::Quantized},    {"choice", Dimension::Choice}};

bool is_number(const ConfigNode& n) {
  try {
    n.as<double>();
    return true;
  } catch (const ConfigError&) { return false; }
}
bool is_bool(const ConfigNode& n) {
  try {
    n.as<bool>();
    return true;
  } catch (const ConfigError&) { return false; }
}

// Text that YAML takes for nothing else without quotes.
bool is_word(const std::string& text) {
  const bool letter = !text.empty() && ((text[0] >= 'a' && text[0] <= 'z') || (text[0] >= 'A' && text[0] <= 'Z'));
  std::string lower = text;
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const char* special : {"true", "false", "null", "yes", "no", "on", "off", "y", "n"})
    if (lower == special) return false;
  return letter && is_plain_name(text);
}

// Any value as YAML on one line, for --set.
std::string one_line(const ConfigNode& n) {
  if (n.is_list()) {
    std::vector<std::string> items;
    for (const ConfigNode& item : n.items()) items.push_back(one_line(item));
    return fmt::format("[{}]", fmt::join(items, ", "));
  }
  if (n.is_map()) {
    std::vector<std::string> items;
    for (const auto& [key, value] : n.entries()) items.push_back(nlohmann::json(key).dump() + ": " + one_line(value));
    return fmt::format("{{{}}}", fmt::join(items, ", "));
  }
  if (!n.is_scalar()) n.fail("a choice must be a value, found null");
  const std::string text = n.as<std::string>();
  const bool plain = is_number(n) || is_bool(n) || is_word(text);
  return plain ? text : nlohmann::json(text).dump();
}

double rounded(double value) { return std::stod(fmt::format("{:.6g}", value)); }

void read_numbers(const ConfigNode& n, const char* kind, Dimension& d) {
  const auto values = n.require<std::vector<double>>(kind);
  const size_t expected = d.kind == Dimension::Quantized ? 3 : 2;
  if (values.size() != expected) n.fail(kind, expected == 3 ? "expected [low, high, step]" : "expected [low, high]");
  d.low = values[0];
  d.high = values[1];
  if (!(d.low < d.high)) n.fail(kind, fmt::format("low must be below high, found {} and {}", d.low, d.high));
  if (d.kind == Dimension::LogUniform && d.low <= 0) n.fail(kind, "low must be above 0");
  if (d.kind == Dimension::IntLog && d.low < 1) n.fail(kind, "low must be 1 or more");
  const bool whole = d.kind == Dimension::Int || d.kind == Dimension::IntLog;
  if (whole && (d.low != std::round(d.low) || d.high != std::round(d.high))) n.fail(kind, "expected whole numbers");
  if (d.kind != Dimension::Quantized) return;
  d.step = values[2];
  if (!(d.step > 0) || d.step > d.high - d.low)
    n.fail(kind, fmt::format("the step must be above 0 and at most high - low, found {}", d.step));
  d.high = d.low + d.step * std::floor((d.high - d.low) / d.step + 1e-9);
}

Dimension::When read_when(const ConfigNode& when, const std::vector<Dimension>& before) {
  const auto entries = when.entries();
  if (entries.size() != 1) when.fail("expected one key with a list of its choices, as in {model.name: [DCNv2]}");
  const auto& [key, values] = entries[0];
  const auto at = std::ranges::find(before, key, &Dimension::key);
  if (at == before.end() || at->kind != Dimension::Choice)
    values.fail("must be a choice of this space that stands before");
  Dimension::When w{static_cast<size_t>(at - before.begin()), {}};
  if (!values.is_list()) values.fail("expected a list of choices");
  for (const ConfigNode& value : values.items()) {
    const auto choice = std::ranges::find(at->choices, one_line(value));
    if (choice == at->choices.end())
      value.fail(fmt::format("is no choice of {} (they are {})", key, fmt::join(at->choices, ", ")));
    w.choices.push_back(static_cast<size_t>(choice - at->choices.begin()));
  }
  return w;
}

Dimension read_dimension(const std::string& key, const ConfigNode& n, const std::vector<Dimension>& before) {
  Dimension d;
  d.key = key;
  const char* found = nullptr;
  if (n.is_map())
    for (const NamedKind& k : kKinds) {
      if (!n.has(k.name)) continue;
      if (found != nullptr) n.fail(fmt::format("is both {} and {}", found, k.name));
      found = k.name;
      d.kind = k.kind;
    }
  if (found == nullptr)
    n.fail(
        "expected one of uniform, log_uniform, int, int_log, quantized, choice, as in {uniform: [0, 0.5]}; a key of a "
        "section is written with a dot, as in train.learning_rate");
  if (d.kind == Dimension::Choice) {
    for (const ConfigNode& choice : n.list("choice")) d.choices.push_back(one_line(choice));
    if (d.choices.size() < 2) n.fail("choice", "expected at least two values");
    for (size_t i = 0; i < d.choices.size(); ++i)
      if (std::find(d.choices.begin(), d.choices.begin() + static_cast<int64_t>(i), d.choices[i]) !=
          d.choices.begin() + static_cast<int64_t>(i))
        n.fail("choice", fmt::format("{} stands twice", d.choices[i]));
    d.high = static_cast<double>(d.choices.size() - 1);
  } else {
    read_numbers(n, found, d);
    d.points = n.find<int64_t>("points", between(2, 1000)).value_or(0);
  }
  if (n.has("when")) d.when = read_when(n.child("when"), before);
  return d;
}

}  // namespace

std::string Dimension::text(double value) const {
  switch (kind) {
    case Choice: return choices.at(static_cast<size_t>(value));
    case Int:
    case IntLog: return fmt::format("{}", static_cast<int64_t>(value));
    case Quantized:
      if (low == std::round(low) && step == std::round(step)) return fmt::format("{}", static_cast<int64_t>(value));
      return fmt::format("{:.12g}", value);
    default: return fmt::format("{}", value);
  }
}

double Dimension::least() const {
  switch (kind) {
    case LogUniform: return std::log(low);
    case Int: return low - 0.5;
    case IntLog: return std::log(low - 0.5);
    case Quantized: return low - step / 2;
    default: return low;
  }
}
double Dimension::most() const {
  switch (kind) {
    case LogUniform: return std::log(high);
    case Int: return high + 0.5;
    case IntLog: return std::log(high + 0.5);
    case Quantized: return high + step / 2;
    default: return high;
  }
}
double Dimension::at(double coordinate) const {
  switch (kind) {
    case Uniform: return std::clamp(rounded(coordinate), low, high);
    case LogUniform: return std::clamp(rounded(std::exp(coordinate)), low, high);
    case IntLog: return std::clamp(std::round(std::exp(coordinate)), low, high);
    case Quantized: return std::clamp(low + step * std::round((coordinate - low) / step), low, high);
    default: return std::clamp(std::round(coordinate), low, high);
  }
}
double Dimension::center(double value) const { return kind == LogUniform || kind == IntLog ? std::log(value) : value; }
std::pair<double, double> Dimension::bin(double value) const {
  if (kind == IntLog) return {std::log(value - 0.5), std::log(value + 0.5)};
  const double half = kind == Quantized ? step / 2 : 0.5;
  return {value - half, value + half};
}

SearchSpace::SearchSpace(Config config) {
  for (const auto& [key, node] : config.root().entries()) dimensions_.push_back(read_dimension(key, node, dimensions_));
  config.finish();
  WN_CHECK(!dimensions_.empty(), ConfigError,
           "the search space is empty; give keys such as 'train.learning_rate: {{log_uniform: [1e-4, 1e-2]}}'");
}

bool SearchSpace::is_set(size_t dimension, const Point& point) const {
  const auto& when = dimensions_[dimension].when;
  if (!when) return true;
  const double choice = point[when->dimension];  // NaN, where that one is not set itself, is none of the choices
  return std::ranges::any_of(when->choices, [&](size_t c) { return static_cast<double>(c) == choice; });
}

std::vector<std::string> SearchSpace::overrides(const Point& point) const {
  std::vector<std::string> sets;
  for (size_t i = 0; i < dimensions_.size(); ++i)
    if (!std::isnan(point[i])) sets.push_back(dimensions_[i].key + "=" + dimensions_[i].text(point[i]));
  return sets;
}

Point SearchSpace::sample(Rng& rng) const {
  Point point(dimensions_.size(), kUnset);
  for (size_t i = 0; i < dimensions_.size(); ++i) {
    const Dimension& d = dimensions_[i];
    if (!is_set(i, point)) continue;
    point[i] = d.kind == Dimension::Choice ? static_cast<double>(rng.below(d.choices.size()))
                                           : d.at(d.least() + (d.most() - d.least()) * rng.uniform());
  }
  return point;
}

namespace {

std::vector<double> grid_values(const Dimension& d) {
  std::vector<double> values;
  const bool whole = d.kind == Dimension::Int || d.kind == Dimension::IntLog;
  const double step = d.kind == Dimension::Quantized ? d.step : 1;
  if (d.points == 0) {
    WN_CHECK(d.is_discrete(), ConfigError, "{}: a grid needs to know how many values: add 'points: 5'", d.key);
    WN_CHECK(!whole || d.high - d.low < 1000, ConfigError, "{}: a grid of {} values; add 'points: 5'", d.key,
             d.high - d.low + 1);
    for (int64_t k = 0; d.low + step * static_cast<double>(k) <= d.high + step / 2; ++k)
      values.push_back(d.low + step * static_cast<double>(k));
    return values;
  }
  const double first = d.center(d.low), last = d.center(d.high);
  for (int64_t k = 0; k < d.points; ++k) {
    const double value = d.at(first + (last - first) * static_cast<double>(k) / static_cast<double>(d.points - 1));
    if (values.empty() || values.back() != value) values.push_back(value);  // whole numbers may fall together
  }
  return values;
}

}  // namespace

std::vector<Point> SearchSpace::grid() const {
  std::vector<Point> points = {Point(dimensions_.size(), kUnset)};
  for (size_t i = 0; i < dimensions_.size(); ++i) {
    const std::vector<double> values = grid_values(dimensions_[i]);
    std::vector<Point> next;
    for (Point& point : points) {
      if (!is_set(i, point)) {
        next.push_back(std::move(point));
        continue;
      }
      for (const double value : values) {
        next.push_back(point);
        next.back()[i] = value;
      }
      WN_CHECK(static_cast<int64_t>(next.size()) <= kMostGrid, ConfigError,
               "a grid of more than {} combinations; give fewer 'points', or use --method random or tpe", kMostGrid);
    }
    points = std::move(next);
  }
  return points;
}

std::vector<Point> SearchSpace::corners() const {
  size_t most = 2;
  for (const Dimension& d : dimensions_) most = std::max(most, d.choices.size());
  std::vector<Point> points;
  // every choice with every offset of the others would be a grid; conditional keys see each of the choices above them
  for (size_t k = 0; k < most; ++k) {
    for (const bool top : {false, true}) {
      Point point(dimensions_.size(), kUnset);
      for (size_t i = 0; i < dimensions_.size(); ++i) {
        const Dimension& d = dimensions_[i];
        if (!is_set(i, point)) continue;
        point[i] = d.kind == Dimension::Choice ? static_cast<double>(k % d.choices.size()) : top ? d.high : d.low;
      }
      points.push_back(std::move(point));
    }
  }
  return points;
}

}  // namespace winnow
