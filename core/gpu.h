// Whether this program has a GPU backend is chosen when it is linked (WINNOW_GPU in CMakeLists.txt).
#pragma once

namespace winnow {

// At the start of a program: its GPU backend, if it was built with one, becomes available to --device.
void register_gpu();

}  // namespace winnow
