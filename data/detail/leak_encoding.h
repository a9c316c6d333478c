#pragma once
#include <vector>

#include "data/leaks.h"

namespace winnow::detail {

// Numbers that are the mean label of a group (target_encoding of data/leaks.h), over all rows of the data set.
void test_target_encodings(const Dataset& dataset, std::vector<Leak>& leaks);

}  // namespace winnow::detail
