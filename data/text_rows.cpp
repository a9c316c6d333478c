#include "data/text_rows.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include "core/error.h"
#include "core/rng.h"
#include "core/text.h"
#include "data/hash.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

constexpr uint64_t kSplitStream = 0x73706c6974;  // of the random numbers

// Where a source's columns are.
struct Columns {
  Columns(const TextRowsSpec& spec, const RowReader& rows, bool targets)
      : first(places(rows, spec.text)), second(places(rows, spec.second)) {
    if (!targets) return;
    kept = places(rows, spec.columns);
    by = places(rows, spec.split.by);
    if (spec.split.method == TextSplitSpec::Time) time = rows.column(spec.split.time);
  }
  static std::vector<size_t> places(const RowReader& rows, const std::vector<std::string>& names) {
    std::vector<size_t> out;
    for (const std::string& name : names) out.push_back(rows.column(name));
    return out;
  }
  std::vector<size_t> first, second, kept, by;
  size_t time = 0;
};

// What the split of the training source is made of.
struct SplitFacts {
  std::vector<uint64_t> hash;    // Hash
  std::vector<int32_t> stratum;  // Stratified
  std::vector<int64_t> time;     // Time
};

class Reader {
 public:
  Reader(const TextRowsSpec& spec, TextTable& table) : spec_(spec), table_(table), format_(spec.split.time_format) {
    table_.cells.resize(spec.columns.size());
  }

  void read(const SourceSpec& source, Split split, bool targets) {
    const auto report = std::make_shared<CleanReport>();
    const auto rows = clean_rows([&] { return open_rows(source); }, targets ? spec_.clean : CleanSpec{}, report);
    const Columns columns(spec_, *rows, targets);
    const bool divided = targets && split == Split::Train && spec_.split.valid + spec_.split.test > 0;
    for (RowBlock block; rows->next(block);) {
      if (table_.files.empty() || table_.files.back() != block.file) table_.files.push_back(block.file);
      for (int64_t r = 0; r < block.rows; ++r) {
        append(block, r, columns, split);
        if (divided) add_facts(block, r, columns);
      }
    }
    add(*report);
  }

  const SplitFacts& facts() const { return facts_; }

 private:
  void append(const RowBlock& block, int64_t r, const Columns& columns, Split split) {
    WN_CHECK(table_.rows() < INT32_MAX, DataError, "{}: more than {} rows", block.file, INT32_MAX);
    table_.split[static_cast<size_t>(split)].push_back(static_cast<int32_t>(table_.rows()));
    table_.first.push_back(text_of(block, r, columns.first, spec_.text));
    if (!spec_.second.empty()) table_.second.push_back(text_of(block, r, columns.second, spec_.second));
    for (size_t c = 0; c < columns.kept.size(); ++c)
      table_.cells[c].emplace_back(checked(block, r, columns.kept[c], spec_.columns[c]));
    table_.file.push_back(static_cast<int32_t>(table_.files.size()) - 1);
    table_.line.push_back(block.lines[static_cast<size_t>(r)]);
  }

  static std::string_view checked(const RowBlock& block, int64_t r, size_t column, const std::string& name) {
    const std::string_view cell = block.cell(r, column);
    if (!is_utf8(cell)) block.fail(r, name, quoted(cell) + " is not UTF-8");
    return cell;
  }

  std::string text_of(const RowBlock& block, int64_t r, const std::vector<size_t>& columns,
                      const std::vector<std::string>& names) const {
    std::string text;
    for (size_t c = 0; c < columns.size(); ++c) {
      const std::string_view cell = checked(block, r, columns[c], names[c]);
      if (cell.empty()) continue;
      if (!text.empty()) text += spec_.separator;
      text += cell;
    }
    return text;
  }

  void add_facts(const RowBlock& block, int64_t r, const Columns& columns) {
    const TextSplitSpec& split = spec_.split;
    if (split.method == TextSplitSpec::Hash) {
      std::string key = columns.by.empty() ? table_.first.back() : "";
      for (const size_t c : columns.by) (key += block.cell(r, c)) += '\x1f';
      facts_.hash.push_back(xxh64(key, split.seed));
    } else if (split.method == TextSplitSpec::Stratified) {
      const auto next = static_cast<int32_t>(strata_.size());
      facts_.stratum.push_back(strata_.emplace(std::string(block.cell(r, columns.by[0])), next).first->second);
    } else if (split.method == TextSplitSpec::Time) {
      const auto time = format_.parse(block.cell(r, columns.time));
      if (!time)
        block.fail(r, split.time,
                   fmt::format("{} is no time of the format {}", quoted(block.cell(r, columns.time)),
                               quoted(split.time_format)));
      facts_.time.push_back(*time);
    }
  }

  // The steps of several sources are the same ones: their counts add up.
  void add(const CleanReport& report) {
    CleanReport& all = table_.clean;
    all.rows_read += report.rows_read;
    all.kept += report.kept;
    if (all.steps.empty()) {
      all.steps = report.steps;
      return;
    }
    for (size_t i = 0; i < report.steps.size(); ++i) {
      all.steps[i].rows_in += report.steps[i].rows_in;
      all.steps[i].dropped += report.steps[i].dropped;
      all.steps[i].changed += report.steps[i].changed;
    }
  }

  const TextRowsSpec& spec_;
  TextTable& table_;
  TimeFormat format_;
  std::map<std::string, int32_t> strata_;
  SplitFacts facts_;
};

// The first test(m) of some rows are test, the next valid(m) validation.
template <class Count>
void assign(std::span<const int32_t> rows, const TextSplitSpec& spec, Count count, std::vector<Split>& out) {
  const auto m = static_cast<double>(rows.size());
  const size_t test = count(m * spec.test), valid = std::min(count(m * spec.valid), rows.size() - test);
  for (size_t i = 0; i < test + valid; ++i) out[static_cast<size_t>(rows[i])] = i < test ? Split::Test : Split::Valid;
}

std::vector<int32_t> shuffled(std::vector<int32_t> rows, uint64_t seed, uint64_t stream) {
  Rng rng(seed, stream);
  rng.shuffle(rows);
  return rows;
}

std::vector<Split> plan(const TextSplitSpec& spec, const SplitFacts& facts, size_t n) {
  std::vector<Split> out(n, Split::Train);
  std::vector<int32_t> all(n);
  std::iota(all.begin(), all.end(), 0);
  const auto down = [](double x) { return static_cast<size_t>(std::floor(x)); };
  if (spec.method == TextSplitSpec::Hash) {
    for (size_t i = 0; i < n; ++i) {
      const double u = static_cast<double>(facts.hash[i]) * 0x1p-64;
      if (u < spec.test + spec.valid) out[i] = u < spec.test ? Split::Test : Split::Valid;
    }
  } else if (spec.method == TextSplitSpec::Time) {
    std::ranges::stable_sort(all, {}, [&](int32_t r) { return facts.time[static_cast<size_t>(r)]; });
    std::ranges::reverse(all);
    assign(all, spec, down, out);
  } else if (spec.method == TextSplitSpec::Random) {
    assign(shuffled(all, spec.seed, kSplitStream), spec, down, out);
  } else {
    std::map<int32_t, std::vector<int32_t>> strata;
    for (const int32_t r : all) strata[facts.stratum[static_cast<size_t>(r)]].push_back(r);
    for (auto& [stratum, rows] : strata)
      assign(
          shuffled(std::move(rows), spec.seed, kSplitStream + 1 + static_cast<uint64_t>(stratum)), spec,
          [](double x) { return static_cast<size_t>(std::lround(x)); }, out);
  }
  return out;
}

std::vector<std::string_view> views(const std::vector<std::string>& texts, std::span<const int32_t> rows) {
  std::vector<std::string_view> out;
  if (texts.empty()) return out;
  out.reserve(rows.size());
  for (const int32_t r : rows) out.emplace_back(texts[static_cast<size_t>(r)]);
  return out;
}

}  // namespace

TextTable read_text_table(const TextRowsSpec& spec) {
  TextTable table;
  Reader reader(spec, table);
  reader.read(spec.sources[0], Split::Train, true);
  if (spec.split.valid + spec.split.test > 0) {
    const std::vector<Split> splits = plan(spec.split, reader.facts(), table.first.size());
    table.split = {};
    for (size_t r = 0; r < splits.size(); ++r)
      table.split[static_cast<size_t>(splits[r])].push_back(static_cast<int32_t>(r));
  }
  for (const Split s : {Split::Valid, Split::Test})
    if (spec.sources[static_cast<size_t>(s)].given()) reader.read(spec.sources[static_cast<size_t>(s)], s, true);
  for (const Split s : {Split::Train, Split::Valid, Split::Test})
    WN_CHECK(!table.rows_of(s).empty() || (s != Split::Train && !spec.held_out(s)), DataError,
             "{}: the {} split has no row; there are {} in all", spec.sources[0].name(), name_of(s), table.rows());
  return table;
}

TextTable read_texts(const TextRowsSpec& spec, const SourceSpec& source) {
  TextRowsSpec texts = spec;
  texts.columns.clear();
  TextTable table;
  Reader(texts, table).read(source, Split::Test, false);
  return table;
}

std::vector<std::string_view> TextTable::firsts(std::span<const int32_t> rows) const { return views(first, rows); }
std::vector<std::string_view> TextTable::seconds(std::span<const int32_t> rows) const { return views(second, rows); }

void TextTable::fail(int32_t row, std::string_view column, const std::string& what) const {
  const auto r = static_cast<size_t>(row);
  raise<DataError>("{}:{}: column {}: {}", files[static_cast<size_t>(file[r])], line[r], quoted(column), what);
}

}  // namespace winnow
