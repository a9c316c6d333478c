#include "core/cuda/emulation/fiber.h"

#include <pthread.h>
#include <sys/mman.h>

#include <cstdlib>
#include <vector>

#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/sanitizer.h"

// Callee-saved registers only: ucontext would save the signal mask, a system call a switch.
extern "C" void winnow_emulation_switch(void** save, void* next);
asm(R"(.text
.globl winnow_emulation_switch
.type winnow_emulation_switch,@function
winnow_emulation_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp,(%rdi)
  movq %rsi,%rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size winnow_emulation_switch,.-winnow_emulation_switch
)");

namespace winnow::emulation {

constinit thread_local Fiber host_fiber{};
constinit thread_local Fiber* current_fiber = nullptr;

namespace {

constexpr std::size_t kPage = 4096;
// Never destroyed: LeakSanitizer finds the stacks through them.
auto& pool = *new std::vector<Fiber*>;
auto& all = *new std::vector<Fiber*>;

struct Stack {
  const char* bottom = nullptr;
  std::size_t bytes = 0;
};
const Stack& host_stack() {
  thread_local Stack stack;
  if (!stack.bottom) {
    pthread_attr_t attributes;
    void* bottom = nullptr;
    pthread_getattr_np(pthread_self(), &attributes);
    pthread_attr_getstack(&attributes, &bottom, &stack.bytes);
    pthread_attr_destroy(&attributes);
    stack.bottom = static_cast<const char*>(bottom);
  }
  return stack;
}

Fiber* new_fiber() {
  void* memory = mmap(nullptr, fiber_stack_bytes() + kPage, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) std::abort();
  mprotect(memory, kPage, PROT_NONE);  // an overflow faults
  auto* fiber = new Fiber;
  fiber->stack = static_cast<char*>(memory) + kPage;
  fiber->stagger = all.size() * 320 % 16384;  // stack tops at equal page offsets would share sets of the L1 cache
  all.push_back(fiber);
  return fiber;
}

}  // namespace

std::size_t fiber_stack_bytes() { return address_sanitized() ? 256 << 10 : 64 << 10; }

Fiber* take_fiber(Thread* thread, void (*entry)()) {
  Fiber* fiber;
  if (pool.empty()) {
    fiber = new_fiber();
  } else {
    fiber = pool.back();
    pool.pop_back();
  }
  unpoison(fiber->stack, fiber_stack_bytes());  // an abandoned fiber leaves red zones behind
  auto** top = reinterpret_cast<void**>(fiber->stack + fiber_stack_bytes() - 64 - fiber->stagger);
  *--top = nullptr;  // the entry's return address, which keeps the stack aligned
  *--top = reinterpret_cast<void*>(entry);
  for (int i = 0; i < 6; ++i) *--top = nullptr;
  fiber->stack_pointer = top;
  fiber->thread = thread;
  fiber->sanitizer_state = nullptr;
  return fiber;
}
void return_fiber(Fiber* fiber) { pool.push_back(fiber); }
void return_all_fibers() { pool = all; }

void switch_to(Fiber* to, bool dying) {
  Fiber* from = current_fiber ? current_fiber : &host_fiber;
  current_fiber = to;
  ++counters().switches;
  if (__sanitizer_start_switch_fiber)
    __sanitizer_start_switch_fiber(dying ? nullptr : &from->sanitizer_state,
                                   to->stack ? to->stack : host_stack().bottom,
                                   to->stack ? fiber_stack_bytes() : host_stack().bytes);
  winnow_emulation_switch(&from->stack_pointer, to->stack_pointer);
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(from->sanitizer_state, nullptr, nullptr);
}
void finish_first_switch() {
  if (__sanitizer_finish_switch_fiber) __sanitizer_finish_switch_fiber(nullptr, nullptr, nullptr);
}

const Fiber* overflowed_fiber(std::uintptr_t address) {
  for (const Fiber* fiber : all) {
    const auto bottom = reinterpret_cast<std::uintptr_t>(fiber->stack);
    if (address >= bottom - kPage && address < bottom) return fiber;
  }
  return nullptr;
}

}  // namespace winnow::emulation
