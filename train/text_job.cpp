#include "train/text_job.h"

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/parallel.h"
#include "core/safetensors.h"
#include "train/checkpoint.h"
#include "train/report/recorder.h"

namespace winnow {
namespace {

using Json = nlohmann::json;
constexpr size_t kMaxState = size_t{64} << 20;  // bytes of target.json
constexpr std::array kSplits = {Split::Train, Split::Valid, Split::Test};

RecordOutputs outputs_of(const TextModel& model) {
  return [&model](const TokenInputs& in, const StepContext& context) { return model(in, context); };
}

JaggedIds encode(const TextEncoder& encoder, const TextTable& table, std::span<const int32_t> rows) {
  return encoder.encode(table.firsts(rows), table.seconds(rows));
}

// Rows that max_len cut: only those of exactly that length can have been longer.
int64_t truncated(const TextEncoder& encoder, const TextTable& table, std::span<const int32_t> rows,
                  const JaggedIds& tokens) {
  std::vector<int32_t> full;
  for (size_t r = 0; r < rows.size(); ++r)
    if (tokens.length(static_cast<int64_t>(r)) >= encoder.options().max_len) full.push_back(rows[r]);
  const JaggedIds whole =
      encode_batch(encoder.tokenizer(), table.firsts(full), table.seconds(full), {0, true}, num_threads());
  int64_t count = 0;
  for (const int64_t length : whole.lengths()) count += length > encoder.options().max_len;
  return count;
}

Json describe_split(const TextEncoder& encoder, const TextTable& table, std::span<const int32_t> rows,
                    const JaggedIds& tokens) {
  int64_t empty = 0, longest = 0;
  for (const int32_t r : rows) empty += table.first[static_cast<size_t>(r)].empty();
  for (const int64_t length : tokens.lengths()) longest = std::max(longest, length);
  const auto n = static_cast<double>(rows.size()), all = static_cast<double>(tokens.ids.size());
  return {{"rows", rows.size()},
          {"empty", empty},
          {"truncated", truncated(encoder, table, rows, tokens)},
          {"tokens", tokens.ids.size()},
          {"tokens_mean", n > 0 ? all / n : 0},
          {"tokens_max", longest}};
}

Json describe_cleaning(const CleanReport& clean) {
  Json steps = Json::array();
  for (const CleanReport::Step& s : clean.steps)
    steps.push_back(
        {{"step", s.step}, {"column", s.column}, {"what", s.what}, {"dropped", s.dropped}, {"changed", s.changed}});
  return steps;
}

std::string summary_of(const Json& report, double seconds) {
  std::string text = fmt::format("{} rows read, {} kept, encoded in {:.2f} s", report.at("rows_read").get<int64_t>(),
                                 report.at("kept").get<int64_t>(), seconds);
  for (const Json& s : report.at("clean"))
    text +=
        fmt::format("\n  {} dropped, {} cells changed: {} {}", s.at("dropped").get<int64_t>(),
                    s.at("changed").get<int64_t>(), s.at("step").get<std::string>(), s.at("column").get<std::string>());
  for (const Split split : kSplits) {
    if (!report.at("texts").contains(name_of(split))) continue;
    const Json& s = report.at("texts").at(name_of(split));
    text +=
        fmt::format("\n{:<5} {:>8} rows, tokens mean {:.1f}, longest {}; {} truncated, {} empty", name_of(split),
                    s.at("rows").get<int64_t>(), s.at("tokens_mean").get<double>(), s.at("tokens_max").get<int64_t>(),
                    s.at("truncated").get<int64_t>(), s.at("empty").get<int64_t>());
  }
  return text;
}

const TextTrainingOptions& checked(const TextTrainingOptions& options) {
  check_run_directory(options.out, options.resume);
  return options;
}

}  // namespace

struct TextTraining::Data {
  TextTable table;
  std::array<std::vector<int32_t>, 3> rows;  // of the table, for each split
  std::array<TextRows, 3> splits;
  Json report;
};

TextTraining::TextTraining(TextConfig config, TextTrainingOptions options)
    : config_(std::move(config)), options_(checked(options)), data_(std::make_unique<Data>()) {
  const auto begun = std::chrono::steady_clock::now();
  if (config_.loop.train.compile.arena == nullptr) config_.loop.train.compile.arena = std::make_shared<Arena>();
  TextJob& job = *config_.job;
  data_->table = read_text_table(config_.data);
  job.fit(data_->table);
  model_ = std::make_unique<TextModel>(config_.model, job.outputs());
  for (const Split s : kSplits) {
    const auto i = static_cast<size_t>(s);
    data_->rows[i] = s == Split::Train ? job.trained(data_->table) : data_->table.rows_of(s);
    data_->splits[i] = {encode(model_->encoder(), data_->table, data_->rows[i]),
                        job.targets(data_->table, data_->rows[i])};
  }
  Json& report = data_->report;
  report = {{"rows_read", data_->table.clean.rows_read},
            {"kept", data_->table.clean.kept},
            {"clean", describe_cleaning(data_->table.clean)},
            {"targets", job.describe(data_->table)}};
  for (const Split s : kSplits) {
    const auto i = static_cast<size_t>(s);
    if (data_->rows[i].empty()) continue;
    report["splits"][name_of(s)] = {{"rows", data_->rows[i].size()}};
    report["texts"][name_of(s)] =
        describe_split(model_->encoder(), data_->table, data_->rows[i], data_->splits[i].tokens);
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begun;
  summary_ = summary_of(report, seconds.count());
}
TextTraining::~TextTraining() = default;

TextSplit TextTraining::view(Split split) const {
  const auto i = static_cast<size_t>(split);
  return {split,
          &data_->table,
          data_->rows[i],
          &data_->splits[i].tokens,
          &data_->splits[i].targets,
          &model_->encoder().tokenizer()};
}

std::vector<float> TextTraining::outputs(Split split) {
  return TextPredictor(outputs_of(*model_), data_->splits[static_cast<size_t>(split)].tokens,
                       config_.loop.train.compile)
      .run();
}

TrainResult TextTraining::train(TrainListener& listener, const std::atomic<bool>& stop) {
  make_directories(options_.out);
  write_atomically(options_.out + "/config.yaml", config_.resolved);
  // values of the data need not be UTF-8
  write_atomically(options_.out + "/data_report.json",
                   data_->report.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  TextJob& job = *config_.job;
  TextTaskOptions options;
  options.batches = config_.batches;
  options.compile = config_.loop.train.compile;
  options.outputs = outputs_of(*model_);
  options.loss = [&job](Value outputs, Value targets, Value weights) { return job.loss(outputs, targets, weights); };
  options.validate = [&](std::span<const float> outputs) { return job.validate(outputs, view(Split::Valid)); };
  TextTask task(*model_, data_->splits[0], data_->splits[1].tokens, std::move(options));
  RunRecorder recorder(options_.out, config_.resolved, listener);
  Trainer trainer(task, config_.loop.train, options_.out, recorder, stop);
  const TrainResult result = trainer.run(options_.resume);
  if (result.interrupted) return result;
  if (!data_->rows[1].empty()) job.calibrate(outputs(Split::Valid), view(Split::Valid));
  save_text_model(options_.out, *model_, job);
  return result;
}

TextEvaluation TextTraining::evaluate() {
  const Split split = options_.test && !data_->rows[2].empty() ? Split::Test : Split::Valid;
  WN_CHECK(!data_->rows[static_cast<size_t>(split)].empty(), DataError,
           "no row is held out: give data.test or data.split.test to evaluate the model");
  TextEvaluation evaluation = config_.job->evaluate(outputs(split), view(split), view(Split::Train));
  write_atomically(options_.out + "/evaluation.json", evaluation.json + "\n");
  finish_run(options_.out);
  return evaluation;
}

void save_text_model(const std::string& directory, const TextModel& model, const TextJob& job) {
  make_directories(directory);
  model.encoder().save(directory + "/encoder");
  write_atomically(directory + "/target.json", job.state().dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  save_parameters(directory + "/model.safetensors", model.head_parameters(), job.name());
}

OpenedTextRun::OpenedTextRun(const std::string& directory, const std::vector<std::string>& sets)
    : config_(CommonOptions{directory + "/config.yaml", sets}, "", directory + "/encoder") {
  const std::string path = directory + "/model.safetensors", target = directory + "/target.json";
  const SafeTensors file = open_parameters(path);
  const Json state = Json::parse(read_text(target, kMaxState), nullptr, false);
  WN_CHECK(!state.is_discarded(), DataError, "{}: not JSON", target);
  try {
    config_.job->restore(state);
  } catch (const Json::exception& e) { raise<DataError>("{}: {}", target, e.what()); }
  config_.model.freeze_layers = 0;
  model_ = std::make_unique<TextModel>(config_.model, config_.job->outputs());
  model_->initialize(config_.loop.train.seed);
  load_parameters(file, model_->head_parameters(), path);
}
OpenedTextRun::~OpenedTextRun() = default;

std::vector<float> OpenedTextRun::outputs(std::span<const std::string_view> first,
                                          std::span<const std::string_view> second) const {
  const JaggedIds tokens = model_->encoder().encode(first, second);
  return TextPredictor(outputs_of(*model_), tokens, config_.loop.train.compile).run();
}

std::vector<float> OpenedTextRun::outputs(Split split) const {
  const TextTable table = read_text_table(config_.data);
  return outputs(table.firsts(table.rows_of(split)), table.seconds(table.rows_of(split)));
}

TextEvaluation OpenedTextRun::evaluate(Split split) const {
  const TextTable table = read_text_table(config_.data);
  const TextJob& job = *config_.job;
  const std::vector<int32_t>& rows = table.rows_of(split);
  WN_CHECK(!rows.empty(), DataError, "the {} split has no row", name_of(split));
  const std::vector<int32_t> trained = job.trained(table);
  const TextRows held_out{encode(model_->encoder(), table, rows), job.targets(table, rows)},
      train{encode(model_->encoder(), table, trained), job.targets(table, trained)};
  const std::vector<float> outputs =
      TextPredictor(outputs_of(*model_), held_out.tokens, config_.loop.train.compile).run();
  const Tokenizer* tokenizer = &model_->encoder().tokenizer();
  return job.evaluate(outputs, {split, &table, rows, &held_out.tokens, &held_out.targets, tokenizer},
                      {Split::Train, &table, trained, &train.tokens, &train.targets, tokenizer});
}

}  // namespace winnow
