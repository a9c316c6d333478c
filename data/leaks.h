// Signs that the label, or the future, has leaked into what a model trains on.
#pragma once
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"

namespace winnow {

// kind: one of the words below. feature: of the schema; for leaks between splits the column, or "". text: what was
// seen, and what to do.
using Leak = LoadReport::Leak;

// Looks at the rows as they reach the model. n rows, base rate p. A test of chance is made at level 1e-3 divided by the
// number of tests of its kind; beyond chance each kind asks for a size of effect, so that a strong honest predictor is
// none.
//
//   tells_label       One feature orders the training labels almost perfectly: AUC >= .98, and its lower bound
//                     (Hanley, McNeil 1982) >= .95. A number is taken as it is, either way up; a number by its bins (or
//                     distinct values) and a value or bag by the rate of the *other* rows that have it, so that a value
//                     of one row tells nothing. At least 30 rows of each label, and a tenth of the rows, must have such
//                     a value. Finds copies and functions of the label, encodings with noise, ids of groups of one
//                     label.
//   one_label         Values that occur with one label only: purity >= .995, its lower Chernoff bound >= .95, in values
//                     that cover 5 % of the rows of that label, where that label has less than 80 % of all rows and no
//                     other value of 30 rows has it in over 90 % (as the steps below the last one of a scale do). The
//                     ids of user and item are left out: some users do like everything.
//   missing_tells     The same for cells that are missing, or that are present: a column filled in after the event.
//   row_order         Values that are (nearly) all distinct, as of an id or a row number, whose order tells the label:
//                     AUC >= .75. Ids are texts, or numbers as evenly spaced as a count.
//   target_encoding   A number that is, for each user, item or value of another feature, the mean label of that group's
//                     rows (of training or of all splits), with the row's own label or all but it. A rate from other
//                     rows differs from that mean by chance, at least sqrt(q (1 - q) / n) on average; here the mean
//                     square of the differences is under a tenth of that in 20 groups or more (a chance of 1e-7).
//                     Smoothed means (S + m p) / (n + m) too. Not for numbers scaled by rank, which cannot be undone.
//   timestamp_copy    Values that order the rows as their times do (99 % of pairs), with at least 100 of them.
//   future_time       Rows more than a day later than the file they come from.
//   future_rows       A split drawn at random though the rows have times: training rows later than a held-out one.
//   duplicates        Held-out rows that are in training too: user, item, time and all features the same, and the label
//                     more often than its rate explains (differing labels under 2 % of what chance gives). At least 20
//                     and one in a thousand.
//   user_overlap      Users in training and held-out rows although the split is by user.
//
// At most 200,000 training rows (20 runs of neighbours) are looked at for the first four kinds. Of rows on disk as many
// of each split are looked at for all kinds but target_encoding and duplicates, which need every row. Labels other than
// 0 and 1: only the kinds that need none. Deterministic. export_time: seconds; none: when the file of the interactions
// was last written, or now when there is no such file.
std::vector<Leak> find_leaks(const Dataset& dataset, const Schema& schema, std::optional<int64_t> export_time = {});

// As schema.leak_check says: none without looking; DataError that lists them; or the leaks, for the caller to show.
std::vector<Leak> check_leaks(const Dataset& dataset, const Schema& schema);

// "leak: kind: feature 'x': text", a line each; "" for none.
std::string str(const std::vector<Leak>& leaks);
// [{"kind", "feature", "text"}]
std::string json(const std::vector<Leak>& leaks);

}  // namespace winnow
