// winnow serve
#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/commands.h"
#include "core/file.h"
#include "core/parallel.h"
#include "core/text.h"
#include "serve/api/service.h"
#include "train/console.h"
#include "train/machine.h"
#include "train/train_arguments.h"

namespace winnow {
namespace {

struct ServeArguments {
  std::vector<std::string> runs, sets;
  std::string config, split, keys, policy_file;
  ServiceOptions service;
  HttpOptions http;
  int64_t max_wait_ms = 12, time_ms = 1000, reload_ms = 200, port = 8080, body_mib = 256;
  int threads = 0;
  bool json = false, quiet = false, int8 = false;
};

// "NAME=DIR" or "DIR", whose last part is the name.
NamedRun parse_run(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals != std::string::npos && is_plain_name(text.substr(0, equals)) && !directory_exists(text))
    return {text.substr(0, equals), text.substr(equals + 1), 0};
  std::string directory = text;
  while (directory.size() > 1 && directory.ends_with('/')) directory.pop_back();
  return {directory.substr(directory.rfind('/') + 1), directory, 0};
}

// "store=0.9,new=0.1"
void parse_split(const std::string& split, std::vector<NamedRun>& runs) {
  for (size_t begin = 0; begin < split.size();) {
    const size_t end = std::min(split.find(',', begin), split.size());
    const std::string part = split.substr(begin, end - begin);
    begin = end + 1;
    const size_t equals = part.find('=');
    char* rest = nullptr;
    const double share = equals == std::string::npos ? -1 : std::strtod(part.c_str() + equals + 1, &rest);
    WN_CHECK(equals != std::string::npos && rest != part.c_str() + equals + 1 && *rest == '\0', ConfigError,
             "--split {}: expected NAME=SHARE,NAME=SHARE, as store=0.9,new=0.1", split);
    const auto run = std::ranges::find(runs, part.substr(0, equals), &NamedRun::name);
    WN_CHECK(run != runs.end(), ConfigError, "--split {}: there is no run '{}'", split, part.substr(0, equals));
    run->share = share;
  }
}

std::vector<std::string> read_keys(const std::string& path) {
  std::vector<std::string> keys;
  if (path.empty()) return keys;
  const std::string text = read_text(path, 1 << 20);
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string line = text.substr(begin, end - begin);
    line.resize(size_without_line_ends(line));
    if (!line.empty() && line[0] != '#') keys.push_back(line);
    begin = end + 1;
  }
  WN_CHECK(!keys.empty(), ConfigError, "{}: no key; one a line", path);
  return keys;
}

void read_config(ServeArguments& a) {
  if (a.config.empty() && a.sets.empty() && a.policy_file.empty()) return;
  Config config = a.config.empty() ? Config::parse("{}", "--set") : Config::load(a.config);
  for (const std::string& set : a.sets) config.apply_override(set);
  const ConfigNode root = config.root();
  if (root.has("recommend")) a.service.recommend = read_recommend_options(root.child("recommend"));
  if (root.has("search")) a.service.search = read_search_options(root.child("search"));
  if (root.has("policy")) a.service.policy = read_list_policy(root.child("policy"));
  WN_CHECK(a.policy_file.empty() || a.service.policy, ConfigError,
           "--policy-state {}: there is no policy; give --config with the section `policy`", a.policy_file);
  if (a.service.policy) a.service.policy->file = a.policy_file;
  const ConfigNode taste = root.child("taste");
  a.service.taste.liked = taste.get("liked", a.service.taste.liked);
  a.service.taste.liked_rating = taste.get("liked_rating", a.service.taste.liked_rating);
  config.finish();
}

void say_ready(const ServeArguments& a, const Service& service, const HttpServer& server) {
  const std::string address = fmt::format("{}://{}:{}", a.http.certificate.empty() ? "http" : "https",
                                          a.http.host == "0.0.0.0" ? "localhost" : a.http.host, server.port());
  if (a.json) {
    nlohmann::json j{{"address", address}, {"port", server.port()}};
    for (const ModelFacts& f : service.models().facts())
      j["models"].push_back({{"name", f.name}, {"model", f.model}, {"version", f.version}, {"share", f.share}});
    std::puts(j.dump().c_str());
    std::fflush(stdout);
  }
  if (a.quiet) return;
  for (const ModelFacts& f : service.models().facts())
    print_message(fmt::format("model {}: {}, {} features, {} parameters, version {}, {:.0f} % of the users", f.name,
                              f.model, f.features, f.parameters, f.version, 100 * f.share));
  print_message(fmt::format("{} (the page; {}/openapi.json has the interface). Ctrl-C ends it", address, address));
}

// Versions that came, and why one did not.
void report_changes(const Service& service, std::vector<ModelFacts>& last) {
  const std::vector<ModelFacts> now = service.models().facts();
  for (size_t i = 0; i < now.size(); ++i) {
    if (i < last.size() && now[i].loads != last[i].loads)
      print_message(fmt::format("model {}: version {}, {} events learnt", now[i].name, now[i].version, now[i].events));
    if (!now[i].problem.empty() && (i >= last.size() || now[i].problem != last[i].problem))
      print_message(fmt::format("model {}: stays at version {}: {}", now[i].name, now[i].version, now[i].problem));
  }
  last = now;
}

int serve(ServeArguments& a) {
  if (a.threads > 0) set_num_threads(a.threads);
  for (const std::string& text : a.runs) a.service.runs.push_back(parse_run(text));
  parse_split(a.split, a.service.runs);
  read_config(a);
  a.service.queue.max_wait = std::chrono::milliseconds(a.max_wait_ms);
  a.service.time = std::chrono::milliseconds(a.time_ms);
  if (a.int8) a.service.models.predictor.weights = WeightForm::Int8;
  a.service.models.every = std::chrono::milliseconds(a.reload_ms);
  a.service.version = version();
  a.http.api_keys = read_keys(a.keys);
  a.http.port = static_cast<uint16_t>(a.port);
  a.http.max_bodies = static_cast<size_t>(a.body_mib) << 20;
  a.service.local_names_only = a.http.api_keys.empty() && !a.http.open;
  handle_interrupts();
  Service service(a.service);
  HttpServer server(a.http);
  service.attach(server);
  server.start();
  say_ready(a, service, server);
  std::vector<ModelFacts> last = service.models().facts();
  for (int64_t n = 1; !interrupted(); ++n) {
    std::this_thread::sleep_for(std::chrono::milliseconds(100));
    if (!a.quiet) report_changes(service, last);
    if (n % 100 == 0) service.save_policy();
  }
  if (!a.quiet) print_message("ending: requests under way are answered");
  server.stop();
  service.save_policy();
  return 0;
}

}  // namespace

void add_serve_command(CLI::App& app, Action& chosen) {
  auto a = std::make_shared<ServeArguments>();
  CLI::App* c = app.add_subcommand("serve", "Finished click runs, answering over HTTP");
  c->add_option("runs", a->runs, "directories of finished runs, NAME=DIR to name one; the first answers unless --split")
      ->required();
  c->add_option("--split", a->split, "A/B: shares of the users, store=0.9,new=0.1");
  c->add_option("--port", a->port, "0: any free one")->check(CLI::Range(0, 65535))->capture_default_str();
  c->add_option("--host", a->http.host, "address to listen on; others than this machine need --api-keys, or --open")
      ->capture_default_str();
  c->add_option("--store", a->service.store, "where events go: sqlite:PATH, redis://HOST[:PORT][/DB], memory:")
      ->capture_default_str();
  c->add_option("--encoder", a->service.encoder, "a sentence encoder's directory: search by meaning, /v1/embeddings");
  c->add_option("--config", a->config, "YAML with the sections recommend, search, policy, taste (docs/serving.md)");
  c->add_option("--set", a->sets, "a key of it: a.b=c (repeatable)")->allow_extra_args(false);
  c->add_option("--policy-state", a->policy_file, "a file for what the section `policy` of the config learns");
  c->add_option("--api-keys", a->keys, "a file with one key a line");
  c->add_flag("--open", a->http.open, "serve other machines without keys");
  c->add_option("--rate", a->http.requests_per_second, "requests a second of one client; 0: no limit")
      ->check(CLI::NonNegativeNumber);
  c->add_option("--body-memory", a->body_mib, "MiB that the bodies of all requests may take; more are refused")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str();
  c->add_option("--certificate", a->http.certificate, "PEM: HTTPS")
      ->needs(c->add_option("--key", a->http.private_key, "PEM: its private key"));
  c->add_option("--threads", a->threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  c->add_option("--scorers", a->service.queue.scorers,
                "threads that compute side by side, sharing --threads; 0: one a thread, up to four")
      ->check(CLI::Range(0, 256))
      ->capture_default_str();
  c->add_flag("--int8", a->int8,
              "products of the rankers' weights in bytes: faster; winnow verify --int8 has its cost");
  c->add_option("--workers", a->service.workers, "threads for lists and search")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  c->add_option("--max-wait", a->max_wait_ms, "ms that a request may wait to be scored before more are refused")
      ->check(CLI::Range(1, 60000))
      ->capture_default_str();
  c->add_option("--time", a->time_ms, "ms after which a request is not computed any more")
      ->check(CLI::Range(1, 60000))
      ->capture_default_str();
  c->add_option("--reload", a->reload_ms, "ms between looks for new versions of the runs; 0: never")
      ->check(CLI::Range(0, 3600000))
      ->capture_default_str();
  c->add_flag("--json", a->json, "print the address as JSON when ready");
  c->add_flag("--quiet", a->quiet, "no messages");
  c->footer(
      "Example:\n"
      "  winnow train ctr --config examples/ctr/movielens100k.yaml --out runs/ml\n"
      "  winnow serve runs/ml --store sqlite:events.db\n"
      "  curl -s localhost:8080/v1/recommend -d '{\"user\": \"196\", \"k\": 5}'\n"
      "A run is loaded again when its files are replaced, and follows what `winnow update` publishes.");
  c->callback([a, &chosen] { chosen = [a] { return serve(*a); }; });
}

}  // namespace winnow
