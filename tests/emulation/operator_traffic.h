// What an operator's CUDA kernels move between device memory and the multiprocessors, beside what the operator needs.
#pragma once
#include <map>
#include <string>
#include <vector>

#include "core/cuda/emulation/traffic.h"
#include "core/op.h"

namespace winnow::kernel_page {

struct OperatorTraffic {
  std::string op = {}, kernel = {}, sample = {};
  int64_t elements = 0;            // of the outputs and the inputs that it writes
  Cost needed = {};                // OpDef::cost
  double asked = 0, distinct = 0;  // bytes: core/cuda/emulation/traffic.h
  double coalesced = 1;            // ideal sectors over those that the warps touch
  bool library = false;            // a part of the work is cuBLASLt's, which is not counted
  std::vector<emulation::KernelTraffic> launches = {};
  double again() const { return asked / needed.bytes; }  // how often the needed bytes are asked for
  double moved() const { return distinct / needed.bytes; }
};

// Of each operator with a kernel for devices: its largest sample of at most kMostElements elements, run once on the
// emulated device. Error: the program was not linked with the instrumentation, or a kernel was reported.
inline constexpr int64_t kMostElements = 100000;
std::vector<OperatorTraffic> measure_traffic(const std::string& only_op = "");

}  // namespace winnow::kernel_page
