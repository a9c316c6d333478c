// A click model that goes on learning from a log of events, exactly once.
//
//   Updater updater({map, model, before, join, known}, rules, options);
//   if (!updater.restore(path, base)) for (...) updater.seed(row);    // past rows, for the reservoir
//   log.read(updater.offset(), 1000, events);  updater.learn(events);
//   updater.save(path, base, log.position());                         // parameters, offset and all else, in one file
//   updater.with_tail([&] { publish(updater.parameters(), updater.newest()); });
//
// Rows (train/update/events.h) form mini-batches of exactly batch_rows in the order of the log, each mixed with rows
// drawn from the reservoir by the number of the batch. So the parameters after a prefix of the log are a function of
// that prefix alone: the pieces in which it was read, restarts and kill -9 do not show. The rows that do not fill a
// mini-batch yet are not kept waiting: with_tail() learns them for as long as it is published and takes it back, and
// they are learnt for good when their mini-batch is full.
#pragma once
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "train/update/reservoir.h"
#include "train/update/update_step.h"

namespace winnow {

struct UpdateModel {
  const FeatureMap& map;
  CtrModel& model;
  CtrModel* before;  // a copy of the run's model; null: not needed without distill
  JoinRow join;
  KnownIds known;
};

class Updater {
 public:
  Updater(UpdateModel what, std::vector<LabelRule> rules, const UpdateOptions& options);
  ~Updater();
  // A row of the run's own data, and with negatives those drawn beside one of label 1. Before the first event.
  void seed(const UpdateRow& row);
  int64_t seeded() const { return seeded_; }
  // Events in order, the first of them offset() + 1. DataError: a hole, or one out of order. Error: UpdateStep::run();
  // the state is then that of the last save() for whoever starts again.
  void learn(std::span<const UpdateEvent> events);
  void with_tail(const std::function<void()>& publish);

  int64_t offset() const { return offset_; }                                     // the last event taken in
  int64_t batches() const { return batches_; }                                   // learnt for good
  int64_t tail() const { return static_cast<int64_t>(queue_.size()) - taken_; }  // rows that wait for a full mini-batch
  const EventRows& events() const { return rows_; }
  const Reservoir& reservoir() const { return reservoir_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  double take_loss();  // mean over the batches since the last call; NaN: none

  // Atomically; base: run_fingerprint(); position: EventLog::position(). IoError.
  void save(const std::string& path, const std::string& base, const std::string& position) const;
  // False: there is no such file. position: as saved. IoError: damaged; ConfigError: of another run, or of updates with
  // options that no state can be carried over to; each says what to do.
  bool restore(const std::string& path, const std::string& base, std::string* position);
  // The parameters were set from outside: the optimizer starts anew, the log goes on where it is.
  void forget_optimizer();

 private:
  struct Copy;
  void start();
  void learn_full_batches();
  void consolidate();
  std::string shape_of_state() const;
  std::vector<VariablePtr> variables() const;
  void check_row(const UpdateRow& row, const std::string& path) const;

  UpdateModel what_;
  UpdateOptions options_;
  std::vector<Parameter> parameters_;
  EventRows rows_;
  Reservoir reservoir_;
  std::unique_ptr<Ewc> ewc_;
  std::unique_ptr<UpdateStep> step_;
  std::vector<UpdateRow> queue_, replayed_;
  int64_t taken_ = 0;  // rows at the front of queue_ that were learnt
  int64_t offset_ = 0, batches_ = 0, seeded_ = 0, loss_batches_ = 0;
  double loss_ = 0;
  bool started_ = false;
};

}  // namespace winnow
