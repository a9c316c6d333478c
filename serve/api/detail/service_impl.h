// What the routes of a service share. Inner header of serve/api.
#pragma once
#include <atomic>
#include <map>
#include <mutex>
#include <stdexcept>

#include "serve/api/detail/json_writer.h"
#include "serve/api/detail/workers.h"
#include "serve/api/feature_cells.h"
#include "serve/api/json_body.h"
#include "serve/api/service.h"
#include "serve/http/metrics.h"
#include "serve/recommend/build.h"
#include "serve/store/event_store.h"
#include "serve/store/ttl_cache.h"

namespace winnow {

// 503 with Retry-After: not computed, for want of time.
struct Overloaded : std::runtime_error {
  Overloaded() : std::runtime_error("the server is busy; try again later") {}
};

// What is known of a catalogue, built once for all versions over it.
struct Knowledge {
  std::shared_ptr<const Catalogue> catalogue;
  ItemKnowledge items;
  std::unique_ptr<Recommender> recommender;
  std::unique_ptr<ItemSearch> search;
};

// One thing that clients ask for, measured.
struct Measured {
  std::string name;
  MetricCounter *ok = nullptr, *refused = nullptr, *bad = nullptr, *failed = nullptr;
  MetricHistogram* seconds = nullptr;
  LatencyWindow window;
};

struct RouteText {
  std::string method, path, summary;
  std::string body, answer;  // examples, "" none
};

struct Service::Impl {
  explicit Impl(const ServiceOptions& options);
  ~Impl();

  ServiceOptions options;
  std::unique_ptr<TextEncoder> encoder;
  std::unique_ptr<QueryEncoder> query_encoder;
  std::mutex knowledge_mutex;
  std::map<const Catalogue*, std::shared_ptr<const Knowledge>> knowledge;
  std::unique_ptr<EventStore> store;
  TtlCache<std::string, std::vector<UserEvent>> histories;
  std::unique_ptr<ListPolicy> policy;  // null: none
  ScoreQueue queue;
  std::unique_ptr<ModelSet> models;
  Metrics metrics;
  std::map<std::string, std::unique_ptr<Measured>> measured;  // by route
  std::vector<RouteText> texts;
  std::atomic<uint64_t> answers{0};  // that feedback can name
  const uint64_t started_us;
  Workers workers;  // ends first: its tasks use all of the above

  // Of the catalogue of a model; DataError where the run has none.
  std::shared_ptr<const Knowledge> knowledge_of(const ServedModel& model);
  std::shared_ptr<const Knowledge> learn(std::shared_ptr<const Catalogue> catalogue, const SavedClickModel& saved);

  // Registers a route whose answers are counted. The handler replies through reply() or throws: DataError and
  // ConfigError are 400, Overloaded is 503, anything else 500.
  using Handler = std::function<void(HttpExchange&, Measured&)>;
  void route(HttpServer& server, RouteText text, Handler handler, bool open = false);
  // The same on a worker.
  void work(HttpServer& server, RouteText text, Handler handler, bool open = false);
  const char* foreign(const HttpRequest& request) const;  // why it is refused with 403; null: it is not
  static void reply(HttpExchange& x, Measured& m, HttpReply answer);
  static void reply_json(HttpExchange& x, Measured& m, JsonWriter& json) {
    reply(x, m, {200, "application/json", json.take(), {}});
  }
  static void fail(HttpExchange& x, Measured& m, const std::exception_ptr& error);
  std::chrono::steady_clock::time_point deadline(const HttpExchange& x) const {
    return x.request().arrived + options.time;
  }

  // What the user did since training, from the store; oldest first.
  std::shared_ptr<const std::vector<UserEvent>> history(const std::string& user);
  // `user` and `model` of a request: without a model the user's variant. DataError.
  struct Asked {
    std::string user;
    std::shared_ptr<const ServedModel> model;
  };
  Asked asked(const JsonObject& o) const;
  void since(const std::string& user, const Catalogue& catalogue, std::vector<TakenItem>& out);

  void add_score_routes(HttpServer& server);
  void add_infer_routes(HttpServer& server);
  void add_recommend_routes(HttpServer& server);
  void add_search_routes(HttpServer& server);
  void add_event_routes(HttpServer& server);
  void add_status_routes(HttpServer& server);
};

// `where` of a request as filters. DataError.
std::vector<ValueFilter> read_where(const JsonObject& o);
// A parameter of the query. DataError: no integer, or out of range.
int64_t query_integer(const HttpRequest& request, std::string_view name, int64_t fallback, int64_t least, int64_t most);
// The kinds of events that have a label of their own in metrics; else "other": clients must not make labels.
const char* known_kind(std::string_view kind);

// The model that the rankers of this thread's request use: RankItems has no room for it.
class RequestModel {
 public:
  explicit RequestModel(std::shared_ptr<const ServedModel> model, std::chrono::steady_clock::time_point deadline);
  ~RequestModel();
  static const std::shared_ptr<const ServedModel>& model();
  static std::chrono::steady_clock::time_point deadline();
};

}  // namespace winnow
