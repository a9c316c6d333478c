// The interface of every index, and exact search.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include "core/error.h"
#include "core/file.h"
#include "core/parallel.h"
#include "core/safetensors.h"
#include "serve/retrieval/exact.h"
#include "serve/retrieval/hnsw.h"
#include "serve/retrieval/index_file.h"
#include "serve/retrieval/vector_file.h"
#include "tests/error_text.h"
#include "tests/retrieval_vectors.h"

namespace winnow {
namespace {

std::unique_ptr<VectorIndex> make(const std::string& type, int64_t width, Similarity s = Similarity::Cosine) {
  if (type == "exact") return std::make_unique<ExactIndex>(width, s);
  return std::make_unique<HnswIndex>(width, s);
}

class EveryIndex : public testing::TestWithParam<const char*> {
 protected:
  void TearDown() override { std::filesystem::remove(path_); }
  const std::string path_ = testing::TempDir() + "winnow_index_" + std::to_string(getpid());
};
INSTANTIATE_TEST_SUITE_P(Types, EveryIndex, testing::Values("exact", "hnsw"),
                         [](const auto& type) { return std::string(type.param); });

double cosine(const float* a, const float* b, int64_t d) {
  double ab = 0, aa = 0, bb = 0;
  for (int64_t i = 0; i < d; ++i) {
    ab += static_cast<double>(a[i]) * static_cast<double>(b[i]);
    aa += static_cast<double>(a[i]) * static_cast<double>(a[i]);
    bb += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return aa > 0 && bb > 0 ? ab / std::sqrt(aa * bb) : 0;
}

TEST_P(EveryIndex, FindsWhatAPlainSearchFinds) {
  for (const int64_t d : {3, 20, 64}) {
    const int64_t n = 600, k = 10;
    const auto x = uniform_vectors(n, d, 1), q = uniform_vectors(7, d, 2);
    const auto index = make(GetParam(), d);
    index->add(numbered(n, 1000), x);
    EXPECT_EQ(index->size(), n);
    const auto found = search_all(*index, q, k);
    for (int64_t i = 0; i < 7; ++i) {
      std::vector<std::pair<double, int64_t>> all;
      for (int64_t r = 0; r < n; ++r) all.emplace_back(-cosine(q.data() + i * d, x.data() + r * d, d), 1000 + r);
      std::ranges::sort(all);
      for (int64_t j = 0; j < k; ++j) {
        const Found& f = found[static_cast<size_t>(i * k + j)];
        EXPECT_EQ(f.id, all[static_cast<size_t>(j)].second) << d << " " << i << " " << j;
        EXPECT_NEAR(f.score, -all[static_cast<size_t>(j)].first, 1e-5);
      }
    }
  }
}

TEST_P(EveryIndex, AnEmptyIndexFindsNothingAndAnswersAll) {
  const auto index = make(GetParam(), 5);
  for (const Found& f : search_all(*index, uniform_vectors(3, 5, 1), 4)) EXPECT_EQ(f, Found{});
  EXPECT_TRUE(search_all(*index, {}, 4).empty());
  index->save(path_);
  const auto again = open_index(path_);
  EXPECT_EQ(again->size(), 0);
  for (const Found& f : search_all(*again, uniform_vectors(3, 5, 1), 4)) EXPECT_EQ(f, Found{});
  again->add(numbered(2), uniform_vectors(2, 5, 1));
  EXPECT_EQ(search_all(*again, uniform_vectors(1, 5, 1), 4)[0].id, 0);
}

TEST_P(EveryIndex, MoreThanThereAreIsFilledWithNone) {
  const auto index = make(GetParam(), 4);
  index->add(numbered(3), uniform_vectors(3, 4, 1));
  const auto found = search_all(*index, uniform_vectors(2, 4, 2), 5);
  for (size_t i = 0; i < 10; ++i) EXPECT_EQ(found[i].id >= 0, i % 5 < 3);
}

TEST_P(EveryIndex, RemovedIdsAreGoneAndMayComeAgain) {
  const int64_t d = 16, n = 800;
  const auto x = uniform_vectors(n, d, 3), q = uniform_vectors(20, d, 4);
  const auto index = make(GetParam(), d);
  index->add(numbered(n), x);
  std::vector<int64_t> gone;
  for (int64_t i = 0; i < n; i += 2) gone.push_back(i);
  gone.push_back(12345);
  EXPECT_EQ(index->remove(gone), n / 2);
  EXPECT_EQ(index->remove(gone), 0);
  EXPECT_EQ(index->size(), n / 2);
  ExactIndex expected(d, Similarity::Cosine);
  for (int64_t i = 1; i < n; i += 2) expected.add(numbered(1, i), {x.data() + i * d, static_cast<size_t>(d)});
  EXPECT_GE(recall(search_all(*index, q, 10), search_all(expected, q, 10), 10), 0.97);
  for (const Found& f : search_all(*index, q, 50)) EXPECT_EQ(f.id % 2, 1);
  index->add(numbered(1, 0), {x.data(), static_cast<size_t>(d)});
  EXPECT_EQ(search_all(*index, {x.begin(), x.begin() + d}, 1)[0].id, 0);
  EXPECT_EQ(index->remove(numbered(n)), n / 2 + 1);
  for (const Found& f : search_all(*index, q, 5)) EXPECT_EQ(f, Found{});
  index->add(numbered(n), x);
  EXPECT_EQ(index->ids(), numbered(n));
}

TEST_P(EveryIndex, FiltersHold) {
  const int64_t d = 12, n = 3000, k = 10;
  const auto x = uniform_vectors(n, d, 5), q = uniform_vectors(30, d, 6);
  const auto index = make(GetParam(), d);
  index->add(numbered(n), x);
  const auto all = make("exact", d);
  all->add(numbered(n), x);
  for (const int64_t step : {2, 10, 700}) {
    std::vector<int64_t> some;
    for (int64_t i = 0; i < n; i += step) some.push_back(i);
    some.push_back(n + 5);
    const Selection mine = index->select(some), theirs = all->select(some);
    EXPECT_EQ(mine.size(), (n + step - 1) / step);
    for (const bool per_query : {false, true}) {
      std::function<bool(int64_t, int64_t)> may;
      if (per_query) may = [](int64_t query, int64_t id) { return (id / 2 + query) % 3 != 0; };
      const auto found = search_all(*index, q, k, {&mine, may}), expected = search_all(*all, q, k, {&theirs, may});
      for (size_t i = 0; i < found.size(); ++i)
        EXPECT_TRUE(found[i].id < 0 ||
                    (found[i].id % step == 0 && (!may || may(static_cast<int64_t>(i) / k, found[i].id))));
      EXPECT_GE(recall(found, expected, k), 0.97) << step;
    }
  }
  // So few that a walk would not meet them.
  const auto rare = [](int64_t, int64_t id) { return id == 17 || id == 2900; };
  const auto found = search_all(*index, q, 3, {nullptr, rare});
  for (size_t i = 0; i < found.size(); i += 3) {
    EXPECT_EQ(found[i].id + found[i + 1].id, 17 + 2900);
    EXPECT_EQ(found[i + 2], Found{});
  }
}

TEST_P(EveryIndex, ASelectionOfBeforeAChangeIsRefused) {
  const auto index = make(GetParam(), 4), other = make(GetParam(), 4);
  index->add(numbered(9), uniform_vectors(9, 4, 1));
  other->add(numbered(9), uniform_vectors(9, 4, 1));
  const Selection some = index->select(numbered(5));
  EXPECT_NO_THROW(search_all(*index, uniform_vectors(1, 4, 1), 2, {&some, {}}));
  EXPECT_THROW(search_all(*other, uniform_vectors(1, 4, 1), 2, {&some, {}}), ConfigError);
  index->remove(numbered(1));
  EXPECT_THROW(search_all(*index, uniform_vectors(1, 4, 1), 2, {&some, {}}), ConfigError);
}

TEST_P(EveryIndex, WhatIsSavedIsWhatIsLoaded) {
  const int64_t d = 24;
  const auto index = make(GetParam(), d, Similarity::InnerProduct);
  index->add(numbered(1500), uniform_vectors(1500, d, 7));
  index->remove(numbered(200, 100));
  index->save(path_);
  const auto again = open_index(path_);
  EXPECT_EQ(again->type(), GetParam());
  EXPECT_EQ(again->similarity(), Similarity::InnerProduct);
  EXPECT_EQ(again->ids(), index->ids());
  EXPECT_EQ(again->facts(), index->facts());
  const auto q = uniform_vectors(40, d, 8);
  EXPECT_EQ(search_all(*again, q, 10), search_all(*index, q, 10));
  again->save(path_ + ".2");
  EXPECT_EQ(read_text(path_, 1 << 24), read_text(path_ + ".2", 1 << 24)) << "the same bytes";
  std::filesystem::remove(path_ + ".2");
  // A loaded index takes changes as the first did.
  for (VectorIndex* i : {index.get(), again.get()}) {
    i->add(numbered(300, 5000), uniform_vectors(300, d, 9));
    i->remove(numbered(400, 600));
  }
  EXPECT_EQ(search_all(*again, q, 10), search_all(*index, q, 10));
}

TEST_P(EveryIndex, EveryFlippedByteIsFound) {
  const auto index = make(GetParam(), 3);
  index->add(numbered(5), uniform_vectors(5, 3, 1));
  index->save(path_);
  const std::string bytes = read_text(path_, 1 << 20);
  const auto open = [](std::string text) {
    const auto owner = std::make_shared<std::string>(std::move(text));
    return read_index(IndexFile(SafeTensors::parse(std::as_bytes(std::span(*owner)), owner, "index"), "index"));
  };
  EXPECT_NO_THROW(open(bytes));
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string broken = bytes;
    broken[i] = static_cast<char>(broken[i] ^ 0x11);
    EXPECT_THROW(open(broken), IoError) << "byte " << i;
  }
  for (const size_t size : {size_t{0}, size_t{7}, bytes.size() / 2, bytes.size() - 1})
    EXPECT_THROW(open(bytes.substr(0, size)), IoError);
}

TEST_P(EveryIndex, TheSameForAnyNumberOfThreads) {
  const int64_t d = 20;
  const auto x = clustered_vectors(3000, d, 30, 1), q = clustered_vectors(50, d, 30, 2);
  const int threads = num_threads();
  std::string bytes;
  std::vector<Found> found;
  for (const int t : {1, 2, 3, 7}) {
    set_num_threads(t);
    const auto index = make(GetParam(), d);
    index->add(numbered(3000), x);
    index->remove(numbered(900, 100));
    index->add(numbered(500, 4000), uniform_vectors(500, d, 3));
    index->save(path_);
    const std::string now = read_text(path_, 1 << 24);
    if (t == 1) {
      bytes = now;
      found = search_all(*index, q, 10);
    }
    EXPECT_TRUE(now == bytes) << t << " threads";
    EXPECT_EQ(search_all(*index, q, 10), found) << t << " threads";
  }
  set_num_threads(threads);
}

TEST_P(EveryIndex, WrongUseIsRefusedAndChangesNothing) {
  const auto index = make(GetParam(), 2);
  index->add(numbered(2), std::vector<float>{1, 0, 0, 1});
  const std::vector<float> one = {1, 1}, nan = {1, std::nanf("")}, inf = {INFINITY, 0}, three = {1, 2, 3};
  const auto add = [&](std::vector<int64_t> ids, const std::vector<float>& x) { index->add(ids, x); };
  EXPECT_THROW(add({1}, one), DataError);
  EXPECT_THROW(add({-1}, one), DataError);
  EXPECT_THROW(add({5, 5}, {1, 2, 3, 4}), DataError);
  EXPECT_THROW(add({5}, nan), DataError);
  EXPECT_THROW(add({5}, inf), DataError);
  EXPECT_THROW(add({5}, three), ShapeError);
  EXPECT_EQ(index->size(), 2);
  std::vector<Found> out(2);
  EXPECT_THROW(index->search(three, 1, {}, out), ShapeError);
  EXPECT_THROW(index->search(one, 0, {}, out), ConfigError);
  EXPECT_THROW(index->search(one, 3, {}, out), ShapeError);
  for (const Found& f : search_all(*index, nan, 2)) EXPECT_EQ(f.id, -1);
  EXPECT_THROW(make(GetParam(), 0), ShapeError);
}

TEST_P(EveryIndex, ZeroVectorsAndZeroQueriesScoreZero) {
  const auto index = make(GetParam(), 6);
  index->add(numbered(500), std::vector<float>(3000, 0.f));
  index->add(numbered(500, 500), uniform_vectors(500, 6, 1));
  for (const Found& f : search_all(*index, std::vector<float>(6, 0.f), 20)) EXPECT_EQ(f.score, 0);
  const auto q = uniform_vectors(1, 6, 2);
  const auto found = search_all(*index, q, 1000);
  std::set<int64_t> ids;
  for (const Found& f : found) ids.insert(f.id);
  EXPECT_EQ(ids.size(), 1000u) << "each is found once";
}

// Bytes beside the vectors follow every change: what is found is what an index made of the rest finds.
TEST(ExactIndex, CodesFollowEveryChange) {
  const int64_t d = 20, n = 9000, k = 15;
  const auto x = uniform_vectors(n, d, 1), q = clustered_vectors(70, d, 5, 2);
  const auto of = [&](int64_t id) { return std::span(x).subspan(static_cast<size_t>(id * d), static_cast<size_t>(d)); };
  ExactIndex index(d, Similarity::InnerProduct);
  std::vector<int64_t> there;
  const auto check = [&](const char* when) {
    ExactIndex fresh(d, Similarity::InnerProduct);
    for (const int64_t id : there) fresh.add(std::array{id}, of(id));
    EXPECT_EQ(search_all(index, q, k), search_all(fresh, q, k)) << when;
    for (size_t i = 0; i < 70; i += 23) {
      const std::vector<float> one(q.begin() + static_cast<int64_t>(i) * d,
                                   q.begin() + static_cast<int64_t>(i + 1) * d);
      EXPECT_EQ(search_all(index, one, k), search_all(fresh, one, k)) << when << ", alone";
    }
  };
  const auto add = [&](int64_t first, int64_t count) {
    index.add(numbered(count, first),
              std::span(x).subspan(static_cast<size_t>(first * d), static_cast<size_t>(count * d)));
    for (int64_t id = first; id < first + count; ++id) there.push_back(id);
  };
  const auto remove = [&](int64_t first, int64_t count, int64_t step) {
    std::vector<int64_t> gone;
    for (int64_t id = first; id < first + count; id += step) gone.push_back(id);
    index.remove(gone);
    std::erase_if(there, [&](int64_t id) { return std::ranges::binary_search(gone, id); });
  };
  add(0, ExactIndex::kCodedFrom - 1);
  EXPECT_EQ(index.facts().at("code_bytes"), "0");
  add(ExactIndex::kCodedFrom - 1, 1);
  EXPECT_EQ(index.facts().at("code_bytes"), std::to_string(ExactIndex::kCodedFrom * (d + 4)));
  check("as many as are worth it");
  add(ExactIndex::kCodedFrom, 5000);
  check("more");
  remove(100, 500, 1);
  check("some removed");
  remove(300, 5000, 2);
  check("places closed up");
  add(7000, 2000);
  check("more again");
  remove(50, 8900, 1);
  EXPECT_EQ(index.facts().at("code_bytes"), "0");
  check("nearly all gone");
  add(100, 3000);
  check("and there again");
}

TEST(ExactIndex, AFileOfTheFormerTypeInt8SaysWhatToDo) {
  const std::string path = testing::TempDir() + "winnow_int8_" + std::to_string(getpid());
  save_safetensors(path, {{"ids", Tensor::of(numbered(2), {2, 1})}},
                   {{"format", "winnow vector index"},
                    {"version", "1"},
                    {"type", "int8"},
                    {"similarity", "cosine"},
                    {"width", "3"}});
  const std::string text = text_of<IoError>([&] { open_index(path); });
  EXPECT_NE(text.find("--type exact"), std::string::npos) << text;
  std::filesystem::remove(path);
}

class VectorFiles : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = folder_ + "/" + name;
    write_atomically(path, text);
    return path;
  }
  void SetUp() override { make_directories(folder_); }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  const std::string folder_ = testing::TempDir() + "winnow_vectors_" + std::to_string(getpid());
};

std::string npy(const std::string& header, const std::string& data) {
  std::string text("\x93NUMPY\x01\x00", 8);
  text += static_cast<char>(header.size());
  text += '\0';
  return text + header + data;
}
template <class T>
std::string bytes_of(std::initializer_list<T> values) {
  return {reinterpret_cast<const char*>(values.begin()), values.size() * sizeof(T)};
}

TEST_F(VectorFiles, NumpyArraysOfBothWidths) {
  const std::string floats = npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }          \n",
                                 bytes_of<float>({1, 2, 3, 4, 5, 6}));
  const VectorFile a = read_vectors(write("a.npy", floats));
  EXPECT_EQ(a.ids, numbered(2));
  EXPECT_EQ(a.vectors.shape(), (Shape{2, 3}));
  EXPECT_EQ(a.vectors.data<float>()[5], 6);
  const std::string doubles =
      npy("{\"shape\":(3,),\"fortran_order\":False,\"descr\":\"<f8\"}", bytes_of<double>({1, 2, 0.5}));
  const VectorFile b = read_vectors(write("b.npy", doubles));
  EXPECT_EQ(b.vectors.shape(), (Shape{1, 3}));
  EXPECT_EQ(b.vectors.data<float>()[2], 0.5f);
}

TEST_F(VectorFiles, WhatIsNoArrayOfVectorsIsRefusedWithTheReason) {
  const auto error = [&](const std::string& text) {
    return text_of<Error>([&] { read_vectors(write("x.npy", text)); });
  };
  const std::string data = bytes_of<float>({1, 2});
  EXPECT_NE(error("hello").find("no file of numpy.save"), std::string::npos);
  EXPECT_NE(error(npy("{'descr': '<i4', 'fortran_order': False, 'shape': (1, 2)}", data)).find("'<i4'"),
            std::string::npos);
  EXPECT_NE(error(npy("{'descr': '<f4', 'fortran_order': True, 'shape': (1, 2)}", data)).find("ascontiguousarray"),
            std::string::npos);
  EXPECT_NE(error(npy("{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2)}", data)).find("8 bytes"),
            std::string::npos);
  for (const char* header :
       {"", "{", "{'descr': '<f4'}", "{'shape': (1, 2, 3), 'descr': '<f4', 'fortran_order': False}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999, 2)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': ()}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 2)} x",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, 2)}"})
    EXPECT_NE(error(npy(header, data)).find("npy: "), std::string::npos) << header;
}

TEST_F(VectorFiles, TablesAndSafetensors) {
  const VectorFile a = read_vectors(write("a.csv", "item,x,y\n7,1,2\n9,3,-4e-1\n"), "item");
  EXPECT_EQ(a.ids, (std::vector<int64_t>{7, 9}));
  EXPECT_EQ(a.vectors.shape(), (Shape{2, 2}));
  EXPECT_EQ(a.vectors.data<float>()[3], -0.4f);
  EXPECT_NE(text_of<Error>([&] { read_vectors(write("b.csv", "x,y\n1,2\n1,red\n")); }).find("'red' is no number"),
            std::string::npos);
  const std::string path = folder_ + "/c.safetensors";
  save_safetensors(path, {{"vectors", a.vectors}, {"ids", Tensor::of(a.ids, {2})}});
  EXPECT_EQ(read_vectors(path).ids, a.ids);
  save_safetensors(path, {{"vectors", Tensor::of(a.ids, {2})}});
  EXPECT_THROW(read_vectors(path), DataError);
  EXPECT_THROW(read_vectors(path, "item"), ConfigError);
}

}  // namespace
}  // namespace winnow
