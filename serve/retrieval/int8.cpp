#include "serve/retrieval/int8.h"

#include <atomic>
#include <cmath>

#include "core/cpu/topk.h"
#include "core/cpu/vector_kernels.h"
#include "core/error.h"
#include "core/parallel.h"
#include "serve/retrieval/index_file.h"

namespace winnow {
namespace {

constexpr int64_t kChunk = 8192;  // rows that a thread takes at a time

constexpr int64_t kSmall = 1 << 20;  // byte products that one thread computes sooner than two

// Returns the scale; a vector that is not finite gets zeros and NaN.
float encode(const float* x, int64_t width, int8_t* code) {
  float most = 0;
  for (int64_t i = 0; i < width; ++i) most = std::max(most, std::fabs(x[i]));
  const float by = most > 0 ? 127.f / most : 0.f;
  if (!std::isfinite(by)) {  // so small that its inverse overflows: as good as zero
    std::fill(code, code + width, int8_t{0});
    return 0;
  }
  for (int64_t i = 0; i < width; ++i) code[i] = static_cast<int8_t>(std::lrintf(x[i] * by));
  return most / 127.f;
}

// The coarse best of some queries over all rows.
class CoarsePass {
 public:
  CoarsePass(const Column<int8_t>& codes, const Column<float>& scales, const int8_t* queries, int64_t count, int64_t k)
      : codes_(codes), scales_(scales), queries_(queries), count_(count) {
    const bool small = codes.rows() * codes.width() * count < kSmall;
    threads_ = small || omp_in_parallel() != 0 ? 1 : num_threads();
    best_.resize(static_cast<size_t>(threads_ * count));
    for (cpu::BestRows& b : best_) b.reset(k);
  }
  template <class May>
  void run(const uint64_t* bits, const May& may) {
    std::atomic<int64_t> next_chunk{0}, next_slot{0};
    auto work = [&](int64_t, int64_t) {
      cpu::BestRows* best = best_.data() + next_slot++ * count_;
      for (int64_t c; (c = next_chunk++) * kChunk < codes_.rows();)
        for (int64_t i = c * kChunk; i < std::min(codes_.rows(), (c + 1) * kChunk); i += cpu::kScanRows)
          block(i, bits[i / 64], best, may);
    };
    if (threads_ == 1)
      work(0, 1);
    else
      parallel_for(threads_, 1, work);
  }
  // Rows of query q, in no order.
  std::vector<int32_t> rows(int64_t q, int64_t k) {
    std::vector<cpu::ScoredRow> part(static_cast<size_t>(k));
    cpu::BestRows& all = best_[static_cast<size_t>(q)];
    for (int64_t t = 1; t < threads_; ++t) {
      const int64_t n = best_[static_cast<size_t>(t * count_ + q)].finish(part.data());
      for (int64_t i = 0; i < n; ++i) all.offer(part[static_cast<size_t>(i)].score, part[static_cast<size_t>(i)].row);
    }
    part.resize(static_cast<size_t>(all.finish(part.data())));
    std::vector<int32_t> out;
    for (const cpu::ScoredRow& r : part) out.push_back(r.row);
    return out;
  }

 private:
  template <class May>
  void block(int64_t first, uint64_t bits, cpu::BestRows* best, const May& may) const {
    if (bits == 0) return;
    const auto n = static_cast<int>(std::min<int64_t>(cpu::kScanRows, codes_.rows() - first));
    int32_t products[cpu::kScanRows];
    float scores[cpu::kScanRows];
    const float* scale = scales_.row(first);
    for (int64_t q = 0; q < count_; ++q) {
      kernels_.scan_i8(queries_ + q * codes_.width(), codes_.row(first), n, codes_.width(), products);
      for (int i = 0; i < n; ++i) scores[i] = static_cast<float>(products[i]) * scale[i];
      for (int i = 0; i < n; ++i)
        if (scores[i] > best[q].threshold() && (bits >> i & 1) != 0 && may(q, static_cast<int32_t>(first + i)))
          best[q].offer(scores[i], static_cast<int32_t>(first + i));
    }
  }
  const Column<int8_t>& codes_;
  const Column<float>& scales_;
  const int8_t* queries_;
  int64_t count_, threads_ = 1;
  const cpu::VectorKernels& kernels_ = cpu::vector_kernels();
  std::vector<cpu::BestRows> best_;
};

}  // namespace

Int8Index::Int8Index(int64_t width, Similarity similarity) : ExactIndex(width, similarity), codes_(width), scales_(1) {}

void Int8Index::set_rescore(int64_t times) {
  WN_CHECK(times >= 1 && times <= 1000, ConfigError, "int8: rescore {} is not in 1..1000", times);
  rescore_ = times;
}

void Int8Index::appended(int64_t first) {
  codes_.resize(slots(), 0);
  scales_.resize(slots(), 0);
  codes_.writable(0);
  scales_.writable(0);
  parallel_for(slots() - first, 256, [&](int64_t begin, int64_t end) {
    for (int64_t r = first + begin; r < first + end; ++r)
      *scales_.writable(r) = encode(vectors_.row(r), width(), codes_.writable(r));
  });
}
void Int8Index::moved(int64_t from, int64_t to) {
  std::copy_n(codes_.row(from), width(), codes_.writable(to));
  *scales_.writable(to) = *scales_.row(from);
}
void Int8Index::shortened(int64_t rows) {
  codes_.resize(rows, 0);
  scales_.resize(rows, 0);
}

void Int8Index::find(const Query& query, std::span<Found> out) const {
  constexpr int64_t kGroup = 64;
  const int64_t coarse = std::min(query.k * rescore_, query.may_count);
  if (coarse == 0) return;
  std::vector<int8_t> codes(static_cast<size_t>(kGroup * width()));
  for (int64_t g = 0; g < query.count; g += kGroup) {
    const int64_t n = std::min(kGroup, query.count - g);
    const float* vectors = query.vectors.data() + g * width();
    for (int64_t q = 0; q < n; ++q) encode(vectors + q * width(), width(), codes.data() + q * width());
    CoarsePass pass(codes_, scales_, codes.data(), n, coarse);
    pass.run(query.may, [&](int64_t q, int32_t row) {
      return !query.filter.may_find || query.filter.may_find(g + q, id_of(row));
    });
    parallel_tasks(n, [&](int64_t q) {
      const auto rows = pass.rows(q, coarse);
      std::vector<const float*> at;
      for (const int32_t r : rows) at.push_back(vectors_.row(r));
      std::vector<float> scores(rows.size());
      cpu::vector_kernels().dots(vectors + q * width(), at.data(), static_cast<int64_t>(at.size()), width(), 8,
                                 scores.data());
      std::vector<cpu::ScoredRow> best;
      for (size_t i = 0; i < rows.size(); ++i)
        if (scores[i] > -std::numeric_limits<float>::infinity()) best.push_back({scores[i], rows[i]});
      std::ranges::sort(best, cpu::better);
      for (int64_t i = 0; i < std::min(query.k, static_cast<int64_t>(best.size())); ++i)
        out[static_cast<size_t>((g + q) * query.k + i)] = {id_of(best[static_cast<size_t>(i)].row),
                                                           best[static_cast<size_t>(i)].score};
    });
  }
}

void Int8Index::save(const std::string& path) const {
  IndexFile::save(
      path, *this,
      {{"ids", ids_tensor()}, {"vectors", vectors_.tensor()}, {"codes", codes_.tensor()}, {"scales", scales_.tensor()}},
      {{"rescore", std::to_string(rescore_)}});
}

std::map<std::string, std::string> Int8Index::facts() const {
  auto all = ExactIndex::facts();
  all["code_bytes"] = std::to_string(codes_.rows() * (width() + 4));
  all["rescore"] = std::to_string(rescore_);
  return all;
}

std::unique_ptr<VectorIndex> Int8Index::open(const IndexFile& file, int64_t width, Similarity similarity) {
  auto index = std::make_unique<Int8Index>(width, similarity);
  index->load(file);
  index->codes_.map(file.tensor("codes", DType::I8, index->slots(), width));
  index->scales_.map(file.tensor("scales", DType::F32, index->slots(), 1));
  check_vectors(file, index->scales_.data(), index->slots());
  index->rescore_ = file.number("rescore", 1, 1000);
  return index;
}

}  // namespace winnow
