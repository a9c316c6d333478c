#include "serve/recommend/search.h"

#include <algorithm>
#include <cctype>

#include "core/math.h"

namespace winnow {
namespace {

// Case and word ends aside: whether the text says the value already.
bool says(std::string_view text, std::string_view value) {
  const auto equal = [](char a, char b) {
    const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; };
    return lower(a) == lower(b);
  };
  const auto letter = [](char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || (c & 0x80) != 0; };
  for (auto at = text.begin();; ++at) {
    at = std::search(at, text.end(), value.begin(), value.end(), equal);
    if (at == text.end()) return false;
    const auto end = at + static_cast<std::ptrdiff_t>(value.size());
    if ((at == text.begin() || !letter(at[-1])) && (end == text.end() || !letter(*end))) return true;
  }
}

std::string text_of(const ItemSearch::Parts& parts, int64_t item) {
  std::string text(parts.catalogue->item_title(item));
  for (size_t f = 0; f < parts.values->features(); ++f)
    for (const int32_t v : parts.values->of_item(f, item))
      if (const std::string_view value = parts.values->text(f, v); !value.empty() && !says(text, value))
        text.append(text.empty() ? "" : " ").append(value);
  return text;
}
std::vector<std::string> texts_of(const ItemSearch::Parts& parts) {
  std::vector<std::string> texts;
  for (int64_t item = 0; item < parts.catalogue->items(); ++item) texts.push_back(text_of(parts, item));
  return texts;
}

void keep_best(std::vector<RankedItem>& list, int64_t most) {
  const auto n = std::min(list.size(), static_cast<size_t>(most));
  std::partial_sort(list.begin(), list.begin() + static_cast<std::ptrdiff_t>(n), list.end(),
                    [](const RankedItem& a, const RankedItem& b) {
                      return a.score != b.score ? a.score > b.score : a.item < b.item;
                    });
  list.resize(n);
}

float score_in(const std::vector<RankedItem>& list, int64_t item) {
  const auto at = std::ranges::find(list, item, &RankedItem::item);
  return at == list.end() ? 0.0f : static_cast<float>(at->score);
}

}  // namespace

ItemSearchOptions read_search_options(const ConfigNode& node) {
  ItemSearchOptions o;
  const ConfigNode bm25 = node.child("bm25");
  o.bm25.k1 = bm25.get("k1", o.bm25.k1, at_least(0));
  o.bm25.b = bm25.get("b", o.bm25.b, between(0, 1));
  o.fusion.method = node.choice("fusion", "reciprocal_rank", {"reciprocal_rank", "weighted"}) == "weighted"
                        ? FusionOptions::Weighted
                        : FusionOptions::ReciprocalRank;
  o.fusion.k = node.get("fusion_k", o.fusion.k, at_least(0));
  o.words = node.get("words", o.words, at_least(0));
  o.meaning = node.get("meaning", o.meaning, at_least(0));
  o.candidates = node.get("candidates", o.candidates, between(1, 100000));
  o.correct = node.get("correct", o.correct);
  o.rerank = node.get("rerank", o.rerank, between(1, 100000));
  o.personal = node.get("personal", o.personal, between(0, 1));
  return o;
}

ItemSearch::ItemSearch(ItemSearchOptions options, Parts parts)
    : options_(options), parts_(std::move(parts)), bm25_(texts_of(parts_), options.bm25) {
  WN_CHECK((parts_.text == nullptr) == !parts_.encode, ConfigError,
           "search by meaning needs the vectors of the titles and an encoder of queries, or neither");
}

void ItemSearch::by_words(std::string_view query, SearchScratch& s) const {
  s.scores.resize(static_cast<size_t>(bm25_.texts()));
  bm25_.score(query, s.scores);
  std::vector<RankedItem>& list = s.lists[0];
  for (size_t i = 0; i < s.scores.size(); ++i)
    if (s.scores[i] > 0 && s.may.has(static_cast<int64_t>(i)))
      list.push_back({static_cast<int64_t>(i), static_cast<double>(s.scores[i])});
  keep_best(list, options_.candidates);
}

void ItemSearch::by_meaning(std::string_view query, SearchScratch& s) const {
  s.query.resize(static_cast<size_t>(parts_.text->width()));
  parts_.encode(query, s.query);
  s.found.clear();
  parts_.text->nearest(s.query, options_.candidates, s.may, s.found);
  for (const Found& found : s.found) s.lists[1].push_back({found.id, static_cast<double>(found.score)});
}

void ItemSearch::personalise(const EncodedSide& user, SearchScratch& s, std::vector<SearchHit>& hits) const {
  const size_t n = std::min(hits.size(), static_cast<size_t>(options_.rerank));
  s.items.clear(), s.relevance.clear(), s.probability.clear();
  for (size_t i = 0; i < n; ++i) {
    s.items.push_back(hits[i].item);
    s.relevance.push_back(hits[i].score);
  }
  s.logits.resize(n);
  parts_.rank(user, s.items, s.logits);
  for (size_t i = 0; i < n; ++i) {
    hits[i].probability = math::sigmoid(s.logits[i]);
    s.probability.push_back(static_cast<double>(*hits[i].probability));
  }
  to_unit_range(s.relevance);
  to_unit_range(s.probability);
  for (size_t i = 0; i < n; ++i)
    hits[i].score = (1 - options_.personal) * s.relevance[i] + options_.personal * s.probability[i];
  const auto end = hits.begin() + static_cast<std::ptrdiff_t>(n);
  std::stable_sort(hits.begin(), end, [](const SearchHit& a, const SearchHit& b) { return a.score > b.score; });
  hits.erase(end, hits.end());  // their scores are of another kind
}

void ItemSearch::search(const SearchRequest& request, SearchScratch& s, SearchAnswer& answer) const {
  WN_CHECK(request.k >= 1, ConfigError, "k {}: at least 1 item", request.k);
  if (request.may != nullptr)
    s.may = *request.may;
  else
    s.may.assign(parts_.catalogue->items(), true);
  for (const ValueFilter& filter : request.where) s.may.keep(parts_.values->passing(filter));
  answer.hits.clear();
  answer.corrected = options_.correct ? bm25_.corrected(request.query) : "";
  const std::string_view query = answer.corrected.empty() ? request.query : std::string_view(answer.corrected);
  s.lists.resize(2);
  for (auto& list : s.lists) list.clear();
  by_words(query, s);
  if (parts_.encode) by_meaning(query, s);
  const double weights[] = {options_.words, options_.meaning};
  fuse(s.lists, weights, options_.fusion, s.fused);
  for (const RankedItem& hit : s.fused)
    answer.hits.push_back({hit.item, hit.score, score_in(s.lists[0], hit.item), score_in(s.lists[1], hit.item), {}});
  if (request.user && parts_.rank && !answer.hits.empty()) personalise(*request.user, s, answer.hits);
  answer.hits.resize(std::min(answer.hits.size(), static_cast<size_t>(request.k)));
}

std::string ItemSearch::item_text(int64_t item) const { return text_of(parts_, item); }

QueryEncoder::QueryEncoder(const TextEncoder& encoder)
    : encoder_(encoder), vectors_(encoder, 0, std::make_shared<FrozenWeights>()) {}

void QueryEncoder::operator()(std::string_view query, std::span<float> vector) {
  const std::scoped_lock lock(mutex_);
  const Tensor encoded = vectors_(encoder_.encode({&query, 1}));
  WN_CHECK(encoded.numel() == static_cast<int64_t>(vector.size()), ShapeError,
           "the encoder gives vectors of {} elements, the items have {}", encoded.numel(), vector.size());
  std::ranges::copy(encoded.span<float>(), vector.begin());
}

}  // namespace winnow
