#include "train/naive_bayes.h"

#include <algorithm>
#include <cmath>

#include "core/parallel.h"

namespace winnow {
namespace {

class Counts {
 public:
  Counts(const JaggedIds& train, const ClassRows& labelled, int64_t vocabulary, const SpecialTokens& special)
      : classes_(labelled.classes),
        vocabulary_(vocabulary),
        special_(special),
        tokens_(static_cast<size_t>(classes_ * vocabulary)),
        all_tokens_(static_cast<size_t>(vocabulary)),
        in_class_(static_cast<size_t>(classes_)),
        rows_in_(static_cast<size_t>(classes_)) {
    for (int64_t r = 0; r < labelled.rows(); ++r) {
      const auto labels = labelled.labels_of(r);
      ++rows_;
      for (const int32_t c : labels)
        if (c >= 0) ++rows_in_[static_cast<size_t>(c)];
      each(train, r, [&](int32_t t) {
        ++all_tokens_[static_cast<size_t>(t)];
        ++total_;
        for (const int32_t c : labels) {
          if (c < 0) continue;
          ++tokens_[static_cast<size_t>(c * vocabulary_ + t)];
          ++in_class_[static_cast<size_t>(c)];
        }
      });
    }
  }

  template <class F>
  void each(const JaggedIds& rows, int64_t r, F&& f) const {
    for (int64_t i = rows.offsets[static_cast<size_t>(r)]; i < rows.offsets[static_cast<size_t>(r) + 1]; ++i) {
      const int32_t t = rows.ids[static_cast<size_t>(i)];
      if (t != special_.cls && t != special_.sep && t != special_.pad) f(t);
    }
  }

  double of_class(const JaggedIds& rows, int64_t r, int64_t c) const {
    const auto i = static_cast<size_t>(c);
    double score = std::log((static_cast<double>(rows_in_[i]) + 1) / static_cast<double>(rows_ + classes_));
    const double bottom = std::log(static_cast<double>(in_class_[i] + vocabulary_));
    each(rows, r,
         [&](int32_t t) { score += std::log(tokens_[static_cast<size_t>(c * vocabulary_ + t)] + 1.0) - bottom; });
    return score;
  }

  double of_the_others(const JaggedIds& rows, int64_t r, int64_t c) const {
    const auto i = static_cast<size_t>(c);
    double score = std::log((static_cast<double>(rows_ - rows_in_[i]) + 1) / static_cast<double>(rows_ + classes_));
    const double bottom = std::log(static_cast<double>(total_ - in_class_[i] + vocabulary_));
    each(rows, r, [&](int32_t t) {
      const auto j = static_cast<size_t>(t);
      score += std::log(all_tokens_[j] - tokens_[static_cast<size_t>(c * vocabulary_ + t)] + 1.0) - bottom;
    });
    return score;
  }

  int64_t classes() const { return classes_; }

 private:
  int64_t classes_, vocabulary_;
  SpecialTokens special_;
  std::vector<float> tokens_, all_tokens_;  // [classes, vocabulary], [vocabulary]
  std::vector<int64_t> in_class_, rows_in_;
  int64_t rows_ = 0, total_ = 0;
};

ClassRows with_predictions(const ClassRows& expected, const std::vector<std::vector<int32_t>>& predicted) {
  ClassRows out;
  out.classes = expected.classes;
  out.multi = expected.multi;
  for (int64_t r = 0; r < expected.rows(); ++r) out.add(expected.labels_of(r), predicted[static_cast<size_t>(r)]);
  return out;
}

}  // namespace

ClassRows naive_bayes(const JaggedIds& train, const ClassRows& labelled, const JaggedIds& test,
                      const ClassRows& expected, int64_t vocabulary, const SpecialTokens& special) {
  const Counts counts(train, labelled, vocabulary, special);
  std::vector<std::vector<int32_t>> predicted(static_cast<size_t>(expected.rows()));
  parallel_for(expected.rows(), 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      auto& classes = predicted[static_cast<size_t>(r)];
      double best = 0;
      for (int64_t c = 0; c < counts.classes(); ++c) {
        const double score = counts.of_class(test, r, c);
        if (expected.multi) {
          if (score > counts.of_the_others(test, r, c)) classes.push_back(static_cast<int32_t>(c));
        } else if (classes.empty() || score > best) {
          classes.assign(1, static_cast<int32_t>(c));
          best = score;
        }
      }
    }
  });
  return with_predictions(expected, predicted);
}

ClassRows majority_class(const ClassRows& labelled, const ClassRows& expected) {
  std::vector<int64_t> counts(static_cast<size_t>(labelled.classes));
  for (const int32_t c : labelled.labels)
    if (c >= 0) ++counts[static_cast<size_t>(c)];
  std::vector<int32_t> classes;
  if (labelled.multi) {
    for (size_t c = 0; c < counts.size(); ++c)
      if (2 * counts[c] > labelled.rows()) classes.push_back(static_cast<int32_t>(c));
  } else {
    classes.push_back(static_cast<int32_t>(std::ranges::max_element(counts) - counts.begin()));
  }
  return with_predictions(expected, std::vector(static_cast<size_t>(expected.rows()), classes));
}

}  // namespace winnow
