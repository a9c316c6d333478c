// The Open Inference Protocol (KServe v2): a model as named tensors. Every feature is an input of shape [n]; those that
// are left out are missing.
#include "core/error.h"
#include "core/math.h"
#include "serve/api/detail/service_impl.h"

namespace winnow {
namespace {

// How a client should send a feature: numbers as FP64, all else as BYTES; INT64 is taken for either.
const char* datatype_of(const FittedFeature& f) { return reads_numbers(f.spec) ? "FP64" : "BYTES"; }

void open_tensor(JsonWriter& json, std::string_view name, std::string_view datatype, int64_t n) {
  json.open('{').field("name", name).field("datatype", datatype).key("shape").open('[').value(n).close(']');
}

struct Inputs {
  SideCells user, item;
  explicit Inputs(const FeatureMap& map) : user(map, FeatureSide::User), item(map, FeatureSide::Item) {}
};

struct InputTensor {
  size_t feature = 0;
  simdjson::dom::array::iterator next, end;
};

// The tensors by feature, all of one length.
std::vector<InputTensor> read_inputs(const FeatureMap& map, simdjson::dom::array inputs, int64_t most, int64_t& rows) {
  std::vector<InputTensor> tensors;
  rows = -1;
  size_t i = 0;
  for (const JsonElement element : inputs) {
    const std::string place = fmt::format("inputs[{}]", i++);
    simdjson::dom::object object;
    WN_CHECK(element.get(object) == simdjson::SUCCESS, DataError, "{}: expected an object", place);
    const JsonObject tensor(object, place);
    tensor.only({"name", "shape", "datatype", "data", "parameters"});
    const std::string_view name = tensor.text("name", ""), datatype = tensor.text("datatype", "");
    const auto shape = tensor.list("shape", 8), data = tensor.list("data", static_cast<size_t>(most));
    if (!data) tensor.refuse("data", "a list");
    const auto n = static_cast<int64_t>(data->size());
    int64_t first = 0;
    const bool fits = shape && (shape->size() == 1 || shape->size() == 2) &&
                      shape->at(0).get(first) == simdjson::SUCCESS && first == n &&
                      (shape->size() == 1 || int64_t{1} == int64_t(shape->at(1).get_int64().value()));
    if (!fits) tensor.refuse("shape", fmt::format("[{0}] or [{0}, 1], as there are {0} values", n));
    constexpr std::string_view kTypes[] = {"BYTES",  "INT8",   "INT16",  "INT32", "INT64", "UINT8",
                                           "UINT16", "UINT32", "UINT64", "FP32",  "FP64"};
    if (std::ranges::find(kTypes, datatype) == std::end(kTypes))
      tensor.refuse("datatype", fmt::format("one of {}", fmt::join(kTypes, ", ")));
    WN_CHECK(rows < 0 || rows == n, DataError, "{}: {} values, the tensors before it have {}", place, n, rows);
    rows = n;
    for (const InputTensor& t : tensors)
      WN_CHECK(map.features[t.feature].spec.name != name, DataError, "{}: '{}' is there twice", place, name);
    tensors.push_back({map.feature(name), data->begin(), data->end()});
  }
  WN_CHECK(rows > 0, DataError, "inputs: expected at least one tensor with at least one value");
  return tensors;
}

void read_rows(const FeatureMap& map, std::vector<InputTensor>& tensors, ScoreJob& job) {
  Inputs cells(map);
  const EncodedRow no_user = unknown_side(map, FeatureSide::User), no_item = unknown_side(map, FeatureSide::Item);
  EncodedRow user, item;
  for (EncodedRow& row : job.rows()) {
    cells.user.clear(), cells.item.clear();
    for (InputTensor& t : tensors) {
      const FittedFeature& f = map.features[t.feature];
      (side_of(f) == FeatureSide::Item ? cells.item : cells.user).set(f.spec.name, *t.next, "inputs");
      ++t.next;
    }
    cells.user.encode(view_of(no_user), user);
    cells.item.encode(view_of(no_item), item);
    join_sides(map, view_of(user), view_of(item), row);
  }
}

}  // namespace

void Service::Impl::add_infer_routes(HttpServer& server) {
  route(server, {"GET", "/v2", "What the server is.", "", ""}, [this](HttpExchange& x, Measured& m) {
    JsonWriter json;
    json.open('{').field("name", "winnow").field("version", options.version);
    json.key("extensions").open('[').close(']').close('}');
    reply_json(x, m, json);
  });
  for (const char* path : {"/v2/models/{name}/ready"})
    route(server, {"GET", path, "Whether the model answers.", "", ""}, [this](HttpExchange& x, Measured& m) {
      models->of(x.request().path_parameter("name"));
      reply(x, m, {200, "application/json", "{\"ready\":true}", {}});
    });
  route(server, {"GET", "/v2/models/{name}", "Inputs and outputs of the model.", "", ""},
        [this](HttpExchange& x, Measured& m) {
          const auto model = models->of(x.request().path_parameter("name"));
          JsonWriter json;
          json.open('{').field("name", model->name).key("versions").open('[').value(fmt::format("{}", model->version));
          json.close(']').field("platform", "winnow").key("inputs").open('[');
          for (const FittedFeature& f : model->saved->map.features)
            if (f.spec.type != FeatureType::Image) open_tensor(json, f.spec.name, datatype_of(f), -1), json.close('}');
          json.close(']').key("outputs").open('[');
          open_tensor(json, "probability", "FP32", -1);
          json.close('}').close(']').close('}');
          reply_json(x, m, json);
        });
  route(server,
        {"POST", "/v2/models/{name}/infer", "Probabilities of rows of features, a tensor each.",
         R"({"inputs": [{"name": "user_id", "datatype": "BYTES", "shape": [1], "data": ["196"]}]})", ""},
        [this](HttpExchange& x, Measured& m) {
          if (queue.is_full()) throw Overloaded();
          thread_local JsonBody body;
          const JsonObject o = body.object(x.request().body, {"id", "parameters", "inputs", "outputs"});
          auto job = queue.job();
          job->model = models->of(x.request().path_parameter("name"));
          job->deadline = deadline(x);
          const auto inputs = o.list("inputs", 10'000);
          if (!inputs) o.refuse("inputs", "a list of tensors");
          int64_t rows = 0;
          const FeatureMap& map = job->model->saved->map;
          std::vector<InputTensor> tensors = read_inputs(map, *inputs, options.max_rows, rows);
          job->resize(static_cast<size_t>(rows));
          read_rows(map, tensors, *job);
          job->done = [x, &m, id = std::string(o.text("id", ""))](ScoreJob& done, ScoreOutcome outcome) mutable {
            try {
              if (outcome == ScoreOutcome::Expired) throw Overloaded();
              if (outcome == ScoreOutcome::Failed) throw std::runtime_error(done.error);
              JsonWriter json;
              json.open('{').field("model_name", done.model->name);
              json.field("model_version", fmt::format("{}", done.model->version));
              if (!id.empty()) json.field("id", id);
              json.key("outputs").open('[');
              open_tensor(json, "probability", "FP32", static_cast<int64_t>(done.logits().size()));
              json.key("data").open('[');
              for (const float z : done.logits()) json.value(math::sigmoid(z));
              json.close(']').close('}').close(']').close('}');
              reply_json(x, m, json);
            } catch (...) { fail(x, m, std::current_exception()); }
          };
          if (!queue.submit(job)) throw Overloaded();
        });
}

}  // namespace winnow
