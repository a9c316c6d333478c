#include "train/tensorboard.h"

#include <bit>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "core/checksum.h"
#include "core/error.h"
#include "core/file.h"

namespace winnow {
namespace {

static_assert(std::endian::native == std::endian::little, "the numbers below are written as they lie in memory");

// A protocol buffer message under construction; the field numbers are those of the .proto files named at their use.
class Message {
 public:
  Message& varint(int field, uint64_t value) {
    key(field, 0);
    raw_varint(value);
    return *this;
  }
  Message& number(int field, double value) {
    key(field, 1);
    return append(&value, sizeof value);
  }
  Message& number(int field, float value) {
    key(field, 5);
    return append(&value, sizeof value);
  }
  Message& bytes(int field, std::string_view value) {
    key(field, 2);
    raw_varint(value.size());
    bytes_ += value;
    return *this;
  }
  Message& packed(int field, std::span<const double> values) {
    return bytes(field, {reinterpret_cast<const char*>(values.data()), values.size_bytes()});
  }
  Message& message(int field, const Message& value) { return bytes(field, value.bytes_); }
  const std::string& str() const { return bytes_; }

 private:
  void key(int field, int wire_type) {
    raw_varint(static_cast<uint64_t>(field) << 3 | static_cast<uint64_t>(wire_type));
  }
  void raw_varint(uint64_t v) {
    for (; v >= 0x80; v >>= 7) bytes_ += static_cast<char>(v | 0x80);
    bytes_ += static_cast<char>(v);
  }
  Message& append(const void* data, size_t size) {
    bytes_.append(static_cast<const char*>(data), size);
    return *this;
  }
  std::string bytes_;
};

Message event(double wall_time, int64_t step) {  // event.proto: Event
  Message m;
  m.number(1, wall_time);
  return m.varint(2, static_cast<uint64_t>(step));
}

// An Event with one Summary.Value (summary.proto).
std::string summary(double wall_time, int64_t step, const Message& value) {
  return event(wall_time, step).message(5, Message().message(1, value)).str();
}

constexpr std::string_view kPrefix = "events.out.tfevents.", kSuffix = ".winnow";

// Our files, oldest first: the number is as wide in all of them.
std::vector<std::filesystem::path> files_in(const std::string& directory) {
  std::vector<std::filesystem::path> files;
  if (!directory_exists(directory)) return files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    const std::string name = entry.path().filename().string();
    if (name.starts_with(kPrefix) && name.ends_with(kSuffix)) files.push_back(entry.path());
  }
  std::ranges::sort(files);
  return files;
}

int64_t number_of(const std::filesystem::path& file) {
  return std::strtoll(file.filename().c_str() + kPrefix.size(), nullptr, 10);
}

}  // namespace

uint32_t masked_crc32c(std::string_view bytes) {
  return std::rotr(crc32c(bytes.data(), bytes.size()), 15) + 0xa282ead8u;
}

TensorBoardWriter::TensorBoardWriter(const std::string& directory, double wall_time) {
  make_directories(directory);
  try {
    // A TensorBoard that is watching goes on to the file whose name comes next, so the number must grow.
    auto start = static_cast<int64_t>(wall_time);
    for (const auto& earlier : files_in(directory)) {
      start = std::max(start, number_of(earlier) + 1);
      std::filesystem::remove(earlier);
    }
    path_ = fmt::format("{}/{}{:010}{}", directory, kPrefix, start, kSuffix);
  } catch (const std::filesystem::filesystem_error& e) {
    raise<IoError>("{}: the event files of an earlier start could not be removed: {}", directory, e.code().message());
  }
  open("wbe");
  Message version;
  write(version.number(1, wall_time).bytes(3, "brain.Event:2").str());
  write(event(wall_time, 0).message(7, Message().varint(1, 1)).str());  // SessionLog.status = START
}

TensorBoardWriter TensorBoardWriter::append(const std::string& directory) {
  const auto files = files_in(directory);
  WN_CHECK(!files.empty(), IoError, "{}: there is no event file to go on with", directory);
  TensorBoardWriter writer;
  writer.path_ = files.back().string();
  writer.open("abe");
  return writer;
}

void TensorBoardWriter::open(const char* mode) {
  file_.reset(std::fopen(path_.c_str(), mode));
  WN_CHECK(file_ != nullptr, IoError, "{}: could not be opened: {}", path_, std::strerror(errno));
}

void TensorBoardWriter::write(const std::string& event) {
  const uint64_t length = event.size();
  const std::string head(reinterpret_cast<const char*>(&length), sizeof length);
  const uint32_t head_crc = masked_crc32c(head), crc = masked_crc32c(event);
  std::string record = head;
  record.append(reinterpret_cast<const char*>(&head_crc), sizeof head_crc);
  record += event;
  record.append(reinterpret_cast<const char*>(&crc), sizeof crc);
  const bool whole = std::fwrite(record.data(), 1, record.size(), file_.get()) == record.size();
  WN_CHECK(whole && std::fflush(file_.get()) == 0, IoError, "{}: writing failed: {}", path_, std::strerror(errno));
}

void TensorBoardWriter::scalar(const std::string& tag, double value, int64_t step, double wall_time) {
  write(summary(wall_time, step, Message().bytes(1, tag).number(2, static_cast<float>(value))));
}

void TensorBoardWriter::text(const std::string& tag, const std::string& markdown, int64_t step, double wall_time) {
  constexpr uint64_t kString = 7;                                      // types.proto: DT_STRING
  const Message shape = Message().message(2, Message().varint(1, 1));  // tensor_shape.proto: one dimension of size 1
  const Message tensor = Message().varint(1, kString).message(2, shape).bytes(8, markdown);
  const Message metadata = Message().message(1, Message().bytes(1, "text"));  // the plugin that shows it
  write(summary(wall_time, step, Message().bytes(1, tag).message(8, tensor).message(9, metadata)));
}

void TensorBoardWriter::histogram(const std::string& tag, const TensorBoardHistogram& h, int64_t step,
                                  double wall_time) {
  WN_CHECK(!h.counts.empty() && h.edges.size() == h.counts.size() + 1, ShapeError,
           "a histogram of {} counts needs {} edges, not {}", h.counts.size(), h.counts.size() + 1, h.edges.size());
  double n = 0, sum = 0, squares = 0;  // of values at the middle of their bin: only the bins are known
  for (size_t i = 0; i < h.counts.size(); ++i) {
    const double middle = (h.edges[i] + h.edges[i + 1]) / 2;
    n += h.counts[i];
    sum += h.counts[i] * middle;
    squares += h.counts[i] * middle * middle;
  }
  // bucket i of HistogramProto (summary.proto) ends at bucket_limit i; the first is empty and ends where the bins begin
  std::vector<double> counts = {0};
  counts.insert(counts.end(), h.counts.begin(), h.counts.end());
  Message m;
  m.number(1, h.edges.front()).number(2, h.edges.back()).number(3, n).number(4, sum).number(5, squares);
  m.packed(6, h.edges).packed(7, counts);
  write(summary(wall_time, step, Message().bytes(1, tag).message(5, m)));
}

}  // namespace winnow
