#include "tests/optest/hostile.h"

#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <functional>
#include <limits>
#include <optional>

#include "core/graph.h"
#include "core/rng.h"
#include "tests/optest/fill.h"
#include "tests/optest/guard_allocator.h"
#include "tests/optest/runner.h"

namespace winnow::optest {
namespace {

constexpr int64_t kHuge = int64_t{1} << 40;
constexpr int64_t kRunnable = 1 << 14;  // elements of a call that is also run

struct HostileCall {
  std::string what;
  std::vector<TensorSpec> in;
  Attrs attrs;
};

// The attribute names of a node, from its printed form "axis=1, eps=1e-05".
std::vector<std::string> names_of(const Attrs& attrs) {
  std::vector<std::string> names;
  const std::string text = attrs.str();
  for (size_t at = 0; at < text.size();) {
    const size_t equals = text.find('=', at);
    if (equals == std::string::npos) break;
    size_t first = equals;
    while (first > 0 && (std::isalnum(static_cast<unsigned char>(text[first - 1])) != 0 || text[first - 1] == '_'))
      --first;
    const std::string name = text.substr(first, equals - first);
    if (attrs.has(name)) names.push_back(name);
    at = equals + 1;
  }
  return names;
}

Attrs::Item item_of(const Attrs& attrs, const std::string& name) {
  const std::function<Attrs::Item()> as[] = {
      [&] { return Attrs::Item(attrs.integer(name)); }, [&] { return Attrs::Item(attrs.number(name)); },
      [&] { return Attrs::Item(attrs.text(name)); }, [&] { return Attrs::Item(attrs.integers(name)); },
      [&] { return Attrs::Item(attrs.numbers(name)); }};
  for (const auto& read : as) {
    try {
      return read();
    } catch (const Error&) {
      // of another type
    }
  }
  raise<Error>("optest: attribute {} has no type", name);
}

Attrs without(const Attrs& attrs, const std::string& name) {
  Attrs kept;
  for (const std::string& n : names_of(attrs))
    if (n != name) kept.set(n, item_of(attrs, n));
  return kept;
}

void add_counts(const HostileCall& base, std::vector<HostileCall>& calls) {
  for (size_t n = 0; n <= base.in.size() + 1; ++n) {
    HostileCall c = base;
    c.what = fmt::format("{} inputs", n);
    c.in.resize(n, {DType::F32, Shape{2}});
    calls.push_back(std::move(c));
  }
}

void add_dtypes(const HostileCall& base, std::vector<HostileCall>& calls) {
  for (size_t i = 0; i < base.in.size(); ++i)
    for (const DType t : {DType::F32, DType::BF16, DType::F64, DType::I8, DType::U8, DType::I32, DType::I64}) {
      HostileCall c = base;
      c.what = fmt::format("input {} as {}", i, name_of(t));
      c.in[i].dtype = t;
      calls.push_back(std::move(c));
    }
}

std::vector<Shape> hostile_shapes(const Shape& shape) {
  std::vector<Shape> list = {{},         {0},       {1}, {2, 0}, {1, 1, 1, 1, 1, 1}, {kHuge}, {kHuge, 1 << 15},
                             {0, kHuge}, {kHuge, 0}};
  for (int a = 0; a < shape.rank(); ++a) {
    for (const int64_t extent : {int64_t{0}, int64_t{1}, shape[a] + 1, int64_t{1} << 20})
      list.push_back(shape.with(a, extent));
    list.push_back(shape.without(a));
    if (shape.numel() <= 1 << 15) list.push_back(shape.with(a, kHuge));
  }
  return list;
}

void add_shapes(const HostileCall& base, std::vector<HostileCall>& calls) {
  for (size_t i = 0; i < base.in.size(); ++i)
    for (const Shape& shape : hostile_shapes(base.in[i].shape)) {
      HostileCall c = base;
      c.what = fmt::format("input {} of shape {}", i, shape.str());
      c.in[i].shape = shape;
      calls.push_back(std::move(c));
    }
  for (const Shape& shape : hostile_shapes({3, 4})) {
    HostileCall c = base;
    c.what = fmt::format("all inputs of shape {}", shape.str());
    for (TensorSpec& spec : c.in) spec.shape = shape;
    calls.push_back(std::move(c));
  }
}

void add_attributes(const HostileCall& base, std::vector<HostileCall>& calls) {
  using I = std::vector<int64_t>;
  using D = std::vector<double>;
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max(), kLeast = std::numeric_limits<int64_t>::min();
  const std::vector<Attrs::Item> items = {int64_t{-1},
                                          int64_t{0},
                                          int64_t{7},
                                          kHuge,
                                          kMost,
                                          kLeast,
                                          0.5,
                                          -1.0,
                                          double{NAN},
                                          double{INFINITY},
                                          std::string(),
                                          std::string("x"),
                                          I{},
                                          I{-1},
                                          I{0, 0},
                                          I{5, 5, 5, 5, 5, 5, 5, 5},
                                          I{kMost, kMost},
                                          I{kLeast},
                                          I{kHuge, kHuge, 2},
                                          I{2, 1, 0},
                                          D{},
                                          D{NAN}};
  for (const std::string& name : names_of(base.attrs)) {
    calls.push_back({"without attribute " + name, base.in, without(base.attrs, name)});
    for (const Attrs::Item& item : items) {
      HostileCall c = base;
      c.attrs.set(name, item);
      c.what = "attributes " + c.attrs.str();
      calls.push_back(std::move(c));
    }
  }
}

int64_t elements(const NodeSpec& node) {
  int64_t n = 0;
  for (const auto* list : {&node.in, &node.out})
    for (const TensorSpec& spec : *list) n += std::min(spec.shape.numel(), kRunnable + 1);
  return n;
}

// Contents for the integer inputs: the sample's own range is nowhere respected.
enum class Ids { Negative, Least, Most, Large, Small, Falling };
Tensor hostile_contents(const TensorSpec& spec, Ids kind, Rng& rng) {
  Tensor t({is_float(spec.dtype) ? DType::F64 : DType::I64, spec.shape});
  for (int64_t e = 0; e < t.numel(); ++e) {
    if (is_float(spec.dtype)) {
      t.data<double>()[e] = rng.normal();
      continue;
    }
    int64_t x = 0;
    switch (kind) {
      case Ids::Negative: x = -1; break;
      case Ids::Least: x = std::numeric_limits<int64_t>::min(); break;
      case Ids::Most: x = std::numeric_limits<int64_t>::max(); break;
      case Ids::Large: x = int64_t{1} << 62; break;
      case Ids::Small: x = static_cast<int64_t>(rng.below(100000)) - 1000; break;
      case Ids::Falling: x = t.numel() - e + 1; break;
    }
    if (spec.dtype == DType::I32) x = std::clamp<int64_t>(x, INT32_MIN, INT32_MAX);
    t.data<int64_t>()[e] = x;
  }
  return converted(t, spec.dtype);
}

class Caller {
 public:
  Caller(const OpDef& op, const Options& options, Report& report) : op_(op), options_(options), report_(report) {}

  void make(const HostileCall& call) {
    report_.at(op_, "", "", call.what);
    report_.checked(op_);
    guarded(call.what, [&] {
      Graph graph;
      std::vector<Value> in;
      for (size_t i = 0; i < call.in.size(); ++i) in.push_back(graph.input(fmt::format("x{}", i), call.in[i]));
      graph.apply_all(op_.name, in, call.attrs);
      const NodeSpec node = node_of(op_, call.attrs, call.in);
      (void)cost_of(node);
      if (op_.alias) return;
      (void)choose_kernel(node, device_info({}));
      if (elements(node) <= kRunnable) run(node, call.what);
    });
  }

 private:
  // Runs f; anything thrown but a winnow::Error that names the operator is a failure.
  template <class F>
  void guarded(const std::string& what, F&& f) {
    try {
      f();
    } catch (const Error& error) {
      if (std::string(error.what()).find(op_.name) == std::string::npos)
        report_.fail(op_, "", "", fmt::format("{}: the error does not name the operator: \"{}\"", what, error.what()));
    } catch (const std::exception& error) {
      report_.fail(op_, "", "", fmt::format("{}: threw something that is no winnow::Error: {}", what, error.what()));
    }
  }

  void run(const NodeSpec& node, const std::string& what) {
    bool integers = false;
    for (const TensorSpec& spec : node.in) integers |= !is_float(spec.dtype);
    for (const KernelDef* kernel : kernels_of(op_)) {
      if (refusal(*kernel, node) != nullptr) continue;
      for (const Ids kind : {Ids::Negative, Ids::Least, Ids::Most, Ids::Large, Ids::Small, Ids::Falling}) {
        report_.at(op_, "", kernel->name, fmt::format("run: {}; integers of kind {}", what, static_cast<int>(kind)));
        Rng rng(hash_of(what), options_.seed);
        std::vector<Tensor> in;
        for (const TensorSpec& spec : node.in) in.push_back(hostile_contents(spec, kind, rng));
        GuardAllocator guards;
        RedZoneAllocator zones;
        const Prepared prepared(*kernel, node);
        (void)prepared.run(in, {.allocator = &guards});
        (void)prepared.run(in, {.allocator = &zones});
        if (zones.broken() > 0) report_.fail(op_, "", kernel->name, what + ": wrote outside an operand");
        if (!integers) break;
      }
    }
  }

  const OpDef& op_;
  const Options& options_;
  Report& report_;
};

void limit_this_process() {
  constexpr rlim_t kMemory = rlim_t{16} << 30;
  const rlimit memory{kMemory, kMemory};
  setrlimit(RLIMIT_AS, &memory);
  alarm(120);  // for a kernel that hangs: the calls of an operator take a second
}

}  // namespace

void make_hostile_calls(const Operator& entry, const Options& options, Report& report) {
  limit_this_process();
  const Threads one(1);
  Caller caller(*entry.op, options, report);
  int used = 0;
  for (const Sample& sample : entry.samples) {
    if (!sample.throws.empty() || sample.bench || used == 2) continue;
    HostileCall base{fmt::format("sample {} with hostile contents", sample.name), {}, sample.attrs};
    int64_t n = 0;
    for (const Arg& arg : sample.in) base.in.push_back(arg.spec), n += arg.spec.shape.numel();
    if (n > kRunnable) continue;
    ++used;
    std::vector<HostileCall> calls = {base};
    add_counts(base, calls);
    add_dtypes(base, calls);
    add_shapes(base, calls);
    add_attributes(base, calls);
    for (const HostileCall& call : calls) caller.make(call);
  }
}

}  // namespace winnow::optest
