// Multinomial naive Bayes on token counts (McCallum and Nigam 1998): what a text classifier has to beat.
//   score_c = log p(c) + sum_t count_t log p(t | c),  p(t | c) = (count of t in c + 1) / (tokens of c + vocabulary)
// Multi-label: each class against the rows without it.
#pragma once
#include <cstdint>
#include <vector>

#include "tokenizer/tokenizer.h"
#include "train/class_metrics.h"

namespace winnow {

// labels of row r: classes.labels_of(r); negative ones are left out. Predicts the classes of each row of `test` into
// classes of the same form (its labels are those of `expected`). special: tokens that frame a row, not counted.
ClassRows naive_bayes(const JaggedIds& train, const ClassRows& labelled, const JaggedIds& test,
                      const ClassRows& expected, int64_t vocabulary, const SpecialTokens& special);

// The class that most training rows have, for each row; multi-label: the classes of more than half of the rows.
ClassRows majority_class(const ClassRows& labelled, const ClassRows& expected);

}  // namespace winnow
