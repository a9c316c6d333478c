// AUC and logloss of a run as a server has it: at its newest version, rows joined from its catalogue.
//   update_check RUN LIKED_FROM TABLE...     TABLE: columns user, item, value; label 1 from that value on
// One line a table: AUC, logloss, rows, rows of users the run does not know; rows of unknown items are left out.
#include <cstdio>
#include <cstdlib>

#include "data/catalogue.h"
#include "data/rows.h"
#include "serve/click_predictor.h"
#include "serve/delta/versions.h"
#include "train/metrics_binary.h"

namespace winnow {
namespace {

void check(const SavedClickModel& saved, const Catalogue& catalogue, double liked_from, const std::string& path) {
  SourceSpec spec;
  spec.path = path;
  const auto reader = open_rows(spec);
  const size_t user = reader->column("user"), item = reader->column("item"), value = reader->column("value");
  std::vector<EncodedRow> rows;
  std::vector<float> labels;
  int64_t strangers = 0;
  for (RowBlock block; reader->next(block);)
    for (int64_t r = 0; r < block.rows; ++r) {
      const int64_t u = catalogue.find_user(block.cell(r, user)), i = catalogue.find_item(block.cell(r, item));
      if (i < 0) continue;
      strangers += u < 0 ? 1 : 0;
      catalogue.row(u, i, rows.emplace_back());
      labels.push_back(std::stod(std::string(block.cell(r, value))) >= liked_from ? 1.f : 0.f);
    }
  std::vector<float> logits(rows.size());
  ClickPredictor predictor(saved);
  predictor.logits(rows, logits);
  BinaryEvaluation options;
  options.bootstrap.resamples = 0;
  const auto metrics = evaluate_binary({logits, labels, {}, {}}, options);
  std::printf("%.4f %.4f %zu %lld\n", *find_metric(metrics, "auc")->value, *find_metric(metrics, "logloss")->value,
              rows.size(), static_cast<long long>(strangers));
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  using namespace winnow;
  if (argc < 4) {
    std::fputs("usage: update_check RUN LIKED_FROM TABLE...\n", stderr);
    return 2;
  }
  try {
    const std::string run = argv[1];
    const SavedClickModel saved(run);
    const Catalogue catalogue(run + "/catalogue.safetensors", saved.map);
    ModelVersion version(run, saved.model->parameters());
    version.go_to(version.folder().newest());
    for (int i = 3; i < argc; ++i) check(saved, catalogue, std::strtod(argv[2], nullptr), argv[i]);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "update_check: %s\n", e.what());
    return 1;
  }
  return 0;
}
