// The way of a program's feeds to a device: the host copies them into one of two pinned buffers, from which the device
// fetches them in the stream's order. So run() returns while the device works, and the caller's tensors are free again.
#pragma once
#include <array>
#include <span>
#include <vector>

#include "core/backend.h"
#include "core/tensor.h"

namespace winnow {

class FeedBuffers {
 public:
  // specs: of each input; one without elements where the device does not read it.
  FeedBuffers(Device device, const std::vector<TensorSpec>& specs);
  // Where input i lies on the device once upload() has been called.
  void* place(size_t i) const { return static_cast<char*>(on_device_.raw()) + offsets_[i]; }
  // Queues the copies of the feeds that lie on the host. Waits for the copies of the call before the last.
  void upload(std::span<const Tensor> feeds, Stream& stream);

 private:
  struct Slot {
    Tensor pinned;
    std::unique_ptr<Event> fetched;
  };
  Backend& backend_;
  std::vector<size_t> offsets_, sizes_;
  size_t bytes_ = 0;
  Tensor on_device_;
  std::array<Slot, 2> slots_;
  size_t next_ = 0;
};

}  // namespace winnow
