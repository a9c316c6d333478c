#include "tests/optest/runner.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "core/backend.h"
#include "tests/optest/fill.h"

namespace winnow::optest {

NodeSpec node_of(const OpDef& op, const Attrs& attrs, std::span<const TensorSpec> in) {
  return {&op, {in.begin(), in.end()}, infer_outputs(op, attrs, in, Loc::current()), attrs};
}

NodeSpec node_of(const Case& c) {
  std::vector<TensorSpec> in;
  for (const Arg& arg : c.sample->in) in.push_back(arg.spec);
  return node_of(*c.op, c.sample->attrs, in);
}

bool mutates(const NodeSpec& node, size_t input) {
  const auto written = mutated_inputs(*node.op, node.attrs);
  return std::ranges::count(written, static_cast<int>(input)) > 0;
}

std::optional<NodeSpec> wide_node_of(const Case& c) {
  std::vector<size_t> floats;
  for (size_t i = 0; i < c.sample->in.size(); ++i)
    if (is_float(c.sample->in[i].spec.dtype)) floats.push_back(i);
  const uint32_t all = (1u << std::min<size_t>(floats.size(), 12)) - 1;
  for (int kept = 0; kept <= std::popcount(all); ++kept) {  // how many inputs keep their type: as few as possible
    for (uint32_t narrow = 0; narrow <= all; ++narrow) {
      if (std::popcount(narrow) != kept) continue;
      std::vector<TensorSpec> in;
      for (const Arg& arg : c.sample->in) in.push_back(arg.spec);
      for (size_t b = 0; b < floats.size(); ++b)
        if ((narrow >> b & 1) == 0) in[floats[b]].dtype = DType::F64;
      try {
        NodeSpec node = node_of(*c.op, c.sample->attrs, in);
        if (refusal(reference_of(*c.op), node) == nullptr) return node;
      } catch (const Error&) {
        // this mixture is not one the operator takes
      }
    }
  }
  return std::nullopt;
}

NodeSpec required_wide_node_of(const Case& c) {
  auto node = wide_node_of(c);
  WN_CHECK(node.has_value(), Error, "the reference takes neither these inputs nor their F64 form");
  return std::move(*node);
}

std::vector<Tensor> inputs_for(const NodeSpec& node, const std::vector<Tensor>& in) {
  std::vector<Tensor> out;
  for (size_t i = 0; i < in.size(); ++i)
    out.push_back(in[i].dtype() == node.in[i].dtype ? in[i] : converted(in[i], node.in[i].dtype));
  return out;
}

const char* refusal(const KernelDef& kernel, const NodeSpec& node) {
  return kernel.reject == nullptr ? nullptr : kernel.reject(node, device_info({kernel.device, 0}));
}

const char* refusal_on_any_machine(const KernelDef& kernel, const NodeSpec& node) {
  DeviceInfo best = device_info({});
  best.avx512 = best.avx512_bf16 = true;
  return kernel.reject == nullptr ? nullptr : kernel.reject(node, best);
}

Prepared::Prepared(const KernelDef& kernel, NodeSpec node) : kernel_(kernel), node_(std::move(node)) {
  const DeviceInfo info = device_info(device());
  Prepare prepare(info);
  if (kernel.prepare != nullptr) kernel.prepare(node_, prepare);
  scratch_bytes_ = prepare.scratch_bytes();
  state_ = prepare.take_state();
}

// On a device the operands are copies there, each an allocation of its own, whatever the storage asks for.
Result Prepared::place_on_device(std::span<const Tensor> in, const Storage& storage) const {
  Backend& backend = backend_of(device());
  Allocator& allocator = backend.allocator(device());
  Result r;
  for (const Tensor& t : in) r.in.push_back(t.on(device()));
  for (size_t o = 0; o < node_.out.size(); ++o) {
    if (storage.shared.second == static_cast<int>(o)) {
      const Tensor& source = r.in[static_cast<size_t>(storage.shared.first)];
      r.out.push_back(Tensor::view(node_.out[o], source.raw(), std::make_shared<Tensor>(source), device()));
      continue;
    }
    r.out.emplace_back(node_.out[o], allocator);
    backend.fill_now(r.out.back().raw(), storage.poison, r.out.back().bytes(), device());
  }
  r.scratch = Tensor({DType::U8, Shape{static_cast<int64_t>(scratch_bytes_)}}, allocator);
  backend.fill_now(r.scratch.raw(), storage.poison, scratch_bytes_, device());
  return r;
}

Result Prepared::place(std::span<const Tensor> in, const Storage& storage) const {
  if (kernel_.device != Device::CPU) return place_on_device(in, storage);
  Allocator& allocator = storage.allocator != nullptr ? *storage.allocator : host_allocator();
  Result r;
  for (size_t i = 0; i < in.size(); ++i) {
    const bool written = mutates(node_, i) || storage.shared.first == static_cast<int>(i);
    r.in.push_back(storage.allocator != nullptr || written ? converted(in[i], in[i].dtype(), allocator) : in[i]);
  }
  for (size_t o = 0; o < node_.out.size(); ++o) {
    if (storage.shared.second == static_cast<int>(o)) {
      const Tensor& source = r.in[static_cast<size_t>(storage.shared.first)];
      r.out.push_back(Tensor::view(node_.out[o], source.raw(), std::make_shared<Tensor>(source)));
      continue;
    }
    r.out.emplace_back(node_.out[o], allocator);
    std::memset(r.out.back().raw(), storage.poison, r.out.back().bytes());
  }
  r.scratch = Tensor({DType::U8, Shape{static_cast<int64_t>(scratch_bytes_)}}, allocator);
  std::memset(r.scratch.raw(), storage.poison, scratch_bytes_);
  return r;
}

void Prepared::execute(const Result& operands, Stream& stream) const {
  std::vector<void*> inputs, outputs;
  for (const Tensor& t : operands.in) inputs.push_back(t.raw());
  for (const Tensor& t : operands.out) outputs.push_back(t.raw());
  Call call;
  call.spec = &node_;
  call.inputs = inputs.data();
  call.outputs = outputs.data();
  call.scratch = operands.scratch.raw();
  call.state_ = state_.get();
  call.stream = &stream;
  kernel_.run(call);
}

Result Prepared::run(std::span<const Tensor> in, const Storage& storage) const {
  Result r = place(in, storage);
  const auto stream = make_stream(device());
  execute(r, *stream);
  stream->synchronize();
  for (auto* list : {&r.in, &r.out})
    for (Tensor& t : *list) t = t.on({});
  return r;
}

std::vector<Visible> visible(const NodeSpec& node, const Result& result) {
  std::vector<Visible> list;
  for (size_t o = 0; o < result.out.size(); ++o) list.push_back({fmt::format("output {}", o), result.out[o]});
  for (const int i : mutated_inputs(*node.op, node.attrs))
    if (i < static_cast<int>(result.in.size()))
      list.push_back({fmt::format("mutated input {}", i), result.in[static_cast<size_t>(i)], true, i});
  return list;
}

bool same_bits(const Tensor& a, const Tensor& b) {
  return a.spec() == b.spec() && (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0);
}

std::string difference(const NodeSpec& node, const Result& a, const Result& b) {
  const auto left = visible(node, a), right = visible(node, b);
  for (size_t v = 0; v < left.size(); ++v) {
    if (same_bits(left[v].tensor, right[v].tensor)) continue;
    const auto x = as_doubles(left[v].tensor), y = as_doubles(right[v].tensor);
    const size_t width = size_of(left[v].tensor.dtype());
    for (size_t e = 0; e < x.size(); ++e) {
      const auto* p = static_cast<const char*>(left[v].tensor.raw()) + e * width;
      const auto* q = static_cast<const char*>(right[v].tensor.raw()) + e * width;
      if (std::memcmp(p, q, width) != 0) return fmt::format("{}[{}] is {} and {}", left[v].name, e, x[e], y[e]);
    }
  }
  return "";
}

}  // namespace winnow::optest
