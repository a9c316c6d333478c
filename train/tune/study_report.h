// A study for people and programs.
#pragma once
#include <string>

#include "train/tune/study.h"

namespace winnow {

// The trials, best first: at most `rows`, and how many more there are.
std::string study_table(const Study& study, size_t rows = 20);
// {metric, higher_is_better, best: trial, trials: [...], importance: {key: share}}; best is null when all failed.
std::string study_json(const Study& study);

}  // namespace winnow
