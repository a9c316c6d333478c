// Updater::save() and restore(): <run>/updates/state.safetensors.
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "nn/row_cache.h"
#include "nn/saved_parameters.h"
#include "train/update/updater.h"

namespace winnow {
namespace {

using Json = nlohmann::json;
constexpr const char* kFormat = "winnow-updates-1";

void add_rows(const std::string& name, std::span<const UpdateRow> rows, std::vector<NamedTensor>& tensors) {
  std::vector<int64_t> ids;
  std::vector<float> labels;
  for (const UpdateRow& row : rows) {
    ids.insert(ids.end(), {row.user, row.item, row.sequence});
    labels.push_back(row.label);
  }
  const auto n = static_cast<int64_t>(rows.size());
  tensors.push_back({name + "/ids", Tensor::of(ids, {n, 3})});
  tensors.push_back({name + "/labels", Tensor::of(labels, {n})});
}

std::vector<UpdateRow> rows_of(const SafeTensors& file, const std::string& name, const std::string& path) {
  const Tensor ids = file.at(name + "/ids"), labels = file.at(name + "/labels");
  WN_CHECK(ids.dtype() == DType::I64 && labels.dtype() == DType::F32 && ids.shape().rank() == 2 &&
               labels.shape().rank() == 1 && ids.shape()[1] == 3 && ids.shape()[0] == labels.shape()[0],
           IoError, "{}: '{}' holds {} and {}, expected i64 [n, 3] and f32 [n]", path, name, ids.spec().str(),
           labels.spec().str());
  std::vector<UpdateRow> rows;
  for (int64_t i = 0; i < labels.numel(); ++i) {
    const int64_t* id = ids.data<int64_t>() + 3 * i;
    rows.push_back({id[0], id[1], labels.data<float>()[i], id[2]});
  }
  return rows;
}

}  // namespace

// Options that decide what a state holds and which mini-batches the rows of a log form.
std::string Updater::shape_of_state() const {
  const UpdateOptions& o = options_;
  std::string text =
      fmt::format("batch={} reservoir={} negatives={} seed={} optimizer={} embedding={} ewc={}", o.batch_rows,
                  o.reservoir_rows, o.negatives, o.seed, o.optimizer.name, o.optimizer.embedding, o.ewc > 0);
  return text;
}

void Updater::save(const std::string& path, const std::string& base, const std::string& position) const {
  std::vector<NamedTensor> tensors;
  for (const Parameter& p : parameters_) {
    const Tensor& value = tensors.emplace_back(NamedTensor{"model/" + p.name(), p.value().on({})}).tensor;
    if (value.dtype() != DType::F32) continue;
    for (const float x : value.span<float>())
      WN_CHECK(std::isfinite(x), Error, "'{}' holds NaN or infinity after batch {}: the state was not written",
               p.name(), batches_);
  }
  for (const VariablePtr& v : step_->optimizer_state()) tensors.push_back({"optimizer/" + v->name, v->value.on({})});
  if (ewc_ != nullptr)
    for (const VariablePtr& v : ewc_->state()) tensors.push_back({"ewc/" + v->name, v->value.on({})});
  add_rows("reservoir", reservoir_.rows(), tensors);
  add_rows("queue", std::span(queue_).subspan(static_cast<size_t>(taken_)), tensors);
  const Json state{{"offset", offset_},           {"batches", batches_},       {"seeded", seeded_},
                   {"started", started_},         {"seen", reservoir_.seen()}, {"events", Json::parse(rows_.state())},
                   {"options", shape_of_state()}, {"position", position}};
  make_directories(parent_directory(path));
  save_safetensors(path, tensors, {{"format", kFormat}, {"base", base}, {"state", state.dump()}});
}

void Updater::check_row(const UpdateRow& row, const std::string& path) const {
  WN_CHECK(row.user >= -1 && row.user < what_.known.users && row.item >= 0 && row.item < what_.known.items &&
               row.label >= 0 && row.label <= 1,
           IoError, "{}: holds a row of user {} and item {}, of {} and {}", path, row.user, row.item, what_.known.users,
           what_.known.items);
}

bool Updater::restore(const std::string& path, const std::string& base, std::string* position) {
  if (!file_exists(path)) return false;
  const SafeTensors file = open_parameters(path);
  const auto text = [&](const char* key) {
    const auto at = file.metadata().find(key);
    WN_CHECK(at != file.metadata().end(), IoError, "{}: is no state of updates: no '{}'; start anew with --restart",
             path, key);
    return at->second;
  };
  WN_CHECK(text("format") == kFormat, IoError, "{}: is of another format than {}; start anew with --restart", path,
           kFormat);
  WN_CHECK(text("base") == base, ConfigError,
           "{}: belongs to run {}, this one is {}: it was trained anew since. Start the updates anew with --restart",
           path, text("base"), base);
  try {
    const Json state = Json::parse(text("state"));
    WN_CHECK(state.at("options") == shape_of_state(), ConfigError,
             "{}: these updates were begun with {}, now it is {}. Go on with those, or start anew with --restart", path,
             state.at("options").get<std::string>(), shape_of_state());
    const std::vector<UpdateRow> reservoir = rows_of(file, "reservoir", path), queue = rows_of(file, "queue", path);
    for (const auto* rows : {&reservoir, &queue})
      for (const UpdateRow& row : *rows) check_row(row, path);
    const auto tensors = tensors_of(file);
    load_variables(tensors, "optimizer/", step_->optimizer_state(), path);
    if (ewc_ != nullptr) load_variables(tensors, "ewc/", ewc_->state(), path);
    load_variables(tensors, "model/", variables_of(parameters_), path);
    rows_.restore(state.at("events").dump());
    reservoir_.restore(reservoir, state.at("seen"));
    queue_ = queue;
    taken_ = 0;
    offset_ = state.at("offset");
    batches_ = state.at("batches");
    seeded_ = state.at("seeded");
    started_ = state.at("started");
    if (position != nullptr) *position = state.at("position");
  } catch (const Json::exception& e) {
    raise<IoError>("{}: its state is not whole ({}); start anew with --restart", path, e.what());
  }
  return true;
}

}  // namespace winnow
