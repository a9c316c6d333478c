// Stand-in for the part of NCCL that Winnow calls; ranks are threads of one process, or one thread's group calls.
#include <fmt/format.h>
#include <nccl.h>

#include <chrono>
#include <cstring>
#include <map>
#include <vector>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/communicator.h"
#include "core/cuda/emulation/device.h"
#include "core/cuda/emulation/handles.h"
#include "core/cuda/emulation/options.h"
#include "core/cuda/emulation/stream.h"
#include "core/cuda/emulation/stream_queue.h"

using namespace winnow::emulation;

namespace {

using TransferPointer = std::shared_ptr<Transfer>;
// The calls of a group on one stream: one operation there, whose transfers go on together.
struct Batch {
  std::shared_ptr<Clique> clique;
  std::vector<Transfer> transfers;
};
struct Group {
  int depth = 0;
  std::map<std::pair<ncclComm_t, cudaStream_t>, Batch> batches;
};
thread_local Group group;

ncclResult_t refuse_nccl(const char* call, const char* problem, ncclResult_t result = ncclInvalidArgument) {
  report("nccl", fmt::format("{}: {}", call, problem));
  return result;
}

ncclResult_t enqueue_batch(Batch batch, cudaStream_t stream) {
  const cudaError_t error = enqueue(stream, "nccl", [batch = std::move(batch)] {
    std::vector<TransferPointer> posted;
    for (const Transfer& t : batch.transfers) posted.push_back(std::make_shared<Transfer>(t));
    for (const auto& t : posted) batch.clique->post(t);
    batch.clique->wait(posted);
  });
  return error == cudaSuccess ? ncclSuccess : ncclUnhandledCudaError;
}

ncclResult_t submit(ncclComm_t comm, cudaStream_t stream, Transfer transfer) {
  ApiLock lock;
  const std::string name = transfer.text();
  if (!known(comm)) return refuse_nccl(name.c_str(), "no such communicator");
  if (nccl_bytes(transfer.type) == 0) return refuse_nccl(name.c_str(), "a type that is not modelled");
  if (transfer.reduction > ncclAvg) return refuse_nccl(name.c_str(), "a reduction that is not modelled");
  if (transfer.root < 0 || transfer.root >= comm->clique->size()) return refuse_nccl(name.c_str(), "no such rank");
  if (!valid_stream(stream) || device_of_stream(stream) != comm->device)
    return refuse_nccl(name.c_str(), "the stream is not on the communicator's device", ncclInvalidUsage);
  transfer.rank = comm->rank;
  if (group.depth > 0) {
    Batch& batch = group.batches[{comm, stream}];
    batch.clique = comm->clique;
    batch.transfers.push_back(transfer);
    return ncclSuccess;
  }
  return enqueue_batch({comm->clique, {transfer}}, stream);
}

auto& cliques = *new std::map<std::string, std::shared_ptr<Clique>>;  // of ids whose ranks are still to join

ncclResult_t join(ncclComm_t* comm, int ranks, const ncclUniqueId& id, int rank) {
  constexpr const char* kCall = "ncclCommInitRank";
  if (ranks < 1 || rank < 0 || rank >= ranks) return refuse_nccl(kCall, "no such rank");
  const std::string key(id.internal, sizeof id.internal);
  auto& clique = cliques[key];
  if (!clique) clique = std::make_shared<Clique>(ranks);
  if (clique->size() != ranks) return refuse_nccl(kCall, "ranks differ in the number of ranks", ncclInvalidUsage);
  if (clique->devices[static_cast<std::size_t>(rank)] >= 0)
    return refuse_nccl(kCall, "this rank has joined before", ncclInvalidUsage);
  for (int device : clique->devices)
    if (device == current_device()) return refuse_nccl(kCall, "two ranks on one device", ncclInvalidUsage);
  clique->devices[static_cast<std::size_t>(rank)] = current_device();
  *comm = make_handle<ncclComm>(clique, rank, current_device());
  if (++clique->joined == ranks) cliques.erase(key);
  wake_waiting();
  return ncclSuccess;
}

}  // namespace

extern "C" {

ncclResult_t ncclGetVersion(int* version) {
  *version = NCCL_VERSION_CODE;
  return ncclSuccess;
}
ncclResult_t ncclGetUniqueId(ncclUniqueId* id) {
  ApiLock lock;
  static int count = 0;
  *id = {};
  const std::string text = fmt::format("winnow {}", ++count);
  std::memcpy(id->internal, text.data(), text.size());
  return ncclSuccess;
}
// Comes back when all ranks have joined, except inside a group.
ncclResult_t ncclCommInitRank(ncclComm_t* comm, int ranks, ncclUniqueId id, int rank) {
  ApiLock lock;
  if (const ncclResult_t result = join(comm, ranks, id, rank); result != ncclSuccess || group.depth > 0) return result;
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(options().collective_timeout_ms);
  const Clique& clique = *(*comm)->clique;
  while (clique.joined < clique.size())
    if (!wait_closed(deadline) && clique.joined < clique.size()) {
      report("nccl-hang",
             fmt::format("rank {} waits in ncclCommInitRank; {} of {} have come", rank, clique.joined, clique.size()));
      return ncclSystemError;
    }
  return ncclSuccess;
}
ncclResult_t ncclCommInitAll(ncclComm_t* comms, int count, const int* devices) {
  ApiLock lock;
  ncclUniqueId id;
  ncclGetUniqueId(&id);
  const int before = current_device();
  ncclResult_t result = ncclSuccess;
  for (int r = 0; r < count && result == ncclSuccess; ++r) {
    if (cudaSetDevice(devices ? devices[r] : r) != cudaSuccess) result = ncclUnhandledCudaError;
    if (result == ncclSuccess) result = join(&comms[r], count, id, r);
  }
  cudaSetDevice(before);
  return result;
}
ncclResult_t ncclCommDestroy(ncclComm_t comm) {
  ApiLock lock;
  return delete_handle(comm) ? ncclSuccess : refuse_nccl("ncclCommDestroy", "no such communicator");
}
ncclResult_t ncclCommAbort(ncclComm_t comm) { return ncclCommDestroy(comm); }
ncclResult_t ncclCommGetAsyncError(ncclComm_t comm, ncclResult_t* error) {
  ApiLock lock;
  if (!known(comm)) return refuse_nccl("ncclCommGetAsyncError", "no such communicator");
  *error = comm->clique->failed ? ncclRemoteError : ncclSuccess;
  return ncclSuccess;
}
ncclResult_t ncclCommCount(const ncclComm_t comm, int* count) {
  ApiLock lock;
  if (!known(comm)) return refuse_nccl("ncclCommCount", "no such communicator");
  *count = comm->clique->size();
  return ncclSuccess;
}
ncclResult_t ncclCommCuDevice(const ncclComm_t comm, int* device) {
  ApiLock lock;
  if (!known(comm)) return refuse_nccl("ncclCommCuDevice", "no such communicator");
  *device = comm->device;
  return ncclSuccess;
}
ncclResult_t ncclCommUserRank(const ncclComm_t comm, int* rank) {
  ApiLock lock;
  if (!known(comm)) return refuse_nccl("ncclCommUserRank", "no such communicator");
  *rank = comm->rank;
  return ncclSuccess;
}
const char* ncclGetErrorString(ncclResult_t result) {
  switch (result) {
    case ncclSuccess: return "no error";
    case ncclUnhandledCudaError: return "unhandled cuda error";
    case ncclSystemError: return "unhandled system error";
    case ncclInvalidArgument: return "invalid argument";
    case ncclInvalidUsage: return "invalid usage";
    case ncclRemoteError: return "remote process exited or there was a network error";
    default: return "internal error";
  }
}

ncclResult_t ncclGroupStart() {
  ++group.depth;
  return ncclSuccess;
}
ncclResult_t ncclGroupEnd() {
  ApiLock lock;
  if (group.depth == 0) return refuse_nccl("ncclGroupEnd", "no group was started", ncclInvalidUsage);
  if (--group.depth > 0) return ncclSuccess;
  const auto batches = std::move(group.batches);
  group.batches.clear();
  ncclResult_t result = ncclSuccess;
  for (const auto& [key, batch] : batches)
    if (const ncclResult_t r = enqueue_batch(batch, key.second); r != ncclSuccess) result = r;
  return result;
}

ncclResult_t ncclAllReduce(const void* send, void* receive, std::size_t count, ncclDataType_t type, ncclRedOp_t op,
                           ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, stream, {Exchange::AllReduce, send, receive, count, type, op});
}
ncclResult_t ncclAllGather(const void* send, void* receive, std::size_t count, ncclDataType_t type, ncclComm_t comm,
                           cudaStream_t stream) {
  return submit(comm, stream, {Exchange::AllGather, send, receive, count, type});
}
ncclResult_t ncclReduceScatter(const void* send, void* receive, std::size_t count, ncclDataType_t type, ncclRedOp_t op,
                               ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, stream, {Exchange::ReduceScatter, send, receive, count, type, op});
}
ncclResult_t ncclBroadcast(const void* send, void* receive, std::size_t count, ncclDataType_t type, int root,
                           ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, stream, {Exchange::Broadcast, send, receive, count, type, ncclSum, root});
}
ncclResult_t ncclBcast(void* buffer, std::size_t count, ncclDataType_t type, int root, ncclComm_t comm,
                       cudaStream_t stream) {
  return ncclBroadcast(buffer, buffer, count, type, root, comm, stream);
}
ncclResult_t ncclReduce(const void* send, void* receive, std::size_t count, ncclDataType_t type, ncclRedOp_t op,
                        int root, ncclComm_t comm, cudaStream_t stream) {
  return submit(comm, stream, {Exchange::Reduce, send, receive, count, type, op, root});
}
ncclResult_t ncclSend(const void* send, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return submit(comm, stream, {Exchange::Send, send, nullptr, count, type, ncclSum, peer});
}
ncclResult_t ncclRecv(void* receive, std::size_t count, ncclDataType_t type, int peer, ncclComm_t comm,
                      cudaStream_t stream) {
  return submit(comm, stream, {Exchange::Recv, nullptr, receive, count, type, ncclSum, peer});
}
}
