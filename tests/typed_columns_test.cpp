// data/typed_columns.h: types, missing cells, categories, numbers to the last bit, errors.
#include "data/typed_columns.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <random>

#include "core/error.h"
#include "data/detail/parse_number.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

TEST(TypedColumns, TypesAreInferredAndMissingCellsMarked) {
  const TemporaryDirectory directory;
  directory.write("x.csv", "i,f,t,none,c\n1,0.5,a,,red\n,2,,,blue\n-3,,bcdefghijklmnopqrstuvwxyz,,red\n4,1e3,xy,,\n");
  TypedReader reader({.path = directory.path() + "/x.csv"}, {{"c", ColumnType::Category}});
  EXPECT_EQ(reader.types(), (std::vector<ColumnType>{ColumnType::Int64, ColumnType::Float64, ColumnType::Text,
                                                     ColumnType::Text, ColumnType::Category}));
  TypedBlock block;
  ASSERT_TRUE(reader.next(block));
  ASSERT_EQ(block.rows, 4);
  EXPECT_EQ(block.columns[0].ints, (std::vector<int64_t>{1, kMissingInt, -3, 4}));
  EXPECT_EQ(block.columns[1].floats[0], 0.5);
  EXPECT_TRUE(std::isnan(block.columns[1].floats[2]));
  EXPECT_EQ(block.columns[1].floats[3], 1000);
  EXPECT_EQ(block.columns[2].text(0), "a");
  EXPECT_EQ(block.columns[2].text(1), "");
  EXPECT_EQ(block.columns[2].text(2), "bcdefghijklmnopqrstuvwxyz");
  EXPECT_EQ(block.columns[4].codes, (std::vector<int32_t>{0, 1, 0, -1}));
  EXPECT_EQ(reader.categories(4).text(1), "blue");
  EXPECT_FALSE(reader.next(block));
}

TEST(TypedColumns, CategoriesAndOrderDoNotDependOnThreads) {
  const TemporaryDirectory directory;
  std::string text = "n,c\n";
  for (int i = 0; i < 30000; ++i) text += std::to_string(i) + ",c" + std::to_string((i * 37) % 1009) + "\n";
  directory.write("x.csv", text);
  for (const int threads : {1, 2, 4}) {
    TypedReader reader({.path = directory.path() + "/x.csv", .threads = threads, .block_bytes = 3000},
                       {{"c", ColumnType::Category}});
    int64_t row = 0;
    for (TypedBlock block; reader.next(block);)
      for (int64_t r = 0; r < block.rows; ++r, ++row) {
        ASSERT_EQ(block.columns[0].ints[static_cast<size_t>(r)], row);
        ASSERT_EQ(block.columns[1].codes[static_cast<size_t>(r)], row % 1009);
      }
    EXPECT_EQ(row, 30000);
    EXPECT_EQ(reader.categories(1).text(5), "c" + std::to_string(5 * 37));
  }
}

TEST(TypedColumns, ErrorsNameFileLineAndColumn) {
  const TemporaryDirectory directory;
  std::string text = "a,b\n";
  for (int i = 0; i < 1000; ++i) text += "1,2\n";
  directory.write("x.csv", text + "1,2.5\n");
  const std::string path = directory.path() + "/x.csv";
  const auto error = [&](const std::map<std::string, ColumnType>& types) -> std::string {
    try {
      TypedReader reader({.path = path, .block_bytes = 512}, types);
      for (TypedBlock block; reader.next(block);) {}
    } catch (const Error& e) { return e.what(); }
    return "no error";
  };
  EXPECT_EQ(
      error({}),
      path +
          ":1002: column 'b': '2.5' is not an int64, which the cells of the first block are; give the column a type");
  EXPECT_EQ(error({{"b", ColumnType::Int64}}), path + ":1002: column 'b': '2.5' is not an int64");
  EXPECT_EQ(error({{"b", ColumnType::Float64}}), "no error");
  EXPECT_EQ(error({{"c", ColumnType::Text}}).substr(0, 46),
            "a type is given for column 'c', which " + path.substr(0, 8));
}

TEST(TypedColumns, IntegersOfEveryLength) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 200000; ++round) {
    const int64_t x = static_cast<int64_t>(random()) >> (round % 64);
    if (x == INT64_MIN) continue;
    int64_t y;
    ASSERT_TRUE(detail::parse_int64(std::to_string(x), y));
    ASSERT_EQ(x, y);
  }
  int64_t y;
  for (const char* text :
       {"", "-", "+1", " 1", "1 ", "1a", "a", "1234567a", "/2345678", "12345678:", "9223372036854775808",
        "-9223372036854775808", "99999999999999999999", "1.0", "--1", "0x1", "12345\xB1", "\xB1"})
    EXPECT_FALSE(detail::parse_int64(text, y)) << text;
  EXPECT_TRUE(detail::parse_int64("00000000000000000000000012", y) && y == 12);
  EXPECT_TRUE(detail::parse_int64("-0", y) && y == 0);
}

TEST(TypedColumns, FloatsAreTheBitsOfTheGeneralParser) {
  std::mt19937_64 random(5);
  const auto same = [](const std::string& text) {
    double fast = 0;
    const bool is_number = detail::parse_double(text, fast);
    const auto general = parse_number(text);
    ASSERT_EQ(is_number, general.has_value()) << text;
    if (general) { ASSERT_EQ(std::memcmp(&fast, &*general, sizeof fast), 0) << text; }
  };
  for (int round = 0; round < 200000; ++round) {
    std::string digits = std::to_string(random() >> (round % 60));
    if (round % 3 != 0) digits.insert(random() % (digits.size() + 1), ".");
    if (round % 5 == 0) digits = "-" + digits;
    if (round % 11 == 0) digits += "e" + std::to_string(static_cast<int>(random() % 40) - 20);
    same(digits);
  }
  for (const char* text : {"",
                           "-",
                           ".",
                           "1.",
                           ".5",
                           "-.5",
                           "-0",
                           "0.0",
                           "1e",
                           "1e5",
                           "nan",
                           "inf",
                           "1..2",
                           "1.2.3",
                           "1,5",
                           "000000000000001",
                           "0.000000000000001",
                           "123456789012345.6",
                           "1 ",
                           " 1",
                           "+1",
                           "1.-5",
                           "1.5-"})
    same(text);
}

}  // namespace
}  // namespace winnow
