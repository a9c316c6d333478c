// Search in a catalogue: words, vectors and their fusion, filters, corrections, the personal order; and the click
// model's item embeddings that similar items come from.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "models/ctr_batches.h"
#include "nn/saved_parameters.h"
#include "serve/recommend/build.h"
#include "serve/recommend/search.h"
#include "tests/small_catalogue.h"

namespace winnow {
namespace {

TEST(Bm25Search, TextsAddedLaterCountAsIfFromTheStart) {
  const std::vector<std::string> texts = {"red river", "blue river river", "green hill",
                                          "the red red hill by the river"};
  const Bm25 whole(texts);
  Bm25 grown(std::span<const std::string>(texts).first(1));
  for (size_t i = 1; i < texts.size(); ++i) EXPECT_EQ(grown.add(texts[i]), static_cast<int32_t>(i));
  std::vector<float> expected(4), found(4);
  for (const char* query : {"red river", "hill", "river river", "nothing"}) {
    whole.score(query, expected);
    grown.score(query, found);
    EXPECT_EQ(found, expected) << query;
  }
  // by hand: "blue" is in one of four texts, of length 3 where the mean is 14 / 4
  whole.score("blue", expected);
  const double idf = std::log(1 + (4 - 1 + .5) / 1.5);
  EXPECT_NEAR(expected[1], idf * 2.2 / (1 + 1.2 * (.25 + .75 * 3 / 3.5)), 1e-6);
  EXPECT_THROW(whole.score("blue", std::span(found).first(2)), ShapeError);
}

TEST(Bm25Search, CorrectsUnknownWordsByOneEdit) {
  const Bm25 bm25(std::vector<std::string>{"river orchestra", "river liver", "München größe", "tea"});
  EXPECT_EQ(bm25.corrected("rivr orchestra"), "river orchestra");  // a character less
  EXPECT_EQ(bm25.corrected("orchesstra"), "orchestra");            // one more
  EXPECT_EQ(bm25.corrected("orchestre"), "orchestra");             // another
  EXPECT_EQ(bm25.corrected("rivre"), "river");                     // two swapped
  EXPECT_EQ(bm25.corrected("diver"), "river");                     // river is in more texts than liver
  EXPECT_EQ(bm25.corrected("munchen"), "münchen");                 // one character, two bytes
  EXPECT_EQ(bm25.corrected("liver"), "");                          // known
  EXPECT_EQ(bm25.corrected("te"), "");                             // too short
  EXPECT_EQ(bm25.corrected("orchst"), "");                         // too far
  EXPECT_EQ(bm25.corrected(""), "");
}

class ItemSearchTest : public ::testing::Test {
 protected:
  ItemSearchTest() : values_(std::make_shared<ItemValues>(catalogue(), shop_.dataset.map)) {}
  const Catalogue& catalogue() const { return *shop_.catalogue; }
  // Vectors by the first word after "The", a direction each.
  static void encode(std::string_view text, std::span<float> vector) {
    const char* words[] = {"red", "green", "blue", "quiet", "lonely", "golden"};
    for (size_t w = 0; w < 6; ++w) vector[w] = text.find(words[w]) == std::string_view::npos ? 0.f : 1.f;
  }
  std::unique_ptr<ItemSearch> make(ItemSearchOptions options = {}, bool vectors = false, RankItems rank = {}) const {
    ItemSearch::Parts parts{&catalogue(), values_, nullptr, {}, std::move(rank)};
    if (vectors) {
      Tensor x(TensorSpec{DType::F32, {catalogue().items(), 6}});
      for (int64_t i = 0; i < catalogue().items(); ++i)
        encode(catalogue().item_title(i), x.span<float>().subspan(static_cast<size_t>(i) * 6, 6));
      parts.text = std::make_shared<ItemVectors>(x);
      parts.encode = encode;
    }
    return std::make_unique<ItemSearch>(options, std::move(parts));
  }
  SearchAnswer ask(const ItemSearch& search, const SearchRequest& request) {
    SearchAnswer answer;
    search.search(request, scratch_, answer);
    return answer;
  }
  SmallCatalogue shop_;
  std::shared_ptr<const ItemValues> values_;
  SearchScratch scratch_;
};

TEST_F(ItemSearchTest, WordsOfTitlesAndValuesAreFound) {
  const auto search = make();
  const auto answer = ask(*search, {.query = "quiet orchestra", .k = 100});
  ASSERT_FALSE(answer.hits.empty());
  const std::string_view first = catalogue().item_title(answer.hits[0].item);
  EXPECT_EQ(first, "The quiet orchestra");
  for (const SearchHit& hit : answer.hits) {
    const std::string text = search->item_text(hit.item);
    EXPECT_TRUE(text.find("quiet") != std::string::npos || text.find("orchestra") != std::string::npos) << text;
    EXPECT_GT(hit.words, 0);
    EXPECT_FALSE(hit.probability);
  }
  const auto crime = ask(*search, {.query = "Crime", .k = 100});
  EXPECT_EQ(static_cast<int64_t>(crime.hits.size()), values_->passing({"genres", {"crime"}}).count());
  EXPECT_TRUE(ask(*search, {.query = "", .k = 5}).hits.empty());
  EXPECT_TRUE(ask(*search, {.query = "zzzzzz", .k = 5}).hits.empty());
  EXPECT_THROW(ask(*search, {.query = "x", .k = 0}), ConfigError);
}

TEST_F(ItemSearchTest, UnknownWordsAreCorrectedAndToldSo) {
  const auto answer = ask(*make(), {.query = "quiet orchestar", .k = 1});
  EXPECT_EQ(answer.corrected, "quiet orchestra");
  EXPECT_EQ(catalogue().item_title(answer.hits.at(0).item), "The quiet orchestra");
  ItemSearchOptions plain;
  plain.correct = false;
  EXPECT_EQ(ask(*make(plain), {.query = "quiet orchestar", .k = 1}).corrected, "");
}

TEST_F(ItemSearchTest, FiltersHoldBeforeTheBestAreTaken) {
  const ValueFilter war[] = {{"genres", {"war"}}};
  ItemSearchOptions narrow;
  narrow.candidates = 3;
  ItemSet may(catalogue().items(), true);
  may.remove(shop_.item(2));
  const auto answer = ask(*make(narrow, true), {.query = "blue", .k = 10, .may = &may, .where = war});
  EXPECT_EQ(answer.hits.size(), 3u);  // items 2, 8, 14, .. are blue and war
  for (const SearchHit& hit : answer.hits) {
    EXPECT_TRUE(values_->passing(war[0]).has(hit.item));
    EXPECT_NE(hit.item, shop_.item(2));
  }
}

TEST_F(ItemSearchTest, FusesWordsAndMeaning) {
  ItemSearchOptions o;
  o.fusion.method = FusionOptions::Weighted;
  o.words = 0;
  const auto meaning = ask(*make(o, true), {.query = "golden river", .k = 100});
  int golden = 0;
  for (const SearchHit& hit : meaning.hits)
    if (hit.score > 0.5) {
      ++golden;
      EXPECT_NE(catalogue().item_title(hit.item).find("golden"), std::string_view::npos);
      EXPECT_NEAR(hit.meaning, 1, 1e-6);
    }
  EXPECT_EQ(golden, SmallCatalogue::kItems / 6);
  o.words = 1;
  const auto both = ask(*make(o, true), {.query = "golden river", .k = 1});
  EXPECT_EQ(catalogue().item_title(both.hits.at(0).item), "The golden river");
  EXPECT_THROW(ItemSearch({}, {&catalogue(), values_, nullptr, encode, {}}), ConfigError);
}

TEST_F(ItemSearchTest, AUserGivenPullsWhatTheRankerPrefers) {
  const auto rank = [](const EncodedSide&, std::span<const int64_t> items, std::span<float> logits) {
    for (size_t n = 0; n < items.size(); ++n) logits[n] = items[n] % 2 == 0 ? 3.f : -3.f;
  };
  ItemSearchOptions o;
  o.personal = 1;
  const auto search = make(o, false, rank);
  const auto personal = ask(*search, {.query = "river", .k = 100, .user = catalogue().stranger()});
  bool even = true;
  for (const SearchHit& hit : personal.hits) {
    ASSERT_TRUE(hit.probability);
    EXPECT_NEAR(*hit.probability, hit.item % 2 == 0 ? 0.9525741 : 0.0474259, 1e-5);
    EXPECT_TRUE(even || hit.item % 2 != 0);
    even = hit.item % 2 == 0;
  }
  EXPECT_FALSE(even);
  const auto plain = ask(*search, {.query = "river", .k = 100});
  EXPECT_EQ(plain.hits.size(), personal.hits.size());
  EXPECT_FALSE(plain.hits[0].probability);
  o.personal = 0;
  const auto by_query = ask(*make(o, false, rank), {.query = "quiet river", .k = 100, .user = catalogue().stranger()});
  const auto expected = ask(*search, {.query = "quiet river", .k = 100});
  for (size_t n = 0; n < expected.hits.size(); ++n) EXPECT_EQ(by_query.hits[n].item, expected.hits[n].item);
}

TEST(SearchConfig, ReadsItsKeysAndRefusesOthers) {
  Config config = Config::parse("{bm25: {k1: 2}, fusion: weighted, personal: 0.5, rerank: 7}", "search.yaml");
  const ItemSearchOptions o = read_search_options(config.root());
  config.finish();
  EXPECT_EQ(o.bm25.k1, 2);
  EXPECT_EQ(o.fusion.method, FusionOptions::Weighted);
  EXPECT_EQ(o.rerank, 7);
  Config wrong = Config::parse("{fuse: weighted}", "search.yaml");
  read_search_options(wrong.root());
  EXPECT_THROW(wrong.finish(), ConfigError);
}

TEST_F(ItemSearchTest, ItemEmbeddingsAreTheTablesRowsPooled) {
  const std::string run = shop_.directory.path() + "/run";
  std::filesystem::create_directory(run);
  const FeatureMap& map = shop_.dataset.map;
  CtrOptions options;
  options.embedding_dim = 4;
  options.embedding_init_std = 0.5;
  options.hidden_units = {8};
  const auto model = make_ctr_model(ctr_spec(map), options);
  model->initialize(5);
  map.save(run + "/feature_map.json");
  std::ofstream(run + "/config.yaml") << "model: {name: DeepFM, embedding_dim: 4, hidden_units: [8]}\n";
  save_parameters(run + "/model.safetensors", model->parameters(), "DeepFM");
  const SavedClickModel saved(run);
  const Tensor embeddings = item_embeddings(saved, catalogue());
  ASSERT_TRUE(embeddings.defined());
  ASSERT_EQ(embeddings.shape()[1], 3 * 4);  // item, genres, stock
  const auto parameters = model->parameters();
  const auto weight =
      std::ranges::find_if(parameters, [](const Parameter& p) { return p.name() == "embedding.weight"; });
  // rows of a field start behind those of the fields before it
  std::vector<int64_t> base = {0};
  for (size_t f = 0; f < map.fields().size(); ++f) base.push_back(base.back() + map.rows(f));
  for (int64_t i = 0; i < catalogue().items(); ++i) {
    const EncodedSide side = catalogue().side(FeatureSide::Item, i);
    size_t at = 0, next = 0;
    for (size_t f = 2; f < 5; ++f, ++next) {
      double mean[4] = {};
      const int32_t n = side.lengths[next];
      for (int32_t k = 0; k < n; ++k, ++at)
        for (int64_t d = 0; d < 4 && side.ids[at] != 0; ++d)
          mean[d] += static_cast<double>(weight->value().data<float>()[(base[f] + side.ids[at]) * 4 + d]) / n;
      for (int64_t d = 0; d < 4; ++d)
        EXPECT_NEAR(embeddings.data<float>()[i * 12 + static_cast<int64_t>(next) * 4 + d], mean[d], 1e-6)
            << i << " " << f;
    }
  }
  const ItemKnowledge items = know_items(default_recommend_options(), catalogue(), map, &saved, nullptr);
  EXPECT_NE(items.embedding, nullptr);
  EXPECT_EQ(items.text, nullptr);
  ClickPredictor predictor(saved);
  CatalogueRanker ranker(catalogue(), predictor);
  const int64_t some[] = {3, 1};
  std::vector<float> logits(2), one(1);
  ranker(catalogue().side(FeatureSide::User, 2), some, logits);
  std::vector<EncodedRow> row(1);
  catalogue().row(2, 1, row[0]);
  predictor.logits(row, one);
  EXPECT_EQ(logits[1], one[0]);
}

}  // namespace
}  // namespace winnow
