// Health, metrics, what the server is and how it does; the page.
#include <cmath>

#include "core/error.h"
#include "serve/api/detail/page.h"
#include "serve/api/detail/service_impl.h"

namespace winnow {
namespace {

constexpr double kQuantiles[] = {0.5, 0.9, 0.99};

void write_example(JsonWriter& json, const std::string& example) {
  json.key("content").open('{').key("application/json").open('{');
  if (!example.empty()) json.key("example").raw(example);
  json.close('}').close('}');
}

// One operation of an OpenAPI 3.0 document.
void write_operation(JsonWriter& json, const RouteText& t) {
  json.key(t.method == "POST" ? "post" : "get").open('{').field("summary", t.summary);
  json.key("parameters").open('[');
  for (size_t at = t.path.find('{'); at != std::string::npos; at = t.path.find('{', at + 1)) {
    json.open('{').field("name", t.path.substr(at + 1, t.path.find('}', at) - at - 1)).field("in", "path");
    json.field("required", true).key("schema").open('{').field("type", "string").close('}').close('}');
  }
  json.close(']');
  if (t.method == "POST") {
    json.key("requestBody").open('{').field("required", true);
    write_example(json, t.body);
    json.close('}');
  }
  json.key("responses").open('{').key("200").open('{').field("description", "the answer");
  write_example(json, t.answer);
  json.close('}');
  const std::pair<const char*, const char*> errors[] = {
      {"400", "the request cannot be understood: the text says what and where"},
      {"503", "busy: try again after Retry-After seconds"}};
  for (const auto& [status, text] : errors) json.key(status).open('{').field("description", text).close('}');
  json.close('}').close('}');
}

}  // namespace

void Service::Impl::add_status_routes(HttpServer& server) {
  const auto health = [this](HttpExchange& x, Measured& m) {
    const StoreHealth kept = store->health();
    JsonWriter json;
    json.open('{').field("status", kept.ok ? "ok" : "degraded").key("store").open('{').field("ok", kept.ok);
    json.field("text", kept.text).field("waiting", kept.waiting).close('}').key("models").open('[');
    for (const ModelFacts& f : models->facts()) {
      json.open('{').field("name", f.name).field("version", f.version);
      if (!f.problem.empty()) json.field("problem", "the newest version could not be loaded; see the server's log");
      json.close('}');
    }
    json.close(']').close('}');
    reply_json(x, m, json);
  };
  const auto fine = [](HttpExchange& x, Measured& m) {
    reply(x, m, {200, "application/json", "{\"ready\":true}", {}});
  };
  route(server, {"GET", "/v2/health/live", "Whether the process answers.", "", ""}, fine, true);
  route(server, {"GET", "/v2/health/ready", "Whether every model answers: it does once this does.", "", ""}, fine,
        true);
  work(server, {"GET", "/health", "The store, the models and their versions.", "", ""}, health, true);

  const auto sample = [this](const char* name, const char* help, bool counter, std::function<double()> value,
                             const MetricLabels& labels = {}) {
    metrics.sample(name, help, counter, std::move(value), labels);
  };
  sample("winnow_scored_rows_total", "Candidates scored.", true,
         [this] { return static_cast<double>(queue.counts().rows); });
  sample("winnow_score_batches_total", "Batches of them.", true,
         [this] { return static_cast<double>(queue.counts().batches); });
  sample("winnow_score_refused_total", "Requests refused for want of time.", true,
         [this] { return static_cast<double>(queue.counts().refused); });
  sample("winnow_score_expired_total", "Requests whose time passed before they were computed.", true,
         [this] { return static_cast<double>(queue.counts().expired); });
  sample("winnow_score_waiting_rows", "Candidates that wait.", false,
         [this] { return static_cast<double>(queue.counts().waiting_rows); });
  sample("winnow_score_row_seconds", "Moving mean of a candidate's time.", false,
         [this] { return queue.counts().row_microseconds * 1e-6; });
  sample("winnow_http_connections", "Open connections.", false,
         [&server] { return static_cast<double>(server.counts().open_connections); });
  sample("winnow_http_bad_requests_total", "Requests that were no HTTP or over a limit.", true,
         [&server] { return static_cast<double>(server.counts().bad_requests); });
  sample("winnow_http_refused_total", "Without key, over a rate, too many connections.", true,
         [&server] { return static_cast<double>(server.counts().refused); });
  sample("winnow_http_body_bytes", "Of bodies of requests that are read or handled.", false,
         [&server] { return static_cast<double>(server.counts().body_bytes); });
  sample("winnow_store_ok", "1: events are kept where they should be.", false,
         [this] { return store->health().ok ? 1. : 0.; });
  sample("winnow_store_waiting", "Events that wait for the store.", false,
         [this] { return static_cast<double>(store->health().waiting); });
  for (const std::string& name : models->names()) {
    const auto of = [this, name](auto member) {
      for (const ModelFacts& f : models->facts())
        if (f.name == name) return static_cast<double>(f.*member);
      return 0.;
    };
    sample("winnow_model_version", "The version that answers.", false, [of] { return of(&ModelFacts::version); },
           {{"model", name}});
    sample("winnow_model_events", "Events learnt by it.", false, [of] { return of(&ModelFacts::events); },
           {{"model", name}});
    sample("winnow_model_loads_total", "Versions loaded.", true, [of] { return of(&ModelFacts::loads); },
           {{"model", name}});
  }
  work(server, {"GET", "/metrics", "Prometheus.", "", ""}, [this](HttpExchange& x, Measured& m) {
    reply(x, m, {200, kMetricsType, metrics.text(), {}});
  });

  work(server, {"GET", "/v1/stats", "Rates, latencies of the last minute and versions, for people.", "", ""},
       [this](HttpExchange& x, Measured& m) {
         JsonWriter json;
         json.open('{').key("routes").open('[');
         for (const auto& [name, measure] : measured) {
           const auto summary = measure->window.summary({std::begin(kQuantiles), std::end(kQuantiles)});
           if (measure->ok->value() + measure->bad->value() + measure->refused->value() == 0) continue;
           json.open('{').field("route", name).field("answered", measure->ok->value());
           json.field("bad", measure->bad->value()).field("refused", measure->refused->value());
           json.field("per_second", summary.per_second);
           for (size_t q = 0; q < std::size(kQuantiles); ++q)
             json.field(fmt::format("p{:.0f}_ms", 100 * kQuantiles[q]), 1000 * summary.quantiles[q]);
           json.close('}');
         }
         json.close(']').key("models").open('[');
         for (const ModelFacts& f : models->facts()) {
           json.open('{').field("name", f.name).field("model", f.model).field("version", f.version);
           json.field("events", f.events).field("share", f.share).field("parameters", f.parameters);
           json.field("loaded_seconds_ago", f.loaded_seconds_ago).close('}');
         }
         const ScoreCounts c = queue.counts();
         json.close(']').key("scoring").open('{').field("rows", c.rows).field("batches", c.batches);
         json.field("refused", c.refused).field("expired", c.expired).field("row_microseconds", c.row_microseconds);
         json.close('}');
         if (policy != nullptr) {
           const ListPolicy::Counts counts = policy->counts();
           json.key("policy").open('{').field("kind", name_of(policy->options().bandit.kind));
           json.field("decisions", counts.decisions).field("rewarded", counts.rewarded);
           json.field("unrewarded", counts.unrewarded)
               .field("reward", counts.reward)
               .field("open", counts.open)
               .close('}');
         }
         json.field("last_event", store->last_sequence()).field("encoder", encoder != nullptr).close('}');
         reply_json(x, m, json);
       });

  route(
      server, {"GET", "/openapi.json", "This interface as an OpenAPI document.", "", ""},
      [this](HttpExchange& x, Measured& m) {
        std::map<std::string, std::vector<const RouteText*>> paths;
        for (const RouteText& t : texts) paths[t.path].push_back(&t);
        JsonWriter json;
        json.open('{').field("openapi", "3.0.3").key("info").open('{').field("title", "Winnow");
        json.field("version", options.version).close('}').key("paths").open('{');
        for (const auto& [path, operations] : paths) {
          json.key(path).open('{');
          for (const RouteText* t : operations) write_operation(json, *t);
          json.close('}');
        }
        json.close('}').close('}');
        reply_json(x, m, json);
      },
      true);
  route(
      server, {"GET", "/", "A page to try it.", "", ""},
      [](HttpExchange& x, Measured& m) {
        reply(x, m,
              {200,
               "text/html; charset=utf-8",
               std::string(kPage),
               {{"Content-Security-Policy",
                 "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
                 "connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"},
                {"X-Content-Type-Options", "nosniff"}}});
      },
      true);
}

}  // namespace winnow
