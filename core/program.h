// compile(): persistent values move to the graph's device; passes, kernel choice, preparation and the memory plan turn
// a recorded graph into an immutable Program.
#pragma once
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/frozen_weights.h"
#include "core/graph.h"

namespace winnow {

// The memory behind planned values. Programs that never run at the same time (training step, evaluation, length
// buckets) share one: it grows to the largest plan.
class Arena {
 public:
  explicit Arena(Allocator& allocator = device_allocator(default_device())) : allocator_(allocator) {}
  void reserve(size_t bytes);  // contents are lost when it grows
  char* base() const { return static_cast<char*>(storage_.raw()); }
  const Tensor& storage() const { return storage_; }

 private:
  Allocator& allocator_;
  Tensor storage_;
};

struct CompileOptions {
  std::shared_ptr<Arena> arena;           // null: an own one
  bool fuse = true;                       // epilogue fusion
  bool share = true;                      // common subexpressions, dead nodes, storage sharing
  Precision precision = Precision::F32;   // of the factors of matrix products (core/dtype.h)
  std::string matmul = "";                // name of the matmul kernel to prefer; "" = the operator's own order
  std::shared_ptr<FrozenWeights> frozen;  // null: parameters may change between runs
  // Devices: kernels that libraries offer several algorithms for time them when they are prepared and keep the fastest,
  // so that the bits of two programs may differ. False: the library's first proposal.
  bool measure = false;
  bool record = true;         // devices: the steps as one recording (a CUDA graph) after two runs
  bool red_zones = false;     // every planned value gets guard bytes that run() checks (slow; tests)
  bool check_finite = false;  // after each node; Error names the operator and source line (debugging)
};

struct MemoryReport {
  struct Line {
    std::string name;
    TensorSpec spec;
    size_t offset, bytes;
    int first, last;
  };
  struct Persistent {
    std::string name;
    TensorSpec spec;
  };
  size_t arena_bytes = 0;       // planned values and scratch
  size_t naive_bytes = 0;       // the same without sharing
  size_t persistent_bytes = 0;  // parameters, tables, optimizer state
  std::vector<Line> lines;
  std::vector<Persistent> persistents;
  std::string str() const;  // a few lines for people: totals and the largest values
};

struct NodeProfile {
  std::string op, kernel, source;
  double seconds = 0;
  Cost cost;
};

// A stage whose values hold until something else changes what they rely on.
class StageAhead : public HostStage {
 public:
  virtual bool holds() const = 0;  // those of the last prepare()
};

class Program {
 public:
  Program(Program&&) noexcept;
  Program& operator=(Program&&) noexcept;
  ~Program();

  // feeds: one tensor per graph input, in the order in which they were recorded (staged ones left out); specs must be
  // equal.
  void run(std::span<const Tensor> feeds, Stream& stream) {
    feed(feeds, stream);
    run(stream);
  }
  // The two halves of it: what the host does for a run, while the device may still work on the one before, and the run.
  // On the CPU the feeds must stay as they are until then; on other devices they are free again when feed() returns.
  // Error: run() without feeds since the last one; another program changed what a stage had prepared (StageAhead).
  void feed(std::span<const Tensor> feeds, Stream& stream);
  void run(Stream& stream);
  // Valid until the next run; of programs on other devices than the CPU a copy, after all that was queued. Error lists
  // the known names.
  Tensor output(const std::string& name) const;
  MemoryReport memory() const;
  std::string dump() const;                                                                   // nodes, kernels, offsets
  std::vector<NodeProfile> profile(std::span<const Tensor> feeds, Stream& stream, int runs);  // seconds per run
  int nodes() const;

 private:
  friend Program compile(Graph&, const CompileOptions&);
  struct Impl;
  explicit Program(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

Program compile(Graph& graph, const CompileOptions& options = {});

// Runs one operator at once, allocating its outputs: tests, debugging, exploration.
// kernel: a kernel's name, or "" for the preferred one.
std::vector<Tensor> run_eager(const std::string& op, std::span<const Tensor> in, const Attrs& attrs = {},
                              const std::string& kernel = "", Allocator& allocator = host_allocator());

}  // namespace winnow
