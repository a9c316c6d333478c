#include "data/column_profile.h"

#include <algorithm>
#include <cmath>

#include "data/hash.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

constexpr double kYear1980 = 315532800, kYear2100 = 4102444800;
constexpr size_t kExampleBytes = 40;

}  // namespace

const std::vector<std::string>& known_time_formats() {
  static const std::vector<std::string> formats = {
      "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M", "%Y-%m-%d",
      "%Y/%m/%d %H:%M:%S", "%Y/%m/%d",          "%m/%d/%Y %H:%M:%S",  "%m/%d/%Y %H:%M", "%m/%d/%Y",
      "%d/%m/%Y %H:%M:%S", "%d/%m/%Y %H:%M",    "%d/%m/%Y",           "%d.%m.%Y %H:%M", "%d.%m.%Y"};
  return formats;
}

void ColumnProfile::add(std::string_view cell) {
  ++rows_;
  if (cell.empty()) {
    ++missing_;
    return;
  }
  distinct_.add(xxh64(cell));
  if (examples_.size() < 3 && cell.size() <= kExampleBytes && std::ranges::find(examples_, cell) == examples_.end())
    examples_.emplace_back(cell);
  if (!too_many_) {
    const auto at = counts_.find(cell);
    if (at != counts_.end())
      ++at->second;
    else if (counts_.size() < kCounted)
      counts_.emplace(cell, 1);
    else
      counts_.clear(), too_many_ = true;
  }
  if (parse_number(cell))
    add_number(cell);
  else
    add_text(cell);
}

void ColumnProfile::add_number(std::string_view cell) {
  const double x = *parse_number(cell);
  ++numbers_;
  integers_ += x == std::floor(x) && std::abs(x) < 9e15 && cell.find_first_of(".eE") == std::string_view::npos;
  least_ = std::min(least_, x);
  most_ = std::max(most_, x);
  sum_ += x;
}

void ColumnProfile::add_text(std::string_view cell) {
  static const std::vector<TimeFormat> formats(known_time_formats().begin(), known_time_formats().end());
  if (fits_.empty()) fits_.assign(formats.size(), true);
  for (size_t i = 0; i < formats.size(); ++i)
    if (fits_[i] && !formats[i].parse(cell)) fits_[i] = false;
  int64_t words = 0;
  bool inside = false;
  for (const char c : cell) {
    words += c != ' ' && !inside;
    inside = c != ' ';
  }
  words_ += words;
  most_words_ = std::max(most_words_, words);
  if (parts_.empty())
    for (const char* separator : {"|", ";", ">", ",", " "}) parts_.push_back({.separator = separator, .distinct = {}});
  for (Parts& p : parts_) {
    int64_t parts = 0;
    for (size_t begin = 0; begin <= cell.size();) {
      const size_t end = std::min(cell.find(p.separator, begin), cell.size());
      if (end > begin) ++parts, p.distinct.add(xxh64(cell.substr(begin, end - begin)));
      begin = end + 1;
    }
    p.cells += cell.find(p.separator) != std::string_view::npos;
    p.parts += parts;
    p.most = std::max(p.most, parts);
  }
}

std::string ColumnProfile::time_format() const {
  if (all_numbers()) {
    if (least_ >= kYear1980 && most_ <= kYear2100) return "unix";
    return least_ >= 1000 * kYear1980 && most_ <= 1000 * kYear2100 ? "unix_ms" : "";
  }
  if (numbers_ > 0) return "";
  for (size_t i = 0; i < fits_.size(); ++i)
    if (fits_[i]) return known_time_formats()[i];
  return "";
}

void KeyDependence::add(uint64_t key, const std::vector<uint64_t>& cells) {
  const auto at = first_.find(key);
  if (at == first_.end()) {
    if (first_.size() < kKeys) first_.emplace(key, cells);
    return;
  }
  ++pairs_;
  for (size_t c = 0; c < columns_; ++c) same_[c] += at->second[c] == cells[c];
}

}  // namespace winnow
