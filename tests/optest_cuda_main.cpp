// optest of the operators' kernels on a CUDA device (docs/gpu.md): `optest_cuda [mode] [options of optest]`.
#include <vector>

#include "core/cuda/register.h"
#include "tests/optest/optest.h"

int main(int argc, char** argv) {
  winnow::cuda::register_backend();
  std::vector<char*> arguments(argv, argv + argc);
  char device[] = "--device=cuda";
  arguments.push_back(device);
  arguments.push_back(nullptr);
  return winnow::optest::run(argc + 1, arguments.data());
}
