#include "core/program.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstring>

#include "core/feed_buffers.h"
#include "core/memory_plan.h"
#include "core/passes.h"

namespace winnow {
namespace {

size_t at(int32_t id) { return static_cast<size_t>(id); }

struct Step {
  NodeSpec spec;
  const KernelDef* kernel = nullptr;
  std::shared_ptr<void> state;
  size_t scratch_bytes = 0, scratch_offset = 0;
  size_t first_pointer = 0;  // into Impl::pointers: inputs, then outputs
  std::vector<int32_t> inputs, outputs;
  Loc loc;
};

// Where a value's storage comes from after aliasing: the value that owns it.
struct Storage {
  int32_t root = -1;
  size_t block = SIZE_MAX;  // of the plan; SIZE_MAX for inputs, persistent values and constants
};

std::string label(const Ir& ir, int32_t id) {
  const auto& v = ir.values[at(id)];
  if (!v.name.empty()) return v.name;
  if (v.node < 0) return fmt::format("%{}", id);
  return fmt::format("%{} {}", id, v.spec.str());
}

bool has_nonfinite(const TensorSpec& spec, void* data, Device device) {
  if (spec.dtype != DType::F32) return false;
  const Tensor host = Tensor::view(spec, data, nullptr, device).on({});
  const auto* x = static_cast<const float*>(host.raw());
  return std::any_of(x, x + spec.shape.numel(), [](float v) { return !std::isfinite(v); });
}

}  // namespace

void Arena::reserve(size_t bytes) {
  if (storage_.defined() && storage_.bytes() >= bytes) return;
  storage_ = Tensor();
  storage_ = Tensor(TensorSpec{DType::U8, Shape{static_cast<int64_t>(bytes)}}, allocator_);
}

struct Program::Impl {
  Impl(Graph& graph, const CompileOptions& options);
  void choose_kernels();
  void share_storage();
  void plan();
  void check_feed(size_t i, const Tensor& feed) const;
  std::span<const Tensor> complete(std::span<const Tensor> feeds, Stream& stream);
  void feed(std::span<const Tensor> feeds, Stream& stream);
  void bind();
  void rebind_arena();
  void patch(int32_t root, void* data);
  void run(Stream& stream);
  void run_steps(Stream& stream, std::vector<NodeProfile>* profile);
  void check_zones(const Step& step) const;
  void* data_of(int32_t value) const { return value_data[at(storage[at(value)].root)]; }
  Call call_of(const Step& step, Stream& stream);

  CompileOptions options;
  DeviceInfo device;
  Ir ir;
  // Work of the host before a run: the places of its inputs and outputs among `inputs`.
  struct Staging {
    std::shared_ptr<HostStage> stage;
    std::vector<size_t> from, to;
    std::vector<Tensor> feeds;
    const StageAhead* ahead = nullptr;  // the stage, where its values may become void
  };
  std::vector<int32_t> inputs;  // those that callers feed, then those of the stages
  size_t fed = 0;               // how many callers feed
  std::vector<Staging> stages;
  std::vector<Tensor> all_feeds;            // where there are stages
  bool fed_ahead = false;                   // since the last run
  std::optional<FeedBuffers> feed_buffers;  // not on the CPU, which reads feeds where they are
  std::vector<int32_t> persistents;
  std::vector<Step> steps;
  std::vector<Storage> storage;  // per value
  std::vector<Block> blocks;
  std::vector<int32_t> block_root;  // per block: the value, -1 for scratch
  size_t arena_bytes = 0, naive_bytes = 0;
  std::shared_ptr<Arena> arena;
  char* arena_base = nullptr;
  std::unique_ptr<Recording> recording;    // of the steps with the pointers as they are
  int runs_unchanged = 0;                  // since a pointer changed
  std::vector<void*> value_data;           // per root value
  std::vector<void*> pointers;             // kernel arguments of all steps
  std::vector<std::vector<size_t>> slots;  // per root value: its places in `pointers`
};

namespace {

void check_precision(Precision precision, const DeviceInfo& device) {
  if (device.device.kind != Device::CPU || precision == Precision::F32) return;
  WN_CHECK(precision == Precision::BF16, DeviceError,
           "tf32 is a precision of CUDA devices: use f32 or bf16 on the CPU");
  WN_CHECK(device.avx512_bf16, DeviceError,
           "bf16 products need a CPU with AVX-512 BF16, which this one lacks: use f32");
}

}  // namespace

Program::Impl::Impl(Graph& graph, const CompileOptions& opts)
    : options(opts), device(device_info(graph.device())), ir(graph), inputs(graph.inputs()), fed(inputs.size()) {
  for (const Graph::Staged& staged : graph.staged()) {
    Staging& s =
        stages.emplace_back(Staging{staged.stage, {}, {}, {}, dynamic_cast<const StageAhead*>(staged.stage.get())});
    for (const int32_t id : staged.from)
      s.from.push_back(static_cast<size_t>(std::ranges::find(inputs, id) - inputs.begin()));
    for (const int32_t id : staged.to) {
      s.to.push_back(inputs.size());
      inputs.push_back(id);
    }
    s.feeds.resize(s.from.size());
  }
  if (!stages.empty()) all_feeds.resize(inputs.size());
  remove_dead_nodes(ir);
  if (options.share) {
    merge_equal_nodes(ir);
    remove_dead_nodes(ir);
  }
  check_precision(options.precision, device);
  round_factors(ir, options.precision, device);
  if (options.fuse) fuse_epilogues(ir);
  if (options.precision == Precision::BF16 && device.device.kind != Device::CPU) store_rounded(ir, device);
  if (options.frozen != nullptr && device.device.kind == Device::CPU) pack_weights(ir, *options.frozen);
  for (size_t id = 0; id < ir.values.size(); ++id) {
    if (ir.values[id].kind != ValueInfo::Persistent) continue;
    persistents.push_back(static_cast<int32_t>(id));
    Tensor& value = ir.values[id].variable->value;
    value = value.on(device.device);
  }
  storage.resize(ir.values.size());
  for (size_t id = 0; id < storage.size(); ++id) storage[id].root = static_cast<int32_t>(id);
  choose_kernels();
  share_storage();
  plan();
}

void Program::Impl::choose_kernels() {
  for (Node& node : ir.nodes) {
    if (node.op->alias) {
      storage[at(node.outputs[0])].root = storage[at(node.inputs[0])].root;
      continue;
    }
    Step step;
    step.spec = spec_of(ir, node);
    step.inputs = node.inputs;
    step.outputs = node.outputs;
    step.loc = node.loc;
    step.kernel = &choose_kernel(step.spec, device, options.matmul);
    steps.push_back(std::move(step));
  }
  device.measure = options.measure;
  for (Step& step : steps) {  // only now: kernels keep references to their spec
    Prepare prepare(device);
    if (step.kernel->prepare != nullptr) step.kernel->prepare(step.spec, prepare);
    step.state = prepare.take_state();
    step.scratch_bytes = prepare.scratch_bytes();
  }
}

// Lets an output take over the storage of an input that dies at the same step, where the operator allows it.
void Program::Impl::share_storage() {
  std::vector<int> last(ir.values.size(), -1);  // per root: the last step that touches it
  const auto touch = [&](int32_t id, int step) {
    last[at(storage[at(id)].root)] = std::max(last[at(storage[at(id)].root)], step);
  };
  const int end = static_cast<int>(steps.size());
  for (int s = 0; s < end; ++s)
    for (const int32_t id : steps[static_cast<size_t>(s)].inputs) touch(id, s);
  for (const auto& [name, id] : ir.outputs) touch(id, end);
  if (!options.share || options.red_zones) return;
  for (int s = 0; s < end; ++s) {
    const Step& step = steps[static_cast<size_t>(s)];
    for (const auto& [in, out] : step.spec.op->inplace) {
      if (in >= static_cast<int>(step.inputs.size()) || out >= static_cast<int>(step.outputs.size())) continue;
      const int32_t root = storage[at(step.inputs[static_cast<size_t>(in)])].root,
                    result = step.outputs[static_cast<size_t>(out)];
      const auto uses = std::count_if(step.inputs.begin(), step.inputs.end(),
                                      [&](int32_t id) { return storage[at(id)].root == root; });
      const bool fits = ir.values[at(root)].spec.bytes() == ir.values[at(result)].spec.bytes();
      if (ir.values[at(root)].kind != ValueInfo::Computed || last[at(root)] != s || uses != 1 || !fits) continue;
      if (storage[at(result)].root != result) continue;  // taken over already
      last[at(root)] = std::max(last[at(root)], last[at(result)]);
      for (Storage& other : storage)  // the result and its aliases
        if (other.root == result) other.root = root;
      break;
    }
  }
}

void Program::Impl::plan() {
  const int end = static_cast<int>(steps.size());
  const auto block_of = [&](int32_t id, int step) -> void {
    const int32_t root = storage[at(id)].root;
    if (ir.values[at(root)].kind != ValueInfo::Computed) return;
    size_t& block = storage[at(root)].block;
    if (block == SIZE_MAX) {
      block = blocks.size();
      const ValueInfo& v = ir.values[at(root)];
      const std::string made_by =
          step < static_cast<int>(steps.size()) ? steps[static_cast<size_t>(step)].spec.op->name : "";
      blocks.push_back(
          {v.spec.bytes(), step, step, v.name.empty() ? fmt::format("{} {}", made_by, label(ir, root)) : v.name, 0});
      block_root.push_back(root);
    }
    blocks[block].last = std::max(blocks[block].last, step);
  };
  for (int s = 0; s < end; ++s) {
    Step& step = steps[static_cast<size_t>(s)];
    for (const int32_t id : step.outputs) block_of(id, s);
    for (const int32_t id : step.inputs) block_of(id, s);
    if (step.scratch_bytes == 0) continue;
    blocks.push_back({step.scratch_bytes, s, s, fmt::format("scratch of {}", step.spec.op->name), 0});
    block_root.push_back(-1 - s);
  }
  for (const auto& [name, id] : ir.outputs) block_of(id, end);
  for (const Block& b : blocks) naive_bytes += b.bytes;
  // as what a device's own allocations start at: libraries rely on it for their workspaces
  const size_t alignment = device.device.kind == Device::CPU ? kAlignment : kDeviceAlignment;
  arena_bytes = options.red_zones ? plan_without_sharing(blocks, alignment, RedZoneAllocator::kZone)
                : options.share   ? plan_memory(blocks, alignment)
                                  : plan_without_sharing(blocks, alignment, 0);
  verify_plan(blocks, arena_bytes);
  arena = options.arena != nullptr ? options.arena : std::make_shared<Arena>(device_allocator(device.device));
  arena->reserve(std::max<size_t>(arena_bytes, kAlignment));
  value_data.resize(ir.values.size());
  slots.resize(ir.values.size());
  for (Step& step : steps) {
    step.first_pointer = pointers.size();
    for (const auto* list : {&step.inputs, &step.outputs})
      for (const int32_t id : *list) {
        slots[at(storage[at(id)].root)].push_back(pointers.size());
        pointers.push_back(nullptr);
      }
  }
  for (size_t id = 0; id < ir.values.size(); ++id)
    if (ir.values[id].kind == ValueInfo::Constant) {
      ir.values[id].constant = ir.values[id].constant.on(device.device);
      patch(static_cast<int32_t>(id), ir.values[id].constant.raw());
    }
  if (device.device.kind != Device::CPU) {
    std::vector<TensorSpec> specs;
    for (const int32_t id : inputs) {  // those that nothing on the device reads, as ids that a stage translates, stay
      const bool output =
          std::ranges::any_of(ir.outputs, [&](const auto& o) { return storage[at(o.second)].root == id; });
      specs.push_back(slots[at(id)].empty() && !output ? TensorSpec{DType::U8, {0}} : ir.values[at(id)].spec);
    }
    feed_buffers.emplace(device.device, specs);
  }
  rebind_arena();
}

void Program::Impl::patch(int32_t root, void* data) {
  value_data[at(root)] = data;
  recording.reset();
  runs_unchanged = 0;
  for (const size_t slot : slots[at(root)]) pointers[slot] = data;
}

void Program::Impl::rebind_arena() {
  arena_base = arena->base();
  for (size_t b = 0; b < blocks.size(); ++b) {
    if (block_root[b] >= 0)
      patch(block_root[b], arena_base + blocks[b].offset);
    else
      steps[static_cast<size_t>(-1 - block_root[b])].scratch_offset = blocks[b].offset;
  }
  if (options.red_zones) backend_of(device.device).fill_now(arena_base, 0xA5, arena_bytes, device.device);
}

void Program::Impl::check_feed(size_t i, const Tensor& feed) const {
  const auto& v = ir.values[at(inputs[i])];
  WN_CHECK(feed.spec() == v.spec, ShapeError, "input '{}' is {}, {} was fed", v.name, v.spec.str(), feed.spec().str());
  WN_CHECK(feed.device() == device.device || feed.device().kind == Device::CPU, DeviceError,
           "input '{}' lies on {}, the program on {}", v.name, feed.device().str(), device.device.str());
}

// The caller's feeds, and behind them what the stages make of these.
std::span<const Tensor> Program::Impl::complete(std::span<const Tensor> feeds, Stream& stream) {
  WN_CHECK(feeds.size() == fed, Error, "the program takes {} inputs, {} were fed", fed, feeds.size());
  for (size_t i = 0; i < feeds.size(); ++i) check_feed(i, feeds[i]);
  if (stages.empty()) return feeds;
  std::ranges::copy(feeds, all_feeds.begin());
  for (Staging& s : stages) {
    for (size_t k = 0; k < s.from.size(); ++k) s.feeds[k] = feeds[s.from[k]];
    const auto prepared = s.stage->prepare(s.feeds, stream);
    WN_CHECK(prepared.size() == s.to.size(), Error, "a stage of {} values prepared {}", s.to.size(), prepared.size());
    for (size_t k = 0; k < s.to.size(); ++k) {
      check_feed(s.to[k], prepared[k]);
      all_feeds[s.to[k]] = prepared[k];
    }
  }
  return all_feeds;
}

void Program::Impl::feed(std::span<const Tensor> feeds, Stream& stream) {
  fed_ahead = false;
  feeds = complete(feeds, stream);
  for (size_t i = 0; i < feeds.size(); ++i) {
    const Device where = feeds[i].device();
    void* const data = where == device.device ? feeds[i].raw() : feed_buffers->place(i);
    if (value_data[at(inputs[i])] != data) patch(inputs[i], data);
  }
  if (feed_buffers) feed_buffers->upload(feeds, stream);
  fed_ahead = true;
}

// What may have changed since the feed: the arena and what other programs share.
void Program::Impl::bind() {
  WN_CHECK(std::exchange(fed_ahead, false), Error, "run() without feeds: feed() comes before each");
  for (const Staging& s : stages)
    WN_CHECK(s.ahead == nullptr || s.ahead->holds(), Error,
             "another program changed what feed() had prepared for this run, as rows of embedding tables behind a "
             "cache: feed() again");
  for (const int32_t id : persistents) {
    const auto& v = ir.values[at(id)];
    const Tensor& tensor = v.variable->value;
    if (value_data[at(id)] == tensor.raw()) continue;
    WN_CHECK(tensor.device() == device.device, DeviceError, "'{}' lies on {}, the program on {}", v.name,
             tensor.device().str(), device.device.str());
    WN_CHECK(tensor.spec() == v.spec, ShapeError, "'{}' was compiled as {} and is now {}", v.name, v.spec.str(),
             tensor.spec().str());
    patch(id, tensor.raw());
  }
  if (arena_base != arena->base()) rebind_arena();
}

Call Program::Impl::call_of(const Step& step, Stream& stream) {
  void* const* in = pointers.data() + step.first_pointer;
  return {&step.spec,
          in,
          in + step.inputs.size(),
          step.scratch_bytes > 0 ? arena_base + step.scratch_offset : nullptr,
          step.state.get(),
          &stream};
}

void Program::Impl::check_zones(const Step& step) const {
  if (device.device.kind != Device::CPU) return;  // guarded by its own tools: compute-sanitizer, the emulation
  for (const Block& b : blocks)
    WN_CHECK(RedZoneAllocator::intact(arena_base + b.offset, b.bytes), Error, "{}: kernel '{}' wrote outside {} ({})",
             step.spec.op->name, step.kernel->name, b.name, at_source(step.loc));
}

// After two runs with the same operands a device is given its steps as one recording.
void Program::Impl::run(Stream& stream) {
  constexpr int kRunsBefore = 2;
  bind();
  const bool record = options.record && !options.check_finite && device.device.kind != Device::CPU;
  if (record && recording == nullptr && runs_unchanged >= kRunsBefore)
    recording = backend_of(device.device).record(stream, [&] { run_steps(stream, nullptr); });
  if (recording != nullptr) return recording->launch(stream);
  run_steps(stream, nullptr);
  ++runs_unchanged;
}

void Program::Impl::run_steps(Stream& stream, std::vector<NodeProfile>* profile) {
  for (size_t s = 0; s < steps.size(); ++s) {
    const Step& step = steps[s];
    const Call call = call_of(step, stream);
    if (profile != nullptr) {
      const auto start = std::chrono::steady_clock::now();
      step.kernel->run(call);
      stream.synchronize();
      (*profile)[s].seconds += std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    } else {
      step.kernel->run(call);
    }
    if (options.red_zones) check_zones(step);
    if (!options.check_finite) continue;
    for (size_t o = 0; o < step.outputs.size(); ++o)
      WN_CHECK(!has_nonfinite(step.spec.out[o], call.outputs[o], device.device), Error,
               "{}(): output {} holds NaN or infinity ({})", step.spec.op->name, step.spec.out[o].str(),
               at_source(step.loc));
  }
}

Program::Program(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Program::Program(Program&&) noexcept = default;
Program& Program::operator=(Program&&) noexcept = default;
Program::~Program() = default;

Program compile(Graph& graph, const CompileOptions& options) {
  close_registry();
  return Program(std::make_unique<Program::Impl>(graph, options));
}

void Program::feed(std::span<const Tensor> feeds, Stream& stream) { impl_->feed(feeds, stream); }
void Program::run(Stream& stream) { impl_->run(stream); }
int Program::nodes() const { return static_cast<int>(impl_->steps.size()); }

Tensor Program::output(const std::string& name) const {
  const auto found = impl_->ir.outputs.find(name);
  if (found == impl_->ir.outputs.end()) {
    std::string known;
    for (const auto& [key, id] : impl_->ir.outputs) known += (known.empty() ? "" : ", ") + key;
    raise<Error>("the program has no output '{}' (it has: {})", name, known);
  }
  const TensorSpec& spec = impl_->ir.values[at(found->second)].spec;
  return Tensor::view(spec, impl_->data_of(found->second), std::make_shared<Tensor>(impl_->arena->storage()),
                      impl_->device.device)
      .on({});
}

std::vector<NodeProfile> Program::profile(std::span<const Tensor> feeds, Stream& stream, int runs) {
  std::vector<NodeProfile> result;
  for (const Step& s : impl_->steps)
    result.push_back({s.spec.op->name, s.kernel->name, at_source(s.loc), 0, cost_of(s.spec)});
  for (int r = 0; r < runs; ++r) {
    impl_->feed(feeds, stream);
    impl_->bind();
    stream.synchronize();
    impl_->run_steps(stream, &result);
  }
  for (auto& p : result) p.seconds /= std::max(runs, 1);
  return result;
}

MemoryReport Program::memory() const {
  MemoryReport report;
  report.arena_bytes = impl_->arena_bytes;
  report.naive_bytes = impl_->naive_bytes;
  for (const int32_t id : impl_->persistents) {
    const TensorSpec& spec = impl_->ir.values[at(id)].spec;
    report.persistent_bytes += spec.bytes();
    report.persistents.push_back({label(impl_->ir, id), spec});
  }
  for (size_t b = 0; b < impl_->blocks.size(); ++b) {
    const Block& block = impl_->blocks[b];
    const TensorSpec spec = impl_->block_root[b] >= 0 ? impl_->ir.values[at(impl_->block_root[b])].spec
                                                      : TensorSpec{DType::U8, Shape{static_cast<int64_t>(block.bytes)}};
    report.lines.push_back({block.name, spec, block.offset, block.bytes, block.first, block.last});
  }
  return report;
}

std::string MemoryReport::str() const {
  const auto mib = [](size_t n) { return static_cast<double>(n) / 1048576.0; };
  std::string text = fmt::format(
      "parameters, tables and optimizer state {:.1f} MiB; activations {:.1f} MiB ({:.1f} without sharing)\n",
      mib(persistent_bytes), mib(arena_bytes), mib(naive_bytes));
  std::vector<const Line*> largest;
  for (const Line& line : lines) largest.push_back(&line);
  std::stable_sort(largest.begin(), largest.end(), [](const Line* a, const Line* b) { return a->bytes > b->bytes; });
  for (size_t i = 0; i < std::min<size_t>(largest.size(), 3); ++i)
    text += fmt::format("  {:<40} {:>8.2f} MiB, steps {}..{}\n", largest[i]->name, mib(largest[i]->bytes),
                        largest[i]->first, largest[i]->last);
  return text;
}

std::string Program::dump() const {
  std::string text;
  for (const Step& s : impl_->steps) {
    std::string in, out;
    for (const int32_t id : s.inputs) in += (in.empty() ? "" : ", ") + label(impl_->ir, id);
    for (const int32_t id : s.outputs) {
      const Storage& st = impl_->storage[at(impl_->storage[at(id)].root)];
      out += fmt::format("{}{} @{}", out.empty() ? "" : ", ", label(impl_->ir, id),
                         st.block == SIZE_MAX ? 0 : impl_->blocks[st.block].offset);
    }
    text += fmt::format("{:<18} {:<12} {} -> {} {{{}}}  # {}\n", s.spec.op->name, s.kernel->name, in, out,
                        s.spec.attrs.str(), at_source(s.loc));
  }
  return text;
}

}  // namespace winnow
