// optest: the tests that every operator gets from its definition alone (docs/architecture.md, "Adding an operator").
#include "tests/optest/optest.h"

int main(int argc, char** argv) { return winnow::optest::run(argc, argv); }
