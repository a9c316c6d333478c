// TensorBoard event files, written without TensorFlow: a TFRecord is
//   length u64 | masked crc32c of the length u32 | bytes | masked crc32c of the bytes u32      (little endian)
//   masked(c) = (c rotated right by 15) + 0xa282ead8
// and its bytes are one tensorflow.Event (tensorflow/core/util/event.proto) in protocol buffer wire format.
//
// The log of a run is a function of its metrics.jsonl: a start writes a new file and removes those before it, a resumed
// run first repeats the lines that its checkpoint kept, with their own wall times. So no step is there twice and none
// lies beyond the checkpoint; the SessionLog event at the top tells a TensorBoard that is watching to forget the rest.
#pragma once
#include <cstdint>
#include <cstdio>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

struct TensorBoardHistogram {
  std::vector<double> edges;   // increasing, one more than counts
  std::vector<double> counts;  // not negative
};

class TensorBoardWriter {
 public:
  // Makes `directory`, where "events.out.tfevents.<start, 10 digits>.winnow" is the one file of ours afterwards.
  // IoError.
  TensorBoardWriter(const std::string& directory, double wall_time);
  // Goes on behind the events of the file in `directory`. IoError when there is none.
  static TensorBoardWriter append(const std::string& directory);
  // Each event is in the file when the call returns. IoError.
  void scalar(const std::string& tag, double value, int64_t step, double wall_time);
  void text(const std::string& tag, const std::string& markdown, int64_t step, double wall_time);
  void histogram(const std::string& tag, const TensorBoardHistogram& histogram, int64_t step, double wall_time);
  const std::string& path() const { return path_; }

 private:
  TensorBoardWriter() = default;
  void open(const char* mode);
  void write(const std::string& event);
  struct Close {
    void operator()(std::FILE* f) const { std::fclose(f); }
  };
  std::string path_;
  std::unique_ptr<std::FILE, Close> file_;
};

uint32_t masked_crc32c(std::string_view bytes);

}  // namespace winnow
