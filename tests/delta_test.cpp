// Versions of a run's parameters: what is applied has the bits of what was published, and nothing else is applied.
#include "serve/delta/delta.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <thread>

#include "models/saved_click_model.h"
#include "nn/saved_parameters.h"
#include "serve/delta/publisher.h"
#include "serve/delta/watcher.h"
#include "tests/update_fixture.h"

namespace winnow {
namespace {

class Deltas : public UpdateFixture {
 protected:
  // Moves some rows of tables and a bias, another few for each `number`.
  static void move(const std::vector<Parameter>& parameters, int number) {
    for (const Parameter& p : parameters) {
      const auto values = p.value().span<float>();
      if (p.group == Group::Table) {
        const auto dim = static_cast<size_t>(p.value().shape()[1]);
        for (size_t k = 0; k < 3; ++k) values[(static_cast<size_t>(number) * 5 + 2 * k) * dim % values.size()] += 0.1f;
      }
      if (p.group == Group::Bias) values[0] += 0.01f * static_cast<float>(number);
    }
  }
  static std::string what_of(const std::function<void()>& f) {
    try {
      f();
    } catch (const Error& e) { return e.what(); }
    return "";
  }
};

TEST_F(Deltas, EveryVersionHasTheBitsThatWerePublished) {
  const std::string directory = run("a");
  const SavedClickModel learning(directory);
  const auto parameters = learning.model->parameters();
  DeltaPublisher publisher(directory, parameters, {.snapshot_every = 4});
  std::vector<std::vector<Tensor>> published = {values(parameters)};
  EXPECT_FALSE(publisher.publish(parameters, 0)) << "nothing differs from the run";
  for (int v = 1; v <= 10; ++v) {
    move(parameters, v);
    const auto p = publisher.publish(parameters, v * 100);
    ASSERT_TRUE(p);
    EXPECT_EQ(p->version, v);
    EXPECT_EQ(p->snapshot, v % 4 == 0);
    EXPECT_EQ(p->rows > 0, !p->snapshot);
    published.push_back(values(parameters));
  }
  EXPECT_FALSE(publisher.publish(parameters, 1000));
  EXPECT_EQ(publisher.id().version, 10);

  const SavedClickModel serving(directory);
  ModelVersion at(directory, serving.model->parameters());
  EXPECT_EQ(at.folder().versions(), (std::vector<int64_t>{4, 5, 6, 7, 8, 9, 10}));  // two snapshots and all behind
  for (const int64_t to : {10, 5, 0, 7, 4, 9, 8, 0, 10}) {
    at.go_to(to);
    EXPECT_EQ(at.id().version, to);
    EXPECT_EQ(at.events(), to * 100);
    EXPECT_TRUE(same(values(serving.model->parameters()), published[static_cast<size_t>(to)])) << to;
  }
  EXPECT_NE(what_of([&] { at.go_to(2); }).find("there are [4, 5, 6, 7, 8, 9, 10]"), std::string::npos);
  EXPECT_EQ(at.id().version, 10);
}

TEST_F(Deltas, APublisherThatStartsAgainGoesOnWithTheNextVersion) {
  const std::string directory = run("a");
  const SavedClickModel learning(directory);
  const auto parameters = learning.model->parameters();
  for (int v = 1; v <= 5; ++v) {
    DeltaPublisher publisher(directory, parameters);
    EXPECT_EQ(publisher.id().version, v - 1);
    move(parameters, v);
    publisher.publish(parameters, v);
  }
  const SavedClickModel serving(directory);
  ModelVersion at(directory, serving.model->parameters());
  at.go_to(at.folder().newest());
  EXPECT_TRUE(same(values(parameters), values(serving.model->parameters())));
}

TEST_F(Deltas, WhatTheUpdaterLearntIsWhatAServerHas) {
  const std::string directory = run("a");
  UpdateRun update(directory, settings());
  update.start(nullptr);
  DeltaPublisher publisher(directory, update.updater().parameters());
  const SavedClickModel serving(directory);
  ModelVersion at(directory, serving.model->parameters());
  const auto log = events(120);
  for (size_t i = 0; i < log.size(); i += 30) {
    update.updater().learn(std::span(log).subspan(i, 30));
    update.updater().with_tail([&] {
      ASSERT_TRUE(publisher.publish(update.updater().parameters(), update.updater().offset()));
      at.go_to(at.folder().newest());
      EXPECT_TRUE(same(values(update.updater().parameters()), values(serving.model->parameters())));
    });
    EXPECT_EQ(at.events(), update.updater().offset());
  }
}

TEST_F(Deltas, AnEarlierVersionCanBePublishedAgain) {
  const std::string directory = run("a");
  const SavedClickModel learning(directory);
  const auto parameters = learning.model->parameters();
  DeltaPublisher publisher(directory, parameters);
  move(parameters, 1);
  publisher.publish(parameters, 1);
  const auto good = values(parameters);
  move(parameters, 2);
  publisher.publish(parameters, 2);
  publisher.read_version(1, parameters);
  EXPECT_TRUE(same(good, values(parameters)));
  EXPECT_TRUE(publisher.publish(parameters, 2, true)->snapshot);
  EXPECT_EQ(publisher.id().version, 3);
}

TEST_F(Deltas, ADeltaOfAnotherRunOrChainIsRefused) {
  const std::string directory = run("a");
  const SavedClickModel learning(directory);
  const auto parameters = learning.model->parameters();
  {
    DeltaPublisher publisher(directory, parameters);
    move(parameters, 1);
    publisher.publish(parameters, 1);
  }
  const SavedClickModel serving(directory);
  ModelVersion at(directory, serving.model->parameters());
  at.go_to(1);
  const auto before = values(serving.model->parameters());
  // the same versions again, with other content
  std::filesystem::remove_all(directory + "/deltas");
  const SavedClickModel again(directory);
  const auto other = again.model->parameters();
  DeltaPublisher publisher(directory, other);
  for (int v = 2; v <= 3; ++v) move(other, v), publisher.publish(other, v);
  EXPECT_NE(what_of([&] { at.go_to(2); }).find("of chain"), std::string::npos);
  // trained anew
  save_parameters(directory + "/model.safetensors", parameters, "DeepFM");
  const SavedClickModel anew(directory);
  ModelVersion fresh(directory, anew.model->parameters());
  EXPECT_NE(what_of([&] { fresh.go_to(1); }).find("trained anew"), std::string::npos);
  EXPECT_THROW(DeltaPublisher(directory, parameters), IoError);
  EXPECT_TRUE(same(before, values(serving.model->parameters())));
}

TEST_F(Deltas, EveryFlippedByteOfADeltaIsFound) {
  const std::string directory = run("a");
  const SavedClickModel learning(directory);
  const auto parameters = learning.model->parameters();
  DeltaPublisher publisher(directory, parameters);
  move(parameters, 1);
  publisher.publish(parameters, 1);
  const std::string path = VersionFolder(directory).path(1), whole = read_text(path, 1 << 26);
  const SavedClickModel serving(directory);
  const auto before = values(serving.model->parameters());
  ModelVersion at(directory, serving.model->parameters());
  for (size_t i = 0; i < whole.size(); i += std::max<size_t>(1, whole.size() / 400)) {
    std::string broken = whole;
    broken[i] = static_cast<char>(broken[i] ^ 0x04);
    write_atomically(path, broken);
    EXPECT_THROW(at.go_to(1), IoError) << i;
  }
  write_atomically(path, whole.substr(0, whole.size() / 2));
  EXPECT_THROW(at.go_to(1), IoError);
  EXPECT_TRUE(same(before, values(serving.model->parameters())));
  write_atomically(path, whole);
  at.go_to(1);
  EXPECT_TRUE(same(values(parameters), values(serving.model->parameters())));
}

// Deltas whose checksums hold and whose content does not.
TEST_F(Deltas, HostileContentIsRefusedAndChangesNothing) {
  const SavedClickModel saved(trained());
  const auto parameters = saved.model->parameters();
  const auto before = values(parameters);
  const auto table = std::ranges::find(parameters, Group::Table, &Parameter::group);
  ASSERT_NE(table, parameters.end());
  const int64_t rows = table->value().shape()[0], dim = table->value().shape()[1];
  const auto part = [&](const std::vector<int64_t>& at, int64_t width, float value, const std::string& name) {
    const auto n = static_cast<int64_t>(at.size());
    return DeltaPart{name, Tensor::of(at, {n}),
                     Tensor::of(std::vector<float>(static_cast<size_t>(n * width), value), {n, width})};
  };
  const std::string name = table->name();
  const Tensor zero = Tensor::of<float>({0}, {1});
  const std::vector<std::pair<std::string, std::vector<DeltaPart>>> hostile = {
      {"beyond", {part({0, rows}, dim, 0, name)}},
      {"far beyond", {part({int64_t{1} << 62}, dim, 0, name)}},
      {"negative", {part({-1, 0}, dim, 0, name)}},
      {"not ascending", {part({3, 2}, dim, 0, name)}},
      {"twice", {part({3, 3}, dim, 0, name)}},
      {"another width", {part({3}, dim + 1, 0, name)}},
      {"NaN", {part({3}, dim, NAN, name)}},
      {"infinity", {part({3}, dim, INFINITY, name)}},
      {"unknown parameter", {part({3}, dim, 0, "x")}},
      {"the same parameter twice", {part({3}, dim, 0, name), part({4}, dim, 0, name)}},
      {"another shape", {{name, {}, zero}}},
      {"rows and values of unequal length",
       {{name, Tensor::of<int64_t>({1, 2}, {2}), Tensor::zeros({DType::F32, {1, dim}})}}},
      {"rows that are floats", {{name, Tensor::of<float>({1}, {1}), Tensor::zeros({DType::F32, {1, dim}})}}},
      {"good first, bad then", {part({3}, dim, 1, name), part({3}, dim, 0, "x")}}};
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/000001.safetensors";
  for (const auto& [what, parts] : hostile) {
    Delta delta;
    delta.header = {{1, ""}, {0, ""}, false, 1, 1, run_fingerprint(trained())};
    delta.parts = parts;
    delta.header.id.chain = delta_chain(delta);
    if (what != "the same parameter twice") {
      write_delta(path, delta);
      EXPECT_THROW(apply_delta(read_delta(path), parameters, path), IoError) << what;
    }
    EXPECT_TRUE(same(before, values(parameters))) << what;
  }
  Delta snapshot;
  snapshot.header = {{1, ""}, {0, ""}, true, 1, 1, run_fingerprint(trained())};
  snapshot.parts = {part({3}, dim, 0, name)};
  EXPECT_THROW(apply_delta(snapshot, parameters, "a snapshot of one row"), IoError);
  EXPECT_TRUE(same(before, values(parameters)));
}

TEST_F(Deltas, AParameterThatIsNotFiniteIsNotPublished) {
  const std::string directory = run("a");
  const SavedClickModel learning(directory);
  const auto parameters = learning.model->parameters();
  DeltaPublisher publisher(directory, parameters);
  parameters.back().value().data<float>()[0] = NAN;
  EXPECT_THROW(publisher.publish(parameters, 1), Error);
  EXPECT_TRUE(VersionFolder(directory).versions().empty());
}

TEST_F(Deltas, TheWatcherOffersNewVersionsInOrderAndOutlivesABrokenOne) {
  const std::string directory = run("a");
  const SavedClickModel learning(directory), serving(directory);
  const auto parameters = learning.model->parameters();
  DeltaPublisher publisher(directory, parameters);
  ModelVersion at(directory, serving.model->parameters());
  std::mutex mutex;
  std::vector<int64_t> seen;
  std::vector<std::string> problems;
  const auto count = [&] {
    const std::lock_guard lock(mutex);
    return std::pair(seen.size(), problems.size());
  };
  const auto wait_for = [&](auto&& holds) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    while (!holds() && std::chrono::steady_clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(5));
    EXPECT_TRUE(holds());
  };
  DeltaWatcher watcher(
      directory, 0, {.every = std::chrono::milliseconds(2)},
      [&](int64_t version) {
        at.go_to(version);
        const std::lock_guard lock(mutex);
        seen.push_back(version);
      },
      [&](const std::string& text) {
        const std::lock_guard lock(mutex);
        problems.push_back(text);
      });
  for (int v = 1; v <= 3; ++v) {
    move(parameters, v);
    publisher.publish(parameters, v);
    wait_for([&] { return count().first == static_cast<size_t>(v); });
  }
  EXPECT_EQ(seen, (std::vector<int64_t>{1, 2, 3}));
  write_atomically(VersionFolder(directory).path(4), "no delta");
  wait_for([&] { return count().second == 1; });
  move(parameters, 4);
  publisher.publish(parameters, 4);  // takes its place
  wait_for([&] { return count().first == 4; });
  EXPECT_TRUE(same(values(parameters), values(serving.model->parameters())));
  watcher.hold();
  watcher.follow();
}

}  // namespace
}  // namespace winnow
