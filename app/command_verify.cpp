// winnow verify: a run answers with the bits of its evaluation, however it is asked.
#include <bit>
#include <cmath>
#include <cstdio>
#include <limits>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "app/loopback.h"
#include "core/parallel.h"
#include "data/catalogue.h"
#include "data/row_facts.h"
#include "models/ctr_batches.h"
#include "serve/api/service.h"
#include "train/candidates.h"
#include "train/ctr_task.h"
#include "train/row_cells.h"
#include "train/run.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

struct VerifyArguments {
  std::string run;
  std::vector<std::string> sets;
  int64_t users = 20;
  int threads = 0;
  bool json = false, int8 = false;
};

struct Comparison {
  std::string what;
  int64_t rows = 0, different = 0;
  double largest = 0;
  void add(float expected, float found) {
    ++rows;
    if (std::bit_cast<uint32_t>(expected) == std::bit_cast<uint32_t>(found)) return;
    ++different;
    const double apart = std::abs(static_cast<double>(expected) - static_cast<double>(found));
    largest = std::isnan(apart) ? std::numeric_limits<double>::infinity() : std::max(largest, apart);
  }
};

EncodedRow encoded(const RowCells& cells, int64_t r) {
  EncodedRow row;
  for (int64_t f = 0; f < cells.fields; ++f) {
    const auto bag = cells.bag(r, f);
    row.ids.insert(row.ids.end(), bag.begin(), bag.end());
    row.lengths.push_back(static_cast<int32_t>(bag.size()));
  }
  const auto dense = cells.dense.begin() + r * cells.width;
  row.dense.assign(dense, dense + cells.width);
  return row;
}

CompileOptions options_of(const OpenedRun& run, WeightForm weights) {
  CompileOptions options = run.config.loop.train.compile;
  if (weights != WeightForm::F32) options.frozen = std::make_shared<FrozenWeights>(weights);
  return options;
}

std::vector<float> evaluated(const OpenedRun& run, WeightForm weights) {
  BatchSource evaluation(make_row_source(run.dataset, Split::Test, false), {inference_batch(run.config)});
  CtrPredictor reference(*run.model,
                         make_row_source(run.dataset, Split::Test, false)->spec(inference_batch(run.config)),
                         options_of(run, weights));
  return reference.logits(evaluation);
}

// The rows of the test split: the evaluation's logits against those of requests of `size` rows.
Comparison compare_rows(const OpenedRun& run, ClickPredictor& predictor, std::span<const float> expected, size_t size) {
  Comparison c{fmt::format("batch scoring, {} row{} a request", size, size == 1 ? "" : "s")};
  size_t at = 0;
  const auto rows = make_row_source(run.dataset, Split::Test, false);
  visit_cells(run.dataset.map, *rows, rows->rows(), [&](const RowCells& cells) {
    std::vector<EncodedRow> batch;
    std::vector<float> logits;
    for (int64_t r = 0; r < cells.rows; ++r) {
      batch.push_back(encoded(cells, r));
      if (batch.size() < size && r + 1 < cells.rows) continue;
      logits.resize(batch.size());
      predictor.logits(batch, logits);
      for (const float z : logits) c.add(expected[at++], z);
      batch.clear();
    }
  });
  return c;
}

// Users against the catalogue: the ranking evaluation's logits against those that come over HTTP. Items without a row
// have no features of their own and are left out.
Comparison compare_http(const OpenedRun& run, const Catalogue& catalogue, LoopbackClient& client, int64_t users,
                        WeightForm weights, size_t size) {
  Comparison c{fmt::format("HTTP, {} row{} a request", size, size == 1 ? "" : "s")};
  const Dataset& d = run.dataset;
  const CandidateScorer scorer(d, *run.model, inference_batch(run.config), options_of(run, weights));
  const std::vector<RowPlace> rows = latest_rows(d, &RowFacts::item, d.item_keys.size());
  std::vector<size_t> items;
  for (size_t i = 0; i < rows.size(); ++i)
    if (rows[i].row >= 0) items.push_back(i);
  if (size == 1 && items.size() > 100) items.resize(100);
  const auto step = std::max<int64_t>(catalogue.users() / users, 1);
  for (int64_t u = 0; u < catalogue.users(); u += step) {
    const std::vector<float> expected = scorer.score({static_cast<int32_t>(u)});
    for (size_t begin = 0; begin < items.size(); begin += size) {
      const size_t end = std::min(begin + size, items.size());
      Json body{{"user", d.user_keys[static_cast<size_t>(u)]}, {"logits", true}};
      for (size_t i = begin; i < end; ++i) body["items"].push_back(d.item_keys[items[i]]);
      const Json reply = Json::parse(client.post("/v1/score", body.dump()));
      for (size_t i = begin; i < end; ++i) c.add(expected[items[i]], reply.at("logits").at(i - begin).get<float>());
    }
  }
  return c;
}

// What bytes cost: the metrics of the test split in f32 and in int8.
Json cost_of_int8(const OpenedRun& run, std::span<const float> int8, bool quiet) {
  const std::vector<float> f32 = evaluated(run, WeightForm::F32);
  const SplitColumns columns = split_columns(run.dataset, Split::Test);
  double largest = 0;
  for (size_t i = 0; i < f32.size(); ++i)
    largest = std::max(largest, std::abs(static_cast<double>(f32[i]) - static_cast<double>(int8[i])));
  Json j{{"largest_difference_of_a_logit", largest}};
  if (!quiet) fmt::print("a logit in int8 is at most {:.2g} from that in f32\n", largest);
  const auto value = [&](const char* name, std::span<const float> logits) {
    const auto metric = make_metric(name);
    metric->update(columns.rows(logits));
    return metric->value().value;
  };
  for (const char* name : {"auc", "logloss"}) {
    const auto before = value(name, f32), after = value(name, int8);
    if (!before || !after) continue;
    j[name] = {{"f32", *before}, {"int8", *after}};
    if (!quiet) fmt::print("{:<8} of the test split {:.6f} in f32, {:.6f} in int8\n", name, *before, *after);
  }
  return j;
}

int print(const VerifyArguments& a, const std::vector<Comparison>& all, const Json& cost) {
  bool equal = true;
  Json list = Json::array();
  for (const Comparison& c : all) {
    equal = equal && c.different == 0 && c.rows > 0;
    list.push_back({{"what", c.what}, {"rows", c.rows}, {"different", c.different}, {"largest_difference", c.largest}});
    if (!a.json)
      fmt::print("{:<40} {:>9} rows, {} differ, largest difference {}\n", c.what, c.rows, c.different, c.largest);
  }
  if (a.json)
    std::puts(Json{{"run", a.run}, {"equal", equal}, {"comparisons", list}, {"int8", cost}}.dump(2).c_str());
  else
    std::puts(equal ? "the same bits everywhere" : "NOT the same: serving does not give what was evaluated");
  return equal ? 0 : 1;
}

int verify(const VerifyArguments& a) {
  if (a.threads > 0) set_num_threads(a.threads);
  const OpenedRun run(a.run, a.sets);
  const SavedClickModel saved(a.run);
  const WeightForm weights = a.int8 ? WeightForm::Int8 : WeightForm::F32;
  ServiceOptions options;
  options.models.predictor.weights = weights;
  ClickPredictor predictor(saved, options.models.predictor);
  options.runs = {{"run", a.run, 1}};
  options.models.every = std::chrono::milliseconds(0);
  options.models.deltas = false;
  options.recommend.sources.clear();
  options.time = std::chrono::seconds(60);
  options.queue.max_wait = std::chrono::seconds(60);
  Service service(options);
  HttpOptions http;
  http.port = 0;
  http.head_time = http.idle_time = std::chrono::hours(1);  // the evaluation beside takes its time
  HttpServer server(http);
  service.attach(server);
  server.start();
  LoopbackClient client(server.port());
  const Catalogue catalogue(a.run + "/catalogue.safetensors", run.dataset.map);
  std::vector<Comparison> all;
  const std::vector<float> expected = evaluated(run, weights);
  for (const size_t size : {1, 256}) all.push_back(compare_rows(run, predictor, expected, size));
  for (const size_t size : {1, 256}) all.push_back(compare_http(run, catalogue, client, a.users, weights, size));
  server.stop();
  return print(a, all, a.int8 ? cost_of_int8(run, expected, a.json) : Json());
}

}  // namespace

void add_verify_command(CLI::App& app, Action& chosen) {
  auto a = std::make_shared<VerifyArguments>();
  CLI::App* c = app.add_subcommand(
      "verify", "Whether a finished click run answers with the bits of its evaluation: in batches, and over HTTP");
  c->add_option("run", a->run, "directory of a finished run; the data that it names must be there")->required();
  c->add_option("--set", a->sets, "override a config key: a.b=c (repeatable)")->allow_extra_args(false);
  c->add_option("--users", a->users, "users that are ranked over HTTP")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  c->add_option("--threads", a->threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  c->add_flag("--int8", a->int8, "with weights in bytes, and what that costs (winnow serve --int8)");
  c->add_flag("--json", a->json, "print JSON");
  c->footer("Exit code 1 when a bit differs. Example: winnow verify runs/ml");
  c->callback([a, &chosen] { chosen = [a] { return verify(*a); }; });
}

}  // namespace winnow
