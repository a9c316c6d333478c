// The ranks behind the NCCL stand-in: threads of this process, one device each. A call is complete when its partners
// have come; until then the rank's stream is held up while other streams, of any host thread, go on.
//
// NCCL documentation, "Collective Operations" and "Point-to-point communication": every rank makes the same calls in
// the same order, with the same count, type, operation and root; a send and its receive agree in count and type. On
// devices a difference hangs or mixes bytes; here it is reported as nccl-mismatch, a missing partner as nccl-hang.
#pragma once
#include <cuda_runtime_api.h>
#include <nccl.h>

#include <deque>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace winnow::emulation {

enum class Exchange { AllReduce, AllGather, ReduceScatter, Broadcast, Reduce, Send, Recv };

struct Transfer {
  Exchange kind;
  const void* send = nullptr;
  void* receive = nullptr;
  std::size_t count = 0;
  ncclDataType_t type = ncclFloat32;
  ncclRedOp_t reduction = ncclSum;
  int root = 0;  // or the peer
  int rank = 0;
  bool done = false;

  bool collective() const { return kind != Exchange::Send && kind != Exchange::Recv; }
  std::string text() const;  // "ncclAllReduce(count 100, float32, sum)"
};

class Clique {
 public:
  explicit Clique(int ranks) : devices(static_cast<std::size_t>(ranks), -1), calls_(devices.size()) {}
  int size() const { return static_cast<int>(devices.size()); }
  std::vector<int> devices;  // of each rank; -1: has not joined
  int joined = 0;
  bool failed = false;  // ncclCommGetAsyncError

  void post(const std::shared_ptr<Transfer>& transfer);
  // Lets others go on until all are done; gives up after Options::collective_timeout_ms.
  void wait(const std::vector<std::shared_ptr<Transfer>>& transfers);

 private:
  struct Meeting {
    std::vector<std::shared_ptr<Transfer>> ranks;
    int arrived = 0;
  };
  void post_collective(const std::shared_ptr<Transfer>& transfer);
  void post_message(const std::shared_ptr<Transfer>& transfer);
  void mismatch(const Transfer& a, const Transfer& b);
  void give_up(const std::vector<std::shared_ptr<Transfer>>& transfers);

  std::vector<std::size_t> calls_;           // collectives that each rank has made
  std::map<std::size_t, Meeting> meetings_;  // by their number
  std::map<std::pair<int, int>, std::deque<std::shared_ptr<Transfer>>> messages_;  // unmatched, by (from, to)
};

std::size_t nccl_bytes(ncclDataType_t type);  // 0: not modelled
void run_collective(const std::vector<std::shared_ptr<Transfer>>& ranks);

}  // namespace winnow::emulation

struct ncclComm {
  std::shared_ptr<winnow::emulation::Clique> clique;
  int rank = 0;
  int device = 0;
};
