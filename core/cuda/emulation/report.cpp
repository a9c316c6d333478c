#include <cstdio>

#include "core/cuda/emulation/api_lock.h"
#include "core/cuda/emulation/options.h"

namespace winnow::emulation {

namespace {
// Never destroyed: objects of the test program free device memory in static destructors.
std::vector<Report>& found() {
  static auto& list = *new std::vector<Report>;
  return list;
}
}  // namespace

Options& options() {
  static Options instance;
  return instance;
}
Counters& counters() {
  static Counters instance;
  return instance;
}
std::vector<Report> reports() {
  ApiLock lock;
  return found();
}
bool reported(const std::string& kind) {
  ApiLock lock;
  for (const Report& r : found())
    if (r.kind == kind) return true;
  return false;
}
void report(const std::string& kind, const std::string& text) {
  ApiLock lock;
  for (Report& r : found())
    if (r.kind == kind && r.text == text) {
      ++r.count;
      return;
    }
  if (options().print) std::fprintf(stderr, "[emulation] %s: %s\n", kind.c_str(), text.c_str());
  found().push_back({kind, text, 1});
}
void clear_reports() {
  ApiLock lock;
  found().clear();
}

}  // namespace winnow::emulation
