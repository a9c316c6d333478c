// Gradients, bounds, threads, errors: what Winnow's own operators are tested for.
#include "optest.h"
#include "ours.h"

int main(int argc, char** argv) {
  register_field_pairs();
  return winnow::optest::run(argc, argv, {"field_pairs", "field_pairs_grad"});
}
