#include "train/trainer.h"

#include <chrono>
#include <cmath>
#include <deque>
#include <nlohmann/json.hpp>

#include "train/checkpoint.h"
#include "train/metrics_log.h"

namespace winnow {
namespace {

using Json = nlohmann::json;
using Clock = std::chrono::steady_clock;

double seconds_since(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

double wall_seconds() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// An output after a run; `kept` holds it from the first time on, where outputs are not copies.
double scalar_of(const Program& program, const std::string& name, Tensor& kept) {
  if (!kept.defined() || default_device().kind != Device::CPU) kept = program.output(name);
  return static_cast<double>(kept.item<float>());
}

}  // namespace

struct Trainer::State {
  State(const TrainOptions& options, const std::string& run_directory)
      : optimizer(options.optimizer), log(run_directory) {}
  std::deque<Graph> graphs;  // one a form of the task, as programs
  Optimizer optimizer;
  GradientBuffers buffers;          // with accumulate_steps > 1, when
  std::vector<Program> programs;    // a form's program ends with its gradients in the buffers
  std::optional<Program> from_sum;  // and this one takes the update from there
  std::unique_ptr<Stream> stream = make_stream();
  std::vector<Parameter> parameters;
  std::vector<Tensor> best;  // copies of the parameters of the best epoch; empty before the first
  Tensor rate = Tensor::zeros({DType::F32, {}}), step_tensor = Tensor::zeros({DType::I64, {}});
  Tensor keep = Tensor::zeros({DType::F32, {}}), share = Tensor::zeros({DType::F32, {}});
  Tensor batch_tensor = Tensor::zeros({DType::I64, {}});  // counts batches, as step_tensor does updates
  std::vector<Tensor> feeds, update_feeds;
  // Of each program, since its first run in this epoch: to ask for an output allocates, and validation may compile
  // programs that make the arena grow. With accumulate_steps > 1 the norm is from_sum's.
  std::vector<Tensor> losses, norms;
  MetricsLog log;
  double learning_rate = 0;            // of the last step
  Clock::time_point point_at;          // the last point of the log, or the start of this epoch
  int64_t units = 0, point_units = 0;  // taken in since this epoch or this start began; at the point
  int64_t steps_here = 0;              // since then

  // what a checkpoint carries besides tensors
  int64_t step = 0, epoch = 0, step_in_epoch = 0, bad_epochs = 0, best_epoch = 0, skipped = 0;
  double rate_factor = 1, best_value = 0, loss_sum = 0;
  std::string cursor;  // empty at the start of an epoch
  LossWindow window;
  std::optional<CacheCounts> cache_before;  // this epoch's first step here
  int64_t total = 0;                        // steps of the training

  // The batch that was fed while a device worked on the one before it.
  struct Ahead {
    std::string cursor;          // its own
    std::optional<Batch> batch;  // nothing: the epoch ended
  };
  std::optional<Ahead> ahead;
  bool looks_ahead = false;
};

Trainer::Trainer(TrainTask& task, TrainOptions options, std::string run_directory, TrainListener& listener,
                 const std::atomic<bool>& stop)
    : task_(task),
      options_(std::move(options)),
      run_directory_(std::move(run_directory)),
      listener_(listener),
      stop_(stop) {}
Trainer::~Trainer() = default;

void Trainer::build() {
  state_ = std::make_unique<State>(options_, run_directory_);
  State& s = *state_;
  task_.model().initialize(options_.seed);
  s.parameters = task_.model().parameters();
  CompileOptions compile_options = options_.compile;
  compile_options.precision = options_.precision;
  if (compile_options.arena == nullptr) compile_options.arena = std::make_shared<Arena>();
  for (const int64_t form : task_.forms()) {
    Graph& graph = s.graphs.emplace_back(default_device(), options_.seed);
    const Value step = graph.input("step", {DType::I64, {}});
    std::vector<Value> scalars;
    for (const char* name : options_.accumulate_steps > 1 ? std::vector{"keep", "share"} : std::vector{"learning_rate"})
      scalars.push_back(graph.input(name, {DType::F32, {}}));
    const Value loss = task_.record_loss(graph, step, form);
    graph.output("loss", loss);
    graph.backward(loss);
    if (options_.accumulate_steps > 1)
      s.buffers.record(graph, s.parameters, scalars[0], scalars[1]);
    else
      s.optimizer.emit(graph, s.parameters, scalars[0], step, options_.schedule.learning_rate);
    s.programs.push_back(compile(graph, compile_options));
  }
  s.feeds = {s.batch_tensor};
  if (options_.accumulate_steps > 1) {
    Graph& graph = s.graphs.emplace_back(default_device(), options_.seed);
    const Value step = graph.input("step", {DType::I64, {}}), rate = graph.input("learning_rate", {DType::F32, {}});
    s.optimizer.emit(graph, s.parameters, rate, step, options_.schedule.learning_rate, &s.buffers);
    s.from_sum = compile(graph, compile_options);
    s.feeds.insert(s.feeds.end(), {s.keep, s.share});
    s.update_feeds = {s.step_tensor, s.rate};
  } else {
    s.feeds.push_back(s.rate);
  }
  int64_t count = 0;
  for (const Parameter& p : s.parameters) count += p.value().numel();
  listener_.on_start(s.programs.back(), count, updates_in_epoch(0));
}

std::vector<Tensor> Trainer::snapshot() const {
  std::vector<Tensor> copies;
  write_back_cached_rows(state_->parameters);
  for (const Parameter& p : state_->parameters) copies.push_back(p.value().clone());
  return copies;
}

void Trainer::save() {
  State& s = *state_;
  Checkpoint checkpoint;
  checkpoint.step = s.step;
  write_back_cached_rows(s.parameters);
  for (const Parameter& p : s.parameters) {
    const Tensor& value = checkpoint.tensors.emplace_back(NamedTensor{"model/" + p.name(), p.value().on({})}).tensor;
    if (value.dtype() != DType::F32) continue;
    for (const float x : value.span<float>())
      WN_CHECK(std::isfinite(x), Error, "'{}' holds NaN or infinity at step {}: no checkpoint was written", p.name(),
               s.step);
  }
  s.log.write();  // before the checkpoint, which counts its lines
  for (const VariablePtr& v : s.optimizer.state()) checkpoint.tensors.push_back({"optimizer/" + v->name, v->value});
  for (const VariablePtr& v : task_.state()) checkpoint.tensors.push_back({"task/" + v->name, v->value});
  for (size_t i = 0; i < s.best.size(); ++i)
    checkpoint.tensors.push_back({"best/" + s.parameters[i].name(), s.best[i]});
  checkpoint.trainer_state = Json{
      {"step", s.step},
      {"epoch", s.epoch},
      {"step_in_epoch", s.step_in_epoch},
      {"bad_epochs", s.bad_epochs},
      {"best_epoch", s.best_epoch},
      {"best_value", s.best_value},
      {"rate_factor", s.rate_factor},
      {"loss_sum", s.loss_sum},
      {"cursor", s.cursor},
      {"skipped", s.skipped},
      {"window", {s.window.loss, s.window.gradient_norm, s.window.steps}},
      {"learning_rate", s.learning_rate},
      {"log_lines", s.log.lines().size()},
      {"has_best", !s.best.empty()},
      {"total_steps", total_steps()},
      {"accumulate_steps", options_.accumulate_steps},
      {"seed", options_.seed}}.dump();
  CheckpointDirectory(run_directory_).save(checkpoint);
}

void Trainer::restore() {
  State& s = *state_;
  const auto checkpoint =
      CheckpointDirectory(run_directory_).load([&](const std::string& text) { listener_.on_message(text); });
  if (!checkpoint) {
    listener_.on_message("nothing to resume from: starting at step 0");
    return;
  }
  const std::string source = fmt::format("checkpoint of step {} in {}", checkpoint->step, run_directory_);
  const Json j = Json::parse(checkpoint->trainer_state);
  WN_CHECK(j.at("seed").get<uint64_t>() == options_.seed, ConfigError, "{} was trained with --seed {}, this run has {}",
           source, j.at("seed").get<uint64_t>(), options_.seed);
  const int64_t batches = j.value("accumulate_steps", int64_t{1});
  WN_CHECK(batches == options_.accumulate_steps, ConfigError,
           "{} belongs to a training with train.accumulate_steps {}, this run has {}", source, batches,
           options_.accumulate_steps);
  const int64_t total = j.value("total_steps", total_steps());
  WN_CHECK(
      total == total_steps() || !depends_on_total(options_.schedule), ConfigError,
      "{} belongs to a training of {} steps and train.schedule '{}' ends at the last one, or train.warmup_fraction "
      "counts them; {} steps would have had other rates from the start. Train anew with another --out, or use the "
      "schedule constant or inverse_sqrt with warmup_steps",
      source, total, options_.schedule.name, total_steps());
  load_variables(checkpoint->tensors, "model/", variables_of(s.parameters), source);
  load_variables(checkpoint->tensors, "optimizer/", s.optimizer.state(), source);
  load_variables(checkpoint->tensors, "task/", task_.state(), source);
  forget_cached_rows(s.parameters);
  if (j.at("has_best").get<bool>()) {
    std::vector<VariablePtr> best;
    for (const Parameter& p : s.parameters) {
      s.best.push_back(Tensor(p.value().spec()));
      best.push_back(std::make_shared<Variable>(Variable{p.name(), s.best.back(), false, false}));
    }
    load_variables(checkpoint->tensors, "best/", best, source);
  }
  s.step = j.at("step");
  s.epoch = j.at("epoch");
  s.step_in_epoch = j.at("step_in_epoch");
  s.bad_epochs = j.at("bad_epochs");
  s.best_epoch = j.at("best_epoch");
  s.best_value = j.at("best_value");
  s.rate_factor = j.at("rate_factor");
  s.loss_sum = j.at("loss_sum");
  s.cursor = j.at("cursor");
  s.skipped = j.at("skipped");
  if (j.contains("window")) {
    s.window = {j.at("window").at(0), j.at("window").at(1), j.at("window").at(2)};
    s.learning_rate = j.at("learning_rate");
  }
  s.log.restore(j.value("log_lines", int64_t{-1}), s.step);
  for (const std::string& line : s.log.lines()) listener_.on_record(line);
  listener_.on_message(fmt::format("resumed at epoch {}, step {}", s.epoch + 1, s.step));
}

void Trainer::log(const std::string& line) {
  state_->log.add(line);
  listener_.on_record(line);
}

void Trainer::log_point() {
  State& s = *state_;
  const auto n = static_cast<double>(s.window.steps);
  const double seconds = seconds_since(s.point_at);
  const auto units = static_cast<double>(s.units - s.point_units);
  Json line{{"step", s.step},
            {"epoch", s.epoch + 1},
            {"loss", s.window.loss / n},
            {"learning_rate", s.learning_rate},
            {"gradient_norm", s.window.gradient_norm / n},
            {task_.unit() + "_per_second", seconds > 0 ? Json(units / seconds) : Json(nullptr)},
            {"time", wall_seconds()}};
  log(line.dump());
  s.window = {};
  s.point_at = Clock::now();
  s.point_units = s.units;
}

void Trainer::guard(double loss, double norm) {
  State& s = *state_;
  if (std::isfinite(loss) && std::isfinite(norm)) {
    s.loss_sum += loss;
    s.window.add(loss, norm);
    return;
  }
  const char* what = std::isfinite(loss) ? "gradient" : "loss";
  WN_CHECK(
      options_.skip_nonfinite, Error,
      "the {} is not finite at step {} (epoch {}); the parameters were left as they were before it. Lower the learning "
      "rate, set train.clip_norm, or let such steps be skipped with --set train.skip_nonfinite=true",
      what, s.step, s.epoch + 1);
  ++s.skipped;
  listener_.on_message(fmt::format("step {} skipped: the {} is not finite", s.step, what));
}

int64_t Trainer::total_steps() const {
  if (options_.max_steps > 0) return options_.max_steps;
  int64_t total = 0;
  for (int64_t epoch = 0; epoch < options_.epochs; ++epoch) total += updates_in_epoch(epoch);
  return total;
}

int64_t Trainer::updates_in_epoch(int64_t epoch) const {
  return (task_.steps_in_epoch(epoch) + options_.accumulate_steps - 1) / options_.accumulate_steps;
}

double Trainer::rate_of(int64_t step) const {
  return scheduled_rate(options_.schedule, step, state_->total) * state_->rate_factor;
}

std::optional<Trainer::Batch> Trainer::feed_next(int64_t number, double weight) {
  State& s = *state_;
  const auto batch = task_.next_batch();
  if (batch.empty()) return std::nullopt;
  const bool several = options_.accumulate_steps > 1;
  const double own = several ? task_.loss_weight() : 1, sum = weight + own;
  const double keep = weight > 0 ? weight / sum : 0, share = sum > 0 ? own / sum : 0;
  *s.batch_tensor.data<int64_t>() = number;
  *s.keep.data<float>() = static_cast<float>(keep);
  *s.share.data<float>() = static_cast<float>(share);
  s.feeds.resize(several ? 3 : 2);
  s.feeds.insert(s.feeds.end(), batch.begin(), batch.end());
  s.programs[task_.form()].feed(s.feeds, *s.stream);
  return Batch{task_.form(), task_.units(), keep, share, sum};
}

// While the device works on step s.step + 1: what the host does for the next one takes long where rows of embedding
// tables come from its memory, and their batches depend on the data alone.
void Trainer::look_ahead() {
  State& s = *state_;
  if (!s.looks_ahead || s.step + 1 == options_.max_steps) return;
  *s.rate.data<float>() = static_cast<float>(rate_of(s.step + 2));
  s.ahead = State::Ahead{task_.cursor(), {}};
  s.ahead->batch = feed_next(s.step + 2, 0);
}

std::string Trainer::cursor() const { return state_->ahead ? state_->ahead->cursor : task_.cursor(); }

// Step s.step + 1, with the learning rate set. False, and nothing done, at the epoch's end.
bool Trainer::update(double& loss, double& norm) {
  State& s = *state_;
  const int64_t each = options_.accumulate_steps;
  double weight = 0;
  int64_t taken = 0;
  loss = 0;
  for (; taken < each; ++taken) {
    const auto ahead = std::exchange(s.ahead, std::nullopt);
    const auto batch = ahead ? ahead->batch : feed_next(s.step * each + taken + 1, weight);
    if (!batch) break;
    Program& program = s.programs[batch->form];
    program.run(*s.stream);
    look_ahead();
    loss =
        (batch->keep > 0 ? batch->keep * loss : 0) + batch->share * scalar_of(program, "loss", s.losses[batch->form]);
    if (each == 1) norm = scalar_of(program, "gradient_norm", s.norms[batch->form]);
    weight = batch->weight;
    s.units += batch->units;
  }
  if (taken == 0) return false;
  ++s.step;
  ++s.step_in_epoch;
  ++s.steps_here;
  if (s.from_sum) {
    *s.step_tensor.data<int64_t>() = s.step;
    s.from_sum->run(s.update_feeds, *s.stream);
    norm = scalar_of(*s.from_sum, "gradient_norm", s.norms[0]);
  }
  return true;
}

// By the options of this run, not by those of the one that wrote the checkpoint: a finished training goes on when it is
// given more epochs or steps.
bool Trainer::is_over() const {
  const State& s = *state_;
  const bool out_of_patience = s.bad_epochs >= options_.patience && !options_.monitor.empty();
  return s.epoch >= options_.epochs || out_of_patience || (options_.max_steps > 0 && s.step >= options_.max_steps);
}

// One epoch from where the state stands; false when the stop flag ended it early.
bool Trainer::train_epoch() {
  State& s = *state_;
  const int64_t per_epoch = updates_in_epoch(s.epoch);
  s.total = total_steps();
  s.ahead.reset();
  task_.start_epoch(s.epoch);
  if (!s.cursor.empty()) task_.seek(s.cursor);
  s.point_at = Clock::now();
  s.units = s.point_units = s.steps_here = 0;
  s.cache_before = cache_counts(s.parameters);
  s.looks_ahead = s.cache_before && options_.accumulate_steps == 1 && default_device().kind != Device::CPU;
  s.losses.assign(s.programs.size(), {});
  s.norms.assign(s.programs.size(), {});
  while (options_.max_steps == 0 || s.step < options_.max_steps) {
    const double rate = rate_of(s.step + 1);
    *s.rate.data<float>() = static_cast<float>(rate);
    double loss = 0, norm = 0;
    if (!update(loss, norm)) break;
    s.learning_rate = rate;
    guard(loss, norm);
    listener_.on_rate(task_.unit(), static_cast<double>(s.units) / static_cast<double>(s.steps_here));
    listener_.on_step(s.epoch, s.step_in_epoch, per_epoch,
                      s.loss_sum / static_cast<double>(std::max<int64_t>(1, s.step_in_epoch)));
    if (LossWindow::ends_at(s.step_in_epoch, per_epoch) && s.window.steps > 0) log_point();
    const bool due = options_.checkpoint_steps > 0 && s.step % options_.checkpoint_steps == 0;
    if (!due && !stop_) continue;
    s.cursor = cursor();
    save();
    if (stop_) return false;
  }
  return true;
}

// Validation, early stopping, the epoch's checkpoint. False when training is over.
bool Trainer::finish_epoch(double seconds) {
  State& s = *state_;
  const bool cut =
      options_.max_steps > 0 && s.step >= options_.max_steps && s.step_in_epoch < updates_in_epoch(s.epoch);
  if (cut) {  // in the middle of an epoch: a training with more steps goes on from here
    s.cursor = cursor();
    save();
  }
  if (s.window.steps > 0) log_point();
  s.losses.clear();
  s.norms.clear();
  const double train_loss = s.loss_sum / static_cast<double>(std::max<int64_t>(1, s.step_in_epoch));
  const auto cached = cache_counts(s.parameters);
  const auto metrics = task_.validate();
  bool improved = options_.monitor.empty();
  Json line{{"step", s.step},           {"epoch", s.epoch + 1},
            {"train_loss", train_loss}, {"learning_rate_factor", s.rate_factor},
            {"seconds", seconds},       {"time", wall_seconds()}};
  if (cached && s.cache_before) line["cache_hit_rate"] = (*cached - *s.cache_before).hit_rate();
  for (const NamedMetric& m : metrics) {
    line["valid_" + m.name] = m.value;
    if (m.name == options_.monitor)
      improved = s.best.empty() || (options_.monitor_higher ? m.value > s.best_value : m.value < s.best_value);
    if (m.name == options_.monitor && improved) s.best_value = m.value;
  }
  s.bad_epochs = improved ? 0 : s.bad_epochs + 1;
  if (improved) {
    s.best = snapshot();
    s.best_epoch = s.epoch + 1;
  } else {
    const double floor = std::min(1.0, options_.min_learning_rate / options_.schedule.learning_rate);
    s.rate_factor = std::max(floor, s.rate_factor * options_.plateau_factor);
  }
  log(line.dump());
  listener_.on_epoch(s.epoch + 1, train_loss, metrics, improved, seconds);
  if (cached && s.cache_before) listener_.on_cache(*cached - *s.cache_before);
  ++s.epoch;
  s.step_in_epoch = 0;
  s.loss_sum = 0;
  s.cursor.clear();
  cut ? s.log.write() : save();
  return !is_over();
}

TrainResult Trainer::run(bool resume) {
  build();
  if (resume) restore();
  State& s = *state_;
  TrainResult result;
  while (s.step_in_epoch > 0 || !is_over()) {  // steps of an epoch that nothing has closed yet
    const auto start = Clock::now();
    if (!train_epoch()) {
      result.interrupted = true;
      break;
    }
    if (!finish_epoch(seconds_since(start))) break;
  }
  write_back_cached_rows(s.parameters);
  if (!result.interrupted) {
    for (size_t i = 0; i < s.best.size(); ++i) s.parameters[i].value().copy_from(s.best[i]);
    forget_cached_rows(s.parameters);
  }
  result.steps = s.step;
  result.epochs = s.epoch;
  result.best_epoch = s.best_epoch;
  result.best = s.best_value;
  return result;
}

}  // namespace winnow
