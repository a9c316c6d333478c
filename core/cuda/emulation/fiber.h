// Stacks for CUDA threads that wait, and the switch between them (x86-64, System V ABI).
#pragma once
#include <cstddef>
#include <cstdint>

namespace winnow::emulation {

struct Thread;

struct Fiber {
  void* stack_pointer = nullptr;
  char* stack = nullptr;  // lowest usable byte; null: the host thread's own stack
  Thread* thread = nullptr;
  void* sanitizer_state = nullptr;
  std::size_t stagger = 0;
};

extern constinit thread_local Fiber host_fiber;      // where a launch was started
extern constinit thread_local Fiber* current_fiber;  // null: never switched, on the host stack

std::size_t fiber_stack_bytes();  // AddressSanitizer's red zones need more
Fiber* take_fiber(Thread* thread, void (*entry)());
void return_fiber(Fiber* fiber);  // its stack may be the running one: it is not touched before the next take
void return_all_fibers();         // after an abandoned launch
void switch_to(Fiber* fiber, bool dying = false);
void finish_first_switch();  // the first thing that an entry function calls
// The end of a fiber's stack that `address` ran over, or null.
const Fiber* overflowed_fiber(std::uintptr_t address);

}  // namespace winnow::emulation
