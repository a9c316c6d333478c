// The queues behind streams and events. Everything here is called under the ApiLock.
#pragma once
#include <cuda_runtime_api.h>

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <thread>
#include <vector>

namespace winnow::emulation {

struct StreamQueue;
struct Capture;

// A point in a queue: done when the queue's first `ordinal` operations are.
struct Marker {
  std::shared_ptr<StreamQueue> queue;
  std::uint64_t ordinal = 0;
  bool done() const;
};

struct Operation {
  const char* name = "";
  std::function<void()> run;
  std::vector<Marker> after;
  std::uint64_t issue = 0;    // order of the host's calls over all streams
  bool after_errors = false;  // runs although the device has failed: frees
};

struct StreamQueue : std::enable_shared_from_this<StreamQueue> {
  int device = 0;
  bool blocking = true;  // ordered with the legacy stream
  std::deque<Operation> waiting;
  std::uint64_t issued = 0, completed = 0;
  bool running = false;
  std::thread::id runner;  // the host thread that runs the front operation

  std::shared_ptr<Capture> capture;       // set: calls are recorded instead
  std::vector<std::size_t> capture_tail;  // nodes that the next one follows

  Marker tail() { return {shared_from_this(), issued}; }
};

std::shared_ptr<StreamQueue> new_queue(int device, bool blocking);
std::shared_ptr<StreamQueue> queue_of(cudaStream_t stream);  // null: no such stream

// Queues or records; what the stream mode asks for runs at once.
cudaError_t push(StreamQueue& queue, Operation operation);
void drain(StreamQueue& queue, std::uint64_t ordinal);  // runs until that many operations are complete
inline void drain(StreamQueue& queue) { drain(queue, queue.issued); }
void drain_device(int device);  // the latest issued work first, where order is free: a missing wait shows
bool step_any_other_stream();   // one operation of any stream that is not being run; false: nothing to run
void discard_all_work();

// Waits under the lock for another host thread, with device memory closed.
bool wait_closed(std::chrono::steady_clock::time_point deadline);

}  // namespace winnow::emulation

struct CUstream_st {
  std::shared_ptr<winnow::emulation::StreamQueue> queue;
};
struct CUevent_st {
  int device = 0;
  bool timing = true;
  bool recorded = false;
  winnow::emulation::Marker marker;
  std::chrono::steady_clock::time_point time;
  std::shared_ptr<winnow::emulation::Capture> capture;  // recorded inside it, after these nodes
  std::vector<std::size_t> capture_nodes;
};
