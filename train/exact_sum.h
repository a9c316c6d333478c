// ExactSum moved to core/, where data/ uses it too.
#pragma once
#include "core/exact_sum.h"
