#include "core/feed_buffers.h"

#include <algorithm>
#include <cstring>

#include "core/parallel.h"

namespace winnow {

FeedBuffers::FeedBuffers(Device device, const std::vector<TensorSpec>& specs) : backend_(backend_of(device)) {
  for (const TensorSpec& spec : specs) {
    offsets_.push_back(bytes_);
    sizes_.push_back(spec.bytes());
    bytes_ += (spec.bytes() + kDeviceAlignment - 1) / kDeviceAlignment * kDeviceAlignment;
  }
  const TensorSpec all{DType::U8, Shape{static_cast<int64_t>(std::max(bytes_, kAlignment))}};
  on_device_ = Tensor(all, backend_.allocator(device));
  for (Slot& slot : slots_) slot = {Tensor(all, backend_.pinned_allocator(device)), backend_.make_event(device)};
}

void FeedBuffers::upload(std::span<const Tensor> feeds, Stream& stream) {
  Slot& slot = slots_[next_++ % slots_.size()];
  slot.fetched->synchronize();
  auto* const pinned = static_cast<char*>(slot.pinned.raw());
  const auto on_host = [](const Tensor& t) { return t.device().kind == Device::CPU; };
  const bool together = std::ranges::all_of(feeds, on_host);
  for (size_t i = 0; i < feeds.size(); ++i) {
    if (!on_host(feeds[i]) || sizes_[i] == 0) continue;
    parallel_for(static_cast<int64_t>(sizes_[i]), 1 << 18, [&](int64_t begin, int64_t end) {
      std::memcpy(pinned + offsets_[i] + begin, static_cast<const char*>(feeds[i].raw()) + begin,
                  static_cast<size_t>(end - begin));
    });
    if (!together) backend_.copy(place(i), pinned + offsets_[i], sizes_[i], stream);
  }
  if (together && bytes_ > 0) backend_.copy(on_device_.raw(), pinned, bytes_, stream);
  slot.fetched->record(stream);
}

}  // namespace winnow
