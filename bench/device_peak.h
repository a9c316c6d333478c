// The roofline of the device that a benchmark runs on, measured: the CPU's as core/cpu/peak.h does, another device's by
// its own best product, of the benchmark's precision, and copy.
#pragma once
#include <chrono>

#include "core/cpu/peak.h"
#include "core/program.h"

namespace winnow {

// Seconds per run of one operator on the default device, queued `runs` times.
inline double seconds_of(const std::string& op, const std::vector<TensorSpec>& in, const Attrs& attrs, int runs,
                         Precision precision = Precision::F32) {
  Graph g;
  std::vector<Value> values;
  for (const TensorSpec& spec : in) {
    auto variable = std::make_shared<Variable>();
    variable->value = Tensor(spec);
    // Equal elements would take less power, and thus less time, than those of a training.
    uint32_t state = 1;
    for (float& x : variable->value.span<float>())
      x = static_cast<float>((state = state * 1664525u + 1013904223u) >> 8) * 0x1p-23f - 1;
    values.push_back(g.persistent(variable));
  }
  g.output("y", g.apply_all(op, values, attrs)[0]);
  CompileOptions options;
  options.precision = precision;
  Program program = compile(g, options);
  const auto stream = make_stream();
  for (int i = 0; i < 3; ++i) program.run({}, *stream);
  stream->synchronize();
  const auto start = std::chrono::steady_clock::now();
  for (int i = 0; i < runs; ++i) program.run({}, *stream);
  stream->synchronize();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count() / runs;
}

inline double measured_peak_gflops(int threads, Precision precision = Precision::F32) {
  if (default_device().kind == Device::CPU) return cpu::measure_fma_peak_gflops(threads);
  constexpr int64_t kSize = 8192;
  const TensorSpec square{DType::F32, {kSize, kSize}};
  return 2e-9 * kSize * kSize * kSize /
         seconds_of("matmul", {square, square}, {{"trans_a", int64_t{0}}, {"trans_b", int64_t{0}}}, 8, precision);
}
inline double measured_copy_gbs(int threads) {
  if (default_device().kind == Device::CPU) return cpu::measure_copy_gbs(threads);
  constexpr int64_t kFloats = int64_t{1} << 28;
  return 8e-9 * kFloats / seconds_of("neg", {{DType::F32, {kFloats}}}, {}, 20);
}

}  // namespace winnow
