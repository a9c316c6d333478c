// <run>/predictions.safetensors: what a run predicted for each row of a split, so that runs can be compared row by row.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "train/metrics.h"

namespace winnow {

// Tensors logits, labels, weights f32 [N], users, items i64 [N] (positions in the run's own key lists); metadata
// "split", "model" and "data".
struct Predictions {
  std::vector<float> logits = {}, labels = {}, weights = {};
  std::vector<int64_t> users = {}, items = {};
  std::string split = {};  // train, valid, test
  std::string model = {};  // its name
  std::string data = {};   // fingerprint_of the split
  MetricRows rows() const { return {logits, labels, weights, users}; }
};

// "n=10000 h=0123456789abcdef": the number of rows and a 64-bit FNV-1a hash of each row's label, user key and item key,
// in order. Runs on the same rows have the same one, however their features are encoded.
std::string fingerprint_of(const Dataset& dataset, Split split);

void save_predictions(const std::string& path, const Predictions& predictions);  // atomic; IoError
// IoError: a damaged file; DataError: a tensor or entry that is missing, of another type or length.
Predictions load_predictions(const std::string& path);

}  // namespace winnow
