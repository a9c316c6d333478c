// Gradients, bounds, threads, errors: what Winnow's own operators are tested for.
#include "field_pairs.h"

#include "optest.h"

int main(int argc, char** argv) {
  register_field_pairs();
  return winnow::optest::run(argc, argv, {"field_pairs", "field_pairs_grad"});
}
