// Stream capture and graphs. A node keeps what its operation does and which nodes it follows; a launch runs the nodes
// in any order that those allow: the recorded one (Eager), the latest recorded first (Lazy), or a random one. So a fork
// that was never joined by an event gives wrong results or an error, as it may on a device.
#pragma once
#include <cuda_runtime_api.h>

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "core/cuda/emulation/stream_queue.h"

namespace winnow::emulation {

struct GraphNode {
  const char* name = "";
  std::function<void()> run;
  std::vector<std::size_t> after;
};
struct Capture {
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::thread::id thread;
  StreamQueue* origin = nullptr;
  bool invalid = false;
  std::vector<GraphNode> nodes;
  std::vector<std::weak_ptr<StreamQueue>> streams;  // the origin and those that joined
};

cudaError_t record(StreamQueue& queue, const Operation& operation);
void record_event(StreamQueue& queue, CUevent_st& event);
cudaError_t wait_in_capture(StreamQueue& queue, const CUevent_st& event);

bool capture_forbids_legacy();  // a blocking stream is being captured
// For calls that a capture does not allow (allocation, synchronisation): breaks the captures concerned and reports.
cudaError_t refuse_in_capture(const char* call);
cudaError_t refuse_capturing(StreamQueue& queue, const char* call);

}  // namespace winnow::emulation
