#include "train/update/updater.h"

#include <cmath>

#include "nn/row_cache.h"

namespace winnow {

// What with_tail() takes back.
struct Updater::Copy {
  explicit Copy(const std::vector<VariablePtr>& of) : variables(of) {
    for (const VariablePtr& v : variables) values.push_back(v->value.clone());
  }
  void restore() const {
    for (size_t i = 0; i < variables.size(); ++i) variables[i]->value.copy_from(values[i]);
  }
  std::vector<VariablePtr> variables;
  std::vector<Tensor> values;
};

Updater::Updater(UpdateModel what, std::vector<LabelRule> rules, const UpdateOptions& options)
    : what_(std::move(what)),
      options_(options),
      parameters_(what_.model.parameters()),
      rows_(std::move(rules), what_.known, options.negatives, options.seed),
      reservoir_(options.reservoir_rows, options.seed) {
  check_update_options(options);
  for (const Parameter& p : parameters_)
    WN_CHECK(p.cache == nullptr, ConfigError, "'{}' lies behind a cache of rows; open the run without one", p.name());
  if (options_.ewc > 0) ewc_ = std::make_unique<Ewc>(parameters_);
  step_ = std::make_unique<UpdateStep>(what_.model, what_.before, what_.map, what_.join, options_, ewc_.get());
}
Updater::~Updater() = default;

void Updater::seed(const UpdateRow& row) {
  WN_CHECK(!started_, Error, "rows of the run's data come before the first event");
  ++seeded_;
  reservoir_.add(row);
  if (options_.negatives == 0 || row.label <= 0.5f) return;
  std::vector<UpdateRow> drawn;
  rows_.sample_negatives(row, static_cast<uint64_t>(-seeded_), drawn);
  for (const UpdateRow& negative : drawn) reservoir_.add(negative);
}

void Updater::consolidate() {
  std::vector<UpdateRow> rows;
  reservoir_.draw(options_.fisher_rows, -1 - batches_, rows);
  ewc_->consolidate(what_.model, what_.map, what_.join, rows, batches_ == 0 ? 0 : options_.ewc_decay);
}

void Updater::start() {
  if (started_) return;
  started_ = true;
  if (ewc_ != nullptr) consolidate();
}

void Updater::learn(std::span<const UpdateEvent> events) {
  start();
  for (const UpdateEvent& event : events) {
    WN_CHECK(event.sequence == offset_ + 1, DataError, "event {} where {} was to come: the log has a hole",
             event.sequence, offset_ + 1);
    rows_.add(event, queue_);
    offset_ = event.sequence;
    learn_full_batches();
  }
  queue_.erase(queue_.begin(), queue_.begin() + taken_);
  taken_ = 0;
}

void Updater::learn_full_batches() {
  while (static_cast<int64_t>(queue_.size()) - taken_ >= options_.batch_rows) {
    const auto fresh = std::span(queue_).subspan(static_cast<size_t>(taken_), static_cast<size_t>(options_.batch_rows));
    replayed_.clear();
    reservoir_.draw(replayed_rows(options_, options_.batch_rows), batches_ + 1, replayed_);
    loss_ += step_->run(batches_ + 1, fresh, replayed_);
    ++loss_batches_;
    ++batches_;
    for (const UpdateRow& row : fresh) reservoir_.add(row);
    taken_ += options_.batch_rows;
    if (ewc_ != nullptr && options_.consolidate_batches > 0 && batches_ % options_.consolidate_batches == 0)
      consolidate();
  }
}

void Updater::with_tail(const std::function<void()>& publish) {
  if (tail() == 0) {
    publish();
    return;
  }
  const Copy copy(variables());
  struct Back {
    const Copy& copy;
    ~Back() { copy.restore(); }
  } const back{copy};
  const auto fresh = std::span(queue_).subspan(static_cast<size_t>(taken_));
  replayed_.clear();
  reservoir_.draw(replayed_rows(options_, tail()), batches_ + 1, replayed_);
  step_->run(batches_ + 1, fresh, replayed_);
  publish();
}

double Updater::take_loss() {
  const double mean = loss_batches_ > 0 ? loss_ / static_cast<double>(loss_batches_) : NAN;
  loss_ = 0;
  loss_batches_ = 0;
  return mean;
}

std::vector<VariablePtr> Updater::variables() const {
  std::vector<VariablePtr> all;
  for (const Parameter& p : parameters_) all.push_back(p.variable);
  const auto& state = step_->optimizer_state();
  all.insert(all.end(), state.begin(), state.end());
  return all;
}

void Updater::forget_optimizer() {
  for (const VariablePtr& v : step_->optimizer_state()) v->value.copy_from(Tensor::zeros(v->value.spec()));
  if (ewc_ != nullptr && started_) consolidate();
}

}  // namespace winnow
