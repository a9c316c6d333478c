// The graph of an HNSW index: recall, repair, crowds of equal vectors, hostile files.
#include "serve/retrieval/hnsw.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "core/safetensors.h"
#include "serve/retrieval/exact.h"
#include "serve/retrieval/index_file.h"
#include "tests/error_text.h"
#include "tests/retrieval_vectors.h"

namespace winnow {
namespace {

double recall_at_10(const HnswIndex& index, const std::vector<float>& queries, const ExactIndex& exact) {
  return recall(search_all(index, queries, 10), search_all(exact, queries, 10), 10);
}

struct Both {
  HnswIndex hnsw;
  ExactIndex exact;
  Both(int64_t d, Similarity s, const HnswOptions& options = {}) : hnsw(d, s, options), exact(d, s) {}
  void add(int64_t first, const std::vector<float>& x) {
    const auto ids = numbered(static_cast<int64_t>(x.size()) / hnsw.width(), first);
    hnsw.add(ids, x);
    exact.add(ids, x);
  }
  void remove(const std::vector<int64_t>& ids) {
    hnsw.remove(ids);
    exact.remove(ids);
  }
};

TEST(Hnsw, RecallOnUniformAndOnClusteredVectors) {
  const int64_t d = 24, n = 2500;
  for (const Similarity s : {Similarity::Cosine, Similarity::InnerProduct}) {
    Both uniform(d, s), clustered(d, s);
    uniform.add(0, uniform_vectors(n, d, 1));
    clustered.add(0, clustered_vectors(n, d, 60, 1));
    EXPECT_GE(recall_at_10(uniform.hnsw, uniform_vectors(100, d, 2), uniform.exact), 0.9) << name_of(s);
    EXPECT_GE(recall_at_10(clustered.hnsw, clustered_vectors(100, d, 60, 2), clustered.exact), 0.95) << name_of(s);
    EXPECT_EQ(uniform.hnsw.unreachable() + clustered.hnsw.unreachable(), 0);
    uniform.hnsw.set_ef_search(400);
    EXPECT_GE(recall_at_10(uniform.hnsw, uniform_vectors(100, d, 2), uniform.exact), 0.995)
        << "more candidates, more found";
  }
}

TEST(Hnsw, ClustersThatComeOneAfterTheOtherAreConnected) {
  const int64_t d = 16;
  Both index(d, Similarity::Cosine);
  const auto centres = uniform_vectors(20, d, 5);
  for (int64_t c = 0; c < 20; ++c) {
    auto x = uniform_vectors(150, d, 100 + static_cast<uint64_t>(c));
    for (size_t i = 0; i < x.size(); ++i)
      x[i] = 0.05f * x[i] + centres[static_cast<size_t>(c * d) + i % static_cast<size_t>(d)];
    index.add(c * 150, x);
  }
  EXPECT_EQ(index.hnsw.unreachable(), 0);
  EXPECT_GE(recall_at_10(index.hnsw, centres, index.exact), 0.95);
}

TEST(Hnsw, RecallStaysWhenAThirdIsReplaced) {
  const int64_t d = 24, n = 4000;
  Both index(d, Similarity::Cosine);
  index.add(0, clustered_vectors(n, d, 50, 1));
  const auto queries = clustered_vectors(100, d, 50, 2);
  const double before = recall_at_10(index.hnsw, queries, index.exact);
  Rng rng(3);
  std::set<int64_t> gone;
  while (static_cast<int64_t>(gone.size()) < n * 3 / 10) gone.insert(static_cast<int64_t>(rng.below(n)));
  index.remove({gone.begin(), gone.end()});
  EXPECT_GE(recall_at_10(index.hnsw, queries, index.exact), before - 0.02) << "after removal";
  index.add(n, clustered_vectors(n * 3 / 10, d, 50, 4));
  EXPECT_GE(recall_at_10(index.hnsw, queries, index.exact), before - 0.02) << "after as many were added";
  EXPECT_EQ(index.hnsw.unreachable(), 0);
  EXPECT_EQ(index.hnsw.size(), n);
}

TEST(Hnsw, AWholeClusterMayGo) {
  const int64_t d = 8;
  Both index(d, Similarity::Cosine);
  std::vector<float> near(400 * static_cast<size_t>(d)), far = uniform_vectors(400, d, 1);
  for (size_t i = 0; i < near.size(); ++i) near[i] = (i % static_cast<size_t>(d) == 0 ? 5.f : 0.f) + 0.1f * far[i];
  index.add(0, near);
  index.add(400, far);
  index.remove(numbered(400));
  EXPECT_EQ(index.hnsw.unreachable(), 0);
  EXPECT_GE(recall_at_10(index.hnsw, uniform_vectors(50, d, 2), index.exact), 0.97);
}

TEST(Hnsw, AThousandTimesOneVectorDoesNotCutTheGraph) {
  const int64_t d = 16;
  Both index(d, Similarity::Cosine);
  const auto x = uniform_vectors(1000, d, 1);
  std::vector<float> same;
  for (int i = 0; i < 1000; ++i) same.insert(same.end(), x.begin(), x.begin() + d);
  index.add(0, same);
  index.add(1000, x);
  index.add(5000, same);
  EXPECT_EQ(index.hnsw.unreachable(), 0);
  EXPECT_EQ(index.hnsw.facts().at("distinct_vectors"), "1000");
  const auto queries = uniform_vectors(50, d, 2);
  EXPECT_GE(recall_at_10(index.hnsw, queries, index.exact), 0.97);
  std::set<int64_t> ids;
  for (const Found& f : search_all(index.hnsw, {x.begin(), x.begin() + d}, 2001)) ids.insert(f.id);
  EXPECT_EQ(ids.size(), 2001u) << "all of the equal ones are found";
  index.remove(numbered(1001));
  index.remove(numbered(999, 5000));
  const auto found = search_all(index.hnsw, {x.begin(), x.begin() + d}, 2);
  EXPECT_EQ(found[0].id, 5999);
  EXPECT_EQ(found[1], search_all(index.exact, {x.begin(), x.begin() + d}, 2)[1]);
}

TEST(Hnsw, VectorsThatDifferByRoundingStayConnected) {
  const int64_t d = 16, n = 2000;
  auto x = uniform_vectors(n, d, 1);
  for (size_t i = 0; i < x.size(); ++i) x[i] = 1 + 1e-6f * x[i];
  Both index(d, Similarity::Cosine);
  index.add(0, x);
  index.add(n, uniform_vectors(n, d, 2));
  EXPECT_EQ(index.hnsw.unreachable(), 0);
  EXPECT_GE(recall_at_10(index.hnsw, uniform_vectors(50, d, 3), index.exact), 0.97);
}

TEST(Hnsw, OptionsOutOfRangeAreRefused) {
  EXPECT_THROW(HnswIndex(4, Similarity::Cosine, {1, 10, 10, 0}), ConfigError);
  EXPECT_THROW(HnswIndex(4, Similarity::Cosine, {129, 10, 10, 0}), ConfigError);
  EXPECT_THROW(HnswIndex(4, Similarity::Cosine, {8, 0, 10, 0}), ConfigError);
  EXPECT_THROW(HnswIndex(4, Similarity::Cosine, {8, 10, 0, 0}), ConfigError);
}

// A file whose checksums are right and whose content is not.
class HostileFile : public testing::Test {
 protected:
  HostileFile() {
    HnswIndex index(4, Similarity::Cosine, {2, 20, 20, 0});
    auto x = uniform_vectors(60, 4, 1);
    for (int i = 0; i < 3; ++i) x.insert(x.end(), x.begin(), x.begin() + 4);
    index.add(numbered(63), x);
    index.remove(numbered(2, 5));
    index.save(path_);
    const SafeTensors file = SafeTensors::open(path_);
    for (const auto& e : file.entries()) tensors_.push_back({e.name, file.at(e.name).clone()});
    facts_ = file.metadata();
  }
  ~HostileFile() override { std::remove(path_.c_str()); }
  template <class T>
  T* data(const std::string& name) {
    for (const NamedTensor& t : tensors_)
      if (t.name == name) return t.tensor.data<T>();
    return nullptr;
  }
  std::string error() {
    save_safetensors(path_, tensors_, facts_);
    return text_of<IoError>([&] { open_index(path_); });
  }
  const std::string path_ = testing::TempDir() + "winnow_hostile_" + std::to_string(getpid());
  std::vector<NamedTensor> tensors_;
  std::map<std::string, std::string> facts_;
};

TEST_F(HostileFile, AsItIsItOpens) { EXPECT_EQ(error(), "no error"); }

TEST_F(HostileFile, EveryWrongPlaceIsFoundAtOpening) {
  const auto with = [&]<class T>(const std::string& name, int64_t at, T value) {
    T* x = data<T>(name) + at;
    const T was = std::exchange(*x, value);
    const std::string text = error();
    *x = was;
    return text;
  };
  for (const int32_t link : {63, -2, INT32_MAX, INT32_MIN, 0})
    EXPECT_NE(with("links", 0, link).find("a link"), std::string::npos) << link;
  EXPECT_NE(with("links", 2, int32_t{62}).find("outside of its layer"), std::string::npos) << "an equal vector's slot";
  EXPECT_NE(with("upper_links", 0, int32_t{63}).find("a link"), std::string::npos);
  EXPECT_NE(with("levels", 0, uint8_t{16}).find("level"), std::string::npos);
  EXPECT_NE(with("levels", 0, uint8_t{9}), "no error");
  EXPECT_NE(with("in_graph", 1, uint8_t{0}), "no error");
  EXPECT_NE(with("in_graph", 1, uint8_t{2}), "no error");
  EXPECT_NE(with("ids", 1, int64_t{2}).find("an id twice"), std::string::npos);
  EXPECT_NE(with("ids", 1, int64_t{-2}).find("an id below"), std::string::npos);
  EXPECT_NE(with("next_equal", 0, int32_t{0}).find("chain"), std::string::npos);
  EXPECT_NE(with("next_equal", 60, int32_t{60}).find("chain"), std::string::npos);
  EXPECT_NE(with("next_equal", 0, int32_t{-1}).find("no walk can find"), std::string::npos);
  EXPECT_NE(with("next_equal", 0, int32_t{1000}).find("chain"), std::string::npos);
  EXPECT_NE(with("vectors", 3, std::nanf("")).find("NaN"), std::string::npos);
  for (const auto& [key, value] : std::map<std::string, std::string>{{"entry", "63"},
                                                                     {"entry", "x"},
                                                                     {"m", "3"},
                                                                     {"width", "40"},
                                                                     {"version", "2"},
                                                                     {"type", "tree"},
                                                                     {"similarity", "l2"},
                                                                     {"ef_search", "-1"},
                                                                     {"format", ""}}) {
    const std::string was = std::exchange(facts_[key], value);
    EXPECT_NE(error(), "no error") << key;
    facts_[key] = was;
  }
  EXPECT_EQ(error(), "no error");
}

}  // namespace
}  // namespace winnow
