#include "serve/api/service.h"

#include <algorithm>
#include <charconv>
#include <semaphore>

#include "core/error.h"
#include "core/text.h"
#include "serve/api/detail/service_impl.h"

namespace winnow {
namespace {

thread_local std::shared_ptr<const ServedModel> request_model;
thread_local std::chrono::steady_clock::time_point request_deadline;

uint64_t now_us() {
  return static_cast<uint64_t>(
      std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::system_clock::now().time_since_epoch())
          .count());
}

std::unique_ptr<TextEncoder> open_encoder(const std::string& directory) {
  if (directory.empty()) return nullptr;
  return std::make_unique<TextEncoder>(published_encoder_options(directory));
}

}  // namespace

int64_t query_integer(const HttpRequest& request, std::string_view name, int64_t fallback, int64_t least,
                      int64_t most) {
  const std::string_view text = request.parameter(name);
  if (text.empty()) return fallback;
  int64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  WN_CHECK(error == std::errc() && end == text.data() + text.size() && n >= least && n <= most, DataError,
           "{}: expected an integer from {} to {}, found {}", name, least, most, quoted(text));
  return n;
}

const char* known_kind(std::string_view kind) {
  constexpr const char* kKinds[] = {"impression", "view", "click", "cart", "purchase", "like", "dislike", "rating"};
  const auto at = std::ranges::find(kKinds, kind, [](const char* k) { return std::string_view(k); });
  return at == std::end(kKinds) ? "other" : *at;
}

RequestModel::RequestModel(std::shared_ptr<const ServedModel> model, std::chrono::steady_clock::time_point deadline) {
  request_model = std::move(model);
  request_deadline = deadline;
}
RequestModel::~RequestModel() { request_model = nullptr; }
const std::shared_ptr<const ServedModel>& RequestModel::model() { return request_model; }
std::chrono::steady_clock::time_point RequestModel::deadline() { return request_deadline; }

Service::Impl::Impl(const ServiceOptions& given)
    : options(given),
      encoder(open_encoder(options.encoder)),
      query_encoder(encoder == nullptr ? nullptr : std::make_unique<QueryEncoder>(*encoder)),
      store(EventStore::open(options.store)),
      histories({.ttl = options.history_ttl},
                [](const std::string& user, const std::vector<UserEvent>& events) {
                  return user.size() + events.size() * sizeof(UserEvent);
                }),
      policy(options.policy ? std::make_unique<ListPolicy>(*options.policy) : nullptr),
      queue(options.queue),
      started_us(now_us()),
      workers(options.workers, static_cast<size_t>(options.waiting)) {
  options.models.prepare = [this](const ServedModel& model) {
    if (model.catalogue != nullptr) knowledge_of(model);
  };
  options.models.scorers = queue.scorers();
  models = std::make_unique<ModelSet>(options.runs, options.models);
}

Service::Impl::~Impl() = default;

// The ranker of a catalogue: rows go through the queue with those of other requests, and this thread waits for them.
static void rank_through(ScoreQueue& queue, const Catalogue& catalogue, const EncodedSide& user,
                         std::span<const int64_t> items, std::span<float> logits) {
  if (items.empty()) return;
  std::unique_ptr<ScoreJob> job = queue.job();
  job->model = RequestModel::model();
  job->deadline = RequestModel::deadline();
  job->resize(items.size());
  const FeatureMap& map = job->model->saved->map;
  for (size_t i = 0; i < items.size(); ++i)
    join_sides(map, user, catalogue.side(FeatureSide::Item, items[i]), job->rows()[i]);
  struct Waiting {
    std::binary_semaphore done{0};
    ScoreOutcome outcome = ScoreOutcome::Failed;
    std::string error;
  };
  // The job may outlive this call only where it was never taken.
  Waiting waiting;
  job->done = [&waiting, logits](ScoreJob& j, ScoreOutcome outcome) {
    waiting.outcome = outcome;
    waiting.error = j.error;
    if (outcome == ScoreOutcome::Scored) std::ranges::copy(j.logits(), logits.begin());
    waiting.done.release();
  };
  if (!queue.submit(job)) throw Overloaded();
  waiting.done.acquire();
  if (waiting.outcome == ScoreOutcome::Expired) throw Overloaded();
  if (waiting.outcome == ScoreOutcome::Failed) throw std::runtime_error(waiting.error);
}

std::shared_ptr<const Knowledge> Service::Impl::learn(std::shared_ptr<const Catalogue> catalogue,
                                                      const SavedClickModel& saved) {
  auto k = std::make_shared<Knowledge>();
  k->catalogue = std::move(catalogue);
  k->items = know_items(options.recommend, *k->catalogue, k->catalogue->features(), &saved, encoder.get());
  const RankItems rank = [this, known = k->catalogue.get()](const EncodedSide& user, std::span<const int64_t> items,
                                                            std::span<float> logits) {
    rank_through(queue, *known, user, items, logits);
  };
  k->recommender = make_recommender(options.recommend, *k->catalogue, k->catalogue->features(), k->items, rank);
  ItemSearch::Parts parts{k->catalogue.get(), k->items.values, k->items.text, {}, rank};
  if (parts.text != nullptr && query_encoder != nullptr)
    parts.encode = [this](std::string_view query, std::span<float> vector) { (*query_encoder)(query, vector); };
  else
    parts.text = nullptr;
  k->search = std::make_unique<ItemSearch>(options.search, std::move(parts));
  return k;
}

std::shared_ptr<const Knowledge> Service::Impl::knowledge_of(const ServedModel& model) {
  WN_CHECK(model.catalogue != nullptr, DataError,
           "the run of model '{}' has no catalogue.safetensors: train it again with this version", model.name);
  {
    const std::lock_guard lock(knowledge_mutex);
    if (const auto at = knowledge.find(model.catalogue.get()); at != knowledge.end()) return at->second;
  }
  auto built = learn(model.catalogue, *model.saved);
  const std::lock_guard lock(knowledge_mutex);
  std::erase_if(knowledge, [](const auto& entry) { return entry.second->catalogue.use_count() <= 1; });
  return knowledge.emplace(model.catalogue.get(), std::move(built)).first->second;
}

Service::Impl::Asked Service::Impl::asked(const JsonObject& o) const {
  Asked a;
  if (const auto given = o.find("user"); given && !id_text(*given, a.user)) o.refuse("user", "a text or an integer");
  a.model = o.has("model") ? models->of(o.text("model", "")) : models->for_user(a.user);
  return a;
}

void Service::Impl::reply(HttpExchange& x, Measured& m, HttpReply answer) {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - x.request().arrived).count();
  (answer.status < 300 ? m.ok : answer.status == 503 ? m.refused : answer.status < 500 ? m.bad : m.failed)->add();
  if (answer.status < 300) m.seconds->observe(seconds), m.window.observe(seconds);
  x.reply(std::move(answer));
}

void Service::Impl::fail(HttpExchange& x, Measured& m, const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const Overloaded& e) {
    HttpReply answer = http_error(503, e.what());
    answer.fields.emplace_back("Retry-After", "1");
    reply(x, m, std::move(answer));
  } catch (const DataError& e) { reply(x, m, http_error(400, e.what())); } catch (const ConfigError& e) {
    reply(x, m, http_error(400, e.what()));
  } catch (const std::exception&) { reply(x, m, http_error(500, "the request could not be answered")); }
}

// A page of another origin may send requests through a person's browser; what they change must not be changed so.
const char* Service::Impl::foreign(const HttpRequest& request) const {
  const std::string_view host = request.field("host"), origin = request.field("origin");
  const size_t scheme = origin.find("://");
  if (!origin.empty() && (scheme == std::string_view::npos || origin.substr(scheme + 3) != host))
    return "requests of pages from elsewhere are refused";
  const std::string_view name = host.ends_with(']') ? host : host.substr(0, host.rfind(':'));
  const bool local = name == "localhost" || name == "127.0.0.1" || name == "[::1]";
  return options.local_names_only && !local ? "without keys this server answers to localhost and 127.0.0.1 only"
                                            : nullptr;
}

void Service::Impl::route(HttpServer& server, RouteText text, Handler handler, bool open) {
  const std::string name = text.method + " " + text.path;
  auto m = std::make_unique<Measured>();
  m->name = name;
  const auto count = [&](const char* outcome) {
    return &metrics.counter("winnow_requests_total", "Requests answered.", {{"route", name}, {"outcome", outcome}});
  };
  m->ok = count("ok"), m->refused = count("refused"), m->bad = count("bad"), m->failed = count("failed");
  m->seconds = &metrics.histogram("winnow_request_seconds", "From a request's head to its answer.", latency_bounds(),
                                  {{"route", name}});
  Measured* kept = (measured[name] = std::move(m)).get();
  server.route(
      text.method, text.path,
      [this, handler = std::move(handler), kept](HttpExchange x) {
        if (const char* why = foreign(x.request())) return reply(x, *kept, http_error(403, why));
        try {
          handler(x, *kept);
        } catch (...) { fail(x, *kept, std::current_exception()); }
      },
      open);
  texts.push_back(std::move(text));
}

void Service::Impl::work(HttpServer& server, RouteText text, Handler handler, bool open) {
  route(
      server, std::move(text),
      [this, handler = std::move(handler)](HttpExchange& x, Measured& m) {
        const bool taken = workers.post([this, handler, x, &m]() mutable {
          try {
            if (!x.is_open()) return;
            if (std::chrono::steady_clock::now() > deadline(x)) throw Overloaded();
            handler(x, m);
          } catch (...) { fail(x, m, std::current_exception()); }
        });
        if (!taken) throw Overloaded();
      },
      open);
}

void Service::save_policy() const {
  if (impl_->policy == nullptr) return;
  impl_->policy->expire();
  impl_->policy->save();
}
Service::Service(const ServiceOptions& options) : impl_(std::make_unique<Impl>(options)) {}
Service::~Service() = default;
const ModelSet& Service::models() const { return *impl_->models; }
void Service::attach(HttpServer& server) {
  impl_->add_score_routes(server);
  impl_->add_infer_routes(server);
  impl_->add_recommend_routes(server);
  impl_->add_search_routes(server);
  impl_->add_event_routes(server);
  impl_->add_status_routes(server);
}

}  // namespace winnow
