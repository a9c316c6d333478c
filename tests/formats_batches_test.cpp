// One table in every format that holds it gives the same batches, in memory and on disk.
#include <gtest/gtest.h>

#include "core/checksum.h"
#include "core/file.h"
#include "core/rng.h"
#include "data/batches.h"
#include "data/row_writer.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

// label, user (1), item (2), time (3), price (4; some missing), category (5).
void write_table(const TemporaryDirectory& directory) {
  std::string text = "label,1,2,3,4,5\n";
  Rng rng(3);
  for (int i = 0; i < 4000; ++i) {
    const uint64_t item = rng.below(300);
    text += fmt::format("{},{},{},{},{},{}\n", rng.below(2), 1 + rng.below(200), 1 + item, 1000000 + 7 * i,
                        i > 9 && i % 11 == 3 ? "" : fmt::format("{}", 1 + rng.below(900)), 1 + item % 17);
  }
  directory.write("table.csv", text);
}

Schema schema_for(const std::string& file, const std::string& storage, const std::string& directory) {
  const std::string table = file.ends_with(".db") ? ", table: rows" : "";
  std::string yaml = fmt::format(R"(interactions: {{file: {}, columns: [label, "1", "2", "3", "4", "5"]{}}}
user_id: "1"
item_id: "2"
timestamp: {{column: "3"}}
label: {{column: label}}
storage: {}
features:
  - {{name: "1"}}
  - {{name: "2"}}
  - {{name: "5", source: item}}
  - {{name: "4", type: numeric, source: item}}
)",
                                 file, table, storage);
  if (storage == "disk") yaml += fmt::format("cache: '{}/{}-cache'\n", directory, file);
  return schema_of(yaml, directory);
}

// Of all tensors of all batches: two shuffled epochs of training, then validation and test.
uint64_t hash_of_batches(const Dataset& dataset) {
  uint64_t hash = 0;
  int64_t rows = 0;
  const auto add = [&](BatchSource& source) {
    for (BatchSlot slot; source.next(slot); rows += slot.rows)
      for (const Tensor& t : slot.feeds()) hash = hash * 0x9E3779B97F4A7C15u + crc32c(t.raw(), t.bytes());
  };
  BatchSource training(make_training_source(dataset, 5), {256, 1});
  for (int64_t epoch = 0; epoch < 2; ++epoch) {
    training.start_epoch(epoch);
    add(training);
  }
  for (const Split split : {Split::Valid, Split::Test}) {
    BatchSource source(make_row_source(dataset, split, false), {256, 0});
    source.start_epoch(0);
    add(source);
  }
  EXPECT_EQ(rows, 2 * 3200 + 800);
  return hash;
}

TEST(Formats, TheSameTableGivesTheSameBatches) {
  const TemporaryDirectory directory;
  write_table(directory);
  for (const std::string storage : {"memory", "disk"}) {
    const uint64_t expected = hash_of_batches(load_dataset(schema_for("table.csv", storage, directory.path())));
    EXPECT_NE(expected, 0u);
    for (const std::string name : {"x.tsv", "x.csv.gz", "x.csv.zst", "x.jsonl", "x.jsonl.zst", "x.inter", "x.libsvm",
                                   "x.libsvm.gz", "x.ffm", "x.ffm.zst", "x.db"}) {
      if (storage == "memory")
        convert_rows({.path = directory.path() + "/table.csv"}, {.path = directory.path() + "/" + name});
      EXPECT_EQ(hash_of_batches(load_dataset(schema_for(name, storage, directory.path()))), expected)
          << name << ", " << storage;
    }
  }
}

TEST(Formats, AnotherCellGivesOtherBatches) {
  const TemporaryDirectory directory;
  write_table(directory);
  const uint64_t expected = hash_of_batches(load_dataset(schema_for("table.csv", "memory", directory.path())));
  std::string text = read_text(directory.path() + "/table.csv", 1 << 20);
  text[text.find("\n0,") + 1] = '1';
  directory.write("table.csv", text);
  EXPECT_NE(hash_of_batches(load_dataset(schema_for("table.csv", "memory", directory.path()))), expected);
}

}  // namespace
}  // namespace winnow
