// Live handles of the runtime and the libraries: every call looks its handles up, so that a stale or foreign one is an
// error instead of a crash.
#pragma once
#include <unordered_set>

namespace winnow::emulation {

template <class Handle>
std::unordered_set<Handle>& handles() {
  static auto& set = *new std::unordered_set<Handle>;
  return set;
}
template <class Object, class... A>
Object* make_handle(A&&... arguments) {
  auto* object = new Object{static_cast<A&&>(arguments)...};
  handles<Object*>().insert(object);
  return object;
}
template <class Object>
bool known(Object* handle) {
  return handles<Object*>().count(handle) > 0;
}
template <class Object>
bool delete_handle(Object* handle) {
  if (handles<Object*>().erase(handle) == 0) return false;
  delete handle;
  return true;
}

}  // namespace winnow::emulation
