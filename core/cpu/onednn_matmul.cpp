#include "core/cpu/onednn_matmul.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <dnnl.hpp>
#include <vector>

#include "core/error.h"
#include "core/parallel.h"

namespace winnow::cpu {
namespace {

using Memory = dnnl::memory;

// oneDNN cuts work by the team size it sees, when a primitive is created and when it runs: it must always see one.
class OneThread {
 public:
  OneThread() : before_(omp_get_max_threads()) { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_;
};

void append(dnnl::post_ops& ops, dnnl::algorithm algorithm) {
#if DNNL_VERSION_MAJOR >= 3
  ops.append_eltwise(algorithm, 0.f, 0.f);
#else
  ops.append_eltwise(1.f, algorithm, 0.f, 0.f);
#endif
}

dnnl::primitive_attr attributes(const OneDnnMatmul::Config& config) {
  dnnl::post_ops ops;
  if (config.residual) ops.append_sum(1.f);
  switch (config.act) {
    case Act::None:
    case Act::Relu: break;  // its relu turns NaN into 0: see after()
    case Act::Gelu: append(ops, dnnl::algorithm::eltwise_gelu_erf); break;
    case Act::GeluTanh: append(ops, dnnl::algorithm::eltwise_gelu_tanh); break;
    case Act::Sigmoid: append(ops, dnnl::algorithm::eltwise_logistic); break;
    case Act::Tanh: append(ops, dnnl::algorithm::eltwise_tanh); break;
  }
  dnnl::primitive_attr attr;
  attr.set_post_ops(ops);
  attr.set_scratchpad_mode(dnnl::scratchpad_mode::user);
  return attr;
}

Memory::desc matrix(int64_t rows, int64_t cols, int64_t row_stride, int64_t col_stride, bool bf16 = false) {
  return {{rows, cols}, bf16 ? Memory::data_type::bf16 : Memory::data_type::f32, Memory::dims{row_stride, col_stride}};
}

// One primitive for `rows` rows of C.
struct Chunk {
  Memory::desc a, b, bias, c;
  dnnl::matmul::primitive_desc desc;
  dnnl::matmul primitive;
  Chunk(const OneDnnMatmul::Config& g, int64_t rows, const dnnl::engine& engine)
      : a(g.trans_a ? matrix(rows, g.k, 1, g.m, g.bf16) : matrix(rows, g.k, g.k, 1, g.bf16)),
        b(g.trans_b ? matrix(g.k, g.n, 1, g.k, g.bf16) : matrix(g.k, g.n, g.n, 1, g.bf16)),
        bias(g.bias ? matrix(1, g.n, g.n, 1) : Memory::desc()),
        c(matrix(rows, g.n, g.n, 1)) {
    const dnnl::primitive_attr attr = attributes(g);
#if DNNL_VERSION_MAJOR >= 3
    desc = g.bias ? dnnl::matmul::primitive_desc(engine, a, b, bias, c, attr)
                  : dnnl::matmul::primitive_desc(engine, a, b, c, attr);
#else
    desc = dnnl::matmul::primitive_desc(g.bias ? dnnl::matmul::desc(a, b, bias, c) : dnnl::matmul::desc(a, b, c), attr,
                                        engine);
#endif
    primitive = dnnl::matmul(desc);
  }
  size_t scratch_bytes() const { return desc.scratchpad_desc().get_size(); }
};

// What one thread needs to run a chunk: its own memory objects, whose data handles change from call to call.
struct Bound {
  Memory a, b, bias, c, scratch;
  std::vector<dnnl_exec_arg_t> args;
  Bound(const Chunk& k, bool with_bias, const dnnl::engine& engine)
      : a(k.a, engine, nullptr),
        b(k.b, engine, nullptr),
        c(k.c, engine, nullptr),
        scratch(k.desc.scratchpad_desc(), engine, nullptr),
        args{{DNNL_ARG_SRC, a.get()},
             {DNNL_ARG_WEIGHTS, b.get()},
             {DNNL_ARG_DST, c.get()},
             {DNNL_ARG_SCRATCHPAD, scratch.get()}} {
    if (!with_bias) return;
    bias = Memory(k.bias, engine, nullptr);
    args.push_back({DNNL_ARG_BIAS, bias.get()});
  }
};

void set(const Memory& memory, const void* data) { dnnl_memory_set_data_handle(memory.get(), const_cast<void*>(data)); }

}  // namespace

struct OneDnnMatmul::Impl {
  Config config;
  int64_t rows, chunks;  // rows of C in a chunk but the last
  dnnl::engine engine{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream{engine};
  std::vector<Chunk> shapes;                // whole chunks; then the last one where it is shorter
  std::vector<std::vector<Bound>> threads;  // [thread][shape]
  size_t scratch_per_thread = 0;

  // At most 8 chunks: each packs B anew. At least 64 rows, so that a chunk is worth a thread.
  explicit Impl(const Config& g)
      : config(g),
        rows(g.chunk_rows > 0 ? g.chunk_rows : std::max<int64_t>(64, (g.m / 8 + 15) / 16 * 16)),
        chunks((g.m + rows - 1) / rows) {
    const OneThread one;
    shapes.emplace_back(g, std::min(rows, g.m), engine);
    if (chunks > 1 && g.m % rows != 0) shapes.emplace_back(g, g.m % rows, engine);
    for (const Chunk& s : shapes)
      scratch_per_thread = std::max(scratch_per_thread, (s.scratch_bytes() + 4095) / 4096 * 4096);
    threads.resize(static_cast<size_t>(std::max<int64_t>(1, std::min<int64_t>(chunks, g.threads))));
    for (auto& bound : threads)
      for (const Chunk& s : shapes) bound.emplace_back(s, g.bias, engine);
  }

  dnnl_status_t run_chunk(int64_t chunk, size_t thread, const void* a, const void* b, const float* bias,
                          const float* residual, const float* mask, float* c, char* scratch) const {
    const int64_t first = chunk * rows, count = std::min(rows, config.m - first);
    const size_t shape = count == std::min(rows, config.m) ? 0 : 1;
    const Bound& to = threads[thread][shape];
    float* out = c + first * config.n;
    if (residual != nullptr)
      std::memcpy(out, residual + first * config.n, static_cast<size_t>(count * config.n) * sizeof(float));
    const int64_t skipped = config.trans_a ? first : first * config.k;
    set(to.a, static_cast<const char*>(a) + skipped * (config.bf16 ? 2 : 4));
    set(to.b, b);
    if (config.bias) set(to.bias, bias);
    set(to.c, out);
    set(to.scratch, scratch + thread * scratch_per_thread);
    const OneThread one;
    const dnnl_status_t status = dnnl_primitive_execute(shapes[shape].primitive.get(), stream.get(),
                                                        static_cast<int>(to.args.size()), to.args.data());
    after(out, mask != nullptr ? mask + first * config.n : nullptr, count * config.n);
    return status;
  }
  // What oneDNN has no post-op for, or one that swallows NaN.
  void after(float* c, const float* mask, int64_t count) const {
    if (config.act == Act::Relu)
      for (int64_t i = 0; i < count; ++i) c[i] = c[i] <= 0 ? 0.f : c[i];
    if (mask != nullptr)
      for (int64_t i = 0; i < count; ++i) c[i] = mask[i] <= 0 ? 0.f : c[i];
  }
};

OneDnnMatmul::OneDnnMatmul(const Config& config) {
  try {
    impl_ = std::make_unique<Impl>(config);
  } catch (const dnnl::error& e) {
    raise<DeviceError>("oneDNN matmul [{}, {}] @ [{}, {}]: {} (status {})", config.m, config.k, config.k, config.n,
                       e.what(), static_cast<int>(e.status));
  }
}
OneDnnMatmul::~OneDnnMatmul() = default;

size_t OneDnnMatmul::scratch_bytes() const { return impl_->scratch_per_thread * impl_->threads.size(); }

void OneDnnMatmul::run(const void* a, const void* b, const float* bias, const float* residual, const float* mask,
                       float* c, void* scratch) const {
  const Impl& s = *impl_;
  const int team = omp_in_parallel() != 0 ? 1 : std::min(num_threads(), static_cast<int>(s.threads.size()));
  std::atomic<int> failed{dnnl_success};
#pragma omp parallel for num_threads(team) schedule(dynamic, 1) if (team > 1)
  for (int64_t i = 0; i < s.chunks; ++i) {
    const auto thread = team > 1 ? static_cast<size_t>(omp_get_thread_num()) : 0;
    const dnnl_status_t status = s.run_chunk(i, thread, a, b, bias, residual, mask, c, static_cast<char*>(scratch));
    if (status != dnnl_success) failed = status;
  }
  WN_CHECK(failed == dnnl_success, DeviceError, "oneDNN matmul [{}, {}] @ [{}, {}] failed with status {}", s.config.m,
           s.config.k, s.config.k, s.config.n, failed.load());
}

}  // namespace winnow::cpu
