#include "data/split_files.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "data/detail/fact_file.h"
#include "data/row_writer.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

constexpr std::array kSplits = {Split::Train, Split::Valid, Split::Test};

void count(const detail::FactFile& facts, const std::vector<Split>& splits, LoadReport& report) {
  constexpr int64_t kRows = 32768;
  std::vector<detail::FactRecord> records;
  for (int64_t first = 0; first < facts.rows(); first += kRows) {
    facts.read(first, std::min(kRows, facts.rows() - first), records);
    for (size_t r = 0; r < records.size(); ++r)
      report.splits[static_cast<size_t>(splits[static_cast<size_t>(first) + r])].add(records[r].label, records[r].time);
  }
}

}  // namespace

SplitFiles write_split_files(const Schema& schema, const std::string& directory, const std::string& format) {
  check_schema(schema);
  make_directories(directory);
  detail::Tables tables(schema);
  detail::FactFile facts(directory);
  read_facts(schema, tables, facts);
  SplitFiles out;
  out.report.clean = tables.clean_report();
  out.report.rows_read = out.report.clean.rows_read;
  out.report.timestamps = !schema.timestamp.empty();
  WN_CHECK(facts.rows() > 0, DataError, "{}: no interactions are left\n{}", schema.interactions.source.name(),
           out.report.str());
  const std::vector<Split> splits = plan_splits(schema, facts.each());
  count(facts, splits, out.report);

  const auto rows = tables.open_interactions();
  std::array<std::unique_ptr<RowWriter>, 3> writers;
  for (const Split s : kSplits) {
    const auto i = static_cast<size_t>(s);
    out.paths[i] = fmt::format("{}/{}.{}", directory, name_of(s), format);
    writers[i] = make_row_writer({.path = out.paths[i]}, rows->columns());
  }
  size_t row = 0;
  for (RowBlock block; rows->next(block);) {
    WN_CHECK(row + static_cast<size_t>(block.rows) <= splits.size(), DataError,
             "{}: more rows than at first; was it changed while it was read?", schema.interactions.source.name());
    for (int64_t begin = 0, end = 0; begin < block.rows; begin = end) {
      const Split split = splits[row];
      for (end = begin; end < block.rows && splits[row] == split; ++end) ++row;
      writers[static_cast<size_t>(split)]->write(block, begin, end);
    }
  }
  WN_CHECK(row == splits.size(), DataError, "{}: fewer rows than at first; was it changed while it was read?",
           schema.interactions.source.name());
  for (const auto& writer : writers) writer->commit();
  return out;
}

std::string SplitFiles::str() const {
  std::string text = fmt::format("{} rows read, {} kept\n", report.rows_read, report.clean.kept);
  for (const Split s : kSplits) {
    const LoadReport::SplitCount& c = report.splits[static_cast<size_t>(s)];
    text += fmt::format("{:<6} {:>10} rows, {:>10} positives", name_of(s), c.rows, c.positives);
    if (report.timestamps) text += fmt::format(", {} to {}", format_date(c.from), format_date(c.to));
    text += fmt::format("  {}\n", paths[static_cast<size_t>(s)]);
  }
  return text;
}

std::string SplitFiles::json() const {
  nlohmann::ordered_json j{{"rows_read", report.rows_read}, {"kept", report.clean.kept}};
  for (const Split s : kSplits) {
    const LoadReport::SplitCount& c = report.splits[static_cast<size_t>(s)];
    auto& split = j["splits"][name_of(s)];
    split = {{"file", paths[static_cast<size_t>(s)]}, {"rows", c.rows}, {"positives", c.positives}};
    if (report.timestamps) split["from"] = c.from, split["to"] = c.to;
  }
  return j.dump(2);
}

}  // namespace winnow
