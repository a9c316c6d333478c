#include "core/text.h"

#include <fmt/format.h>

#include <algorithm>

namespace winnow {

int edit_distance(std::string_view a, std::string_view b) {
  // Three rows of the distance table are alive: the swap looks two rows back.
  std::vector<int> before(b.size() + 1), last(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = static_cast<int>(j);
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = static_cast<int>(i);
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, row);
  }
  return last[b.size()];
}

std::string nearest(std::string_view word, const std::vector<std::string>& candidates) {
  constexpr size_t kLongest = 64;  // keeps the quadratic distance cheap on hostile input
  const std::string* best = nullptr;
  int least = 0;
  if (word.size() > kLongest) return "";
  for (const std::string& candidate : candidates) {
    if (candidate.size() > kLongest || candidate == word) continue;
    const int distance = edit_distance(word, candidate);
    const int close = std::max(1, static_cast<int>(std::max(word.size(), candidate.size()) / 3));
    if (distance <= close && (best == nullptr || distance < least)) {
      best = &candidate;
      least = distance;
    }
  }
  return best == nullptr ? "" : *best;
}

std::string did_you_mean(std::string_view word, const std::vector<std::string>& candidates) {
  const std::string found = nearest(word, candidates);
  return found.empty() ? "" : fmt::format("; did you mean '{}'?", found);
}

std::string quoted(std::string_view text, size_t limit) {
  std::string out = "'";
  const bool valid = is_utf8(text);
  const bool cut = text.size() > limit;
  for (const char c : text.substr(0, limit)) {
    const auto byte = static_cast<unsigned char>(c);
    // A cut may fall inside a sequence, so bytes beyond ASCII stand as they are only in whole, valid text.
    const bool plain = byte >= 0x20 && byte != 0x7f && c != '\'' && c != '\\' && (byte < 0x80 || (valid && !cut));
    if (plain)
      out += c;
    else
      out += fmt::format("\\x{:02x}", byte);
  }
  return out + (cut ? "...'" : "'");
}

size_t size_without_line_ends(std::string_view text) {
  size_t n = text.size();
  if (text.ends_with('\r')) --n;
  while (n > 0 && text[n - 1] == '\n') {
    --n;
    if (n > 0 && text[n - 1] == '\r') --n;
  }
  return n;
}

bool is_utf8(std::string_view text) {
  const auto* p = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = p + text.size();
  while (p < end) {
    const unsigned char lead = *p++;
    if (lead < 0x80) continue;
    int more = 0;
    unsigned char low = 0x80, high = 0xbf;  // range of the second byte
    if (lead >= 0xc2 && lead <= 0xdf) {
      more = 1;
    } else if (lead >= 0xe0 && lead <= 0xef) {
      more = 2;
      if (lead == 0xe0) low = 0xa0;
      if (lead == 0xed) high = 0x9f;
    } else if (lead >= 0xf0 && lead <= 0xf4) {
      more = 3;
      if (lead == 0xf0) low = 0x90;
      if (lead == 0xf4) high = 0x8f;
    } else {
      return false;
    }
    for (; more > 0; --more, low = 0x80, high = 0xbf)
      if (p == end || *p < low || *p++ > high) return false;
  }
  return true;
}

}  // namespace winnow
