// The rules of the format, the bugs of other loaders as named tests, and damage of every byte.
#include "core/safetensors.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "core/file.h"

namespace winnow {
namespace {

// A file of a header, whatever it holds, and `data` bytes 1, 2, 3, ...
std::string bytes_of(const std::string& header, size_t data = 0) {
  std::string file(8, '\0');
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(uint64_t{header.size()} >> (8 * i));
  file += header;
  for (size_t i = 0; i < data; ++i) file += static_cast<char>(i + 1);
  return file;
}

SafeTensors parse(const std::string& file) {
  auto owner = std::make_shared<std::string>(file);
  return SafeTensors::parse(std::as_bytes(std::span(*owner)), owner, "m.safetensors");
}

void expect_refused(const std::string& file, const std::string& reason) {
  try {
    parse(file);
    ADD_FAILURE() << "accepted, expected: " << reason;
  } catch (const IoError& e) {
    const std::string text = e.what();
    EXPECT_EQ(text.rfind("m.safetensors: header: ", 0), 0u) << text;
    EXPECT_NE(text.find(reason), std::string::npos) << text << "\n  expected: " << reason;
    EXPECT_LT(text.size(), 400u) << "foreign text in a message is cut";
  }
}

void expect_header_refused(const std::string& header, const std::string& reason, size_t data = 0) {
  SCOPED_TRACE(header.substr(0, 200));
  expect_refused(bytes_of(header, data), reason);
}

// One tensor "a" with the given fields, as JSON text.
std::string tensor(const std::string& dtype, const std::string& shape, const std::string& offsets,
                   const std::string& name = "a") {
  return fmt::format(R"("{}":{{"dtype":{},"shape":{},"data_offsets":{}}})", name, dtype, shape, offsets);
}
std::string one(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return fmt::format("{{{}}}", tensor(dtype, shape, offsets));
}

TEST(Safetensors, ReadsWhatTheFormatAllows) {
  const SafeTensors file = parse(bytes_of(R"({"b" : {"data_offsets":[8,12], "shape":[], "dtype":"I32"},
    "__metadata__":{"format":"pt","\u00e9\"\n":""},
    "a\ud83d\ude00":{"dtype":"F32","shape":[2,1],"data_offsets":[0,8]},
    "empty":{"dtype":"F64","shape":[0,7],"data_offsets":[8,8]}}   )",
                                          12));
  EXPECT_EQ(file.names(), (std::vector<std::string>{"b", "a\xf0\x9f\x98\x80", "empty"}));
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"\xc3\xa9\"\n", ""}}));
  EXPECT_EQ(file.at("b").item<int32_t>(), 0x0c0b0a09);
  EXPECT_EQ(file.at("a\xf0\x9f\x98\x80").shape(), (Shape{2, 1}));
  EXPECT_EQ(file.at("empty").spec(), (TensorSpec{DType::F64, {0, 7}}));
  EXPECT_EQ(*file.spec("b"), (TensorSpec{DType::I32, {}}));
  EXPECT_EQ(file.spec("c"), nullptr);
  EXPECT_FALSE(file.find("c").defined());
  EXPECT_FALSE(file.has_checksums());
  EXPECT_THROW(file.verify(), IoError);
  EXPECT_TRUE(parse(bytes_of("{}")).entries().empty());
  EXPECT_TRUE(parse(bytes_of(R"({"__metadata__":{}})")).entries().empty());
}

TEST(Safetensors, AllDtypes) {
  for (const auto& [word, dtype] : std::vector<std::pair<std::string, DType>>{{"F32", DType::F32},
                                                                              {"BF16", DType::BF16},
                                                                              {"F64", DType::F64},
                                                                              {"I8", DType::I8},
                                                                              {"U8", DType::U8},
                                                                              {"I32", DType::I32},
                                                                              {"I64", DType::I64}}) {
    const size_t bytes = 3 * size_of(dtype);
    const auto file = parse(bytes_of(one(fmt::format("\"{}\"", word), "[3]", fmt::format("[0,{}]", bytes)), bytes));
    EXPECT_EQ(file.at("a").dtype(), dtype);
  }
}

TEST(Safetensors, AbsentNameSuggestsTheNearest) {
  try {
    parse(bytes_of(one("\"F32\"", "[2]", "[0,8]"), 8)).at("b");
    FAIL();
  } catch (const IoError& e) { EXPECT_STREQ(e.what(), "m.safetensors: no tensor 'b'; did you mean 'a'?"); }
}

// Rules of the format, in the order of the header comment.
TEST(SafetensorsRules, FileOfAtLeastEightBytes) {
  for (size_t n = 0; n < 8; ++n) expect_refused(std::string(n, '\0'), "at least 8");
}
TEST(SafetensorsRules, HeaderOfAtMost100MB) {
  std::string file = bytes_of("{}");
  for (const uint64_t size : {uint64_t{100'000'001}, uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} - 7}) {
    for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(size >> (8 * i));
    expect_refused(file, "100000000 are allowed");
  }
}
TEST(SafetensorsRules, HeaderWithinTheFile) {
  std::string file = bytes_of("{}");
  file[0] = 3;
  expect_refused(file, "3 bytes are declared, the file holds 2");
}
TEST(SafetensorsRules, HeaderIsUtf8) { expect_header_refused("{\"\xff\":1}", "UTF-8"); }
TEST(SafetensorsRules, HeaderStartsWithABrace) {
  for (const char* header : {"", " {}", "[]", "null", "\xef\xbb\xbf{}"})
    expect_header_refused(header, "must start with");
}
TEST(SafetensorsRules, OnlySpacesBehindTheObject) {
  for (const char* header : {"{}{}", "{}\n", "{} x", "{},"}) expect_header_refused(header, "only spaces");
  expect_refused(bytes_of(std::string("{}\0", 3)), "only spaces");
}
TEST(SafetensorsRules, JsonIsWellFormed) {
  for (const char* header :
       {"{", "{\"a\"", "{\"a\":", "{\"a\":{", "{,}", "{\"a\" 1}", "{a:1}", "{\"a\":[]}", "{\"a\":null}"})
    expect_header_refused(header, "expected");
  expect_header_refused(R"({"a)", "does not end");
  expect_header_refused("{" + tensor("\"F32\"", "[2]", "[0,8]") + ",}", "expected '\"'", 8);
  expect_header_refused("{\"a\nb\":1}", "control character");
  for (const char* bad : {R"("\x")", R"("\)", R"("\u12G4")", R"("\u12)"})
    expect_header_refused(std::string("{") + bad, "byte");
  for (const char* bad : {R"("\ud800")", R"("\ud800x")", R"("\ud800\n")", R"("\ud800\u0041")", R"("\udc00")"})
    expect_header_refused(std::string("{") + bad + ":1}", "surrogate");
}
TEST(SafetensorsRules, NumbersAreNonNegativeIntegers) {
  for (const char* bad :
       {"[-1]", "[1.0]", "[1e3]", "[\"2\"]", "[+1]", "[0x10]", "[null]", "[2,]", "[,2]", "[2 3]", "2", "[[2]]"})
    expect_header_refused(one("\"F32\"", bad, "[0,8]"), "expected", 8);
  for (const char* bad : {"[02]", "[00]"}) expect_header_refused(one("\"F32\"", bad, "[0,8]"), "leading zero", 8);
  expect_header_refused(one("\"U8\"", "[18446744073709551616]", "[0,8]"), "64 bits", 8);
  for (const char* bad : {"[]", "[0]", "[0,8,9]", "[0,-8]", "[0,8.0]", "8"})
    expect_header_refused(one("\"F32\"", "[2]", bad), "expected", 8);
}
TEST(SafetensorsRules, EachFieldOnceAndNoOther) {
  expect_header_refused(R"({"a":{}})", "dtype is missing");
  expect_header_refused(R"({"a":{"dtype":"F32","data_offsets":[0,4]}})", "shape is missing", 4);
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[1]}})", "data_offsets is missing", 4);
  expect_header_refused(R"({"a":{"dtype":"F32","dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
                        "dtype is given twice", 4);
  expect_header_refused(R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4],"x":1}})", "unknown field 'x'", 4);
}
TEST(SafetensorsRules, NamesOnlyOnce) {
  const std::string first = tensor("\"U8\"", "[1]", "[0,1]"), second = tensor("\"U8\"", "[1]", "[1,2]");
  expect_header_refused("{" + first + "," + second + "}", "'a' is given twice", 2);
  expect_header_refused("{" + first + "," + tensor("\"U8\"", "[1]", "[1,2]", "\\u0061") + "}", "'a' is given twice", 2);
  expect_header_refused(R"({"__metadata__":{},"__metadata__":{}})", "given twice");
  expect_header_refused(R"({"__metadata__":{"k":"1","k":"1"}})", "given twice");
}
TEST(SafetensorsRules, NamesOfAtMost512Bytes) {
  const std::string longest(512, 'n');
  EXPECT_TRUE(parse(bytes_of("{" + tensor("\"U8\"", "[1]", "[0,1]", longest) + "}", 1)).find(longest).defined());
  expect_header_refused("{" + tensor("\"U8\"", "[1]", "[0,1]", longest + "n") + "}", "513 bytes, 512 are allowed", 1);
  expect_header_refused("{" + tensor("\"U8\"", "[1]", "[0,1]", "a\\u0000b") + "}", "NUL", 1);
}
TEST(SafetensorsRules, MetadataIsStringToString) {
  for (const char* bad :
       {"1", "[]", "null", "\"x\"", R"({"k":1})", R"({"k":null})", R"({"k":{}})", R"({"k":["x"]})", R"({1:"x"})"})
    expect_header_refused(std::string(R"({"__metadata__":)") + bad + "}", "expected");
}
TEST(SafetensorsRules, RankOfAtMostSix) {
  EXPECT_EQ(parse(bytes_of(one("\"U8\"", "[1,1,1,1,1,1]", "[0,1]"), 1)).at("a").shape().rank(), 6);
  expect_header_refused(one("\"U8\"", "[1,1,1,1,1,1,1]", "[0,1]"), "rank over 6", 1);
}
TEST(SafetensorsRules, OffsetsGiveTheSizeOfTheShape) {
  expect_header_refused(one("\"F32\"", "[2]", "[0,7]"), "needs 8 bytes, its offsets span 7", 7);
  expect_header_refused(one("\"F32\"", "[2]", "[8,0]"), "before its begin", 8);
  expect_header_refused(one("\"F32\"", "[]", "[0,0]"), "needs 4 bytes, its offsets span 0");
  expect_header_refused(one("\"F32\"", "[0]", "[0,4]"), "needs 0 bytes, its offsets span 4", 4);
}
TEST(SafetensorsRules, DataIsCoveredWithoutHoleOrOverlap) {
  const auto two = [](const char* first, const char* second) {
    return "{" + tensor("\"U8\"", "[4]", first) + "," + tensor("\"U8\"", "[4]", second, "b") + "}";
  };
  EXPECT_EQ(parse(bytes_of(two("[4,8]", "[0,4]"), 8)).entries().size(), 2u);
  expect_header_refused(two("[0,4]", "[5,9]"), "behind a hole that starts at 4", 9);
  expect_header_refused(two("[1,5]", "[5,9]"), "behind a hole that starts at 0", 9);
  expect_header_refused(two("[0,4]", "[3,7]"), "inside the tensor that ends at 4", 7);
  expect_header_refused(two("[0,4]", "[0,4]"), "inside the tensor that ends at 4", 4);
}
TEST(SafetensorsRules, DataEndsWithTheFile) {
  expect_header_refused(one("\"F32\"", "[2]", "[0,8]"), "ends at 8, the file holds 7", 7);
  expect_header_refused(one("\"F32\"", "[2]", "[0,8]"), "cover 8 of 9", 9);  // a polyglot's second half
  expect_header_refused("{}", "cover 0 of 1", 1);
}
TEST(SafetensorsRules, DeepNestingIsRefusedWithoutRecursion) {
  expect_header_refused(R"({"a":)" + std::string(1'000'000, '['), "expected '{'");
  expect_header_refused(std::string(1'000'000, '{'), "expected '\"'");
  expect_header_refused(one("\"U8\"", std::string(1'000'000, '['), "[0,1]"), "expected a non-negative integer", 1);
}

// The bugs of the GGUF loaders, each tried on this one.
TEST(OtherLoadersBugs, CountTrustedBeforeTheBytesExist) {  // CVE-2024-23605: allocation from header.n_kv
  std::string file = bytes_of(R"({"a":)");
  const uint64_t declared = 99'999'999;
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(declared >> (8 * i));
  expect_refused(file, "99999999 bytes are declared");
  expect_header_refused(one("\"U8\"", "[72057594037927935]", "[0,72057594037927935]"), "the file holds 1 bytes", 1);
}
TEST(OtherLoadersBugs, SumOfTensorSizesWraps) {  // CVE-2025-53630: ctx->size += overflow
  const std::string half = "[9223372036854775807]", small = tensor("\"U8\"", "[2]", "[18446744073709551614,0]", "c");
  expect_header_refused("{" + tensor("\"U8\"", half, "[0,9223372036854775807]") + "," +
                            tensor("\"U8\"", half, "[9223372036854775807,18446744073709551614]", "b") + "," + small +
                            "}",
                        "too many elements", 2);
  const std::string large = "[72057594037927935]";
  expect_header_refused("{" + tensor("\"F64\"", large, "[0,576460752303423480]") + "," +
                            tensor("\"F64\"", large, "[576460752303423480,1152921504606846960]", "b") + "}",
                        "the file holds 8", 8);
}
TEST(OtherLoadersBugs, TotalOfHeaderAndDataWraps) {  // CVE-2026-27940: mem_size computed from counts
  expect_header_refused(one("\"U8\"", "[8]", "[18446744073709551608,18446744073709551616]"), "64 bits", 8);
  expect_header_refused(one("\"U8\"", "[7]", "[18446744073709551608,18446744073709551615]"), "behind a hole", 8);
}
TEST(OtherLoadersBugs, ByteCountOfAShapeWraps) {  // CVE-2026-33298: ggml_nbytes
  expect_header_refused(one("\"F32\"", "[4611686018427387904]", "[0,0]"), "too many elements");    // * 4 = 2^64
  expect_header_refused(one("\"F64\"", "[4294967296,4294967296]", "[0,0]"), "too many elements");  // product 2^64
  expect_header_refused(one("\"U8\"", "[9223372036854775808,2]", "[0,0]"), "overflows");           // an extent of 2^63
  expect_header_refused(one("\"U8\"", "[18446744073709551615]", "[0,0]"), "overflows");            // -1 as int64
}
TEST(OtherLoadersBugs, PaddingWraps) {  // GGML_PAD(size, alignment) near SIZE_MAX
  std::string file = bytes_of("{}");
  for (size_t i = 0; i < 8; ++i) file[i] = static_cast<char>(0xf9);  // 8 + N would wrap
  expect_refused(file, "are allowed");
  std::fill(file.begin(), file.begin() + 8, '\xff');
  expect_refused(file, "are allowed");
}
TEST(OtherLoadersBugs, ExtentZeroBesideAHugeOne) {  // INT64_MAX / ne[j] with ne[j] == 0
  expect_header_refused(one("\"F32\"", "[0,9223372036854775807]", "[0,0]"), "too many elements");
  expect_header_refused(one("\"F32\"", "[9223372036854775807,0]", "[0,0]"), "too many elements");
  EXPECT_EQ(parse(bytes_of(one("\"F32\"", "[0,0,3]", "[0,0]"))).at("a").numel(), 0);
}
TEST(OtherLoadersBugs, AlignmentTakenFromTheFile) {  // general.alignment without an upper bound
  for (const char* alignment : {"0", "3", "18446744073709551615", "-1"}) {
    const auto file =
        parse(bytes_of(std::string(R"({"__metadata__":{"general.alignment":")") + alignment + "\"}," +
                           tensor("\"U8\"", "[1]", "[0,1]") + "," + tensor("\"F32\"", "[1]", "[1,5]", "b") + "}",
                       5));
    const Tensor b = file.at("b");  // the data's own place decides: misaligned data is copied
    EXPECT_EQ(reinterpret_cast<uintptr_t>(b.raw()) % alignof(float), 0u);
    EXPECT_EQ(b.to(DType::F32).item<float>(), __builtin_bit_cast(float, 0x05040302));
  }
}
TEST(OtherLoadersBugs, ElementTypeUnchecked) {  // array element types used as an index
  for (const char* bad :
       {"\"F16\"", "\"f32\"", "\"F32 \"", "\"\"", "\"F32\\u0000\"", "\"BOOL\"", "\"U64\"", "\"F8_E4M3\""})
    expect_header_refused(one(bad, "[2]", "[0,8]"), "is not supported", 8);
  for (const char* bad : {"0", "999999", "null", "[\"F32\"]", "{}"})
    expect_header_refused(one(bad, "[2]", "[0,8]"), "expected", 8);
}

class SafetensorsFile : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (std::filesystem::temp_directory_path() / "winnow_safetensors_XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    directory_ = pattern;
    path_ = directory_ + "/m.safetensors";
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string saved(const std::vector<NamedTensor>& tensors, const std::map<std::string, std::string>& metadata = {}) {
    save_safetensors(path_, tensors, metadata);
    return read_text(path_, 1 << 24);
  }
  std::string directory_, path_;
};

std::vector<NamedTensor> small_model() {
  return {{"id", Tensor::of<uint8_t>({1, 2, 3}, {3})},
          {"encoder.0.weight", Tensor::of<float>({1.5f, -2.0f, 0.25f, 4.0f, 5.0f, 6.0f}, {2, 3})},
          {"quote\"\\\n\xc3\xa9", Tensor::of<int64_t>({-1}, {})},
          {"empty", Tensor(TensorSpec{DType::BF16, {0, 4}})},
          {"half", Tensor::of<bf16>({bf16(1.0f), bf16(2.0f), bf16(3.0f)}, {3, 1})}};
}

TEST_F(SafetensorsFile, RoundTripKeepsOrderBitsAndMetadata) {
  save_safetensors(path_, small_model(), {{"format", "pt"}, {"a\tb", "\x01"}});
  const SafeTensors file = SafeTensors::open(path_);
  file.verify();
  EXPECT_EQ(file.metadata(), (std::map<std::string, std::string>{{"format", "pt"}, {"a\tb", "\x01"}}));
  EXPECT_EQ(file.names(), (std::vector<std::string>{"id", "encoder.0.weight", "quote\"\\\n\xc3\xa9", "empty", "half"}));
  for (const NamedTensor& t : small_model()) {
    const Tensor loaded = file.at(t.name);
    EXPECT_EQ(loaded.spec(), t.tensor.spec());
    EXPECT_EQ(std::memcmp(loaded.raw(), t.tensor.raw(), t.tensor.bytes()), 0) << t.name;
  }
  save_safetensors(path_, {});
  SafeTensors::open(path_).verify();
}

TEST_F(SafetensorsFile, OwnFilesAreAlignedAndNeverCopied) {
  save_safetensors(path_, small_model());
  const SafeTensors file = SafeTensors::open(path_);
  const auto start = reinterpret_cast<uintptr_t>(file.at("quote\"\\\n\xc3\xa9").raw());
  EXPECT_EQ(start % 64, 0u) << "the data starts aligned, with the widest elements first";
  for (const std::string& name : file.names()) {
    EXPECT_EQ(reinterpret_cast<uintptr_t>(file.at(name).raw()) % size_of(file.at(name).dtype()), 0u) << name;
    EXPECT_EQ(file.at(name).raw(), file.at(name).raw()) << name << " is a view, not a copy";
  }
}

TEST_F(SafetensorsFile, ViewsOutliveTheFileObject) {
  save_safetensors(path_, small_model());
  const Tensor weight = SafeTensors::open(path_).at("encoder.0.weight");
  save_safetensors(path_, {});
  EXPECT_EQ(weight.data<float>()[5], 6.0f);
}

TEST_F(SafetensorsFile, BytesDependOnTheArgumentsAlone) {
  const std::string first = saved(small_model(), {{"x", "1"}, {"a", "2"}});
  EXPECT_EQ(saved(small_model(), {{"a", "2"}, {"x", "1"}}), first);
  // Checksums computed by an independent program. A change of these bytes is a change of the format and must be
  // deliberate.
  const std::string tiny = saved({{"w", Tensor::of<float>({1.0f}, {1})}});
  const std::string header = R"({"__metadata__":{"winnow.crc32c":"dd54c4ab","winnow.header_crc32c":"924cfd88"},)"
                             R"("w":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
  EXPECT_EQ(tiny.substr(8, header.size()), header);
  EXPECT_EQ(tiny.size() % 64, 4u);
}

TEST_F(SafetensorsFile, TruncationAtEveryByteIsRefused) {
  const std::string whole = saved(small_model());
  for (size_t n = 0; n < whole.size(); ++n) {
    std::ofstream(path_, std::ios::binary).write(whole.data(), static_cast<std::streamsize>(n));
    EXPECT_THROW(SafeTensors::open(path_), IoError) << n;
  }
}

TEST_F(SafetensorsFile, EveryFlippedBitIsDetected) {
  const std::string whole = saved(small_model(), {{"format", "pt"}});
  for (size_t i = 0; i < whole.size(); ++i)
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(damaged[i] ^ (1 << bit));
      EXPECT_THROW(parse(damaged).verify(), IoError) << "byte " << i << " bit " << bit;
    }
}

TEST_F(SafetensorsFile, EveryByteSetToAnythingIsDetected) {
  const std::string whole = saved({{"w", Tensor::of<float>({1.0f}, {1})}});
  for (size_t i = 0; i < whole.size(); ++i)
    for (int value = 0; value < 256; ++value) {
      std::string damaged = whole;
      damaged[i] = static_cast<char>(value);
      if (damaged == whole) continue;
      EXPECT_THROW(parse(damaged).verify(), IoError) << "byte " << i << " set to " << value;
    }
}

TEST_F(SafetensorsFile, DamageIsNamed) {
  std::string damaged = saved({{"w", Tensor::of<float>({1.0f}, {1})}});
  damaged.back() = static_cast<char>(damaged.back() ^ 1);
  const SafeTensors file = parse(damaged);
  try {
    file.verify();
    FAIL();
  } catch (const IoError& e) {
    EXPECT_STREQ(e.what(), "m.safetensors: the checksum of tensor 'w' differs: the file is damaged");
  }
}

TEST_F(SafetensorsFile, ReservedOrInvalidNamesAreRefusedOnSaving) {
  const Tensor t = Tensor::of<float>({1.0f}, {1});
  for (const std::string& bad :
       {std::string("__metadata__"), std::string(513, 'n'), std::string("a\0b", 3), std::string("\xff")})
    EXPECT_THROW(save_safetensors(path_, {{bad, t}}), IoError);
  EXPECT_THROW(save_safetensors(path_, {{"a", t}, {"b", t}, {"a", t}}), IoError);
  EXPECT_THROW(save_safetensors(path_, {{"a", Tensor()}}), IoError);
  EXPECT_THROW(save_safetensors(path_, {{"a", t}}, {{"winnow.crc32c", "0"}}), IoError);
  EXPECT_THROW(save_safetensors(path_, {{"a", t}}, {{"k", "\xff"}}), IoError);
  EXPECT_FALSE(file_exists(path_));
}

}  // namespace
}  // namespace winnow
