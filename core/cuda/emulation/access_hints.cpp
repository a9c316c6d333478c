#include "core/cuda/emulation/access_hints.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>
#include <unordered_map>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/source_line.h"

namespace winnow::emulation {

namespace {

constexpr std::size_t kSector = 32, kBanks = 32, kBankBytes = 4;

// Lanes are not in lock step here: the n-th time that each lane of a warp comes to an instruction is one warp access.
struct Instruction {
  std::size_t bytes = 0;
  bool shared = false, write = false;
  std::unordered_map<unsigned, unsigned> visits;                                  // by thread
  std::map<std::pair<unsigned, unsigned>, std::vector<std::uintptr_t>> accesses;  // by warp and visit
};
auto& block_sites = *new std::unordered_map<const void*, Instruction>;
auto& totals = *new std::map<const void*, AccessHint>;

}  // namespace

std::size_t sectors_touched(const std::vector<std::uintptr_t>& addresses, std::size_t bytes) {
  std::set<std::uintptr_t> sectors;
  for (std::uintptr_t a : addresses)
    for (std::uintptr_t s = a / kSector; s <= (a + bytes - 1) / kSector; ++s) sectors.insert(s);
  return sectors.size();
}
std::size_t fewest_sectors(const std::vector<std::uintptr_t>& addresses, std::size_t bytes) {
  std::vector<std::uintptr_t> sorted = addresses;
  std::sort(sorted.begin(), sorted.end());
  std::size_t distinct = 0;
  std::uintptr_t end = 0;
  for (std::uintptr_t a : sorted) {
    const std::uintptr_t begin = std::max(a, end);
    end = std::max(end, a + bytes);
    distinct += end - begin;
  }
  return (distinct + kSector - 1) / kSector;
}

std::size_t fewest_passes(std::size_t lanes, std::size_t bytes) {
  const std::size_t group = bytes <= 4 ? 32 : bytes <= 8 ? 16 : 8;
  return (lanes + group - 1) / group;
}
std::size_t bank_passes(const std::vector<std::uintptr_t>& addresses, std::size_t bytes) {
  const std::size_t group = bytes <= 4 ? 32 : bytes <= 8 ? 16 : 8;
  std::size_t passes = 0;
  for (std::size_t first = 0; first < addresses.size(); first += group) {
    std::array<std::set<std::uintptr_t>, kBanks> words;  // lanes that read one word are served together
    for (std::size_t i = first; i < std::min(first + group, addresses.size()); ++i)
      for (std::uintptr_t w = addresses[i] / kBankBytes; w <= (addresses[i] + bytes - 1) / kBankBytes; ++w)
        words[w % kBanks].insert(w);
    std::size_t most = 0;
    for (const auto& bank : words) most = std::max(most, bank.size());
    passes += most;
  }
  return passes;
}

void count_access(std::uintptr_t address, std::size_t bytes, Access kind, const void* pc, bool device) {
  Instruction& site = block_sites[pc];
  site.bytes = bytes;
  site.shared = !device;
  site.write = kind != Access::Read;
  const unsigned visit = site.visits[current_thread->linear]++;
  site.accesses[{current_thread->warp, visit}].push_back(address);
}

void finish_block_hints() {
  for (const auto& [pc, site] : block_sites) {
    AccessHint& hint = totals[pc];
    hint.bytes = site.bytes;
    hint.shared = site.shared;
    hint.write = site.write;
    for (const auto& [key, addresses] : site.accesses) {
      ++hint.warp_accesses;
      hint.units += site.shared ? bank_passes(addresses, site.bytes) : sectors_touched(addresses, site.bytes);
      hint.ideal += site.shared ? fewest_passes(addresses.size(), site.bytes) : fewest_sectors(addresses, site.bytes);
    }
  }
  block_sites.clear();
}

std::vector<AccessHint> access_hints() {
  ApiLock lock;
  std::vector<AccessHint> list;
  for (const auto& [pc, hint] : totals) {
    list.push_back(hint);
    list.back().line = source_line(pc);
  }
  std::stable_sort(list.begin(), list.end(),
                   [](const AccessHint& a, const AccessHint& b) { return a.efficiency() < b.efficiency(); });
  return list;
}
std::string access_hint_table() {
  std::string text;
  for (const AccessHint& h : access_hints())
    text += fmt::format("{:<28} {:>6} {:<6} {:>2} B  {:>10} {} of ideal {} in {} warp accesses ({:.0f} %)\n", h.line,
                        h.shared ? "shared" : "device", h.write ? "write" : "read", h.bytes, h.units,
                        h.shared ? "passes" : "sectors", h.ideal, h.warp_accesses, 100 * h.efficiency());
  return text;
}
double device_access_efficiency() {
  ApiLock lock;
  AccessHint all;
  for (const auto& [pc, hint] : totals)
    if (!hint.shared) all.units += hint.units, all.ideal += hint.ideal;
  return all.efficiency();
}
void clear_access_hints() {
  ApiLock lock;
  totals.clear();
  block_sites.clear();
}

}  // namespace winnow::emulation
