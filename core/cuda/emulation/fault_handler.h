// SIGSEGV and SIGBUS on device memory become reports: host code (exit code 86), a kernel outside its blocks, a stack
// overflow. Other faults keep their default.
#pragma once

namespace winnow::emulation {

void install_fault_handler();  // once per process; and for each host thread that runs kernels, see the .cpp
void prepare_fault_stack();    // this host thread's alternate signal stack

}  // namespace winnow::emulation
