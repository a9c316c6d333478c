// optest: the tests that every operator gets from its definition alone (docs/architecture.md, "Adding an operator").
#include "core/gpu.h"
#include "tests/optest/optest.h"

int main(int argc, char** argv) {
  winnow::register_gpu();
  return winnow::optest::run(argc, argv);
}
