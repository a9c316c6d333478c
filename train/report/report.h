// The report of a run: one HTML page that needs nothing but itself, made of the run's files alone.
#pragma once
#include <string>

#include "train/report/run_files.h"

namespace winnow {

// Sections for which the run has no files are left out, and the page says so. Text from the files is escaped; paths and
// addresses of the config are shortened (without_places in sections.h).
std::string render_report(const RunFiles& files);

}  // namespace winnow
