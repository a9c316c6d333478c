#include "core/op.h"

#include <algorithm>
#include <atomic>
#include <typeinfo>

#include "core/text.h"

namespace winnow {

std::string at_source(const Loc& loc) {
  std::string file = loc.file_name();  // relative already: -fmacro-prefix-map
  return fmt::format("{}:{}", file, loc.line());
}

void Infer::fail(const std::string& text) const { raise<ShapeError>("{}(): {} ({})", op_.name, text, at_source(loc_)); }

void Infer::expect_inputs(int least, int most) const {
  if (most < 0) most = least;
  if (inputs() >= least && inputs() <= most) return;
  fail(least == most ? fmt::format("expected {} inputs, got {}", least, inputs())
                     : fmt::format("expected {} to {} inputs, got {}", least, most, inputs()));
}
void Infer::expect_dtype(int i, std::initializer_list<DType> any_of) const {
  if (std::find(any_of.begin(), any_of.end(), dtype(i)) != any_of.end()) return;
  std::string names;
  for (const DType t : any_of) names += (names.empty() ? "" : " or ") + std::string(name_of(t));
  raise<DTypeError>("{}(): input {} is {}, expected {} ({})", op_.name, i, in(i).str(), names, at_source(loc_));
}
void Infer::expect_same_dtype(int first, int last) const {
  for (int i = first + 1; i <= last; ++i)
    if (dtype(i) != dtype(first))
      raise<DTypeError>("{}(): inputs {} and {} differ: {} and {} ({})", op_.name, first, i, in(first).str(),
                        in(i).str(), at_source(loc_));
}
void Infer::expect_rank(int i, int rank) const {
  check(shape(i).rank() == rank, "input {} {} has rank {}, expected {}", i, shape(i).str(), shape(i).rank(), rank);
}
void Infer::expect_shape(int i, const Shape& expected) const {
  check(shape(i) == expected, "input {} is {}, expected {}", i, shape(i).str(), expected.str());
}
int Infer::axis(const std::string& attr, int input) const {
  const int64_t rank = shape(input).rank(), a = attrs_.integer(attr);
  check(a >= -rank && a < rank, "{} {} is out of range for {}", attr, a, shape(input).str());
  return static_cast<int>(a < 0 ? a + rank : a);
}

namespace {

template <class E>
[[noreturn]] void name_operator(const E& error, const OpDef& op, const Loc& loc) {
  if (std::string_view(error.what()).starts_with(fmt::format("{}()", op.name))) throw error;
  raise<E>("{}(): {} ({})", op.name, error.what(), at_source(loc));
}

}  // namespace

std::vector<TensorSpec> infer_outputs(const OpDef& op, const Attrs& attrs, std::span<const TensorSpec> in, Loc loc) {
  try {
    Infer infer(op, attrs, in, loc);
    op.infer(infer);
    return infer.take();
  } catch (const ShapeError& error) { name_operator(error, op, loc); } catch (const DTypeError& error) {
    name_operator(error, op, loc);
  } catch (const ConfigError& error) { name_operator(error, op, loc); } catch (const Error& error) {
    if (typeid(error) != typeid(Error)) throw;
    name_operator(error, op, loc);
  }
}

Cost cost_of(const NodeSpec& node) {
  if (node.op->cost != nullptr) return node.op->cost(node);
  Cost c;
  for (const auto& s : node.in) c.bytes += static_cast<double>(s.bytes());
  for (const auto& s : node.out) {
    c.bytes += static_cast<double>(s.bytes());
    c.flops += static_cast<double>(s.shape.numel());
  }
  return c;
}

std::vector<int> mutated_inputs(const OpDef& op, const Attrs& attrs) {
  return op.mutates_of != nullptr ? op.mutates_of(attrs) : op.mutates;
}

void Registry::add(OpDef def) {
  WN_CHECK(def.name != nullptr && def.doc != nullptr && def.infer != nullptr && def.samples != nullptr, Error,
           "operator '{}' needs a name, a doc line, infer and samples", def.name == nullptr ? "?" : def.name);
  WN_CHECK((def.grad == nullptr) != (def.no_grad == nullptr), Error,
           "operator '{}' needs exactly one of grad and no_grad", def.name);
  WN_CHECK(def.alias || !def.kernels.empty(), Error, "operator '{}' has no kernel", def.name);
  WN_CHECK(find(def.name) == nullptr, Error, "operator '{}' is registered twice", def.name);
  defs_.push_back(std::make_unique<OpDef>(std::move(def)));
  const OpDef* p = defs_.back().get();
  sorted_.insert(std::upper_bound(sorted_.begin(), sorted_.end(), p,
                                  [](const OpDef* a, const OpDef* b) { return std::string_view(a->name) < b->name; }),
                 p);
}
void Registry::add_kernel(const std::string& op, KernelDef kernel) {
  const auto def = std::ranges::find_if(defs_, [&](const auto& d) { return op == d->name; });
  WN_CHECK(def != defs_.end(), Error, "kernel '{}' is for an operator '{}' that does not exist", kernel.name, op);
  WN_CHECK(kernel.run != nullptr, Error, "operator '{}': kernel '{}' has no run", op, kernel.name);
  (*def)->kernels.push_back(kernel);
}
const OpDef* Registry::find(const std::string& name) const {
  const auto at = std::lower_bound(sorted_.begin(), sorted_.end(), name,
                                   [](const OpDef* a, const std::string& b) { return a->name < b; });
  return at != sorted_.end() && name == (*at)->name ? *at : nullptr;
}
const OpDef& Registry::at(const std::string& name) const {
  if (const OpDef* op = find(name)) return *op;
  std::vector<std::string> names;
  for (const OpDef* op : sorted_) names.emplace_back(op->name);
  raise<Error>("there is no operator '{}'{}", name, did_you_mean(name, names));
}

void register_all(Registry& registry);  // generated by cmake/registration.cmake

namespace {

std::atomic<bool> registry_is_closed{false};

Registry& open_registry() {
  static Registry all = [] {
    Registry r;
    register_all(r);
    return r;
  }();
  return all;
}

}  // namespace

const Registry& registry() { return open_registry(); }

void register_operator(OpDef def) {
  WN_CHECK(!registry_is_closed, Error,
           "operator '{}' is registered after a graph was compiled; register operators at the start of the program",
           def.name == nullptr ? "?" : def.name);
  open_registry().add(std::move(def));
}

void register_kernels(void (*kernels)(Registry&)) {
  WN_CHECK(!registry_is_closed, Error, "kernels are registered after a graph was compiled");
  kernels(open_registry());
}

void close_registry() { registry_is_closed = true; }

const KernelDef& choose_kernel(const NodeSpec& node, const DeviceInfo& device, const std::string& wanted) {
  std::string reasons;
  for (const int pass : {0, 1}) {  // the wanted kernel first, where it exists and can run
    if (pass == 0 && wanted.empty()) continue;
    for (const KernelDef& k : node.op->kernels) {
      if (pass == 0 && wanted != k.name) continue;
      const char* reason = k.device != device.device.kind ? "is for another device"
                           : k.reject != nullptr          ? k.reject(node, device)
                                                          : nullptr;
      if (reason == nullptr) return k;
      if (pass == 1) reasons += fmt::format("\n  {}: {}", k.name, reason);
    }
  }
  std::string in;
  for (const auto& s : node.in) in += (in.empty() ? "" : ", ") + s.str();
  raise<DeviceError>("{}({}): no kernel on {} can run this:{}", node.op->name, in, device.device.str(), reasons);
}

}  // namespace winnow
