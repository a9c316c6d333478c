// POST /v1/score: candidates for a user, by name or by features.
#include <algorithm>

#include "core/error.h"
#include "core/math.h"
#include "serve/api/detail/service_impl.h"

namespace winnow {
namespace {

// What an I/O thread reads requests with, one after another.
struct ScoreReader {
  JsonBody body;
  std::weak_ptr<const ServedModel> of;  // what the cells are of; a model that is kept could not be taken further
  FeatureMap map;
  std::unique_ptr<SideCells> user, item;
  EncodedRow user_row, item_row, unknown_user, unknown_item;
  std::string text;
  std::vector<std::string> unknown;

  void use(const std::shared_ptr<const ServedModel>& model) {
    if (of.lock() == model) return;
    of = model;
    map = model->saved->map;
    user = std::make_unique<SideCells>(map, FeatureSide::User);
    item = std::make_unique<SideCells>(map, FeatureSide::Item);
    unknown_user = unknown_side(map, FeatureSide::User);
    unknown_item = unknown_side(map, FeatureSide::Item);
  }
};

EncodedSide read_user(ScoreReader& r, const ServedModel& model, const JsonObject& o, const std::string& user) {
  const int64_t known = model.catalogue == nullptr || user.empty() ? -1 : model.catalogue->find_user(user);
  const EncodedSide side = known >= 0 ? model.catalogue->side(FeatureSide::User, known) : view_of(r.unknown_user);
  r.user->clear();
  if (const auto features = o.object("user_features")) r.user->read(*features);
  if (const auto context = o.object("context")) r.user->read(*context);
  if (!r.user->any()) return side;
  r.user->encode(side, r.user_row);
  return view_of(r.user_row);
}

void read_items(ScoreReader& r, const JsonObject& o, int64_t most, const EncodedSide& user, ScoreJob& job) {
  const ServedModel& model = *job.model;
  const FeatureMap& map = model.saved->map;
  WN_CHECK(model.catalogue != nullptr, DataError, "items: model '{}' has no catalogue; give `candidates` with features",
           model.name);
  const auto items = o.list("items", static_cast<size_t>(most));
  WN_CHECK(items->size() > 0, DataError, "items: expected at least one");
  job.resize(items->size());
  size_t n = 0;
  for (const JsonElement id : *items) {
    WN_CHECK(id_text(id, r.text), DataError, "items[{}]: expected a text or an integer", n);
    const int64_t item = model.catalogue->find_item(r.text);
    if (item < 0) r.unknown.push_back(r.text);
    join_sides(map, user, item < 0 ? view_of(r.unknown_item) : model.catalogue->side(FeatureSide::Item, item),
               job.rows()[n++]);
  }
}

// {"columns": ["genre", "price"], "rows": [["Drama", 9.99], ...]}
void read_candidates(ScoreReader& r, const JsonObject& o, int64_t most, const EncodedSide& user, ScoreJob& job) {
  const FeatureMap& map = r.map;
  const auto candidates = o.object("candidates");
  candidates->only({"columns", "rows"});
  const auto columns = candidates->list("columns", 10'000), rows = candidates->list("rows", static_cast<size_t>(most));
  WN_CHECK(columns && rows && rows->size() > 0, DataError,
           "candidates: expected `columns`, names of features, and `rows` of their values");
  r.item->columns(*columns, "candidates.columns");
  job.resize(rows->size());
  size_t n = 0;
  for (const JsonElement row : *rows) {
    simdjson::dom::array values;
    WN_CHECK(row.get(values) == simdjson::SUCCESS, DataError, "candidates.rows[{}]: expected a list", n);
    r.item->clear();
    r.item->read_row(values, "candidates.rows");
    r.item->encode(view_of(r.unknown_item), r.item_row);
    join_sides(map, user, view_of(r.item_row), job.rows()[n++]);
  }
}

std::string score_answer(const ServedModel& model, std::span<const float> logits, bool with_logits,
                         const std::vector<std::string>& unknown) {
  JsonWriter json;
  json.open('{').field("model", model.name).field("version", model.version).key("scores").open('[');
  for (const float z : logits) json.value(math::sigmoid(z));
  json.close(']');
  if (with_logits) {
    json.key("logits").open('[');
    for (const float z : logits) json.value(z);
    json.close(']');
  }
  if (!unknown.empty()) {
    json.key("unknown_items").open('[');
    for (const std::string& item : unknown) json.value(item);
    json.close(']');
  }
  return json.close('}').take();
}

}  // namespace

void Service::Impl::add_score_routes(HttpServer& server) {
  route(
      server,
      {"POST", "/v1/score", "The probability of a click of each candidate for a user.",
       R"({"user": "196", "items": ["242", "302"]})", R"({"model": "store", "version": 0, "scores": [0.41, 0.07]})"},
      [this](HttpExchange& x, Measured& m) {
        if (queue.is_full()) throw Overloaded();
        thread_local ScoreReader r;
        const JsonObject o = r.body.object(
            x.request().body, {"model", "user", "user_features", "context", "items", "candidates", "logits"});
        const auto [user, model] = asked(o);
        r.use(model);
        WN_CHECK(o.has("items") != o.has("candidates"), DataError, "expected either `items` or `candidates`");
        auto job = queue.job();
        job->model = model;
        job->deadline = deadline(x);
        r.unknown.clear();
        const EncodedSide side = read_user(r, *model, o, user);
        if (o.has("items"))
          read_items(r, o, options.max_rows, side, *job);
        else
          read_candidates(r, o, options.max_rows, side, *job);
        job->done = [x, &m, with_logits = o.flag("logits", false), unknown = r.unknown](ScoreJob& done,
                                                                                        ScoreOutcome outcome) mutable {
          try {
            if (outcome == ScoreOutcome::Expired) throw Overloaded();
            if (outcome == ScoreOutcome::Failed) throw std::runtime_error(done.error);
            reply(x, m, {200, "application/json", score_answer(*done.model, done.logits(), with_logits, unknown), {}});
          } catch (...) { fail(x, m, std::current_exception()); }
        };
        if (!queue.submit(job)) throw Overloaded();
      });
}

}  // namespace winnow
