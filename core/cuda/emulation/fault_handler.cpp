#include "core/cuda/emulation/fault_handler.h"

#include <csignal>
#include <memory>

#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/fiber.h"
#include "core/cuda/emulation/thread.h"

namespace winnow::emulation {

namespace {

constexpr std::size_t kSignalStack = 64 << 10;

void on_fault(int signal_number, siginfo_t* info, void*) {
  const auto address = reinterpret_cast<std::uintptr_t>(info->si_addr);
  if (device_of(address) >= 0) {
    const std::string where = describe_address(address);
    if (!current_thread) fail("host-access", "host code touched device address %p (%s)", info->si_addr, where.c_str());
    fail("illegal-address", "kernel touched %p (%s)", info->si_addr, where.c_str());
  }
  if (current_thread && overflowed_fiber(address))
    fail("stack-overflow", "more than %zu KiB of stack in a device thread", fiber_stack_bytes() >> 10);
  if (current_thread) fail("illegal-address", "kernel touched %p, which is not device memory", info->si_addr);
  std::signal(signal_number, SIG_DFL);  // the access is made again and ends the process as it would have
}

// This host thread's, taken away again before its memory goes.
struct SignalStack {
  std::unique_ptr<char[]> memory = std::make_unique<char[]>(kSignalStack);
  SignalStack() {
    stack_t stack{};
    stack.ss_sp = memory.get();
    stack.ss_size = kSignalStack;
    sigaltstack(&stack, nullptr);
  }
  ~SignalStack() {
    stack_t none{};
    none.ss_flags = SS_DISABLE;
    sigaltstack(&none, nullptr);
  }
};

}  // namespace

void prepare_fault_stack() {
  stack_t present{};
  sigaltstack(nullptr, &present);
  if (!(present.ss_flags & SS_DISABLE)) return;  // AddressSanitizer gives each thread one, and frees it
  thread_local SignalStack stack;
}

void install_fault_handler() {
  prepare_fault_stack();
  static bool installed = false;  // at the first allocation: after AddressSanitizer's own
  if (installed) return;
  installed = true;
  struct sigaction action {};
  action.sa_sigaction = on_fault;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER;  // NODEFER: fail() leaves by switching stacks
  sigaction(SIGSEGV, &action, nullptr);
  sigaction(SIGBUS, &action, nullptr);
}

}  // namespace winnow::emulation
