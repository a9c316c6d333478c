// What this machine can do at best: the roofline that benchmarks compare with. Each call takes a few tenths of a
// second.
#pragma once

namespace winnow::cpu {

// fp32 fused multiply-adds from registers with the widest instruction set, in GFLOP/s (two per element), summed over
// `threads` threads that run at the same time. Each thread's best of many short bursts by its own CPU clock, so that
// other programs on the machine do not lower the figure.
double measure_fma_peak_gflops(int threads);

// The same with AVX2 only.
double measure_fma_peak_gflops_avx2(int threads);

// Large copy (128 MiB, far beyond the caches), bytes read plus bytes written, in GB/s: the best of several wall-clock
// runs.
double measure_copy_gbs(int threads);

// The same array read alone, on huge pages, in GB/s: the limit of a scan.
double measure_read_gbs(int threads);

}  // namespace winnow::cpu
