// metrics.jsonl: bounded points at places that depend on the position alone, and the lines a checkpoint counts.
#include "train/metrics_log.h"

#include <gtest/gtest.h>

#include "core/file.h"
#include "tests/data_files.h"

namespace winnow {
namespace {

TEST(MetricsLog, AnEpochHasAtMostTwoHundredPoints) {
  for (const int64_t steps : {1, 2, 199, 200, 201, 399, 400, 401, 1000, 123457}) {
    int64_t points = 0;
    for (int64_t s = 1; s <= steps; ++s) points += LossWindow::ends_at(s, steps);
    points += !LossWindow::ends_at(steps, steps);  // the epoch's last step has one in any case
    EXPECT_LE(points, kPointsPerEpoch) << steps;
    EXPECT_GE(points, std::min<int64_t>(steps, kPointsPerEpoch / 2)) << steps;
  }
}

TEST(MetricsLog, ARestoredLogHasTheLinesThatTheCheckpointCounted) {
  const TemporaryDirectory directory;
  MetricsLog log(directory.path());
  for (const char* line : {R"({"step":1})", R"({"step":2})", R"({"step":2,"train_loss":0.5})"}) log.add(line);
  log.write();
  MetricsLog counted(directory.path()), by_step(directory.path());
  counted.restore(2, 2);
  EXPECT_EQ(counted.lines(), (std::vector<std::string>{R"({"step":1})", R"({"step":2})"}));
  by_step.restore(-1, 1);
  EXPECT_EQ(by_step.lines(), (std::vector<std::string>{R"({"step":1})"}));
}

TEST(MetricsLog, AMissingFileAndBrokenLinesAreNoError) {
  const TemporaryDirectory directory;
  MetricsLog log(directory.path());
  log.restore(5, 5);
  EXPECT_TRUE(log.lines().empty());
  write_atomically(directory.path() + "/metrics.jsonl", "{\"step\":1}\nnot json\n[1]\n{\"step\":\"x\"}\n{\"st");
  log.restore(-1, 5);
  EXPECT_EQ(log.lines(), (std::vector<std::string>{R"({"step":1})"}));
}

}  // namespace
}  // namespace winnow
