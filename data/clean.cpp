#include "data/clean.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/clean_filters.h"

namespace winnow {
namespace {

using detail::CleanFilter;
using detail::CleanRow;

constexpr size_t kExamples = 3;

// What the views of a cleaned block rest on.
struct CleanedMemory {
  std::shared_ptr<void> source;
  std::vector<std::unique_ptr<std::string>> texts;
};

CleanReport::Example example_of(const CleanRow& row) {
  std::string text;
  for (const std::string_view cell : row.cells) {
    if (text.size() > 120) break;
    if (!text.empty()) text += " | ";
    text += quoted(cell, 40);
  }
  return {fmt::format("{}:{}", row.block.file, row.block.lines[static_cast<size_t>(row.row)]), std::move(text)};
}

class CleanedRows final : public RowReader {
 public:
  CleanedRows(const OpenRows& open, const CleanSpec& spec, std::shared_ptr<CleanReport> report)
      : open_(open), report_(std::move(report)), source_(open()) {
    name_ = source_->name();
    columns_ = source_->columns();
    for (const CleanStep& step : spec.steps)
      filters_.push_back(std::visit([this](const auto& s) { return detail::make_filter(s, *source_); }, step));
    WN_CHECK(report_ != nullptr, ConfigError, "{}: cleaning needs a report to count in", name_);
    reset_report();
  }

  bool next(RowBlock& block) override {
    if (!fitted_) fit();
    for (RowBlock source; source_->next(source); source = {}) {
      clean(source, block);
      if (block.rows > 0) return true;
    }
    return false;
  }

  double progress() const override {
    if (!fitted_) return passes_ == 0 ? 0 : -1;
    const double p = source_->progress();
    return p < 0 ? p : (static_cast<double>(passes_) + p) / static_cast<double>(passes_ + 1);
  }

 private:
  // Puts the rows of `source` that stay into `block`, which views the memory of both.
  void clean(RowBlock& source, RowBlock& block) {
    auto memory = std::make_shared<CleanedMemory>();
    memory->source = std::move(source.memory);
    block.cells.clear();
    block.lines.clear();
    block.file = source.file;
    block.width = source.width;
    for (int64_t r = 0; r < source.rows; ++r) {
      const std::span<std::string_view> cells = cells_of(source, r);
      CleanRow row{source, r, cells, memory->texts};
      ++report_->rows_read;
      if (!keep(row)) continue;
      ++report_->kept;
      block.cells.insert(block.cells.end(), cells.begin(), cells.end());
      block.lines.push_back(source.lines[static_cast<size_t>(r)]);
    }
    block.rows = static_cast<int64_t>(block.lines.size());
    block.memory = std::move(memory);
  }

  static std::span<std::string_view> cells_of(RowBlock& block, int64_t row) {
    return std::span(block.cells).subspan(static_cast<size_t>(row * block.width), static_cast<size_t>(block.width));
  }

  void reset_report() {
    *report_ = {};
    for (const auto& filter : filters_)
      report_->steps.insert(report_->steps.end(), filter->lines().begin(), filter->lines().end());
  }

  // The filters with a pass of their own, the first one first: each then sees what all before it keep.
  void fit() {
    for (size_t f = 0; f < filters_.size(); ++f) {
      if (!filters_[f]->has_fit()) continue;
      const std::unique_ptr<RowReader> reader = open_();
      WN_CHECK(reader->columns() == columns_, DataError, "{}: opened again, the source has other columns", name_);
      for (size_t i = 0; i < f; ++i) filters_[i]->begin_pass();
      RowBlock block;
      while (reader->next(block)) fit(f, block);
      filters_[f]->end_fit();
      ++passes_;
    }
    for (const auto& filter : filters_) filter->begin_pass();
    reset_report();
    fitted_ = true;
  }

  void fit(size_t f, RowBlock& block) {
    std::vector<std::unique_ptr<std::string>> texts;
    for (int64_t r = 0; r < block.rows; ++r) {
      CleanRow row{block, r, cells_of(block, r), texts};
      bool kept = true;
      for (size_t i = 0; i < f && kept; ++i) kept = filters_[i]->apply(row) == CleanFilter::kKept;
      if (kept) filters_[f]->fit(row);
    }
  }

  bool keep(CleanRow& row) {
    size_t line = 0;
    for (const auto& filter : filters_) {
      const size_t lines = filter->lines().size();
      for (size_t i = 0; i < lines; ++i) ++report_->steps[line + i].rows_in;
      row.changed = 0;
      const int dropped = filter->apply(row);
      CleanReport::Step& step = report_->steps[line + static_cast<size_t>(std::max(dropped, 0))];
      step.changed += row.changed;
      step.dropped += dropped >= 0 ? 1 : 0;
      if ((dropped >= 0 || row.changed > 0) && step.examples.size() < kExamples)
        step.examples.push_back(example_of(row));
      if (dropped >= 0) return false;
      line += lines;
    }
    return true;
  }

  OpenRows open_;
  std::shared_ptr<CleanReport> report_;
  std::unique_ptr<RowReader> source_;
  std::vector<std::unique_ptr<CleanFilter>> filters_;
  bool fitted_ = false;
  int passes_ = 0;
};

}  // namespace

std::unique_ptr<RowReader> clean_rows(const OpenRows& open, const CleanSpec& spec,
                                      std::shared_ptr<CleanReport> report) {
  return std::make_unique<CleanedRows>(open, spec, std::move(report));
}

}  // namespace winnow
