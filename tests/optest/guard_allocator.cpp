#include "tests/optest/guard_allocator.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstring>

#include "core/error.h"

namespace winnow::optest {
namespace {

struct Layout {
  size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE)), block, usable;
  explicit Layout(size_t bytes) {
    block = (bytes + kAlignment - 1) / kAlignment * kAlignment;
    usable = (block + page - 1) / page * page;
  }
};

}  // namespace

void* GuardAllocator::allocate(size_t bytes) {
  const Layout l(bytes);
  void* p = mmap(nullptr, l.usable + l.page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  WN_CHECK(p != MAP_FAILED, OutOfMemory, "optest: {} guarded bytes were refused", bytes);
  auto* base = static_cast<unsigned char*>(p);
  std::memset(base, 0xFF, l.usable);
  WN_CHECK(mprotect(base + l.usable, l.page, PROT_NONE) == 0, OutOfMemory, "optest: no guard page");
  return base + l.usable - l.block;
}

void GuardAllocator::deallocate(void* data, size_t bytes) noexcept {
  const Layout l(bytes);
  munmap(static_cast<unsigned char*>(data) + l.block - l.usable, l.usable + l.page);
}

}  // namespace winnow::optest
