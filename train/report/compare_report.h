// The comparison of runs as one HTML page that needs nothing but itself.
#pragma once
#include <string>
#include <vector>

namespace winnow {

// comparison_json: what `winnow compare --json` prints (train/compare.h), of these runs in this order. The curves over
// each other come from the files of the runs; what a run lacks is left out and said. IoError: a directory that is none,
// or holds no run. DataError: comparison_json is no JSON object.
std::string render_compare(const std::vector<std::string>& run_directories, const std::string& comparison_json);

}  // namespace winnow
