// The page of a comparison: the runs' names, their differences and their curves over each other.
#include "train/report/compare_report.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

class CompareReport : public ::testing::Test {
 protected:
  std::string run(const std::string& name, double auc) const {
    std::filesystem::create_directories(directory_.path() + "/" + name);
    directory_.write(name + "/metrics.jsonl",
                     Json{{"step", 5}, {"epoch", 1}, {"loss", 0.5}}.dump() + "\n" +
                         Json{{"step", 5}, {"epoch", 1}, {"train_loss", 0.5}, {"valid_auc", auc}}.dump() + "\n");
    directory_.write(name + "/evaluation.json",
                     Json{{"model", "LR"}, {"curves", {{"roc", {{0, 0}, {0.4, auc}, {1, 1}}}}}}.dump());
    return directory_.path() + "/" + name;
  }
  static Json entry(const std::string& run, double auc) {
    return {{"run", run},
            {"model", "<script>"},
            {"metrics", {{"auc", {{"value", auc}, {"interval95", {auc - 0.1, auc + 0.1}}}}}}};
  }
  TemporaryDirectory directory_;
};

TEST_F(CompareReport, ShowsRunsDifferencesAndCurves) {
  const std::string a = run("x/best", 0.7), b = run("y/best", 0.6);
  const Json comparison{{"split", "test"},
                        {"rows", 1200},
                        {"level", 0.05},
                        {"resamples", 1000},
                        {"runs", {entry(a, 0.7), entry(b, 0.6)}},
                        {"note", "a <note>"},
                        {"pairs",
                         {{{"a", a},
                           {"b", b},
                           {"metric", "auc"},
                           {"test", "delong"},
                           {"difference", 0.1},
                           {"interval95", {0.05, 0.15}},
                           {"p_value", 0.001},
                           {"p_holm", 0.002},
                           {"significant", true}}}}};
  const std::string html = render_compare({a, b}, comparison.dump());
  for (const char* text :
       {">x/best<", ">y/best<", "x/best (&lt;script&gt;)", "+0.10000", "+0.05000 to +0.15000", "0.002", "significant",
        "a &lt;note&gt;", ">ROC<", ">Training loss<", ">Validation auc<", "1\u202f200 rows of the test split"})
    EXPECT_NE(html.find(text), std::string::npos) << text;
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find(directory_.path()), std::string::npos) << "a path of the machine";
}

TEST_F(CompareReport, WhatIsNoComparisonIsAnError) {
  const std::string a = run("a", 0.7);
  EXPECT_THROW(render_compare({a}, "[1"), DataError);
  EXPECT_THROW(render_compare({a, directory_.path() + "/absent"}, "{}"), IoError);
  EXPECT_NE(render_compare({a}, "{\"runs\": 3, \"pairs\": [4, {}]}").find("</html>"), std::string::npos);
}

}  // namespace
}  // namespace winnow
