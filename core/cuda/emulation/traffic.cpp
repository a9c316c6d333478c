#include "core/cuda/emulation/traffic.h"

#include <algorithm>
#include <map>
#include <unordered_set>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/source_line.h"

namespace winnow::emulation {

namespace {

constexpr std::size_t kSector = 32;

using Sectors = std::unordered_set<std::uintptr_t>;
auto& totals = *new std::map<const void*, KernelTraffic>;
auto& read_sectors = *new Sectors;
auto& written_sectors = *new Sectors;
KernelTraffic* current = nullptr;

void add_sectors(Sectors& sectors, std::uintptr_t address, std::size_t bytes) {
  for (std::uintptr_t s = address / kSector; s <= (address + bytes - 1) / kSector; ++s) sectors.insert(s);
}

}  // namespace

void start_launch_traffic(const void* kernel, unsigned threads, std::size_t dynamic_shared) {
  if (!options().traffic) return;
  current = &totals[kernel];
  ++current->launches;
  current->threads = std::max(current->threads, threads);
  current->dynamic_shared = std::max(current->dynamic_shared, dynamic_shared);
}
void finish_launch_traffic() {
  if (current == nullptr) return;
  current->distinct_read += kSector * read_sectors.size();
  current->distinct_written += kSector * written_sectors.size();
  read_sectors.clear();
  written_sectors.clear();
  current = nullptr;
}

void count_traffic(std::uintptr_t address, std::size_t bytes, Access kind) {
  if (current == nullptr) return;
  if (kind != Access::Write) {
    current->asked_read += bytes;
    add_sectors(read_sectors, address, bytes);
  }
  if (kind != Access::Read) {
    current->asked_written += bytes;
    add_sectors(written_sectors, address, bytes);
  }
}
void count_copy_traffic(std::size_t read, std::size_t written) {
  if (!options().traffic) return;
  KernelTraffic& copies = totals[nullptr];
  ++copies.launches;
  copies.asked_read += read;
  copies.distinct_read += read;
  copies.asked_written += written;
  copies.distinct_written += written;
}

std::vector<KernelTraffic> kernel_traffic() {
  ApiLock lock;
  std::vector<KernelTraffic> list;
  for (const auto& [kernel, traffic] : totals) {
    list.push_back(traffic);
    if (kernel != nullptr) list.back().name = function_name(kernel);
  }
  return list;
}
void clear_kernel_traffic() {
  ApiLock lock;
  totals.clear();
}

}  // namespace winnow::emulation
