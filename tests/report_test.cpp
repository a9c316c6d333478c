// The report of a run: what is in it, that foreign text stays text, and that no file of a run can break it.
#include "train/report/report.h"

#include <gtest/gtest.h>

#include <regex>

#include "core/file.h"
#include "tests/data_files.h"
#include "train/report/chart.h"
#include "train/report/html.h"
#include "train/report/scale.h"
#include "train/report/sections.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

constexpr const char* kHostile = "<script>alert('x')</script>&\"\x01\xff";

// A run with every file, each text in it hostile.
RunFiles hostile_run() {
  RunFiles files;
  files.name = kHostile;
  files.config = std::string("data:\n  path: ") + kHostile + "\nmodel:\n  name: " + kHostile + "\n";
  files.metrics = {{{"step", 1},
                    {"epoch", 1},
                    {"loss", 0.7},
                    {"learning_rate", 0.001},
                    {"gradient_norm", 2.0},
                    {"rows_per_second", 100.0}},
                   {{"step", 2},
                    {"epoch", 1},
                    {"loss", 0.6},
                    {"learning_rate", 0.001},
                    {"gradient_norm", 1.0},
                    {"rows_per_second", 90.0}},
                   {{"step", 2},
                    {"epoch", 1},
                    {"train_loss", 0.65},
                    {std::string("valid_") + "<b>", 0.6},
                    {"valid_auc", 0.7},
                    {"seconds", 1.5}}};
  const Json metric{{"value", 0.7}, {"interval95", {0.6, 0.8}}}, reason{{"value", nullptr}, {"reason", kHostile}};
  files.evaluation = Json{
      {"model", kHostile},
      {"split", kHostile},
      {"rows", 100},
      {"metrics", {{"auc", metric}, {kHostile, metric}, {"gauc", reason}}},
      {"ranking", {{"users", 3}, {"skipped_users", 1}, {"metrics", {{"ndcg@10", metric}}}}},
      {"baselines", {{kHostile, {{"metrics", {{"auc", metric}}}, {"ranking", {{"ndcg@10", metric}}}}}}},
      {"curves",
       {{"roc", {{0, 0}, {0.5, 0.8}, {1, 1}}},
        {"pr", {{0.1, 1}, {1, 0.3}}},
        {"calibration",
         {{"ece", 0.02},
          {"bins", {{{"mean_prediction", 0.2}, {"rate", 0.3}, {"low", 0.2}, {"high", 0.4}, {"weight", 10}}}}}},
        {"histogram", {{"edges", {0, 0.5, 1}}, {"positive", {1, 3}}, {"negative", {5, 1}}}},
        {"confusion", {{"threshold", 0.5}, {"tp", 3}, {"fp", 1}, {"fn", 1}, {"tn", 5}}}}},
      {"slices",
       {{{"name", kHostile}, {"value", kHostile}, {"rows", 10}, {"positives", 4}, {"metrics", {{"auc", metric}}}}}},
      {"importance", {{{"feature", kHostile}, {"metric", "auc"}, {"drop", 0.1}, {"low", 0.05}, {"high", 0.15}}}}};
  files.data =
      Json{{"rows_read", 120},
           {"kept", 100},
           {"clean", {{{"step", kHostile}, {"column", kHostile}, {"what", kHostile}, {"dropped", 20}, {"changed", 0}}}},
           {"splits", {{"train", {{"rows", 80}, {"positives", 20}, {"from", 1700000000}, {"to", kHostile}}}}},
           {"features", {{{"name", kHostile}, {"type", kHostile}, {"vocabulary", 7}, {"oov_rate_test", 0.1}}}},
           {"leaks", {{{"kind", kHostile}, {"feature", kHostile}, {"text", kHostile}}}}};
  files.memory =
      Json{{"parameters", 10},
           {"persistent_bytes", 4000},
           {"arena_bytes", 100},
           {"arena_without_sharing_bytes", 300},
           {"persistent", {{{"name", kHostile}, {"tensor", kHostile}, {"bytes", 4000}}}},
           {"arena", {{{"name", kHostile}, {"tensor", kHostile}, {"bytes", 100}, {"first", 1}, {"last", 2}}}}};
  files.run = Json{{"winnow", kHostile}, {"threads", 2}};
  files.notes = {kHostile};
  return files;
}

size_t count_of(const std::string& text, const std::string& what) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(what, at)) != std::string::npos; at += what.size()) ++n;
  return n;
}

// Every element that is opened is closed again in order; <meta>, <link> and <br> have no end.
void expect_balanced(const std::string& html) {
  std::vector<std::string> open;
  const std::regex tag(R"(<(/?)([a-zA-Z0-9]+)([^<>]*?)(/?)>)");
  for (std::sregex_iterator it(html.begin(), html.end(), tag), end; it != end; ++it) {
    const std::string name = (*it)[2];
    if (name == "meta" || name == "link" || name == "br" || (*it)[4].length() > 0) continue;
    if ((*it)[1].length() == 0) {
      open.push_back(name);
      continue;
    }
    ASSERT_FALSE(open.empty()) << "</" << name << ">";
    ASSERT_EQ(open.back(), name);
    open.pop_back();
  }
  EXPECT_TRUE(open.empty()) << open.back();
}

TEST(Report, ForeignTextStaysText) {
  const std::string html = render_report(hostile_run());
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find('\x01'), std::string::npos);
  EXPECT_EQ(html.find('\xff'), std::string::npos);
  EXPECT_EQ(html.find("<b>'"), std::string::npos);
  EXPECT_GT(count_of(html, "&lt;script&gt;"), 20u);
  expect_balanced(html);
}

TEST(Report, HasEverySection) {
  const std::string html = render_report(hostile_run());
  for (const char* id :
       {"evaluation", "ranking", "slices", "importance", "training", "data", "memory", "reproduce", "leaks", "missing"})
    EXPECT_EQ(count_of(html, fmt::format(" id=\"{}\"", id)), 1u) << id;
  for (const char* text :
       {">ROC<", ">Precision and recall<", ">Calibration<", ">Scores by label<", ">Confusion matrix<", ">Loss<",
        ">Feature importance<", ">Memory of training<", "2023-11-14 22:13", "winnow train ctr --config"})
    EXPECT_NE(html.find(text), std::string::npos) << text;
}

TEST(Report, RefersToNothingOutsideItself) {
  const std::string html = render_report(hostile_run());
  EXPECT_EQ(html.find("http:"), std::string::npos);
  EXPECT_EQ(html.find("https:"), std::string::npos);
  EXPECT_EQ(html.find("url("), std::string::npos);
  EXPECT_EQ(html.find("@import"), std::string::npos);
  const std::regex reference(R"re((?:src|href)="([^"]*)")re");
  for (std::sregex_iterator it(html.begin(), html.end(), reference), end; it != end; ++it) {
    const std::string target = (*it)[1];
    EXPECT_TRUE(target.starts_with("#") || target == "data:,") << target;
  }
}

// Every value of every file replaced in turn by values of other kinds.
void replace_each(Json& at, const std::function<void()>& check) {
  const std::vector<Json> others = {
      nullptr, "text", -1e300, 1e300, Json::array(), Json::object(), {{1, 2}, "x", nullptr}, true};
  const Json kept = at;
  for (const Json& other : others) {
    at = other;
    check();
  }
  at = kept;
  if (at.is_structured())
    for (Json& child : at) replace_each(child, check);
}

TEST(Report, NoValueOfAFileBreaksIt) {
  RunFiles files = hostile_run();
  int pages = 0;
  const auto check = [&] {
    const std::string html = render_report(files);
    EXPECT_NE(html.find("</html>"), std::string::npos);
    EXPECT_EQ(html.find("nan"), std::string::npos);
    ++pages;
  };
  for (Json* file :
       {&*files.evaluation, &*files.data, &*files.memory, &*files.run, &files.metrics[0], &files.metrics[2]})
    replace_each(*file, check);
  EXPECT_GT(pages, 1000);
}

TEST(Report, MissingFilesMakeItShorterAndAreNamed) {
  const TemporaryDirectory directory;
  EXPECT_THROW(read_run_files(directory.path() + "/absent"), IoError);
  EXPECT_THROW(read_run_files(directory.path()), IoError);
  directory.write("config.yaml", "model:\n  name: LR\n");
  directory.write("evaluation.json", "{\"model\": ");
  directory.write("metrics.jsonl", "{\"step\":1,\"loss\":0.5}\nbroken\n");
  const RunFiles files = read_run_files(directory.path());
  EXPECT_EQ(files.metrics.size(), 1u);
  EXPECT_FALSE(files.evaluation);
  const std::string html = render_report(files);
  EXPECT_NE(html.find("evaluation.json is not a JSON object"), std::string::npos);
  EXPECT_NE(html.find("data_report.json is not there"), std::string::npos);
  EXPECT_NE(html.find("metrics.jsonl: 1 line"), std::string::npos);
  EXPECT_EQ(html.find("id=\"evaluation\""), std::string::npos);
  EXPECT_NE(html.find("id=\"training\""), std::string::npos);
  expect_balanced(html);
}

TEST(Report, NamesNoPlaceOfTheMachine) {
  EXPECT_EQ(without_places("path: /srv/secret/ml-100k\nout: \"/a/b/\"\n"), "path: \u2026/ml-100k\nout: \"\u2026/b\"\n");
  EXPECT_EQ(without_places("url: postgres://user:word@db.example/shop"), "url: postgres://\u2026");
  EXPECT_EQ(without_places("files: [/x/a.csv, b/c.csv, ~/d.csv]"), "files: [\u2026/a.csv, b/c.csv, \u2026/d.csv]");
  EXPECT_EQ(without_places("root: /, up: //"), "root: /, up: \u2026");
  EXPECT_EQ(without_places("rate: 1/2, a: b"), "rate: 1/2, a: b");
}

TEST(Chart, TicksAreOneTwoFive) {
  for (const auto& [low, high] :
       std::vector<std::pair<double, double>>{{0, 1}, {0.61, 0.66}, {0, 128}, {-3e-5, 7e-4}, {1e9, 3e9}, {-5, 5}}) {
    const auto ticks = nice_ticks(low, high, 5);
    ASSERT_GE(ticks.size(), 3u);
    ASSERT_LE(ticks.size(), 11u);
    const double step = ticks[1] - ticks[0], mantissa = step / std::pow(10.0, std::floor(std::log10(step) + 1e-9));
    EXPECT_TRUE(std::abs(mantissa - 1) < 1e-6 || std::abs(mantissa - 2) < 1e-6 || std::abs(mantissa - 5) < 1e-6)
        << step;
    for (const double t : ticks) EXPECT_TRUE(t >= low - 1e-9 * (high - low) && t <= high + 1e-9 * (high - low)) << t;
  }
  EXPECT_TRUE(nice_ticks(1, 1, 5).empty());
}

TEST(Chart, LogScalesHaveTicksAndKeepRatios) {
  const Scale scale(1e-5, 1e-1, 0, 100, true);
  EXPECT_NEAR(scale.at(1e-3), 50, 1e-9);
  EXPECT_EQ(scale.ticks(5).size(), 5u);
  EXPECT_EQ(scale.labels({1e-5, 1e-3}), (std::vector<std::string>{"1e-05", "0.001"}));
  EXPECT_GE(Scale(0.15, 0.9, 0, 100, true).ticks(5).size(), 2u);
}

TEST(Chart, LabelsHaveTheDecimalsOfTheirStep) {
  const Scale scale(0, 1, 0, 100);
  EXPECT_EQ(scale.labels({0, 0.5, 1}), (std::vector<std::string>{"0.0", "0.5", "1.0"}));
  EXPECT_EQ(Scale(0, 200, 0, 1).labels({0, 100, 200}), (std::vector<std::string>{"0", "100", "200"}));
  EXPECT_EQ(short_number(12400), "12\u202f400");
  EXPECT_EQ(grouped(-1234567), "-1\u202f234\u202f567");
}

TEST(Chart, PointsThatAreNoNumbersAreLeftOut) {
  ChartOptions options;
  options.title = "t";
  EXPECT_EQ(line_chart(options, {{.name = "s", .points = {{NAN, 1}, {1, INFINITY}}}}), "");
  const std::string chart = line_chart(options, {{.name = "s", .points = {{0, 1}, {1, NAN}, {2, 3}}}});
  EXPECT_EQ(chart.find("nan"), std::string::npos);
  EXPECT_NE(chart.find("<title>s:"), std::string::npos);
}

}  // namespace
}  // namespace winnow
