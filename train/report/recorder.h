// What a training leaves in its run directory for people to look at, besides what the trainer itself writes:
//   memory.json    at the start: the memory plan of the training step
//     {parameters, nodes, persistent_bytes, arena_bytes, arena_without_sharing_bytes,
//      persistent: [{name, tensor, bytes}]         parameters, tables, optimizer state; the largest 200
//      arena: [{name, tensor, bytes, first, last}]  planned values, alive in nodes first..last; the largest 200}
//   run.json       at the start: {winnow, instruction_set, threads, onednn}
//   tensorboard/   train/loss, train/learning_rate, train/gradient_norm, train/rows_per_second (tokens_per_second of
//   text) at the
//                  points of metrics.jsonl, epoch/train_loss and epoch/valid_<metric> at the epochs' ends, the config
//                  as text, and after the evaluation <split>/<metric> and histograms of the scores
#pragma once
#include <memory>
#include <string>

#include "train/tensorboard.h"
#include "train/trainer.h"

namespace winnow {

// Writes the above and hands every call on to `shown`.
class RunRecorder final : public TrainListener {
 public:
  RunRecorder(std::string run_directory, std::string config_yaml, TrainListener& shown);
  void on_start(const Program& program, int64_t parameters, int64_t steps_per_epoch) override;
  void on_rate(const std::string& unit, double units_per_step) override { shown_.on_rate(unit, units_per_step); }
  void on_step(int64_t epoch, int64_t step_in_epoch, int64_t steps_per_epoch, double mean_loss) override {
    shown_.on_step(epoch, step_in_epoch, steps_per_epoch, mean_loss);
  }
  void on_epoch(int64_t epoch, double train_loss, const std::vector<NamedMetric>& validation, bool improved,
                double seconds) override {
    shown_.on_epoch(epoch, train_loss, validation, improved, seconds);
  }
  void on_cache(const CacheCounts& counts) override { shown_.on_cache(counts); }
  void on_message(const std::string& text) override { shown_.on_message(text); }
  void on_record(const std::string& json_line) override;

 private:
  std::string run_directory_, config_yaml_;
  TrainListener& shown_;
  std::unique_ptr<TensorBoardWriter> events_;
};

// Adds the metrics of evaluation.json and its histogram to the event file of a finished training, then writes
// report.html. IoError.
void finish_run(const std::string& run_directory);

std::string memory_json(const MemoryReport& memory, int64_t parameters, int nodes);

}  // namespace winnow
