// What an operator is: one OpDef holds everything backend-neutral about it, each KernelDef one way to run it.
// Operators are written in ops/, one stem each, and found by name in registry().
#pragma once
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "core/attrs.h"
#include "core/device.h"
#include "core/tensor.h"

namespace winnow {

class Graph;
class Grad;     // core/graph.h
class Samples;  // core/samples.h
struct OpDef;

// The line of model code that records a node. (std::source_location wants clang 16; these builtins serve g++ and
// clang.)
class Loc {
 public:
  static constexpr Loc current(const char* file = __builtin_FILE(), int line = __builtin_LINE()) {
    return {file, line};
  }
  constexpr Loc() = default;
  constexpr const char* file_name() const { return file_; }
  constexpr int line() const { return line_; }

 private:
  constexpr Loc(const char* file, int line) : file_(file), line_(line) {}
  const char* file_ = "";
  int line_ = 0;
};

// The specs and constants of one node: all a kernel may know before it runs.
struct NodeSpec {
  const OpDef* op = nullptr;
  std::vector<TensorSpec> in, out;
  Attrs attrs;
};

// Given to OpDef::infer: reads input specs, declares output specs, or fails with operator, rule and source line.
class Infer {
 public:
  Infer(const OpDef& op, const Attrs& attrs, std::span<const TensorSpec> in, Loc loc)
      : op_(op), attrs_(attrs), in_(in), loc_(loc) {}
  int inputs() const { return static_cast<int>(in_.size()); }
  const TensorSpec& in(int i) const { return in_[static_cast<size_t>(i)]; }
  const Shape& shape(int i) const { return in(i).shape; }
  DType dtype(int i) const { return in(i).dtype; }
  const Attrs& attrs() const { return attrs_; }
  void out(DType dtype, const Shape& shape) { out_.push_back({dtype, shape}); }
  void out(const TensorSpec& spec) { out_.push_back(spec); }
  // "linear(): x [32, 128] @ W [64, 256]: inner dims 128 != 64 (models/dlrm.cpp:88)"
  template <class... A>
  void check(bool ok, fmt::format_string<A...> format, A&&... args) const {
    if (!ok) fail(fmt::format(format, std::forward<A>(args)...));
  }
  void expect_inputs(int least, int most = -1) const;  // most = -1: exactly `least`
  void expect_dtype(int i, std::initializer_list<DType> any_of) const;
  void expect_same_dtype(int first, int last) const;  // inputs first..last agree
  void expect_rank(int i, int rank) const;
  void expect_shape(int i, const Shape& shape) const;
  int axis(const std::string& attr = "axis", int input = 0) const;  // negative counts from the end; checked
  [[noreturn]] void fail(const std::string& text) const;
  std::vector<TensorSpec> take() { return std::move(out_); }

 private:
  const OpDef& op_;
  const Attrs& attrs_;
  std::span<const TensorSpec> in_;
  Loc loc_;
  std::vector<TensorSpec> out_;
};

// Floating-point operations and bytes moved by one run of a node.
struct Cost {
  double flops = 0, bytes = 0;
};

// Given to KernelDef::prepare, once per compile.
class Prepare {
 public:
  explicit Prepare(const DeviceInfo& device) : device_(device) {}
  const DeviceInfo& device() const { return device_; }
  // Creates the kernel's own data (parsed attributes, a primitive), kept in the Program and read by Call::state<T>().
  template <class T, class... A>
  T& state(A&&... args) {
    auto p = std::make_shared<T>(std::forward<A>(args)...);
    state_ = p;
    return *p;
  }
  void scratch(size_t bytes) { scratch_ = bytes; }  // planned like a value, aligned, contents unspecified
  size_t scratch_bytes() const { return scratch_; }
  std::shared_ptr<void> take_state() { return std::move(state_); }

 private:
  const DeviceInfo& device_;
  std::shared_ptr<void> state_;
  size_t scratch_ = 0;
};

// One run of a kernel. The hot path: no allocation, no lock, no string, no throw from inside parallel loops.
struct Call {
  const NodeSpec* spec = nullptr;
  void* const* inputs = nullptr;
  void* const* outputs = nullptr;
  void* scratch = nullptr;
  void* state_ = nullptr;
  Stream* stream = nullptr;

  template <class T>
  const T* in(int i) const {
    return static_cast<const T*>(inputs[i]);
  }
  template <class T>
  T* mut(int i) const {
    return static_cast<T*>(inputs[i]);
  }  // inputs listed in OpDef::mutates
  template <class T>
  T* out(int i) const {
    return static_cast<T*>(outputs[i]);
  }
  template <class T>
  const T& state() const {
    return *static_cast<const T*>(state_);
  }
  template <class T>
  T* scratch_as() const {
    return static_cast<T*>(scratch);
  }
  const TensorSpec& in_spec(int i) const { return spec->in[static_cast<size_t>(i)]; }
  const TensorSpec& out_spec(int i) const { return spec->out[static_cast<size_t>(i)]; }
  int64_t in_numel(int i) const { return in_spec(i).shape.numel(); }
  int64_t out_numel(int i) const { return out_spec(i).shape.numel(); }
};

struct KernelDef {
  const char* name;
  Device::Kind device = Device::CPU;
  bool deterministic = true;                                            // same bits for any number of threads
  const char* (*reject)(const NodeSpec&, const DeviceInfo&) = nullptr;  // nullptr = can run, else a printable reason
  void (*prepare)(const NodeSpec&, Prepare&) = nullptr;
  void (*run)(const Call&) = nullptr;
};

// How far a kernel may be from the double reference. Where each figure comes from: RELIABILITY row N4.
//   |y - ref| <= ulp * eps(dtype) * |ref| + sum * eps(dtype) * max|ref|
// `sum` bounds the rounding of accumulated terms, relative to the largest element of the output.
struct Tolerance {
  double ulp = 2;
  double sum = 0;
  bool exact_integers = false;  // small-integer inputs give bit-equal results (optest exact)
};

struct Node;
struct ValueInfo;

enum class WeightForm : uint8_t;  // core/frozen_weights.h

// How a node reads an input that never changes again in another form, made once: by operator `op` with `attrs`, whose
// outputs take its place. The node is then one of operator `node_op` (null: as before) with attributes `node`.
struct PackedInput {
  int input = 0;
  const char* op = nullptr;
  Attrs attrs = {}, node = {};
  const char* node_op = nullptr;
};

struct OpDef {
  const char* name = nullptr;
  const char* doc = nullptr;  // one line: formula and shapes
  void (*infer)(Infer&) = nullptr;
  void (*grad)(Grad&) = nullptr;            // exactly one of grad and no_grad is set
  const char* no_grad = nullptr;            // the reason
  Cost (*cost)(const NodeSpec&) = nullptr;  // null: bytes of all operands, one flop per output element
  void (*samples)(Samples&) = nullptr;
  Tolerance tolerance;
  std::vector<KernelDef> kernels;  // in order of preference; the last CPU one is the reference, f32 and f64
  std::vector<std::pair<int, int>> inplace = {};           // (input, output) that may share storage
  std::vector<int> mutates = {};                           // inputs written in place (optimizers, running statistics)
  std::vector<int> (*mutates_of)(const Attrs&) = nullptr;  // the same, where the number of inputs varies
  bool alias = false;                                      // output 0 is input 0 under another shape; never runs
  // Epilogue fusion. `consumer` is the only reader of output 0 of `producer` (a node of this operator) and reads it as
  // input `operand`. To take it over, rewrite the producer's attributes and inputs and return true; the fused node then
  // computes the consumer's output, at the consumer's place in the order.
  bool (*absorb)(Node& producer, const Node& consumer, int operand, const std::deque<ValueInfo>& values) = nullptr;
  // The inputs, f32, that lower precisions of products round (core/dtype.h): bf16 instead, or attribute tf32. The
  // results stay f32, but for those that store_rounded() may change (core/passes.h).
  std::vector<int> factors = {};
  // Of graphs whose parameters are frozen (core/frozen_weights.h), with the node that computes input 0, or null; null
  // or nothing: as it is.
  std::optional<PackedInput> (*pack)(const NodeSpec&, WeightForm, const Node* producer) = nullptr;
};

// The outputs of a node. Errors that do not name the operator themselves (a missing attribute, a shape that overflows)
// get its name and `loc`.
std::vector<TensorSpec> infer_outputs(const OpDef& op, const Attrs& attrs, std::span<const TensorSpec> in, Loc loc);

Cost cost_of(const NodeSpec& node);
std::vector<int> mutated_inputs(const OpDef& op, const Attrs& attrs);  // mutates_of, else mutates

// All operators by name: those of ops/, by the generated register_all(), and those that the program adds at its start.
class Registry {
 public:
  void add(OpDef def);                                       // Error on a duplicate or an incomplete definition
  void add_kernel(const std::string& op, KernelDef kernel);  // behind the operator's others of that device
  const OpDef* find(const std::string& name) const;          // nullptr when absent
  const OpDef& at(const std::string& name) const;            // Error that suggests the nearest name
  const std::vector<const OpDef*>& all() const { return sorted_; }

 private:
  std::vector<std::unique_ptr<OpDef>> defs_;
  std::vector<const OpDef*> sorted_;
};
const Registry& registry();

// Adds an operator of the program's own, before the first compile() or run_eager() and while no other thread records.
// Error: a name that is taken, an incomplete definition, or too late. docs/library.md has an example.
void register_operator(OpDef def);
// The kernels of another kind of device, likewise: kernels(registry) calls add_kernel.
void register_kernels(void (*kernels)(Registry&));
void close_registry();  // what compile() and run_eager() call: from here on the operators are immutable

// Picks the first kernel that does not reject; DeviceError lists every candidate's reason.
const KernelDef& choose_kernel(const NodeSpec& node, const DeviceInfo& device, const std::string& wanted = "");

std::string at_source(const Loc& loc);  // "models/dlrm.cpp:88", relative to the source tree

}  // namespace winnow
