#include "data/detail/raw_data.h"

#include <limits>
#include <mutex>

#include "core/error.h"
#include "data/detail/facts.h"
#include "data/detail/ordered_blocks.h"
#include "data/timestamp.h"

namespace winnow::detail {
namespace {

constexpr int32_t kNew = -1;  // a text that no earlier block has

// What one worker made of its block.
struct ParsedBlock {
  FactBlock facts;
  std::vector<std::vector<int32_t>> codes;   // of each binding
  std::vector<std::vector<double>> numbers;  // likewise
};

template <class T>
void append(std::vector<T>& to, const std::vector<T>& from) {
  to.insert(to.end(), from.begin(), from.end());
}

class InteractionLoader {
 public:
  InteractionLoader(const Schema& schema, Tables& tables, RawData& data)
      : schema_(schema),
        bindings_(tables.interaction_bindings()),
        data_(data),
        reader_(tables.open_interactions()),
        facts_(schema, *reader_) {}

  void run() {
    const int workers = reading_workers();
    parsed_.resize(static_cast<size_t>(workers));
    for (ParsedBlock& p : parsed_) {
      p.codes.resize(bindings_.size());
      p.numbers.resize(bindings_.size());
    }
    ordered_blocks(
        *reader_, workers, [this](int w, RowBlock& block, int64_t) { parse(block, parsed_[static_cast<size_t>(w)]); },
        [this](int w, RowBlock& block, int64_t) { take(block, parsed_[static_cast<size_t>(w)]); });
    data_.users = facts_.take_users();
    data_.items = facts_.take_items();
    data_.item_titles = facts_.take_titles();
  }

 private:
  void parse(const RowBlock& block, ParsedBlock& parsed) {
    const std::shared_lock lock(facts_.mutex());
    facts_.parse(block, parsed.facts);
    for (size_t i = 0; i < bindings_.size(); ++i) {
      const RawColumn& raw = data_.features[bindings_[i].feature];
      const std::string& name = schema_.features[bindings_[i].feature].column;
      auto& codes = parsed.codes[i];
      auto& numbers = parsed.numbers[i];
      codes.clear();
      numbers.clear();
      for (int64_t row = 0; row < block.rows; ++row) {
        const std::string_view cell = block.cell(row, bindings_[i].column);
        if (!raw.numeric)
          codes.push_back(raw.texts.find(cell));
        else
          numbers.push_back(cell.empty() ? std::numeric_limits<double>::quiet_NaN()
                                         : number_of(block, row, name, cell, ""));
      }
    }
  }

  void take(const RowBlock& block, ParsedBlock& parsed) {
    const std::unique_lock lock(facts_.mutex());
    facts_.resolve(block, parsed.facts);
    const size_t rows = data_.user.size() + parsed.facts.size();
    WN_CHECK(rows <= size_t{std::numeric_limits<int32_t>::max()}, DataError, "{}: more than {} rows", block.file,
             std::numeric_limits<int32_t>::max());
    append(data_.user, parsed.facts.user);
    append(data_.item, parsed.facts.item);
    append(data_.label, parsed.facts.label);
    append(data_.weight, parsed.facts.weight);
    append(data_.time, parsed.facts.time);
    append(data_.stratum, parsed.facts.stratum);
    for (size_t i = 0; i < bindings_.size(); ++i) {
      RawColumn& raw = data_.features[bindings_[i].feature];
      auto& codes = parsed.codes[i];
      for (size_t r = 0; r < codes.size(); ++r)
        if (codes[r] == kNew)
          codes[r] = add_text(raw.texts, block, static_cast<int64_t>(r), schema_.features[bindings_[i].feature].column,
                              block.cell(static_cast<int64_t>(r), bindings_[i].column));
      append(raw.codes, codes);
      append(raw.numbers, parsed.numbers[i]);
    }
  }

  const Schema& schema_;
  const std::vector<Binding>& bindings_;
  RawData& data_;
  std::unique_ptr<RowReader> reader_;
  FactReader facts_;
  std::vector<ParsedBlock> parsed_;
};

// How many interactions have a key without a row in the side table.
int64_t without_row(const std::vector<bool>& found, const std::vector<int32_t>& used) {
  if (found.empty()) return 0;
  int64_t without = 0;
  for (const int32_t key : used) without += !found[static_cast<size_t>(key)];
  return without;
}

}  // namespace

RawData read_files(const Schema& schema) {
  Tables tables(schema);
  RawData data;
  data.features = tables.columns();
  InteractionLoader(schema, tables, data).run();
  data.report.clean = tables.clean_report();
  data.report.rows_read = data.report.clean.rows_read;
  data.report.users_without_row = without_row(tables.join_users(data.users, data.features), data.user);
  data.report.items_without_row =
      without_row(tables.join_items(data.items, data.features, data.item_titles), data.item);
  return data;
}

}  // namespace winnow::detail
