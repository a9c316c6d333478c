// The text formats as they are written: a header and a line for each row.
#pragma once
#include <memory>
#include <string>
#include <vector>

#include "data/row_writer.h"

namespace winnow::detail {

class LineWriter {
 public:
  virtual ~LineWriter() = default;
  // What comes before the first row; `first` is the first block, perhaps without rows.
  virtual std::string header(const RowBlock& first) const = 0;
  virtual void append(const RowBlock& block, int64_t row, std::string& text) const = 0;
  const std::vector<std::string>& notes() const { return notes_; }

 protected:
  std::vector<std::string> notes_;
};

std::unique_ptr<LineWriter> make_separated_writer(const std::string& format, std::vector<std::string> columns);
std::unique_ptr<LineWriter> make_jsonl_writer(std::vector<std::string> columns);
std::unique_ptr<LineWriter> make_svm_writer(std::vector<std::string> columns, bool fields);
std::unique_ptr<LineWriter> make_line_writer(const std::string& format, const std::vector<std::string>& columns);

std::unique_ptr<RowWriter> make_sqlite_writer(const SinkSpec& spec, const std::vector<std::string>& columns);
std::unique_ptr<RowWriter> make_parquet_writer(const SinkSpec& spec, const std::vector<std::string>& columns);

// Compresses for the ending of a name: .gz, .zst, else nothing. A frame (gzip: member) holds whole texts; files are
// frames one after another, so that a file may be cut after one and continued.
class Packer {
 public:
  virtual ~Packer() = default;
  virtual void add(std::string_view text, std::string& out) = 0;
  virtual void end_frame(std::string& out) = 0;
};
std::unique_ptr<Packer> make_packer(const std::string& path);

}  // namespace winnow::detail
