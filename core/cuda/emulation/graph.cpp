#include "core/cuda/emulation/graph.h"

#include <fmt/format.h>

#include <algorithm>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/block.h"
#include "core/cuda/emulation/device.h"
#include "core/cuda/emulation/handles.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/stream.h"

struct CUgraph_st {
  std::vector<winnow::emulation::GraphNode> nodes;
};
struct CUgraphExec_st {
  std::shared_ptr<const std::vector<winnow::emulation::GraphNode>> nodes;
};

namespace winnow::emulation {

namespace {

auto& captures = *new std::vector<std::weak_ptr<Capture>>;

std::vector<std::shared_ptr<Capture>> live_captures() {
  std::erase_if(captures, [](const auto& weak) { return weak.expired(); });
  std::vector<std::shared_ptr<Capture>> live;
  for (const auto& weak : captures) live.push_back(weak.lock());
  return live;
}

void join(StreamQueue& queue, const std::shared_ptr<Capture>& capture) {
  queue.capture = capture;
  queue.capture_tail.clear();
  capture->streams.push_back(queue.weak_from_this());
}

std::size_t pick_node(const std::vector<std::size_t>& ready) {
  switch (options().streams) {
    case StreamMode::Eager: return 0;
    case StreamMode::Lazy: return ready.size() - 1;
    case StreamMode::Random: break;
  }
  return random_bits()() % ready.size();
}

void run_nodes(const std::vector<GraphNode>& nodes, int device) {
  std::vector<char> done(nodes.size());
  for (std::size_t count = 0; count < nodes.size(); ++count) {
    std::vector<std::size_t> ready;
    for (std::size_t i = 0; i < nodes.size(); ++i)
      if (!done[i] && std::all_of(nodes[i].after.begin(), nodes[i].after.end(), [&](std::size_t k) { return done[k]; }))
        ready.push_back(i);
    const std::size_t node = ready[pick_node(ready)];
    if (nodes[node].run && sticky_error(device) == cudaSuccess) nodes[node].run();
    done[node] = 1;
  }
}

// Every stream that joined has been waited for by the origin.
bool all_joined(const Capture& capture) {
  std::vector<char> reached(capture.nodes.size());
  std::vector<std::size_t> stack = capture.origin->capture_tail;
  while (!stack.empty()) {
    const std::size_t node = stack.back();
    stack.pop_back();
    if (reached[node]) continue;
    reached[node] = 1;
    const auto& after = capture.nodes[node].after;
    stack.insert(stack.end(), after.begin(), after.end());
  }
  for (const auto& weak : capture.streams)
    if (const auto queue = weak.lock())
      for (std::size_t node : queue->capture_tail)
        if (!reached[node]) return false;
  return true;
}

void release_streams(Capture& capture) {
  for (const auto& weak : capture.streams)
    if (const auto queue = weak.lock()) {
      queue->capture = nullptr;
      queue->capture_tail.clear();
    }
}

cudaError_t end_capture(StreamQueue& queue, cudaGraph_t* graph) {
  *graph = nullptr;
  const auto capture = queue.capture;
  if (!capture) return cudaErrorIllegalState;
  if (capture->origin != &queue) {
    report("capture", "cudaStreamEndCapture on a stream that only joined the capture");
    return cudaErrorStreamCaptureUnmatched;
  }
  if (capture->mode != cudaStreamCaptureModeRelaxed && capture->thread != std::this_thread::get_id())
    return cudaErrorStreamCaptureWrongThread;
  const bool joined = all_joined(*capture);
  release_streams(*capture);
  if (capture->invalid) return cudaErrorStreamCaptureInvalidated;
  if (!joined) {
    report("capture", "a stream that joined the capture was not joined back by an event before its end");
    return cudaErrorStreamCaptureUnjoined;
  }
  *graph = make_handle<CUgraph_st>(capture->nodes);
  return cudaSuccess;
}

}  // namespace

cudaError_t record(StreamQueue& queue, const Operation& operation) {
  Capture& capture = *queue.capture;
  if (capture.invalid) return cudaErrorStreamCaptureInvalidated;
  capture.nodes.push_back({operation.name, operation.run, queue.capture_tail});
  queue.capture_tail = {capture.nodes.size() - 1};
  return cudaSuccess;
}
void record_event(StreamQueue& queue, CUevent_st& event) {
  event.capture = queue.capture;
  event.capture_nodes = queue.capture_tail;
}
cudaError_t wait_in_capture(StreamQueue& queue, const CUevent_st& event) {
  if (!event.capture) {
    if (!queue.capture) return cudaSuccess;
    report("capture", "a captured stream waits for an event that was recorded outside the capture");
    queue.capture->invalid = true;
    return cudaErrorStreamCaptureIsolation;
  }
  if (event.capture->invalid) return cudaErrorStreamCaptureInvalidated;
  if (!queue.capture) join(queue, event.capture);
  if (queue.capture != event.capture) return cudaErrorStreamCaptureMerge;
  for (std::size_t node : event.capture_nodes)
    if (std::find(queue.capture_tail.begin(), queue.capture_tail.end(), node) == queue.capture_tail.end())
      queue.capture_tail.push_back(node);
  return cudaSuccess;
}

bool capture_forbids_legacy() {
  for (const auto& capture : live_captures())
    if (capture->origin->blocking && capture->origin->capture == capture) {
      capture->invalid = true;
      report("capture", "work on the legacy stream while a blocking stream is being captured");
      return true;
    }
  return false;
}
cudaError_t refuse_in_capture(const char* call) {
  for (const auto& capture : live_captures()) {
    if (capture->mode == cudaStreamCaptureModeRelaxed || capture->origin->capture != capture) continue;
    if (capture->mode == cudaStreamCaptureModeThreadLocal && capture->thread != std::this_thread::get_id()) continue;
    capture->invalid = true;
    report("capture", fmt::format("{} while a stream is being captured", call));
    return cudaErrorStreamCaptureUnsupported;
  }
  return cudaSuccess;
}
cudaError_t refuse_capturing(StreamQueue& queue, const char* call) {
  if (!queue.capture) return cudaSuccess;
  queue.capture->invalid = true;
  report("capture", fmt::format("{} of a stream that is being captured", call));
  return cudaErrorStreamCaptureUnsupported;
}

}  // namespace winnow::emulation

using namespace winnow::emulation;

extern "C" {

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  ApiLock lock;
  const auto queue = queue_of(stream);
  if (!queue) return set_error(cudaErrorInvalidResourceHandle);
  if (!stream) return set_error(cudaErrorStreamCaptureUnsupported);  // the legacy stream cannot be captured
  if (queue->capture) return set_error(cudaErrorIllegalState);
  auto capture = std::make_shared<Capture>();
  capture->mode = mode;
  capture->thread = std::this_thread::get_id();
  capture->origin = queue.get();
  captures.push_back(capture);
  join(*queue, capture);
  return cudaSuccess;
}
cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  ApiLock lock;
  const auto queue = queue_of(stream);
  if (!queue || !graph) return set_error(cudaErrorInvalidValue);
  return set_error(end_capture(*queue, graph));
}
cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  ApiLock lock;
  const auto queue = queue_of(stream);
  if (!queue || !status) return set_error(cudaErrorInvalidValue);
  *status = !queue->capture           ? cudaStreamCaptureStatusNone
            : queue->capture->invalid ? cudaStreamCaptureStatusInvalidated
                                      : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}
cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t* nodes, std::size_t* count) {
  ApiLock lock;
  if (!known(graph) || !count || nodes) return set_error(cudaErrorInvalidValue);  // the number of nodes only
  *count = graph->nodes.size();
  return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t* exec, cudaGraph_t graph, unsigned long long) {
  ApiLock lock;
  if (!known(graph) || !exec) return set_error(cudaErrorInvalidValue);
  *exec = make_handle<CUgraphExec_st>(std::make_shared<const std::vector<GraphNode>>(graph->nodes));
  return cudaSuccess;
}
cudaError_t cudaGraphLaunch(cudaGraphExec_t exec, cudaStream_t stream) {
  ApiLock lock;
  if (!known(exec)) return set_error(cudaErrorInvalidValue);
  const int device = device_of_stream(stream);
  return enqueue(stream, "graph", [nodes = exec->nodes, device] { run_nodes(*nodes, device); });
}
// Only a graph of the same operations and dependencies can take the place of another.
cudaError_t cudaGraphExecUpdate(cudaGraphExec_t exec, cudaGraph_t graph, cudaGraphExecUpdateResultInfo* result) {
  ApiLock lock;
  if (!known(exec) || !known(graph) || !result) return set_error(cudaErrorInvalidValue);
  const bool same = std::equal(
      exec->nodes->begin(), exec->nodes->end(), graph->nodes.begin(), graph->nodes.end(),
      [](const GraphNode& a, const GraphNode& b) { return std::string_view(a.name) == b.name && a.after == b.after; });
  *result = {};
  result->result = same ? cudaGraphExecUpdateSuccess : cudaGraphExecUpdateErrorTopologyChanged;
  if (!same) return set_error(cudaErrorGraphExecUpdateFailure);
  exec->nodes = std::make_shared<const std::vector<GraphNode>>(graph->nodes);
  return cudaSuccess;
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  ApiLock lock;
  return delete_handle(graph) ? cudaSuccess : set_error(cudaErrorInvalidValue);
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t exec) {
  ApiLock lock;
  return delete_handle(exec) ? cudaSuccess : set_error(cudaErrorInvalidValue);
}
}
