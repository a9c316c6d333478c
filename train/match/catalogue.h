// The items of a file as vectors, to be searched by text.
#pragma once
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "train/match/search.h"
#include "train/match/training.h"

namespace winnow {

struct CatalogueSpec {
  std::string path;                       // any table that open_rows() reads
  std::vector<std::string> columns = {};  // of the text, joined by ", "; empty: the only one
  std::string id;                         // a column; "" none: the text is the identity
  bool cache = true;                      // keep the vectors beside the file
};

// What to print for a query: the best k, those of at least a cosine, or both.
struct MatchRule {
  std::optional<int64_t> k;
  std::optional<double> threshold;
};

class MatchCatalogue {
 public:
  // Distinct items (by id, else by text) in order of first appearance. Their vectors are read from
  // "<path>.<fingerprint>.vectors.safetensors" where that was made of the same texts by the same encoder, else they are
  // made and written there. DataError: an empty file, several columns and none named; IoError.
  MatchCatalogue(const CatalogueSpec& spec, const OpenedMatcher& matcher);
  int64_t size() const { return static_cast<int64_t>(texts_.size()); }
  bool reused() const { return reused_; }  // the vectors of an earlier start
  const std::string& cache_path() const { return cache_path_; }
  const std::string& cache_error() const { return cache_error_; }  // why the vectors could not be kept; "" they were
  const std::string& id(int32_t item) const { return ids_[static_cast<size_t>(item)]; }
  const std::string& text(int32_t item) const { return texts_[static_cast<size_t>(item)]; }
  const Tensor& vectors() const { return vectors_; }

  // The items of each query by falling cosine. dims: the first of the vectors' elements; 0: all.
  std::vector<std::vector<Neighbour>> search(std::span<const std::string> queries, const MatchRule& rule,
                                             int64_t dims = 0) const;

 private:
  void read(const CatalogueSpec& spec);
  bool read_cache();
  void write_cache();
  const OpenedMatcher& matcher_;
  std::vector<std::string> ids_, texts_;
  Tensor vectors_;
  std::string cache_path_, cache_error_, fingerprint_;
  bool reused_ = false;
};

}  // namespace winnow
