// The NCCL stand-in: ranks that are threads, ranks of one thread, and what happens when they disagree.
#include <nccl.h>

#include <thread>

#include "tests/emulation/support.h"

namespace winnow::emulation_test {
namespace {

constexpr int kRanks = 3;

// What one rank's thread has at hand.
struct Rank {
  int rank;
  ncclComm_t comm;
  cudaStream_t stream;
  float* data;     // 12 values: 100 * rank + i
  float* results;  // 36 values, NaN
};

class Nccl : public Machine {
 protected:
  Nccl() {
    options().devices = kRanks;
    options().collective_timeout_ms = 120000;
  }
  ~Nccl() override { cudaSetDevice(0); }

  // Runs the body once a rank, each on its own thread and device; returns each rank's results.
  std::vector<std::vector<float>> run(const std::function<void(const Rank&)>& body) {
    ncclUniqueId id;
    EXPECT_EQ(ncclGetUniqueId(&id), ncclSuccess);
    std::vector<std::vector<float>> results(kRanks);
    std::vector<std::thread> threads;
    for (int r = 0; r < kRanks; ++r)
      threads.emplace_back([&, r] { results[static_cast<std::size_t>(r)] = run_rank(id, r, body); });
    for (std::thread& t : threads) t.join();
    return results;
  }

 private:
  static std::vector<float> run_rank(ncclUniqueId id, int r, const std::function<void(const Rank&)>& body) {
    cudaSetDevice(r);
    std::vector<float> values(12);
    for (std::size_t i = 0; i < 12; ++i) values[i] = static_cast<float>(100 * r) + static_cast<float>(i);
    const DeviceBuffer<float> data(values), results(std::size_t{36});
    Rank rank{r, nullptr, nullptr, data.data(), results.data()};
    cudaStreamCreateWithFlags(&rank.stream, cudaStreamNonBlocking);
    EXPECT_EQ(ncclCommInitRank(&rank.comm, kRanks, id, r), ncclSuccess);
    body(rank);
    const std::vector<float> got = results.read(rank.stream);
    ncclCommDestroy(rank.comm);
    cudaStreamDestroy(rank.stream);
    return got;
  }
};

TEST_F(Nccl, ReductionsCombineAllRanks) {
  for (StreamMode mode : {StreamMode::Lazy, StreamMode::Eager, StreamMode::Random}) {
    options().streams = mode;
    const auto sums = run([](const Rank& r) {
      EXPECT_EQ(ncclAllReduce(r.data, r.results, 12, ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
    });
    const auto parts = run([](const Rank& r) {
      EXPECT_EQ(ncclReduceScatter(r.data, r.results, 4, ncclFloat, ncclMax, r.comm, r.stream), ncclSuccess);
    });
    for (std::size_t r = 0; r < kRanks; ++r)
      for (std::size_t i = 0; i < 4; ++i) {
        EXPECT_EQ(sums[r][i + 8], 300 + 3 * (static_cast<float>(i) + 8));
        EXPECT_EQ(parts[r][i], 200 + static_cast<float>(4 * r + i));
      }
  }
  expect_clean();
}
TEST_F(Nccl, AllReduceInPlaceAveragesBothDirectionsOfABuffer) {
  const auto results = run([](const Rank& r) {
    ncclAllReduce(r.data, r.data, 12, ncclFloat, ncclAvg, r.comm, r.stream);
    cudaMemcpyAsync(r.results, r.data, 48, cudaMemcpyDeviceToDevice, r.stream);
  });
  for (const auto& r : results) EXPECT_EQ(r[5], 105);
  expect_clean();
}
TEST_F(Nccl, GatherAndBroadcastMoveRanksValues) {
  const auto gathered = run([](const Rank& r) { ncclAllGather(r.data, r.results, 12, ncclFloat, r.comm, r.stream); });
  const auto broadcast =
      run([](const Rank& r) { ncclBroadcast(r.data, r.results, 12, ncclFloat, 1, r.comm, r.stream); });
  for (std::size_t r = 0; r < kRanks; ++r) {
    EXPECT_EQ(gathered[r][12 + 3], 103);
    EXPECT_EQ(gathered[r][35], 211);
    EXPECT_EQ(broadcast[r][3], 103);
  }
  expect_clean();
}
TEST_F(Nccl, MessagesGoRoundInAGroup) {
  const auto results = run([](const Rank& r) {
    ncclGroupStart();
    ncclSend(r.data, 12, ncclFloat, (r.rank + 1) % kRanks, r.comm, r.stream);
    ncclRecv(r.results, 12, ncclFloat, (r.rank + kRanks - 1) % kRanks, r.comm, r.stream);
    EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
  });
  EXPECT_EQ(results[0][1], 201);
  EXPECT_EQ(results[1][1], 1);
  expect_clean();
}
TEST_F(Nccl, ACollectiveWaitsForEarlierWorkOfItsStreamOnEveryRank) {
  const auto results = run([](const Rank& r) {
    kernels::axpy(1, r.data, r.data, 12, r.stream);  // doubles
    ncclAllReduce(r.data, r.results, 12, ncclFloat, ncclSum, r.comm, r.stream);
  });
  for (const auto& r : results) EXPECT_EQ(r[0], 600);
  expect_clean();
}
TEST_F(Nccl, ACapturedCollectiveRunsAtEachLaunch) {
  const auto results = run([](const Rank& r) {
    cudaGraph_t graph = nullptr;
    cudaGraphExec_t exec = nullptr;
    EXPECT_EQ(cudaStreamBeginCapture(r.stream, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    ncclAllReduce(r.data, r.data, 12, ncclFloat, ncclSum, r.comm, r.stream);
    EXPECT_EQ(cudaStreamEndCapture(r.stream, &graph), cudaSuccess);
    cudaGraphInstantiate(&exec, graph, 0);
    for (int i = 0; i < 2; ++i) cudaGraphLaunch(exec, r.stream);
    cudaMemcpyAsync(r.results, r.data, 48, cudaMemcpyDeviceToDevice, r.stream);
    cudaStreamSynchronize(r.stream);
    cudaGraphExecDestroy(exec);
    cudaGraphDestroy(graph);
  });
  for (const auto& r : results) EXPECT_EQ(r[0], 900);
  expect_clean();
}
TEST_F(Nccl, OneThreadCanDriveAllRanks) {
  ncclComm_t comms[kRanks];
  ASSERT_EQ(ncclCommInitAll(comms, kRanks, nullptr), ncclSuccess);
  std::vector<cudaStream_t> streams(kRanks);
  std::vector<std::unique_ptr<DeviceBuffer<float>>> data;
  for (int r = 0; r < kRanks; ++r) {
    cudaSetDevice(r);
    cudaStreamCreate(&streams[static_cast<std::size_t>(r)]);
    data.push_back(std::make_unique<DeviceBuffer<float>>(std::vector<float>(4, static_cast<float>(r + 1))));
  }
  ncclGroupStart();
  for (std::size_t r = 0; r < kRanks; ++r)
    ncclAllReduce(data[r]->data(), data[r]->data(), 4, ncclFloat, ncclSum, comms[r], streams[r]);
  EXPECT_EQ(ncclGroupEnd(), ncclSuccess);
  for (std::size_t r = 0; r < kRanks; ++r) {
    EXPECT_EQ(data[r]->read(streams[r])[0], 6);
    ncclCommDestroy(comms[r]);
    cudaStreamDestroy(streams[r]);
  }
  expect_clean();
}

TEST_F(Nccl, RanksThatDisagreeAreReported) {
  const std::vector<std::function<void(const Rank&)>> wrong = {
      [](const Rank& r) { ncclAllReduce(r.data, r.results, r.rank ? 12 : 11, ncclFloat, ncclSum, r.comm, r.stream); },
      [](const Rank& r) {
        ncclAllReduce(r.data, r.results, 6, r.rank ? ncclFloat : ncclInt32, ncclSum, r.comm, r.stream);
      },
      [](const Rank& r) {
        ncclAllReduce(r.data, r.results, 12, ncclFloat, r.rank ? ncclSum : ncclMax, r.comm, r.stream);
      },
      [](const Rank& r) { ncclBroadcast(r.data, r.results, 12, ncclFloat, r.rank == 0, r.comm, r.stream); },
      [](const Rank& r) {  // the order of two calls
        if (r.rank == 2) ncclAllGather(r.data, r.results, 4, ncclFloat, r.comm, r.stream);
        ncclAllReduce(r.data, r.results, 12, ncclFloat, ncclSum, r.comm, r.stream);
        if (r.rank != 2) ncclAllGather(r.data, r.results, 4, ncclFloat, r.comm, r.stream);
      },
      [](const Rank& r) {  // a message's count
        if (r.rank == 0) ncclSend(r.data, 5, ncclFloat, 1, r.comm, r.stream);
        if (r.rank == 1) ncclRecv(r.results, 6, ncclFloat, 0, r.comm, r.stream);
      },
  };
  for (std::size_t i = 0; i < wrong.size(); ++i) {
    clear_reports();
    run([&](const Rank& r) {
      wrong[i](r);
      cudaStreamSynchronize(r.stream);
      ncclResult_t error = ncclSuccess;
      ncclCommGetAsyncError(r.comm, &error);
      if (r.rank != 2) { EXPECT_EQ(error, ncclRemoteError) << i; }
    });
    EXPECT_TRUE(reported("nccl-mismatch")) << i;
  }
}
TEST_F(Nccl, ARankThatDoesNotComeIsReported) {
  options().collective_timeout_ms = 300;
  run([](const Rank& r) {
    if (r.rank != 1) ncclAllReduce(r.data, r.results, 12, ncclFloat, ncclSum, r.comm, r.stream);
    cudaStreamSynchronize(r.stream);
  });
  ASSERT_TRUE(reported("nccl-hang"));
  for (const Report& r : reports())  // on a busy machine another rank may be late too
    EXPECT_TRUE(r.text.find("still to come: rank") != std::string::npos && r.text.ends_with(" 1")) << r.text;
}
TEST_F(Nccl, CallsWithBadArgumentsAreRefused) {
  run([](const Rank& r) {
    EXPECT_EQ(ncclBroadcast(r.data, r.results, 12, ncclFloat, kRanks, r.comm, r.stream), ncclInvalidArgument);
    EXPECT_EQ(ncclAllReduce(r.data, r.results, 12, ncclFloat8e4m3, ncclSum, r.comm, r.stream), ncclInvalidArgument);
    EXPECT_EQ(ncclAllReduce(r.data, r.results, 13, ncclFloat, ncclSum, r.comm, r.stream), ncclSuccess);
    cudaStreamSynchronize(r.stream);  // 13 values of 12: found when it runs
  });
  EXPECT_TRUE(reported("nccl"));
  ncclComm_t comm = nullptr;
  ncclUniqueId id;
  ncclGetUniqueId(&id);
  EXPECT_EQ(ncclCommInitRank(&comm, 2, id, 2), ncclInvalidArgument);
}

}  // namespace
}  // namespace winnow::emulation_test
