#include "core/cuda/emulation/async_copy.h"

#include <cstring>
#include <map>
#include <vector>

#include "core/cuda/emulation/shared_memory.h"
#include "core/cuda/emulation/thread.h"

namespace winnow::emulation {

namespace {
constexpr std::size_t kBytes = 16;
struct Copy {
  int group;
  void* shared;
  const void* global;
  const void* pc;
};
struct Queue {
  std::vector<Copy> copies;
  int groups = 0;  // committed so far
};
auto& queues = *new std::map<unsigned, Queue>;  // by thread
}  // namespace

void reset_async_copies() { queues.clear(); }

void start_async_copy(void* shared, const void* global, const void* pc) {
  const auto target = reinterpret_cast<std::uintptr_t>(shared), source = reinterpret_cast<std::uintptr_t>(global);
  if (!in_shared_arena(target, kBytes)) fail("illegal-address", "cp.async: the target %p is not shared memory", shared);
  if (target % kBytes || source % kBytes) fail("misaligned", "cp.async of 16 bytes: %p to %p", global, shared);
  touch(global, kBytes, Access::Read, pc);
  touch(shared, kBytes, Access::Write, pc);
  std::memset(shared, 0xFF, kBytes);
  Queue& queue = queues[current_thread->linear];
  queue.copies.push_back({queue.groups, shared, global, pc});
}
void commit_async_copies() { ++queues[current_thread->linear].groups; }
void wait_async_copies(int open_groups) {
  Queue& queue = queues[current_thread->linear];
  const int complete = queue.groups - open_groups;
  std::erase_if(queue.copies, [complete](const Copy& copy) {
    if (copy.group >= complete) return false;
    touch(copy.shared, kBytes, Access::Write, copy.pc);  // may end the kernel; the queue is then dropped as a whole
    std::memcpy(copy.shared, copy.global, kBytes);
    return true;
  });
}

}  // namespace winnow::emulation
