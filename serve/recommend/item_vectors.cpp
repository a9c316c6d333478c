#include "serve/recommend/item_vectors.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "models/ctr_batches.h"
#include "models/parts.h"
#include "ops/shape_ops.h"
#include "serve/retrieval/exact.h"
#include "serve/retrieval/hnsw.h"

namespace winnow {
namespace {

// In lanes, so that it is vectorised: a source asks for limit x history of these.
double dot(std::span<const float> a, std::span<const float> b) {
  constexpr size_t kLanes = 16;
  float lanes[kLanes] = {};
  size_t i = 0;
  for (; i + kLanes <= a.size(); i += kLanes)
    for (size_t l = 0; l < kLanes; ++l) lanes[l] += a[i + l] * b[i + l];
  double sum = 0;
  for (const float lane : lanes) sum += static_cast<double>(lane);
  for (; i < a.size(); ++i) sum += double{a[i]} * double{b[i]};
  return sum;
}

std::unique_ptr<VectorIndex> new_index(std::string type, int64_t items, int64_t width) {
  constexpr int64_t kMostExact = 200000;
  if (type == "auto") type = items <= kMostExact ? "exact" : "hnsw";
  if (type == "exact") return std::make_unique<ExactIndex>(width, Similarity::Cosine);
  WN_CHECK(type == "hnsw", ConfigError, "an index of type '{}': there are auto, exact and hnsw", type);
  return std::make_unique<HnswIndex>(width, Similarity::Cosine);
}

// The embedding table of a click model, alone.
struct TableOnly final : Module {
  TableOnly(const CtrSpec& spec, int64_t dim, DType dtype)
      : table(
            child<EmbeddingTable>("embedding", fields_of(spec), EmbeddingOptions{dim, Init::zeros(), dtype, nullptr})) {
    initialize(0);
  }
  EmbeddingTable& table;
};

// Takes the weights of the model; false: it has no such table.
bool take_weights(const TableOnly& table, const std::vector<Parameter>& all) {
  for (const Parameter& p : table.parameters()) {
    const auto at = std::ranges::find_if(all, [&](const Parameter& q) { return q.name() == p.name(); });
    if (at == all.end() || at->value().spec() != p.value().spec()) return false;
    p.value() = at->value();
  }
  return true;
}

// The item fields' embeddings of batches of items.
class EmbeddingPass {
 public:
  EmbeddingPass(const TableOnly& module, const FeatureMap& map, int64_t rows)
      : map_(map),
        rows_(rows),
        ids_(Tensor::zeros({DType::I64, {rows * std::max<int64_t>(map.ids_per_row(), 1)}})),
        offsets_(Tensor::zeros({DType::I64, {rows * static_cast<int64_t>(map.fields().size()) + 1}})) {
    Graph graph(Device{}, 0);
    const Value ids = graph.input("ids", ids_.spec()), offsets = graph.input("offsets", offsets_.spec());
    graph.output("embeddings", module.table(ids, offsets));
    program_.emplace(compile(graph));
  }
  // items [first, first + n) into out [.., item fields * dim]
  void run(const Catalogue& catalogue, int64_t first, int64_t n, std::span<const size_t> fields, Tensor& out) {
    fill(catalogue, first, n, fields);
    const Tensor feeds[] = {ids_, offsets_};
    program_->run(feeds, *stream_);
    const Tensor all = program_->output("embeddings");
    const int64_t dim = all.shape()[2], per_row = static_cast<int64_t>(map_.fields().size());
    auto* to = out.data<float>() + first * out.shape()[1];
    for (int64_t r = 0; r < n; ++r)
      for (const size_t f : fields)
        to = std::copy_n(all.data<float>() + (r * per_row + static_cast<int64_t>(f)) * dim, dim, to);
  }

 private:
  void fill(const Catalogue& catalogue, int64_t first, int64_t n, std::span<const size_t> fields) {
    auto* ids = ids_.data<int64_t>();
    auto* offsets = offsets_.data<int64_t>();
    std::fill_n(ids, ids_.numel(), -1);
    int64_t used = 0;
    for (int64_t r = 0; r < rows_; ++r) {
      const EncodedSide side = r < n ? catalogue.side(FeatureSide::Item, first + r) : EncodedSide{};
      size_t at = 0, next = 0;
      for (size_t f = 0; f < map_.fields().size(); ++f) {
        if (r < n && next < fields.size() && fields[next] == f) {
          for (int32_t i = 0; i < side.lengths[next]; ++i) ids[used++] = side.ids[at++];
          ++next;
        }
        *++offsets = used;
      }
    }
  }
  const FeatureMap& map_;
  int64_t rows_;
  Tensor ids_, offsets_;
  std::optional<Program> program_;
  std::unique_ptr<Stream> stream_ = make_stream(Device{});
};

}  // namespace

ItemVectors::ItemVectors(Tensor vectors, const std::string& type) : vectors_(std::move(vectors)) {
  const int64_t items = vectors_.shape()[0], width = vectors_.shape()[1];
  index_ = new_index(type, items, width);
  std::vector<int64_t> ids;
  std::vector<float> kept;
  for (int64_t i = 0; i < items; ++i) {
    const std::span<float> v(vectors_.data<float>() + i * width, static_cast<size_t>(width));
    const double length = std::sqrt(dot(v, v));
    WN_CHECK(std::isfinite(length), DataError, "the vector of item {} is not finite", i);
    if (length == 0) continue;
    for (float& x : v) x = static_cast<float>(double{x} / length);
    ids.push_back(i);
    kept.insert(kept.end(), v.begin(), v.end());
  }
  index_->add(ids, kept);
}

double ItemVectors::cosine(int64_t a, int64_t b) const { return dot(of(a), of(b)); }

void ItemVectors::nearest(std::span<const float> query, int64_t limit, const ItemSet& may,
                          std::vector<Found>& out) const {
  const auto k = std::min(limit, index_->size());
  if (k < 1) return;
  const size_t first = out.size();
  out.resize(first + static_cast<size_t>(k));
  Filter filter;
  filter.may_find = [&may](int64_t, int64_t item) { return may.has(item); };
  index_->search(query, k, filter, std::span(out).subspan(first));
  while (out.size() > first && out.back().id < 0) out.pop_back();
}

Tensor item_embeddings(const SavedClickModel& saved, const Catalogue& catalogue) {
  std::vector<size_t> fields;
  for (size_t f = 0; f < saved.map.fields().size(); ++f)
    if (side_of(saved.map.field(f)) == FeatureSide::Item) fields.push_back(f);
  const std::vector<Parameter> parameters = saved.model->parameters();
  const auto table =
      std::ranges::find_if(parameters, [](const Parameter& p) { return p.name() == "embedding.weight"; });
  if (fields.empty() || table == parameters.end()) return {};
  const TensorSpec spec = table->value().spec();
  const TableOnly module(ctr_spec(saved.map), spec.shape[1], spec.dtype);
  if (!take_weights(module, parameters)) return {};
  Tensor out(TensorSpec{DType::F32, {catalogue.items(), static_cast<int64_t>(fields.size()) * spec.shape[1]}});
  constexpr int64_t kRows = 512;
  EmbeddingPass pass(module, saved.map, kRows);
  for (int64_t first = 0; first < catalogue.items(); first += kRows)
    pass.run(catalogue, first, std::min(kRows, catalogue.items() - first), fields, out);
  return out;
}

Tensor title_vectors(const Catalogue& catalogue, const TextEncoder& encoder) {
  std::vector<std::string_view> titles;
  std::vector<int64_t> items;
  for (int64_t i = 0; i < catalogue.items(); ++i)
    if (const std::string_view title = catalogue.item_title(i); !title.empty()) {
      titles.push_back(title);
      items.push_back(i);
    }
  if (titles.empty()) return {};
  TextVectors encode(encoder, 0, std::make_shared<FrozenWeights>());
  const Tensor vectors = encode(encoder.encode(titles));
  const int64_t width = vectors.shape()[1];
  Tensor out = Tensor::zeros({DType::F32, {catalogue.items(), width}});
  for (size_t n = 0; n < items.size(); ++n)
    std::copy_n(vectors.data<float>() + static_cast<int64_t>(n) * width, width, out.data<float>() + items[n] * width);
  return out;
}

VectorSource::VectorSource(std::string name, std::string reason, std::shared_ptr<const ItemVectors> vectors,
                           HistoryWeights history)
    : name_(std::move(name)), reason_(std::move(reason)), vectors_(std::move(vectors)), history_(history) {}

void VectorSource::candidates(const CandidateRequest& request, int64_t limit, std::vector<Candidate>& out) const {
  SourceScratch& s = *request.scratch;
  weigh_history(request, history_, s.items, s.weights);
  s.query.assign(static_cast<size_t>(vectors_->width()), 0.0f);
  for (size_t n = 0; n < s.items.size(); ++n) {
    const auto v = vectors_->of(s.items[n]);
    for (size_t i = 0; i < v.size(); ++i) s.query[i] += s.weights[n] * v[i];
  }
  if (std::ranges::all_of(s.query, [](float x) { return x == 0; })) return;
  s.found.clear();
  vectors_->nearest(s.query, limit, *request.may, s.found);
  for (const Found& found : s.found) {
    int64_t because = -1;
    double largest = 0;
    for (size_t n = 0; n < s.items.size(); ++n)
      if (const double part = s.weights[n] * vectors_->cosine(s.items[n], found.id); because < 0 || part > largest) {
        because = s.items[n];
        largest = part;
      }
    out.push_back({found.id, found.score, {reason_, because, {}}});
  }
}

}  // namespace winnow
