#include "core/cuda/emulation/communicator.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/device_memory.h"
#include "core/cuda/emulation/element.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/race_checker.h"
#include "core/cuda/emulation/stream_queue.h"

namespace winnow::emulation {

namespace {

struct TypeInfo {
  const char* name;
  std::size_t bytes;
};
TypeInfo type_info(ncclDataType_t type) {
  switch (type) {
    case ncclInt8: return {"int8", 1};
    case ncclUint8: return {"uint8", 1};
    case ncclInt32: return {"int32", 4};
    case ncclUint32: return {"uint32", 4};
    case ncclInt64: return {"int64", 8};
    case ncclUint64: return {"uint64", 8};
    case ncclFloat16: return {"float16", 2};
    case ncclFloat32: return {"float32", 4};
    case ncclFloat64: return {"float64", 8};
    case ncclBfloat16: return {"bfloat16", 2};
    default: return {"unknown type", 0};
  }
}

constexpr const char* kNames[] = {"ncclAllReduce", "ncclAllGather", "ncclReduceScatter", "ncclBroadcast",
                                  "ncclReduce",    "ncclSend",      "ncclRecv"};

template <class T>
T reduced(T a, T b, ncclRedOp_t reduction) {
  switch (reduction) {
    case ncclProd: return static_cast<T>(a * b);
    case ncclMax: return std::max(a, b);
    case ncclMin: return std::min(a, b);
    default: return static_cast<T>(a + b);
  }
}

// Integers in their own type, floating-point types in double and rounded once.
template <class T>
T reduce_integer(const std::vector<const void*>& inputs, std::size_t i, ncclRedOp_t reduction) {
  T value = static_cast<const T*>(inputs[0])[i];
  for (std::size_t r = 1; r < inputs.size(); ++r)
    value = reduced(value, static_cast<const T*>(inputs[r])[i], reduction);
  return reduction == ncclAvg ? static_cast<T>(value / static_cast<T>(inputs.size())) : value;
}
double reduce_float(const std::vector<const void*>& inputs, std::size_t i, cudaDataType_t type, ncclRedOp_t reduction) {
  double value = load_element(inputs[0], type, i);
  for (std::size_t r = 1; r < inputs.size(); ++r) value = reduced(value, load_element(inputs[r], type, i), reduction);
  return reduction == ncclAvg ? value / static_cast<double>(inputs.size()) : value;
}

void reduce_into(void* out, const std::vector<const void*>& inputs, std::size_t first, std::size_t count,
                 ncclDataType_t type, ncclRedOp_t reduction) {
  const auto integers = [&]<class T>(T) {
    for (std::size_t i = 0; i < count; ++i) static_cast<T*>(out)[i] = reduce_integer<T>(inputs, first + i, reduction);
  };
  const auto floats = [&](cudaDataType_t element) {
    for (std::size_t i = 0; i < count; ++i)
      store_element(out, element, i, reduce_float(inputs, first + i, element, reduction));
  };
  switch (type) {
    case ncclInt8: return integers(std::int8_t{});
    case ncclUint8: return integers(std::uint8_t{});
    case ncclInt32: return integers(std::int32_t{});
    case ncclUint32: return integers(std::uint32_t{});
    case ncclInt64: return integers(std::int64_t{});
    case ncclUint64: return integers(std::uint64_t{});
    case ncclFloat16: return floats(CUDA_R_16F);
    case ncclFloat32: return floats(CUDA_R_32F);
    case ncclFloat64: return floats(CUDA_R_64F);
    case ncclBfloat16: return floats(CUDA_R_16BF);
    default: return;
  }
}

// Bytes that a transfer reads and writes on its rank.
std::size_t sent(const Transfer& t, std::size_t ranks) {
  const std::size_t bytes = t.count * nccl_bytes(t.type);
  if (t.kind == Exchange::Recv || (t.kind == Exchange::Broadcast && t.rank != t.root)) return 0;
  return t.kind == Exchange::ReduceScatter ? bytes * ranks : bytes;
}
std::size_t received(const Transfer& t, std::size_t ranks) {
  const std::size_t bytes = t.count * nccl_bytes(t.type);
  if (t.kind == Exchange::Send || (t.kind == Exchange::Reduce && t.rank != t.root)) return 0;
  return t.kind == Exchange::AllGather ? bytes * ranks : bytes;
}
bool in_range(const Transfer& t, std::size_t ranks) {
  if (device_range(t.send, sent(t, ranks)) && device_range(t.receive, received(t, ranks))) return true;
  report("nccl", fmt::format("rank {}: {}: a buffer is not inside one live device allocation", t.rank, t.text()));
  return false;
}

}  // namespace

std::size_t nccl_bytes(ncclDataType_t type) { return type_info(type).bytes; }

std::string Transfer::text() const {
  std::string t = fmt::format("{}(count {}, {}", kNames[static_cast<int>(kind)], count, type_info(type).name);
  if (kind == Exchange::AllReduce || kind == Exchange::ReduceScatter || kind == Exchange::Reduce)
    t += fmt::format(", operation {}", static_cast<int>(reduction));
  if (kind == Exchange::Broadcast || kind == Exchange::Reduce) t += fmt::format(", root {}", root);
  if (!collective()) t += fmt::format(", peer {}", root);
  return t + ")";
}

void run_collective(const std::vector<std::shared_ptr<Transfer>>& ranks) {
  const Transfer& first = *ranks.front();
  const std::size_t size = nccl_bytes(first.type), count = first.count;
  for (const auto& t : ranks)
    if (!in_range(*t, ranks.size())) return;
  const AccessScope open(kAllDevices);
  // Inputs are copied first: a call may be in place.
  std::vector<std::string> copies;
  std::vector<const void*> inputs;
  for (const auto& t : ranks) copies.emplace_back(static_cast<const char*>(t->send), sent(*t, ranks.size()));
  for (const std::string& copy : copies) inputs.push_back(copy.data());
  for (std::size_t r = 0; r < ranks.size(); ++r) {
    const Transfer& t = *ranks[r];
    const auto root = static_cast<std::size_t>(first.root);
    switch (first.kind) {
      case Exchange::AllReduce: reduce_into(t.receive, inputs, 0, count, t.type, t.reduction); break;
      case Exchange::ReduceScatter: reduce_into(t.receive, inputs, r * count, count, t.type, t.reduction); break;
      case Exchange::Reduce:
        if (r == root) reduce_into(t.receive, inputs, 0, count, t.type, t.reduction);
        break;
      case Exchange::Broadcast: std::memcpy(t.receive, inputs[root], count * size); break;
      case Exchange::AllGather:
        for (std::size_t from = 0; from < ranks.size(); ++from)
          std::memcpy(static_cast<char*>(t.receive) + from * count * size, inputs[from], count * size);
        break;
      case Exchange::Send:
      case Exchange::Recv: break;
    }
    if (received(t, ranks.size())) mark_written(t.receive, received(t, ranks.size()));
  }
}

void Clique::post(const std::shared_ptr<Transfer>& transfer) {
  if (transfer->collective())
    post_collective(transfer);
  else
    post_message(transfer);
  wake_waiting();
}

void Clique::mismatch(const Transfer& a, const Transfer& b) {
  failed = true;
  report("nccl-mismatch", fmt::format("rank {} calls {}, rank {} calls {}", a.rank, a.text(), b.rank, b.text()));
}

void Clique::post_collective(const std::shared_ptr<Transfer>& transfer) {
  const std::size_t number = calls_[static_cast<std::size_t>(transfer->rank)]++;
  Meeting& meeting = meetings_[number];
  meeting.ranks.resize(devices.size());
  meeting.ranks[static_cast<std::size_t>(transfer->rank)] = transfer;
  if (++meeting.arrived < size()) return;
  bool same = true;
  for (const auto& t : meeting.ranks)
    if (same && t->text() != meeting.ranks.front()->text()) {
      mismatch(*meeting.ranks.front(), *t);
      same = false;
    }
  if (same) run_collective(meeting.ranks);
  for (const auto& t : meeting.ranks) t->done = true;
  meetings_.erase(number);
}

void Clique::post_message(const std::shared_ptr<Transfer>& transfer) {
  const bool sends = transfer->kind == Exchange::Send;
  const std::pair<int, int> route{sends ? transfer->rank : transfer->root, sends ? transfer->root : transfer->rank};
  auto& waiting = messages_[route];
  if (waiting.empty() || waiting.front()->kind == transfer->kind) {
    waiting.push_back(transfer);
    return;
  }
  const auto other = waiting.front();
  waiting.pop_front();
  const Transfer& from = sends ? *transfer : *other;
  const Transfer& to = sends ? *other : *transfer;
  const std::size_t bytes = from.count * nccl_bytes(from.type);
  if (from.count != to.count || from.type != to.type) {
    mismatch(from, to);
  } else if (in_range(from, 1) && in_range(to, 1)) {
    const AccessScope open(kAllDevices);
    std::memmove(to.receive, from.send, bytes);
    mark_written(to.receive, bytes);
  }
  transfer->done = other->done = true;
}

void Clique::wait(const std::vector<std::shared_ptr<Transfer>>& transfers) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(options().collective_timeout_ms);
  const auto all_done = [&] {
    return std::all_of(transfers.begin(), transfers.end(), [](const auto& t) { return t->done; });
  };
  while (!all_done()) {
    if (step_any_other_stream()) continue;
    if (!wait_closed(deadline) && !all_done()) return give_up(transfers);
  }
}

void Clique::give_up(const std::vector<std::shared_ptr<Transfer>>& transfers) {
  failed = true;
  for (const auto& t : transfers) {
    if (t->done) continue;
    t->done = true;
    std::string missing;
    if (t->collective()) {
      for (auto& [number, meeting] : meetings_)
        if (meeting.ranks[static_cast<std::size_t>(t->rank)] == t)
          for (int r = 0; r < size(); ++r)
            if (!meeting.ranks[static_cast<std::size_t>(r)]) missing += fmt::format(" {}", r);
    } else {
      missing = fmt::format(" {}", t->root);
      for (auto& [route, waiting] : messages_) std::erase(waiting, t);
    }
    report("nccl-hang", fmt::format("rank {} waits in {}; still to come: rank{}", t->rank, t->text(), missing));
  }
}

}  // namespace winnow::emulation
