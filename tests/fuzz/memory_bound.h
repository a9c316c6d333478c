// The resource rule of every parser: the memory it holds at any time is at most 16 x input + 1 MiB.
#pragma once
#include <sanitizer/allocator_interface.h>

#include <cstddef>
#include <cstdio>
#include <cstdlib>

namespace winnow {

// Counts what the process allocates (yaml-cpp included) while it lives, and aborts, which libFuzzer reports, when the
// rule is broken. One at a time.
class MemoryBound {
 public:
  explicit MemoryBound(size_t input_bytes) {
    static const int installed = __sanitizer_install_malloc_and_free_hooks(on_malloc, on_free);
    if (installed == 0) fail("the allocation hooks could not be installed", 0);
    live_ = peak_ = 0;
    limit_ = static_cast<ptrdiff_t>(16 * input_bytes + (size_t{1} << 20));
    counting_ = true;
  }
  ~MemoryBound() {
    counting_ = false;
    if (peak_ > limit_) fail("memory over 16 x input + 1 MiB", peak_);
  }
  MemoryBound(const MemoryBound&) = delete;
  MemoryBound& operator=(const MemoryBound&) = delete;

 private:
  static void on_malloc(const volatile void*, size_t bytes) {
    if (!counting_) return;
    live_ += static_cast<ptrdiff_t>(bytes);
    if (live_ > peak_) peak_ = live_;
  }
  static void on_free(const volatile void* at) {
    if (counting_ && at != nullptr)
      live_ -= static_cast<ptrdiff_t>(__sanitizer_get_allocated_size(const_cast<const void*>(at)));
  }
  [[noreturn]] static void fail(const char* what, ptrdiff_t bytes) {
    std::fprintf(stderr, "MemoryBound: %s: %td bytes, limit %td\n", what, bytes, limit_);
    std::abort();
  }
  inline static bool counting_ = false;
  inline static ptrdiff_t live_ = 0, peak_ = 0, limit_ = 0;
};

// A property of the parsed result; a broken one is a finding.
inline void expect(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "property broken: %s\n", property);
  std::abort();
}

}  // namespace winnow
