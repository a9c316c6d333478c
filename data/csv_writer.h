// Tables written as text, whole or not at all.
#pragma once
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

// Writes CSV as RFC 4180 (cells quoted where they must be) or, by the ending .tsv, tab-separated; ".gz" and ".zst"
// after it compress. CsvReader reads back the same cells. The file appears at commit() (AtomicFile). IoError: a file
// that cannot be written. DataError: a NUL byte in a cell, a row of another width than the header.
class CsvWriter {
 public:
  CsvWriter(const std::string& path, const std::vector<std::string>& header);
  ~CsvWriter();
  void row(std::span<const std::string_view> cells);
  void commit();
  int64_t rows() const { return rows_; }

 private:
  class Sink;
  void append(std::span<const std::string_view> cells);
  std::unique_ptr<Sink> sink_;
  std::string path_, buffer_;
  size_t width_;
  char separator_ = ',';
  int64_t rows_ = 0;
};

}  // namespace winnow
