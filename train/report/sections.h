// The sections of a run's report; each is empty when the run has nothing for it. They read what they find and pass over
// what has another form than expected.
#pragma once
#include <string>
#include <vector>

#include "train/report/run_files.h"

namespace winnow {

std::string headline_section(const RunFiles& files);    // what was trained on what, the key metrics beside baselines
std::string warnings_box(const RunFiles& files);        // leaks, at the top because they make the rest doubtful
std::string training_section(const RunFiles& files);    // loss, validation metrics, rate and gradient norm by step
std::string evaluation_section(const RunFiles& files);  // all metrics, ROC, PR, calibration, scores, confusion matrix
std::string classes_section(const RunFiles& files);     // of a text job: classes, confused pairs, abstention
std::string values_section(const RunFiles& files);      // of a text job: predicted values by decile
std::string ranking_section(const RunFiles& files);     // ranking metrics beside baselines
std::string slices_section(const RunFiles& files);      // metrics of parts of the split
std::string importance_section(const RunFiles& files);  // permutation importance
std::string data_section(const RunFiles& files);        // rows read and kept, cleaning, splits, vocabularies
std::string memory_section(const RunFiles& files);      // what takes how much
std::string reproduce_section(const RunFiles& files);   // command, config, version and machine

// The config without what tells about the machine it came from: of absolute paths the last part stays, of URLs the
// scheme.
std::string without_places(const std::string& text);

}  // namespace winnow
