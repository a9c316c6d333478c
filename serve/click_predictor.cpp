#include "serve/click_predictor.h"

#include <algorithm>
#include <optional>

#include "models/ctr_batches.h"

namespace winnow {

struct ClickPredictor::Form {
  int64_t rows;
  Graph graph{Device{}};
  std::optional<Program> program;
  std::vector<Tensor> feeds;  // step, then the batch
  Tensor logits;              // where the program leaves them
  Form(const SavedClickModel& saved, int64_t batch_size, const CompileOptions& options) : rows(batch_size) {
    const BatchSpec spec = batch_spec(saved.map, rows);
    const Value step = graph.input("step", {DType::I64, {}});
    const BatchValues batch(graph, spec);
    graph.output("logits", saved.model->logits(batch.ctr, {step, batch.weight, false}));
    program.emplace(compile(graph, options));
    feeds.push_back(Tensor::of<int64_t>({0}, {}));
    for (const auto& input : spec.inputs) feeds.push_back(Tensor::zeros(input.spec));
  }
};

ClickPredictor::ClickPredictor(const SavedClickModel& saved, const ClickPredictorOptions& options)
    : saved_(saved),
      frozen_(options.frozen != nullptr ? options.frozen : std::make_shared<FrozenWeights>(options.weights)),
      stream_(make_stream(Device{})) {
  std::vector<int64_t> sizes = options.batch_sizes;
  std::ranges::sort(sizes);
  const auto repeated = std::ranges::unique(sizes);
  sizes.erase(repeated.begin(), repeated.end());
  WN_CHECK(!sizes.empty() && sizes[0] >= 1, ConfigError, "batch_sizes [{}]: at least one, each at least 1",
           fmt::join(sizes, ", "));
  CompileOptions compile_options;
  compile_options.arena = std::make_shared<Arena>();
  compile_options.frozen = frozen_;
  for (const int64_t size : sizes) forms_.push_back(std::make_unique<Form>(saved, size, compile_options));
  for (const auto& form : forms_) {  // warm, and with the arena as it stays
    form->program->run(form->feeds, *stream_);
    form->logits = form->program->output("logits");
  }
}
ClickPredictor::~ClickPredictor() = default;

template <class F>
void ClickPredictor::Place::advance(int64_t rows, F&& visit) {
  for (int64_t n = 0; n < rows; ++row)
    if (row == parts[part].rows.size())
      ++part, row = static_cast<size_t>(-1);
    else
      visit(n++, parts[part], row);
}

void ClickPredictor::logits(std::span<const RowsToScore> parts) {
  int64_t left = 0;
  for (const RowsToScore& p : parts) {
    WN_CHECK(p.rows.size() == p.logits.size(), ShapeError, "{} rows and room for {} logits", p.rows.size(),
             p.logits.size());
    left += static_cast<int64_t>(p.rows.size());
  }
  for (Place place{parts}; left > 0;) {
    auto form = std::ranges::find_if(forms_, [&](const auto& f) { return f->rows >= left; });
    constexpr int64_t kFew = 16;  // rows that may be padded whatever their share
    const bool wasteful = form == forms_.end() || (*form)->rows - left > std::max((*form)->rows / 16, kFew);
    if (wasteful && form != forms_.begin()) --form;
    Form& chosen = **form;
    const int64_t taken = std::min(left, chosen.rows);
    run(chosen, place, taken);
    left -= taken;
  }
}

void ClickPredictor::run(Form& form, Place& place, int64_t rows) {
  const FeatureMap& map = saved_.map;
  const size_t fields = map.fields().size(), width = static_cast<size_t>(map.dense_width());
  const bool bags = map.has_bags();
  const auto ids = form.feeds[1].span<int64_t>();
  const auto offsets = bags ? form.feeds[2].span<int64_t>() : std::span<int64_t>{};
  const auto dense = width > 0 ? form.feeds[bags ? 3 : 2].span<float>() : std::span<float>{};
  const auto live = static_cast<size_t>(rows), most_ids = static_cast<size_t>(map.ids_per_row());
  size_t used = 0;
  Place answers = place;
  place.advance(rows, [&](int64_t n, const RowsToScore& part, size_t at) {
    const EncodedRow& row = part.rows[at];
    const auto r = static_cast<size_t>(n);
    WN_CHECK(row.lengths.size() == fields && row.dense.size() == width && row.ids.size() <= most_ids, ShapeError,
             "row {} has {} fields with {} ids and {} numbers, the model {} with at most {} and {}", at,
             row.lengths.size(), row.ids.size(), row.dense.size(), fields, most_ids, width);
    std::ranges::copy(row.ids, ids.begin() + static_cast<std::ptrdiff_t>(used));
    if (bags)
      for (size_t f = 0, end = used; f < fields; ++f) {
        end += static_cast<size_t>(row.lengths[f]);
        offsets[r * fields + f + 1] = static_cast<int64_t>(end);
      }
    used += row.ids.size();
    std::ranges::copy(row.dense, dense.begin() + static_cast<std::ptrdiff_t>(r * width));
  });
  // what is left of the batch: rows without ids, as in training
  std::ranges::fill(ids.subspan(used), -1);
  if (bags) std::ranges::fill(offsets.subspan(live * fields + 1), static_cast<int64_t>(used));
  if (width > 0) std::ranges::fill(dense.subspan(live * width), 0.f);
  form.program->run(form.feeds, *stream_);
  const auto logits = form.logits.span<float>();
  answers.advance(
      rows, [&](int64_t n, const RowsToScore& part, size_t at) { part.logits[at] = logits[static_cast<size_t>(n)]; });
}

}  // namespace winnow
