// A small trained run and a log of what its users did next.
#pragma once
#include <gtest/gtest.h>

#include <atomic>

#include "core/file.h"
#include "core/rng.h"
#include "data/catalogue.h"
#include "data/synthetic.h"
#include "tests/data_files.h"
#include "train/ctr_training.h"
#include "train/update/update_run.h"

namespace winnow {

class UpdateFixture : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    directory_ = new TemporaryDirectory();
    const std::string store = directory_->path() + "/store";
    write_synthetic_store(store, {.users = 60, .items = 40, .impressions = 1500});
    const CtrConfig config(
        {"examples/ctr/synthetic.yaml",
         {"data.path='" + store + "'", "train.batch_size=128", "train.epochs=2", "model.hidden_units=[8]",
          "model.embedding_dim=4", "model.net_dropout=0.2", "evaluation.ranking=false"}});
    CtrTraining training(config, {.out = trained()});
    SilentListener silent;
    const std::atomic<bool> never{false};
    training.train(silent, never);
  }
  static void TearDownTestSuite() {
    delete directory_;
    directory_ = nullptr;
  }
  static std::string trained() { return directory_->path() + "/trained"; }

  // A copy of the run of its own.
  std::string run(const std::string& name) const {
    const std::string to = own_.path() + "/" + name;
    std::filesystem::create_directory(to);
    for (const char* file : {"config.yaml", "feature_map.json", "model.safetensors", "catalogue.safetensors"})
      std::filesystem::copy_file(trained() + "/" + file, to + "/" + file);
    return to;
  }

  // n events of known users and items but for a few, one a second.
  static std::vector<UpdateEvent> events(int64_t n) {
    const FeatureMap map = FeatureMap::load(trained() + "/feature_map.json");
    const Catalogue catalogue(trained() + "/catalogue.safetensors", map);
    Rng rng(11);
    std::vector<UpdateEvent> list;
    for (int64_t i = 1; i <= n; ++i) {
      UpdateEvent e;
      e.sequence = i;
      e.time_us = i * 1'000'000;
      e.user = i % 17 == 0 ? "nobody" : catalogue.user_key(static_cast<int64_t>(rng.below(60) % catalogue.users()));
      e.item = i % 23 == 0 ? "nothing" : catalogue.item_key(static_cast<int64_t>(rng.below(40) % catalogue.items()));
      e.kind = i % 29 == 0 ? "scroll" : i % 3 == 0 ? "click" : "impression";
      list.push_back(e);
    }
    return list;
  }
  static UpdateSettings settings() {
    UpdateSettings s;
    s.labels = {"click=1", "impression=0@20"};
    s.options.batch_rows = 8;
    s.options.reservoir_rows = 50;
    s.learning_rate = 0.01;
    return s;
  }
  static std::vector<Tensor> values(const std::vector<Parameter>& parameters) {
    std::vector<Tensor> list;
    for (const Parameter& p : parameters) list.push_back(p.value().clone());
    return list;
  }
  static bool same(const std::vector<Tensor>& a, const std::vector<Tensor>& b) {
    if (a.size() != b.size()) return false;
    for (size_t i = 0; i < a.size(); ++i)
      if (a[i].spec() != b[i].spec() || std::memcmp(a[i].raw(), b[i].raw(), a[i].bytes()) != 0) return false;
    return true;
  }

 private:
  static inline TemporaryDirectory* directory_ = nullptr;
  TemporaryDirectory own_;
};

}  // namespace winnow
