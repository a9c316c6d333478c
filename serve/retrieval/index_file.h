// The file of an index: safetensors with checksums; what is not a tensor stands in the metadata.
#pragma once
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "core/safetensors.h"

namespace winnow {

class VectorIndex;

class IndexFile {
 public:
  // Verifies every checksum. IoError: absent, damaged, or no index of a version that this program knows.
  explicit IndexFile(const std::string& path);
  // verify false: without the checksums, for tests of what is behind them.
  IndexFile(const SafeTensors& file, std::string path, bool verify = true);

  const std::string& text(const std::string& key) const;
  int64_t number(const std::string& key, int64_t least, int64_t most) const;
  // IoError unless it has this type and shape; rows -1: any number of them.
  Tensor tensor(const std::string& name, DType dtype, int64_t rows, int64_t width) const;
  // As every problem of the content is told.
  [[noreturn]] void fail(const std::string& problem) const;
  void check(bool holds, const char* problem) const {
    if (!holds) fail(problem);
  }

  using Facts = std::map<std::string, std::string>;
  // Adds type, similarity, width and version to the facts.
  static void save(const std::string& path, const VectorIndex& index, const std::vector<NamedTensor>& tensors,
                   Facts facts);

 private:
  SafeTensors file_;
  std::string path_;
};

// The index in a file that was opened.
std::unique_ptr<VectorIndex> read_index(const IndexFile& file);

}  // namespace winnow
