#include "core/cuda/emulation/device_memory.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <map>
#include <set>

#include "core/cuda/emulation/fault_handler.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/race_checker.h"
#include "core/cuda/emulation/sanitizer.h"

namespace winnow::emulation {

namespace {

constexpr std::size_t kPage = 4096, kAlignment = 256;
constexpr std::uintptr_t kFirstBase = 0x200000000000;  // free on Linux x86-64, with AddressSanitizer too
constexpr unsigned char kSlack = 0xFC, kFresh = 0xFF;

enum class State { Live, Pending, Freed };
struct Block {
  int device;
  std::uintptr_t data;
  std::size_t bytes, pages;
  State state;
};
struct Memory {
  std::uintptr_t next = 0;  // end of the last block's pages; 0: nothing reserved yet
  std::size_t live_bytes = 0;
  std::map<std::uintptr_t, Block> blocks;  // by first page, freed ones too
  std::set<std::uintptr_t> live;           // first pages: what kernels open and close, however much was freed before
};
Memory* memories() {
  static Memory* all = new Memory[kMaxDevices];
  return all;
}
unsigned open_devices = 0;

void protect_block(std::uintptr_t page, const Block& block, int protection) {
  mprotect(reinterpret_cast<void*>(page), block.pages * kPage, protection);
}
void protect_device(int device, bool open) {
  Memory& memory = memories()[device];
  const int protection = open ? PROT_READ | PROT_WRITE : PROT_NONE;
  if (!options().page_guards) {
    if (memory.next > device_base(device))
      mprotect(reinterpret_cast<void*>(device_base(device)), memory.next - device_base(device), protection);
    return;
  }
  for (const std::uintptr_t page : memory.live) protect_block(page, memory.blocks.at(page), protection);
}
void set_open(unsigned devices) {
  for (int d = 0; d < kMaxDevices; ++d)
    if ((devices ^ open_devices) >> d & 1) protect_device(d, devices >> d & 1);
  open_devices = devices;
}

void reserve(int device) {
  Memory& memory = memories()[device];
  if (memory.next) return;
  void* wanted = reinterpret_cast<void*>(device_base(device));
  void* got =
      mmap(wanted, kDeviceBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
  if (got != wanted) std::abort();
  memory.next = device_base(device);
  install_fault_handler();
}

struct Found {
  std::uintptr_t page = 0;
  Block* block = nullptr;
};
// The block whose pages, with the guard page behind them, hold the address.
Found find_block(std::uintptr_t address) {
  const int device = device_of(address);
  if (device < 0) return {};
  auto& blocks = memories()[device].blocks;
  auto after = blocks.upper_bound(address);
  if (after == blocks.begin()) return {};
  auto& [page, block] = *std::prev(after);
  if (address >= page + (block.pages + 1) * kPage) return {};
  return {page, &block};
}

void check_slack(std::uintptr_t page, const Block& block) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(page);
  const std::size_t begin = block.data - page, end = begin + block.bytes;
  for (std::size_t i = 0; i < block.pages * kPage; ++i) {
    if (i == begin) i = end;
    if (i >= block.pages * kPage) break;
    if (bytes[i] == kSlack) continue;
    report("canary", fmt::format("write outside a block of {} bytes, at offset {}", block.bytes,
                                 static_cast<long>(i) - static_cast<long>(begin)));
    return;
  }
}

void open_for_use(std::uintptr_t page, Block& block) {
  protect_block(page, block, PROT_READ | PROT_WRITE);
  std::memset(reinterpret_cast<void*>(page), kSlack, block.pages * kPage);
  std::memset(reinterpret_cast<void*>(block.data), kFresh, block.bytes);
  poison(reinterpret_cast<void*>(page), block.data - page);
  poison(reinterpret_cast<void*>(block.data + block.bytes), page + block.pages * kPage - block.data - block.bytes);
  const int device = block.device;
  if (!(open_devices >> device & 1)) protect_block(page, block, PROT_NONE);
  block.state = State::Live;
  memories()[device].live.insert(page);
  memories()[device].live_bytes += block.bytes;
  mark_uninitialized(reinterpret_cast<void*>(block.data), block.bytes);
}

}  // namespace

std::uintptr_t device_base(int device) { return kFirstBase + static_cast<std::uintptr_t>(device) * kDeviceBytes; }
int device_of(const void* address) {
  const auto offset = reinterpret_cast<std::uintptr_t>(address) - kFirstBase;
  return offset < kDeviceBytes * kMaxDevices ? static_cast<int>(offset / kDeviceBytes) : -1;
}

void* new_block(int device, std::size_t bytes, bool pending) {
  reserve(device);
  Memory& memory = memories()[device];
  const std::size_t pages = (bytes + kPage - 1) / kPage;
  if (pages > kDeviceBytes / kPage || memory.next + (pages + 2) * kPage > device_base(device) + kDeviceBytes)
    return nullptr;
  const std::uintptr_t page = memory.next + kPage;
  memory.next = page + pages * kPage;
  const std::uintptr_t data = (page + pages * kPage - bytes) & ~(kAlignment - 1);
  Block& block = memory.blocks[page] = {device, data, bytes, pages, State::Pending};
  if (!pending) open_for_use(page, block);
  return reinterpret_cast<void*>(data);
}
void activate_block(void* data) {
  const Found found = find_block(reinterpret_cast<std::uintptr_t>(data));
  if (found.block && found.block->state == State::Pending) open_for_use(found.page, *found.block);
}

bool free_block(void* data) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  const auto [page, block] = find_block(address);
  if (!block || block->data != address || block->state != State::Live) {
    report("bad-free", block && block->state == State::Freed ? fmt::format("{} was freed before", data)
                                                             : fmt::format("{} is no device allocation", data));
    return false;
  }
  const AccessScope open(1u << block->device);
  unpoison(reinterpret_cast<void*>(page), block->pages * kPage);
  check_slack(page, *block);
  poison(reinterpret_cast<void*>(page), block->pages * kPage);
  block->state = State::Freed;
  memories()[block->device].live.erase(page);
  memories()[block->device].live_bytes -= block->bytes;
  madvise(reinterpret_cast<void*>(page), block->pages * kPage, MADV_DONTNEED);
  protect_block(page, *block, PROT_NONE);
  return true;
}
bool is_block(const void* data) { return block_bytes(data) > 0; }
std::size_t block_bytes(const void* data) {
  const auto address = reinterpret_cast<std::uintptr_t>(data);
  const Found found = find_block(address);
  return found.block && found.block->data == address && found.block->state != State::Freed ? found.block->bytes : 0;
}
std::size_t live_blocks(int device) {
  std::size_t count = 0;
  for (int d = 0; d < kMaxDevices; ++d)
    if (device < 0 || d == device) count += memories()[d].live.size();
  return count;
}
std::size_t live_bytes(int device) { return memories()[device].live_bytes; }

Validity check_range(std::uintptr_t address, std::size_t bytes) {
  const Found found = find_block(address);
  if (!found.block) return Validity::OutOfBounds;
  const Block& block = *found.block;
  if (block.state == State::Freed) return Validity::Freed;
  if (address < block.data || address + bytes > block.data + block.bytes) return Validity::OutOfBounds;
  return block.state == State::Pending ? Validity::Pending : Validity::Ok;
}
bool device_range(const void* address, std::size_t bytes) {
  return bytes == 0 ||
         (device_of(address) >= 0 && check_range(reinterpret_cast<std::uintptr_t>(address), bytes) == Validity::Ok);
}
std::string describe_address(std::uintptr_t address) {
  const Found found = find_block(address);
  if (!found.block) return "no block there";
  static constexpr const char* kNames[] = {"block", "not yet allocated block", "freed block"};
  return fmt::format("{} of {} bytes at {:#x} on device {}, offset {}", kNames[static_cast<int>(found.block->state)],
                     found.block->bytes, found.block->data, device_of(address),
                     static_cast<long>(address - found.block->data));
}

AccessScope::AccessScope(unsigned devices, Mode mode) : before_(open_devices) {
  set_open(mode == Mode::Only ? devices : open_devices | devices);
}
AccessScope::~AccessScope() { set_open(before_); }

}  // namespace winnow::emulation
