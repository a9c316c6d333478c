// Event files as a TensorBoard reads them: the records, their checksums, the messages. The reader here is its own.
#include "train/tensorboard.h"

#include <gtest/gtest.h>

#include <cstring>
#include <filesystem>
#include <map>
#include <optional>

#include "core/file.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

// One protocol buffer message: its fields by number, in order.
struct Fields {
  struct Field {
    int number, type;
    uint64_t varint;
    std::string bytes;
  };
  explicit Fields(const std::string& text) {
    for (size_t i = 0; i < text.size();) {
      const uint64_t key = varint(text, i);
      Field f{static_cast<int>(key >> 3), static_cast<int>(key & 7), 0, ""};
      const size_t fixed = f.type == 1 ? 8 : f.type == 5 ? 4 : 0;
      if (f.type == 0) f.varint = varint(text, i);
      const size_t size = f.type == 2 ? varint(text, i) : fixed;
      f.bytes = text.substr(i, size);
      i += size;
      list.push_back(f);
    }
  }
  static uint64_t varint(const std::string& text, size_t& i) {
    uint64_t v = 0;
    for (int shift = 0;; shift += 7) {
      const auto byte = static_cast<unsigned char>(text.at(i++));
      v |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return v;
    }
  }
  const Field* find(int number) const {
    for (const Field& f : list)
      if (f.number == number) return &f;
    return nullptr;
  }
  template <class T>
  T number(int field) const {
    T v{};
    const Field* f = find(field);
    if (f == nullptr || f->bytes.size() != sizeof(T)) throw std::runtime_error("no such number");
    std::memcpy(&v, f->bytes.data(), sizeof v);
    return v;
  }
  Fields message(int field) const { return Fields(find(field)->bytes); }
  std::vector<Field> list;
};

// The records of a file; a bad length or checksum is a failure.
std::vector<std::string> records(const std::string& path) {
  const std::string text = read_text(path, 1 << 24);
  std::vector<std::string> out;
  for (size_t i = 0; i < text.size();) {
    uint64_t length = 0;
    uint32_t head = 0, body = 0;
    if (i + 12 > text.size()) throw std::runtime_error("a record is cut");
    std::memcpy(&length, text.data() + i, 8);
    std::memcpy(&head, text.data() + i + 8, 4);
    EXPECT_EQ(head, masked_crc32c(text.substr(i, 8)));
    if (i + 16 + length > text.size()) throw std::runtime_error("a record is cut");
    out.push_back(text.substr(i + 12, length));
    std::memcpy(&body, text.data() + i + 12 + length, 4);
    EXPECT_EQ(body, masked_crc32c(out.back()));
    i += 16 + length;
  }
  return out;
}

size_t files_in(const std::string& directory) {
  size_t n = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(directory)) ++n;
  return n;
}

TEST(TensorBoard, TheMaskIsThatOfTFRecord) {
  // crc32c("123456789") is 0xe3069283 (RFC 3720); ((c >> 15) | (c << 17)) + 0xa282ead8
  EXPECT_EQ(masked_crc32c("123456789"), 0xc78ab0e5u);
}

TEST(TensorBoard, EventsHoldStepTimeTagAndValue) {
  const TemporaryDirectory directory;
  TensorBoardWriter writer(directory.path() + "/tensorboard", 1700000000.5);
  writer.scalar("train/loss", 0.625, 300, 1700000001.25);
  const auto all = records(writer.path());
  ASSERT_EQ(all.size(), 3u);
  EXPECT_EQ(Fields(all[0]).find(3)->bytes, "brain.Event:2");
  EXPECT_EQ(Fields(all[1]).message(7).find(1)->varint, 1u) << "SessionLog.START";
  const Fields event(all[2]);
  EXPECT_EQ(event.number<double>(1), 1700000001.25);
  EXPECT_EQ(event.find(2)->varint, 300u);
  const Fields value = event.message(5).message(1);
  EXPECT_EQ(value.find(1)->bytes, "train/loss");
  EXPECT_EQ(value.number<float>(2), 0.625f);
}

TEST(TensorBoard, TextNamesItsPlugin) {
  const TemporaryDirectory directory;
  TensorBoardWriter writer(directory.path(), 1);
  writer.text("config", "    a: 1", 0, 2);
  const Fields value = Fields(records(writer.path()).back()).message(5).message(1);
  EXPECT_EQ(value.message(9).message(1).find(1)->bytes, "text");
  EXPECT_EQ(value.message(8).find(1)->varint, 7u) << "DT_STRING";
  EXPECT_EQ(value.message(8).message(2).message(2).find(1)->varint, 1u);
  EXPECT_EQ(value.message(8).find(8)->bytes, "    a: 1");
}

TEST(TensorBoard, HistogramsKeepEveryCount) {
  const TemporaryDirectory directory;
  TensorBoardWriter writer(directory.path(), 1);
  writer.histogram("scores", {{0, 0.5, 1}, {3, 1}}, 7, 2);
  const Fields h = Fields(records(writer.path()).back()).message(5).message(1).message(5);
  EXPECT_EQ(h.number<double>(3), 4);
  EXPECT_EQ(h.number<double>(4), 3 * 0.25 + 0.75);
  EXPECT_EQ(h.number<double>(5), 3 * 0.0625 + 0.5625);
  double limits[3], counts[3];
  ASSERT_EQ(h.find(6)->bytes.size(), sizeof limits);
  ASSERT_EQ(h.find(7)->bytes.size(), sizeof counts);
  std::memcpy(limits, h.find(6)->bytes.data(), sizeof limits);
  std::memcpy(counts, h.find(7)->bytes.data(), sizeof counts);
  EXPECT_EQ(limits[0], 0);
  EXPECT_EQ(limits[2], 1);
  EXPECT_EQ(counts[0], 0);
  EXPECT_EQ(counts[1], 3);
  EXPECT_EQ(counts[2], 1);
  EXPECT_THROW(writer.histogram("scores", {{0, 1}, {3, 1}}, 7, 2), ShapeError);
}

TEST(TensorBoard, ANewStartTakesThePlaceOfEarlierOnesAndItsNameComesAfterTheirs) {
  const TemporaryDirectory directory;
  write_atomically(directory.path() + "/events.out.tfevents.1.other", "somebody else's");
  const std::string first = TensorBoardWriter(directory.path(), 1700000000).path();
  const std::string second = TensorBoardWriter(directory.path(), 1600000000).path();  // the clock was set back
  EXPECT_FALSE(file_exists(first));
  EXPECT_LT(first, second);
  EXPECT_EQ(files_in(directory.path()), 2u);
}

TEST(TensorBoard, AppendGoesOnInTheSameFile) {
  const TemporaryDirectory directory;
  EXPECT_THROW(TensorBoardWriter::append(directory.path()), IoError);
  const std::string path = TensorBoardWriter(directory.path(), 1).path();
  TensorBoardWriter::append(directory.path()).scalar("test/auc", 0.75, 9, 3);
  EXPECT_EQ(records(path).size(), 3u);
  EXPECT_EQ(files_in(directory.path()), 1u);
}

}  // namespace
}  // namespace winnow
