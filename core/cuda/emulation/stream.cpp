#include "core/cuda/emulation/stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/block.h"
#include "core/cuda/emulation/device.h"
#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/fault_handler.h"
#include "core/cuda/emulation/graph.h"
#include "core/cuda/emulation/handles.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/stream_queue.h"

namespace winnow::emulation {

namespace {

auto& queues = *new std::vector<std::weak_ptr<StreamQueue>>;
std::uint64_t issue_count = 0;

StreamQueue& legacy_queue(int device) {
  static auto& legacy = *new std::array<std::shared_ptr<StreamQueue>, kMaxDevices>;
  auto& queue = legacy[static_cast<std::size_t>(device)];
  if (!queue) queue = new_queue(device, true);
  return *queue;
}
std::vector<std::shared_ptr<StreamQueue>> live_queues() {
  std::vector<std::shared_ptr<StreamQueue>> live;
  for (const auto& weak : queues)
    if (auto queue = weak.lock()) live.push_back(std::move(queue));
  return live;
}
bool can_step(const StreamQueue& queue) { return !queue.running && !queue.waiting.empty(); }

void step(StreamQueue& queue) {
  Operation operation = std::move(queue.waiting.front());
  queue.waiting.pop_front();
  queue.running = true;
  queue.runner = std::this_thread::get_id();
  for (const Marker& m : operation.after) drain(*m.queue, m.ordinal);
  if (operation.run && (operation.after_errors || sticky_error(queue.device) == cudaSuccess)) operation.run();
  queue.running = false;
  ++queue.completed;
  wake_waiting();
}

// The legacy stream waits for every blocking stream of its device, and they for it (CUDA Runtime API, "Stream
// synchronization behavior").
void add_legacy_order(StreamQueue& queue, Operation& operation) {
  StreamQueue& legacy = legacy_queue(queue.device);
  const auto wait_for = [&operation](StreamQueue& other) {
    if (const Marker tail = other.tail(); !tail.done()) operation.after.push_back(tail);
  };
  if (&queue != &legacy) {
    if (queue.blocking) wait_for(legacy);
    return;
  }
  for (const auto& other : live_queues())
    if (other->device == queue.device && other->blocking && other.get() != &queue) wait_for(*other);
}

void run_what_the_mode_asks(StreamQueue& queue) {
  if (options().streams == StreamMode::Eager) drain(queue);
  if (options().streams != StreamMode::Random) return;
  for (const auto& other : live_queues())
    while (can_step(*other) && random_bits()() % 2) step(*other);
}

std::map<const void*, std::size_t>& shared_limits() {
  static auto& limits = *new std::map<const void*, std::size_t>;
  return limits;
}

cudaError_t check_launch(const void* kernel, dim3 grid, dim3 block, std::size_t dynamic_shared) {
  const std::size_t threads = std::size_t{block.x} * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || threads == 0) return cudaErrorInvalidConfiguration;
  if (threads > 1024 || block.z > 64) return cudaErrorInvalidConfiguration;
  if (grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535) return cudaErrorInvalidConfiguration;
  const auto limit = shared_limits().find(kernel);
  if (dynamic_shared > (limit == shared_limits().end() ? kSharedPerBlock : limit->second)) return cudaErrorInvalidValue;
  return cudaSuccess;
}

}  // namespace

bool Marker::done() const { return !queue || queue->completed >= ordinal; }

std::shared_ptr<StreamQueue> new_queue(int device, bool blocking) {
  auto queue = std::make_shared<StreamQueue>();
  queue->device = device;
  queue->blocking = blocking;
  std::erase_if(queues, [](const auto& weak) { return weak.expired(); });
  queues.push_back(queue);
  return queue;
}
std::shared_ptr<StreamQueue> queue_of(cudaStream_t stream) {
  if (!stream || stream == cudaStreamLegacy) return legacy_queue(current_device()).shared_from_this();
  return known(stream) ? stream->queue : nullptr;
}

cudaError_t push(StreamQueue& queue, Operation operation) {
  if (queue.capture) return record(queue, operation);
  if (&queue == &legacy_queue(queue.device) && capture_forbids_legacy()) return cudaErrorStreamCaptureImplicit;
  add_legacy_order(queue, operation);
  operation.issue = ++issue_count;
  queue.waiting.push_back(std::move(operation));
  ++queue.issued;
  wake_waiting();
  run_what_the_mode_asks(queue);
  return cudaSuccess;
}

bool wait_closed(std::chrono::steady_clock::time_point deadline) {
  const AccessScope closed(0, AccessScope::Mode::Only);
  return wait_for_others(deadline);
}

void drain(StreamQueue& queue, std::uint64_t ordinal) {
  if (queue.completed >= ordinal) return;
  const AccessScope open(accessible_devices(queue.device));  // one opening a drain, not one an operation
  while (queue.completed < ordinal) {
    if (!queue.running) {
      step(queue);
    } else if (queue.runner == std::this_thread::get_id()) {
      report("stream-cycle", "a stream waits for work behind the operation that it is running");
      return;
    } else {
      wait_closed(std::chrono::steady_clock::now() + std::chrono::milliseconds(100));
    }
  }
}

void drain_device(int device) {
  for (;;) {
    std::shared_ptr<StreamQueue> chosen;
    for (const auto& queue : live_queues()) {
      if (queue->device != device || queue->completed >= queue->issued) continue;
      if (!chosen ||
          (can_step(*queue) && (!can_step(*chosen) || queue->waiting.front().issue > chosen->waiting.front().issue)))
        chosen = queue;
    }
    if (!chosen) return;
    const std::uint64_t before = chosen->completed;
    drain(*chosen, before + 1);
    if (chosen->completed == before) return;  // a cycle, reported
  }
}

bool step_any_other_stream() {
  for (const auto& queue : live_queues())
    if (can_step(*queue)) {
      const AccessScope open(accessible_devices(queue->device));
      step(*queue);
      return true;
    }
  return false;
}

void discard_all_work() {
  for (const auto& queue : live_queues()) {
    queue->waiting.clear();
    queue->completed = queue->issued;
    queue->capture = nullptr;
  }
}

bool valid_stream(cudaStream_t stream) { return queue_of(stream) != nullptr; }
int device_of_stream(cudaStream_t stream) {
  const auto queue = queue_of(stream);
  return queue ? queue->device : -1;
}

cudaError_t enqueue(cudaStream_t stream, const char* name, std::function<void()> run) {
  ApiLock lock;
  const auto queue = queue_of(stream);
  if (!queue) {
    report("bad-stream", fmt::format("{} on a stream that does not exist", name));
    return set_error(cudaErrorInvalidResourceHandle);
  }
  return set_error(push(*queue, {name, std::move(run), {}}));
}

cudaError_t enqueue_launch(const void* kernel, dim3 grid, dim3 block, std::size_t dynamic_shared, cudaStream_t stream,
                           std::function<void()> body) {
  ApiLock lock;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return set_error(error);
  if (const cudaError_t error = check_launch(kernel, grid, block, dynamic_shared); error != cudaSuccess)
    return set_error(error);
  if (const int device = device_of_stream(stream); device >= 0 && device != current_device()) {
    report("wrong-device", fmt::format("kernel launched on a stream of device {} while device {} is current", device,
                                       current_device()));
    return set_error(cudaErrorInvalidResourceHandle);
  }
  const int device = current_device();
  return enqueue(stream, "kernel", [=, body = std::move(body)] {
    const AccessScope only(accessible_devices(device), AccessScope::Mode::Only);
    prepare_fault_stack();
    if (!run_launch({grid, block, dynamic_shared, &body, kernel})) set_sticky_error(device, cudaErrorLaunchFailure);
  });
}

}  // namespace winnow::emulation

using namespace winnow::emulation;

extern "C" cudaError_t cudaFuncSetAttribute(const void* function, cudaFuncAttribute attribute, int value) {
  ApiLock lock;
  if (attribute == cudaFuncAttributePreferredSharedMemoryCarveout) return cudaSuccess;
  if (attribute != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 ||
      static_cast<std::size_t>(value) > kSharedPerBlockOptIn)
    return set_error(cudaErrorInvalidValue);
  shared_limits()[function] = static_cast<std::size_t>(value);
  return cudaSuccess;
}
