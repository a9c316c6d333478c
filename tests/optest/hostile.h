// Calls that no sane caller makes: wrong numbers of inputs, element types, ranks, extents up to 2^55, attributes that
// are missing, of another type or extreme, ids and offsets far outside their range (RELIABILITY S3).
#pragma once
#include "tests/optest/suite.h"

namespace winnow::optest {

// Each call must throw a winnow::Error that names the operator, or succeed; what succeeds and is small also runs, on
// operands that end at inaccessible pages. Limits the memory and time of this process.
void make_hostile_calls(const Operator& entry, const Options& options, Report& report);

}  // namespace winnow::optest
