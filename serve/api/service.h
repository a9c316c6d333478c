// Runs answering over HTTP: scores, recommendations, search, similar items, embeddings, feedback. docs/serving.md has
// every route; /openapi.json too.
//
//   Service service(options);
//   HttpServer server(http);
//   service.attach(server);
//   server.start();
#pragma once
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "serve/api/list_policy.h"
#include "serve/api/model_set.h"
#include "serve/http/server.h"
#include "serve/recommend/options.h"
#include "serve/recommend/search.h"
#include "serve/score_queue.h"

namespace winnow {

// What an event says of the user's taste: liked or not; kinds that are in neither list say nothing but that the item is
// known to the user, "impression" not even that.
struct TasteOptions {
  std::vector<std::string> liked = {"click", "cart", "purchase", "like"};
  double liked_rating = 4;  // an event "rating" with at least this value
};

struct ServiceOptions {
  std::vector<NamedRun> runs;
  ModelSetOptions models;
  ScoreQueueOptions queue;
  RecommendOptions recommend = default_recommend_options();
  ItemSearchOptions search;
  std::string encoder;            // a sentence encoder's directory for search and embeddings; "" none
  std::string store = "memory:";  // serve/store/event_store.h
  TasteOptions taste;
  std::optional<ListPolicyOptions> policy;  // what chooses the first item of a list; none: the recommender
  int workers = 4;                          // threads for what is more than scoring
  int64_t waiting = 256;                    // requests that wait for one of them; more are refused
  std::chrono::milliseconds time{1'000};    // a request that could not be answered in it is not computed: 503
  int64_t max_rows = 10'000;                // of one request
  std::chrono::seconds history_ttl{30};     // of histories kept from the store
  std::string version = "";                 // of the program
  // Requests must name this machine as localhost or by a loopback address: what a browser sends for a page that lets
  // its own name point here is refused (DNS rebinding). For servers without keys.
  bool local_names_only = false;
};

class Service {
 public:
  // Ready when it returns. ConfigError, IoError, DataError.
  explicit Service(const ServiceOptions& options);
  ~Service();  // after the server's end
  void attach(HttpServer& server);
  const ModelSet& models() const;
  void save_policy() const;  // its state to its file. IoError

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace winnow
