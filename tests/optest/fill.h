// Deterministic contents for the inputs of a sample: a function of (operator, sample, input, seed).
#pragma once
#include "tests/optest/suite.h"

namespace winnow::optest {

uint64_t hash_of(const std::string& text);  // FNV-1a, 64 bits

// Input i as the sample declares it. Floats are rounded to the declared type.
Tensor filled(const Case& c, int i);
std::vector<Tensor> filled(const Case& c);

// The same, floats replaced by small integers in [-3, 3] (Values fills are rounded): sums of products stay exact.
std::vector<Tensor> filled_with_integers(const Case& c);

// A copy with another element type; the values of `t` must be representable for the copy to be exact.
Tensor converted(const Tensor& t, DType dtype, Allocator& allocator = host_allocator());
std::vector<double> as_doubles(const Tensor& t);

}  // namespace winnow::optest
