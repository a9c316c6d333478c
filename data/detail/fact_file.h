// The facts of all interactions on disk while a data set is made: fixed records, found by row.
#pragma once
#include <cstdint>
#include <string>
#include <vector>

#include "data/detail/facts.h"
#include "data/detail/split_plan.h"
#include "data/detail/tables.h"

namespace winnow::detail {

struct FactRecord {
  int64_t time = 0;
  int32_t user = 0, item = 0, stratum = 0;
  float label = 0, weight = 1;
  uint32_t unused = 0;
};
static_assert(sizeof(FactRecord) == 32);

// A file without a name: it goes away with the object, or with the process. IoError names the directory.
class FactFile {
 public:
  explicit FactFile(const std::string& directory);
  ~FactFile();
  FactFile(const FactFile&) = delete;
  FactFile& operator=(const FactFile&) = delete;

  void append(const FactBlock& facts);
  void finish();  // no append() after it
  int64_t rows() const { return rows_; }
  // Replaces `out` by `count` records from `first` on; on any thread.
  void read(int64_t first, int64_t count, std::vector<FactRecord>& out) const;
  EachSplitRows each() const;  // for plan_splits()

 private:
  void flush();
  std::string directory_;
  int descriptor_ = -1;
  int64_t rows_ = 0;
  bool times_ = false, strata_ = false;
  std::vector<FactRecord> buffer_;
};

// The keys of a source in order of first appearance, and the items' titles where the interactions have them.
struct FactKeys {
  StringIndex users, items;
  std::vector<std::string> titles;
};
// Reads the facts of all interactions into `out`; tables.clean_report() is that of this pass.
FactKeys read_facts(const Schema& schema, Tables& tables, FactFile& out);

}  // namespace winnow::detail
