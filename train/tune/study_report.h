// A study for people and programs.
#pragma once
#include <string>

#include "train/tune/study.h"

namespace winnow {

// The trials, best first: at most `rows`, and how many more there are.
std::string study_table(const Study& study, size_t rows = 20);
// {metric, higher_is_better, best: trial, trials: [...], importance: {key: share}}; best is null when all failed.
std::string study_json(const Study& study);

// A page that needs nothing but itself: the history, the result over each key, how much each key mattered, all trials.
std::string study_page(const Study& study);

// The name of a key in tables: its last part, where that is enough to tell it from the others.
std::string short_name(const SearchSpace& space, const std::string& key);
std::string value_of(const TrialResult& trial, const std::string& key);  // as it was set; "-": it was not

}  // namespace winnow
