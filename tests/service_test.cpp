// A run behind HTTP: answers, errors, feedback that the next answer knows, versions exchanged under load.
#include "serve/api/service.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "core/file.h"
#include "data/synthetic.h"
#include "nn/saved_parameters.h"
#include "serve/delta/delta.h"
#include "serve/store/event_store.h"
#include "tests/data_files.h"
#include "tests/http_client.h"
#include "train/candidates.h"
#include "train/run.h"

namespace winnow {
namespace {

using Json = nlohmann::json;
using namespace std::chrono_literals;

class ServiceTest : public ::testing::Test {
 protected:
  ServiceTest() {
    const std::string store = directory_.path() + "/store";
    write_synthetic_store(store, {.users = 60, .items = 40, .impressions = 3000, .pictures = 0});
    config_ = std::make_unique<CtrConfig>(CommonOptions{
        "examples/ctr/synthetic.yaml", {"data.path='" + store + "'", "model.name=DeepFM", "model.hidden_units=[16]"}});
    dataset_ = load_dataset(config_->schema);
    write_run(3);
  }
  std::string run() const { return directory_.path() + "/run"; }
  void write_run(uint64_t seed) {
    model_ = make_ctr_model(ctr_spec(dataset_.map), config_->model);
    model_->initialize(seed);
    save_run(run(), *config_, dataset_, *model_);
  }
  void start(ServiceOptions options = {}) {
    if (options.runs.empty()) options.runs = {{"store", run(), 1}};
    options.models.predictor.batch_sizes = {1, 16, 64};
    options.models.every = 20ms;
    service_ = std::make_unique<Service>(options);
    HttpOptions http;
    http.port = 0;
    server_ = std::make_unique<HttpServer>(http);
    service_->attach(*server_);
    server_->start();
  }
  ~ServiceTest() override {
    if (server_) server_->stop();
    server_.reset();
  }
  static std::string request(const std::string& method, const std::string& path, const std::string& body) {
    std::string text = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n";
    if (method == "POST") text += fmt::format("Content-Length: {}\r\n", body.size());
    return text + "\r\n" + body;
  }
  std::pair<int, Json> ask(const std::string& method, const std::string& path, const std::string& body = "") {
    HttpClient client(server_->port());
    client.send(request(method, path, body));
    const ClientReply reply = client.receive();
    return {reply.status, Json::parse(reply.body, nullptr, false)};
  }
  std::pair<int, Json> post(const std::string& path, const Json& body) { return ask("POST", path, body.dump()); }
  std::string error_of(const std::string& path, const std::string& body) {
    const auto [status, j] = ask("POST", path, body);
    EXPECT_EQ(status, 400) << body << " " << j.dump();
    return j.value("error", Json::object()).value("message", "");
  }
  std::vector<float> expected(int32_t user, const CtrModel& model) const {
    return CandidateScorer(dataset_, model, 512).score({user});
  }

  TemporaryDirectory directory_;
  std::unique_ptr<CtrConfig> config_;
  Dataset dataset_;
  std::unique_ptr<CtrModel> model_;
  std::unique_ptr<Service> service_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(ServiceTest, ScoresAreTheEvaluationsBits) {
  start();
  for (const int32_t user : {0, 7, 31}) {
    const std::vector<float> wanted = expected(user, *model_);
    Json body{{"user", dataset_.user_keys[static_cast<size_t>(user)]}, {"items", dataset_.item_keys}, {"logits", true}};
    const auto [status, j] = post("/v1/score", body);
    ASSERT_EQ(status, 200) << j.dump();
    EXPECT_EQ(j["model"], "store");
    const std::set<int32_t> known(dataset_.item.begin(), dataset_.item.end());
    for (const int32_t i : known)
      EXPECT_EQ(j["logits"][static_cast<size_t>(i)].get<float>(), wanted[static_cast<size_t>(i)]);
  }
}

// The same rows as features by column, and as tensors of the inference protocol.
TEST_F(ServiceTest, FeaturesGiveWhatNamesGive) {
  start();
  Json user_features = Json::object(), columns = Json::array(), row = Json::array(), inputs = Json::array();
  EncodedRow encoded;
  const Catalogue catalogue(run() + "/catalogue.safetensors", dataset_.map);
  const auto input = [&](const std::string& name, const Json& value) {
    inputs.push_back(
        {{"name", name}, {"datatype", value.is_number() ? "FP64" : "BYTES"}, {"shape", {2}}, {"data", {value, value}}});
  };
  for (const FittedFeature& f : dataset_.map.features) {
    const Json value =
        has_vocabulary(f.spec) && f.vocabulary.size() > 0 ? Json(std::string(f.vocabulary.value(1))) : Json(2);
    input(f.spec.name, value);
    if (side_of(f) == FeatureSide::User)
      user_features[f.spec.name] = value;
    else
      columns.push_back(f.spec.name), row.push_back(value);
  }
  const auto [status, scored] = post(
      "/v1/score", {{"user_features", user_features}, {"candidates", {{"columns", columns}, {"rows", {row, row}}}}});
  ASSERT_EQ(status, 200) << scored.dump();
  const auto [status2, inferred] = post("/v2/models/store/infer", {{"id", "a"}, {"inputs", inputs}});
  ASSERT_EQ(status2, 200) << inferred.dump();
  EXPECT_EQ(inferred["id"], "a");
  EXPECT_EQ(inferred["outputs"][0]["shape"], Json::array({2}));
  EXPECT_EQ(inferred["outputs"][0]["data"], scored["scores"]);
  EXPECT_EQ(scored["scores"][0], scored["scores"][1]);
}

TEST_F(ServiceTest, WhatIsWrongWithARequestIsSaid) {
  start();
  EXPECT_NE(error_of("/v1/score", R"({"user": "1", "itemz": []})").find("did you mean 'items'"), std::string::npos);
  EXPECT_NE(error_of("/v1/score", R"({"user": [], "items": ["1"]})").find("user: expected a text or an integer"),
            std::string::npos);
  EXPECT_NE(error_of("/v1/score", R"({"user": "1"})").find("either `items` or `candidates`"), std::string::npos);
  EXPECT_NE(error_of("/v1/score", R"({"items": []})").find("at least one"), std::string::npos);
  EXPECT_NE(error_of("/v1/score", R"({"items": [1.5]})").find("items[0]"), std::string::npos);
  EXPECT_NE(error_of("/v1/score", R"({"model": "stor", "items": ["1"]})").find("did you mean 'store'"),
            std::string::npos);
  EXPECT_NE(error_of("/v1/score", R"({"user_features": {"agee": 3}, "items": ["1"]})")
                .find("no user or context feature 'agee'"),
            std::string::npos);
  EXPECT_NE(error_of("/v1/score", R"({"user_features": {"age": {}}, "items": ["1"]})").find("user_features"),
            std::string::npos);
  EXPECT_NE(error_of("/v1/score", "{").find("no JSON"), std::string::npos);
  EXPECT_NE(error_of("/v1/score", "[]").find("must be a JSON object"), std::string::npos);
  EXPECT_NE(error_of("/v1/score", std::string(300, '[')).find("no JSON"), std::string::npos);
  EXPECT_NE(error_of("/v1/recommend", R"({"k": 0})").find("k: expected an integer from 1 to 1000"), std::string::npos);
  EXPECT_NE(error_of("/v1/recommend", R"({"where": {"colour": "red"}})").find("colour"), std::string::npos);
  EXPECT_NE(error_of("/v1/search", R"({"query": ""})").find("query"), std::string::npos);
  EXPECT_NE(error_of("/v1/embeddings", R"({"texts": ["a"]})").find("no encoder"), std::string::npos);
  EXPECT_NE(error_of("/v1/feedback", R"({"user": "1", "item": "2"})").find("kind"), std::string::npos);
  EXPECT_NE(error_of("/v2/models/store/infer",
                     R"({"inputs": [{"name": "x", "shape": [1], "datatype": "FP32", "data": [1, 2]}]})")
                .find("shape"),
            std::string::npos);
  EXPECT_EQ(ask("GET", "/v1/similar?item=nothing").first, 400);
  EXPECT_EQ(ask("GET", "/v1/nothing").first, 404);
  EXPECT_EQ(ask("GET", "/v1/score").first, 405);
  EXPECT_EQ(ask("GET", "/v2/models/nobody").first, 400);
}

TEST_F(ServiceTest, FeedbackIsInTheNextAnswer) {
  ServiceOptions options;
  options.store = "sqlite:" + directory_.path() + "/events.db";
  start(options);
  const std::string user = dataset_.user_keys[3];
  const auto items = [&](const std::string& who) {
    const auto [status, j] = post("/v1/recommend", {{"user", who}, {"k", 5}});
    EXPECT_EQ(status, 200) << j.dump();
    std::vector<std::string> list;
    for (const Json& i : j["items"]) {
      list.push_back(i["item"]);
      EXPECT_GT(i["probability"].get<double>(), 0);
      EXPECT_FALSE(i["sources"].empty());
    }
    return list;
  };
  const auto before = items(user);
  ASSERT_EQ(before.size(), 5u);
  const auto [status, kept] =
      post("/v1/feedback", {{"user", user}, {"item", before[0]}, {"kind", "click"}, {"position", 0}});
  EXPECT_EQ(status, 200) << kept.dump();
  EXPECT_EQ(kept["accepted"], 1);
  EXPECT_EQ(kept["sequence"], 1);
  const auto after = items(user);
  EXPECT_EQ(std::ranges::find(after, before[0]), after.end()) << "taken items are not named again";
  // someone nobody knows gets a list too, and one of their own once there are events
  const auto popular = items("somebody new");
  post("/v1/feedback", {{"events", {{{"user", "somebody new"}, {"item", popular[0]}, {"kind", "purchase"}}}}});
  const auto own = items("somebody new");
  EXPECT_EQ(std::ranges::find(own, popular[0]), own.end());
  const auto [_, history] = ask("GET", "/v1/users?user=somebody%20new");
  EXPECT_EQ(history["history"][0]["item"], popular[0]);
  EXPECT_TRUE(history["history"][0]["live"]);
}

// The catalogue is that of the last training: an item that came since is kept in events and told, never refused.
TEST_F(ServiceTest, ItemsNewerThanTheCatalogueAreToldAndTheirEventsKept) {
  ServiceOptions options;
  options.store = "sqlite:" + directory_.path() + "/events.db";
  start(options);
  const std::string user = dataset_.user_keys[3], item = dataset_.item_keys[0];
  const auto [status, kept] = post("/v1/feedback", {{"events",
                                                     {{{"user", user}, {"item", "brand new"}, {"kind", "click"}},
                                                      {{"user", user}, {"item", item}, {"kind", "click"}},
                                                      {{"user", user}, {"item", "brand new"}, {"kind", "cart"}}}}});
  EXPECT_EQ(status, 200) << kept.dump();
  EXPECT_EQ(kept["accepted"], 3);
  EXPECT_EQ(kept["unknown_items"], Json::array({"brand new"}));
  EXPECT_FALSE(
      post("/v1/feedback", {{"user", user}, {"item", item}, {"kind", "click"}}).second.contains("unknown_items"));
  HttpClient client(server_->port());
  client.send(request("GET", "/metrics", ""));
  const std::string metrics = client.receive().body;
  EXPECT_NE(metrics.find("winnow_events_unknown_items_total 2\n"), std::string::npos) << metrics;

  const auto history = EventStore::open(options.store)->history(user, 10);
  EXPECT_EQ(std::ranges::count(history, "brand new", &UserEvent::item), 2);
  const auto [status2, list] = post("/v1/recommend", {{"user", user}, {"k", 5}, {"deny", {"brand new"}}});
  EXPECT_EQ(status2, 200) << list.dump();
  EXPECT_EQ(list["recent_events"], 2) << "of items that the model knows";
  EXPECT_NE(error_of("/v1/recommend", R"({"allow": ["brand new"]})").find("none of these items is known"),
            std::string::npos);
  const auto [status3, scored] = post("/v1/score", {{"user", user}, {"items", {"brand new", item}}});
  EXPECT_EQ(status3, 200) << scored.dump();
  EXPECT_EQ(scored["scores"].size(), 2u);
  EXPECT_EQ(scored["unknown_items"], Json::array({"brand new"}));
}

TEST_F(ServiceTest, UsersKeepTheirVariant) {
  ServiceOptions options;
  const std::string other = directory_.path() + "/other";
  std::filesystem::copy(run(), other);
  options.runs = {{"a", run(), 0.25}, {"b", other, 0.75}};
  start(options);
  int a = 0;
  for (int u = 0; u < 400; ++u) {
    const std::string user = fmt::format("user{}", u), first = service_->models().for_user(user)->name;
    EXPECT_EQ(service_->models().for_user(user)->name, first);
    a += first == "a";
  }
  EXPECT_NEAR(a, 100, 35);  // four deviations
  const auto [status, j] = post("/v1/score", {{"model", "b"}, {"user", "user1"}, {"items", {dataset_.item_keys[0]}}});
  EXPECT_EQ(j["model"], "b") << j.dump();
  options.runs = {{"a", run(), 0.25}, {"b", other, 0.5}};
  EXPECT_THROW(Service{options}, ConfigError);
}

// Another training, and deltas, take their place while requests run; every answer is one version's, whole.
TEST_F(ServiceTest, VersionsAreExchangedUnderLoad) {
  start();
  const std::string body = Json{
      {"user", dataset_.user_keys[0]},
      {"items", {dataset_.item_keys[0], dataset_.item_keys[1]}},
      {"logits", true}}.dump();
  std::atomic<bool> stop = false;
  std::mutex mutex;
  std::set<std::vector<float>> seen;
  std::atomic<int64_t> failed = 0;
  std::vector<std::thread> clients;
  for (int c = 0; c < 2; ++c)
    clients.emplace_back([&] {
      HttpClient client(server_->port());
      while (!stop) {
        client.send(request("POST", "/v1/score", body));
        const ClientReply reply = client.receive();
        if (reply.status != 200) ++failed;
        if (reply.status != 200) continue;
        const std::vector<float> logits = Json::parse(reply.body)["logits"];
        {
          const std::lock_guard lock(mutex);
          seen.insert(logits);
        }
        std::this_thread::sleep_for(1ms);  // a run is loaded while a core idles, which one core alone else never does
      }
    });
  std::set<std::vector<float>> wanted;
  const auto remember = [&](const CtrModel& model) {
    const auto all = expected(0, model);
    wanted.insert({all[0], all[1]});
  };
  const auto wait_for = [&](size_t versions) {
    return comes_to_hold([&] {
      const std::lock_guard lock(mutex);
      return seen.size() >= versions;
    });
  };
  remember(*model_);
  EXPECT_TRUE(wait_for(1));
  for (uint64_t seed = 4; seed < 7; ++seed) {
    write_run(seed);
    remember(*model_);
    EXPECT_TRUE(wait_for(wanted.size())) << seed;
  }
  stop = true;
  for (auto& c : clients) c.join();
  EXPECT_EQ(failed, 0);
  EXPECT_EQ(seen, wanted);
}

TEST_F(ServiceTest, ARunMayBecomeAnotherModelAndBeTrainedAnew) {
  start();
  const Json body = {{"user", dataset_.user_keys[0]}, {"items", {dataset_.item_keys[0]}}, {"logits", true}};
  for (const auto& [hidden, seed] : {std::pair{"[8]", 11u}, {"[8]", 12u}, {"[8]", 13u}, {"[16]", 14u}, {"[16]", 15u}}) {
    config_ =
        std::make_unique<CtrConfig>(CommonOptions{"examples/ctr/synthetic.yaml",
                                                  {"data.path='" + directory_.path() + "/store'", "model.name=DeepFM",
                                                   std::string("model.hidden_units=") + hidden}});
    write_run(seed);
    const float wanted = expected(0, *model_)[0];
    int status = 200;
    float found = 0;
    comes_to_hold([&] {
      const auto [code, answer] = post("/v1/score", body);
      status = code;
      if (status == 200) found = answer["logits"][0].get<float>();
      return found == wanted || status != 200;
    });
    ASSERT_EQ(status, 200);
    EXPECT_EQ(found, wanted) << hidden << ", seed " << seed;
  }
}

TEST_F(ServiceTest, PagesFromElsewhereAreRefused) {
  ServiceOptions options;
  options.local_names_only = true;
  start(options);
  const auto status = [&](const std::string& fields) {
    HttpClient client(server_->port());
    client.send("GET /v1/stats HTTP/1.1\r\n" + fields + "\r\n");
    return client.receive().status;
  };
  EXPECT_EQ(status("Host: localhost:8080\r\n"), 200);
  EXPECT_EQ(status("Host: 127.0.0.1\r\nOrigin: http://127.0.0.1\r\n"), 200);
  EXPECT_EQ(status("Host: [::1]:80\r\n"), 200);
  EXPECT_EQ(status("Host: localhost:8080\r\nOrigin: http://shop.example\r\n"), 403);
  EXPECT_EQ(status("Host: localhost:8080\r\nOrigin: null\r\n"), 403);
  EXPECT_EQ(status("Host: shop.example:8080\r\n"), 403);
  EXPECT_EQ(status("Host: 127.0.0.1.shop.example\r\n"), 403);
}

TEST_F(ServiceTest, StatusForPeopleAndMachines) {
  start();
  post("/v1/score", {{"user", "x"}, {"items", {dataset_.item_keys[0]}}});
  EXPECT_EQ(ask("GET", "/health").second["status"], "ok");
  EXPECT_EQ(ask("GET", "/v2/health/ready").first, 200);
  const Json openapi = ask("GET", "/openapi.json").second;
  EXPECT_EQ(openapi["paths"]["/v1/score"]["post"]["responses"].size(), 3u);
  const Json stats = ask("GET", "/v1/stats").second;
  EXPECT_EQ(stats["models"][0]["name"], "store");
  EXPECT_EQ(stats["scoring"]["rows"], 1);
  HttpClient client(server_->port());
  client.send(request("GET", "/metrics", ""));
  const std::string metrics = client.receive().body;
  EXPECT_NE(metrics.find("winnow_requests_total{outcome=\"ok\",route=\"POST /v1/score\"} 1"), std::string::npos)
      << metrics;
  EXPECT_NE(metrics.find("winnow_scored_rows_total 1"), std::string::npos);
  client.send(request("GET", "/", ""));
  EXPECT_NE(client.receive().body.find("<title>Winnow</title>"), std::string::npos);
}

}  // namespace
}  // namespace winnow
