// The graph a model records: nodes in execution order over dense values. Recording is cheap and happens once;
// compile() (core/program.h) turns it into a Program.
#pragma once
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "core/op.h"

namespace winnow {

// What outlives a step: a parameter, optimizer state, statistics. Bound by handle: `value` may be replaced by one of
// the same dtype and row width between steps (a table that grows) without a recompile.
struct Variable {
  std::string name;
  Tensor value;
  bool trainable = true;
  bool row_sparse = false;  // an embedding table: its gradient is kept as touched rows
};
using VariablePtr = std::shared_ptr<Variable>;

struct Value {
  Graph* graph = nullptr;
  int32_t id = -1;
  explicit operator bool() const { return graph != nullptr; }
  const TensorSpec& spec() const;
  const Shape& shape() const { return spec().shape; }
  DType dtype() const { return spec().dtype; }
  bool operator==(const Value&) const = default;
};

struct Node {
  const OpDef* op = nullptr;
  Attrs attrs;
  std::vector<int32_t> inputs, outputs;  // value ids
  Loc loc;
};

struct ValueInfo {
  enum Kind : uint8_t { Input, Persistent, Constant, Computed } kind = Computed;
  TensorSpec spec;
  std::string name;      // inputs, persistent values
  int32_t node = -1;     // the node that computes it
  VariablePtr variable;  // Persistent
  Tensor constant;       // Constant
  bool requires_grad = false;
};

// What the host does before each run of a program: from some of its feeds, values that the graph reads as inputs.
class HostStage {
 public:
  virtual ~HostStage() = default;
  // from: the feeds of the inputs that it was recorded with. May queue work on `stream`, which comes before the run's
  // own. One tensor on the host for each value that Graph::stage() returned, which stay as they are until the next
  // call. What it throws ends the run before it began.
  virtual std::span<const Tensor> prepare(std::span<const Tensor> from, Stream& stream) = 0;
};

// One use of a row-sparse table: the lookup's ids and the gradient of its output. See ops/embedding_bag.h.
struct RowGradient {
  Value ids, offsets, weights;  // offsets and weights may be empty
  Value dy;                     // [batch, features, dim]
  Attrs attrs;                  // of the lookup: rows, row_base, pooling
};

class Graph {
 public:
  explicit Graph(Device device = default_device(), uint64_t seed = 0) : device_(device), seed_(seed) {}
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  Value input(const std::string& name, const TensorSpec& spec);  // fed at every run
  Value persistent(const VariablePtr& variable);                 // one value per variable
  Value constant(Tensor tensor);
  Value scalar(double x, DType dtype = DType::F32);

  // Inputs that `stage` fills before each run, from the feeds of the inputs `from`. Callers do not feed them.
  std::vector<Value> stage(std::shared_ptr<HostStage> stage, const std::vector<Value>& from,
                           const std::vector<TensorSpec>& specs);
  struct Staged {
    std::shared_ptr<HostStage> stage;
    std::vector<int32_t> from, to;
  };
  const std::vector<Staged>& staged() const { return staged_; }

  // Records one node. ShapeError / DTypeError come from the operator's infer, with `loc`.
  Value apply(const std::string& op, std::initializer_list<Value> in, Attrs attrs = {}, Loc loc = Loc::current());
  std::vector<Value> apply_all(const std::string& op, const std::vector<Value>& in, Attrs attrs,
                               Loc loc = Loc::current());

  // Reverse-mode differentiation of a one-element value. Afterwards gradient() answers for every persistent value
  // and every input marked with require_grad().
  void require_grad(Value value);
  void backward(Value loss, Loc loc = Loc::current());
  // Of several values with given output gradients (Jacobian products, gradient checks).
  void backward(const std::vector<std::pair<Value, Value>>& seeds, Loc loc = Loc::current());
  Value gradient(Value of) const;  // empty when the loss does not depend on it
  const std::vector<RowGradient>& row_gradients(Value table) const;

  void output(const std::string& name, Value value);  // readable after a run
  uint64_t seed() const { return seed_; }
  int64_t next_random_stream() { return random_streams_++; }  // one per random node, recorded in its attributes
  Device device() const { return device_; }

  const std::deque<Node>& nodes() const { return nodes_; }
  const std::deque<ValueInfo>& values() const { return values_; }
  const ValueInfo& info(Value v) const { return values_[static_cast<size_t>(v.id)]; }
  const std::vector<int32_t>& inputs() const { return inputs_; }
  const std::map<std::string, int32_t>& outputs() const { return outputs_; }
  std::string dump() const;  // one line per node

 private:
  friend class Grad;
  Value add_value(ValueInfo info);
  void accumulate(int32_t value, Value gradient);

  Device device_;
  uint64_t seed_;
  int64_t random_streams_ = 0;
  std::deque<Node> nodes_;  // deques: references handed out stay valid while more is recorded
  std::deque<ValueInfo> values_;
  std::vector<int32_t> inputs_;
  std::vector<Staged> staged_;
  std::map<std::string, int32_t> outputs_;
  std::map<const Variable*, int32_t> persistent_;
  std::map<int32_t, int32_t> gradients_;
  std::map<int32_t, std::vector<RowGradient>> row_gradients_;
};

// Given to OpDef::grad: records the nodes that compute the gradients of one node's inputs.
class Grad {
 public:
  Grad(Graph& graph, int32_t node) : graph_(graph), node_(node) {}
  Graph& graph() const { return graph_; }
  const Attrs& attrs() const;
  int inputs() const;
  Value x(int i) const;                    // input i
  Value y(int i = 0) const;                // output i
  Value dy(int i = 0) const;               // its gradient; empty when nothing depends on it
  bool needs(int i) const;                 // whether input i requires a gradient
  void dx(int i, Value gradient);          // adds to the gradient of input i; ignored unless needs(i)
  bool row_sparse(int i) const;            // input i is a persistent row-sparse table
  void rows(int i, RowGradient gradient);  // adds one use of table i
  Loc loc() const;
  Value apply(const std::string& op, std::initializer_list<Value> in, Attrs attrs = {}) const {
    return graph_.apply(op, in, std::move(attrs), loc());
  }

 private:
  Graph& graph_;
  int32_t node_;
};

}  // namespace winnow
