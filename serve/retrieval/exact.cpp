#include "serve/retrieval/exact.h"

#include "core/cpu/row_codes.h"
#include "core/cpu/topk.h"
#include "serve/retrieval/index_file.h"

namespace winnow {

ExactIndex::ExactIndex(int64_t width, Similarity similarity) : VectorIndex(width, similarity), vectors_(width) {}
ExactIndex::~ExactIndex() = default;

void ExactIndex::encode(int64_t first) {
  if (slots() < kCodedFrom) {
    codes_.reset();
    return;
  }
  if (codes_ == nullptr) codes_ = std::make_unique<cpu::RowCodes>(width());
  codes_->encode(vectors_.data(), first, slots());
}

void ExactIndex::insert(std::span<const int64_t> ids, std::span<const float> vectors) {
  const int64_t first = slots(), rows = first + static_cast<int64_t>(ids.size());
  set_slots(rows);
  vectors_.resize(rows, 0);
  std::ranges::copy(vectors, vectors_.writable(first));
  for (size_t i = 0; i < ids.size(); ++i) bind(static_cast<int32_t>(first) + static_cast<int32_t>(i), ids[i]);
  encode(first);
}

void ExactIndex::erased(std::span<const int32_t>) {
  if ((slots() - size()) * 4 < slots()) return;
  int32_t to = 0, changed = 0;
  for (int32_t from = 0; from < slots(); ++from) {
    if (!is_live(from)) continue;
    if (from != to) {
      std::copy_n(vectors_.row(from), width(), vectors_.writable(to));
      move_id(from, to);
    } else {
      changed = to + 1;
    }
    ++to;
  }
  set_slots(to);
  vectors_.resize(to, 0);
  encode(changed);
}

void ExactIndex::find(const Query& q, std::span<Found> out) const {
  const int64_t k = std::min(q.k, q.may_count);
  if (k == 0) return;
  std::vector<cpu::ScoredRow> best(static_cast<size_t>(q.count * k));
  cpu::TopkProblem problem{q.vectors.data(), q.count, vectors_.data(), slots(), width(), k, nullptr, {}, nullptr};
  problem.codes = codes_.get();
  if (q.may_count < slots()) problem.allowed = q.may;
  if (q.filter.may_find)
    problem.may_find = [&](int64_t query, int32_t slot) { return q.filter.may_find(query, id_of(slot)); };
  cpu::topk(problem, best.data());
  for (int64_t i = 0; i < q.count; ++i)
    for (int64_t j = 0; j < k; ++j) {
      const cpu::ScoredRow& r = best[static_cast<size_t>(i * k + j)];
      if (r.row >= 0) out[static_cast<size_t>(i * q.k + j)] = {id_of(r.row), r.score};
    }
}

void ExactIndex::save(const std::string& path) const {
  IndexFile::save(path, *this, {{"ids", ids_tensor()}, {"vectors", vectors_.tensor()}}, {});
}

std::map<std::string, std::string> ExactIndex::facts() const {
  return {{"vector_bytes", std::to_string(vectors_.rows() * width() * 4)},
          {"code_bytes", std::to_string(codes_ == nullptr ? 0 : codes_->bytes())}};
}

std::unique_ptr<VectorIndex> ExactIndex::open(const IndexFile& file, int64_t width, Similarity similarity) {
  auto index = std::make_unique<ExactIndex>(width, similarity);
  index->vectors_.map(file.tensor("vectors", DType::F32, -1, width));
  index->load_ids(file, index->vectors_.rows());
  check_vectors(file, index->vectors_.data(), index->vectors_.rows() * width);
  index->encode(0);
  return index;
}

}  // namespace winnow
