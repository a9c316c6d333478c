// Streams and events of the runtime API.
#include <fmt/format.h>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/device.h"
#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/graph.h"
#include "core/cuda/emulation/handles.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/stream.h"
#include "core/cuda/emulation/stream_queue.h"

using namespace winnow::emulation;

namespace {

cudaError_t create_stream(cudaStream_t* stream, unsigned flags) {
  ApiLock lock;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return set_error(error);
  if (flags != cudaStreamDefault && flags != cudaStreamNonBlocking) return set_error(cudaErrorInvalidValue);
  *stream = make_handle<CUstream_st>(new_queue(current_device(), flags == cudaStreamDefault));
  return cudaSuccess;
}

cudaError_t create_event(cudaEvent_t* event, unsigned flags) {
  ApiLock lock;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return set_error(error);
  *event = make_handle<CUevent_st>();
  (*event)->device = current_device();
  (*event)->timing = !(flags & cudaEventDisableTiming);
  return cudaSuccess;
}

bool dropped() {
  if (options().drop_event_waits) ++counters().dropped;
  return options().drop_event_waits;
}

cudaError_t record(cudaEvent_t event, StreamQueue& queue) {
  if (event->device != queue.device) {
    report("wrong-device",
           fmt::format("event of device {} recorded on a stream of device {}", event->device, queue.device));
    return cudaErrorInvalidResourceHandle;
  }
  if (queue.capture) {
    record_event(queue, *event);
    return cudaSuccess;
  }
  event->capture = nullptr;
  const std::uint64_t ordinal = queue.issued + 1;
  event->recorded = true;
  event->marker = {queue.shared_from_this(), ordinal};
  return push(queue, {"event",
                      [event, ordinal] {
                        if (known(event) && event->marker.ordinal == ordinal)
                          event->time = std::chrono::steady_clock::now();
                      },
                      {}});
}

}  // namespace

extern "C" {

cudaError_t cudaStreamCreate(cudaStream_t* stream) { return create_stream(stream, cudaStreamDefault); }
cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned flags) { return create_stream(stream, flags); }
cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned flags, int) {
  return create_stream(stream, flags);
}
cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  ApiLock lock;
  if (!stream || !known(stream)) return set_error(cudaErrorInvalidResourceHandle);
  drain(*stream->queue);
  delete_handle(stream);
  return cudaSuccess;
}
cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  ApiLock lock;
  if (const cudaError_t error = check_driver(); error != cudaSuccess) return set_error(error);
  const auto queue = queue_of(stream);
  if (!queue) return set_error(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = refuse_capturing(*queue, "synchronisation"); error != cudaSuccess)
    return set_error(error);
  drain(*queue);
  return set_error(sticky_error(queue->device));
}
cudaError_t cudaStreamQuery(cudaStream_t stream) {
  ApiLock lock;
  const auto queue = queue_of(stream);
  if (!queue) return set_error(cudaErrorInvalidResourceHandle);
  if (const cudaError_t error = refuse_capturing(*queue, "query"); error != cudaSuccess) return set_error(error);
  // A loop that polls must end: each query lets one operation run.
  if (queue->completed == queue->issued) return set_error(sticky_error(queue->device));
  drain(*queue, queue->completed + 1);
  return cudaErrorNotReady;
}
cudaError_t cudaStreamGetDevice(cudaStream_t stream, int* device) {
  ApiLock lock;
  if (!valid_stream(stream)) return set_error(cudaErrorInvalidResourceHandle);
  *device = device_of_stream(stream);
  return cudaSuccess;
}
cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* data) {
  return enqueue(stream, "host function", [=] {
    const AccessScope closed(0, AccessScope::Mode::Only);
    function(data);
  });
}

cudaError_t cudaEventCreate(cudaEvent_t* event) { return create_event(event, cudaEventDefault); }
cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned flags) { return create_event(event, flags); }
cudaError_t cudaEventDestroy(cudaEvent_t event) {
  ApiLock lock;
  return delete_handle(event) ? cudaSuccess : set_error(cudaErrorInvalidResourceHandle);
}
cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  ApiLock lock;
  const auto queue = queue_of(stream);
  if (!known(event) || !queue) return set_error(cudaErrorInvalidResourceHandle);
  return set_error(record(event, *queue));
}
cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned) {
  ApiLock lock;
  const auto queue = queue_of(stream);
  if (!known(event) || !queue) return set_error(cudaErrorInvalidResourceHandle);
  if (queue->capture || event->capture) return set_error(wait_in_capture(*queue, *event));
  if (!event->recorded || dropped()) return cudaSuccess;  // never recorded: nothing to wait for
  return set_error(push(*queue, {"wait", nullptr, {event->marker}}));
}
cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  ApiLock lock;
  if (!known(event)) return set_error(cudaErrorInvalidResourceHandle);
  if (event->capture) {
    report("capture", "cudaEventSynchronize of an event that was recorded in a capture");
    return set_error(cudaErrorCapturedEvent);
  }
  if (event->recorded && !dropped()) drain(*event->marker.queue, event->marker.ordinal);
  return set_error(sticky_error(event->device));
}
cudaError_t cudaEventQuery(cudaEvent_t event) {
  ApiLock lock;
  if (!known(event)) return set_error(cudaErrorInvalidResourceHandle);
  if (!event->recorded || event->marker.done()) return set_error(sticky_error(event->device));
  drain(*event->marker.queue, event->marker.queue->completed + 1);
  return cudaErrorNotReady;
}
// Host time between the two points: an order of magnitude of nothing on a device, but never negative.
cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  ApiLock lock;
  if (!known(start) || !known(end) || !start->timing || !end->timing || !start->recorded || !end->recorded)
    return set_error(cudaErrorInvalidResourceHandle);
  if (!start->marker.done() || !end->marker.done()) return set_error(cudaErrorNotReady);
  *milliseconds = std::chrono::duration<float, std::milli>(end->time - start->time).count();
  return cudaSuccess;
}
}
