#include <algorithm>

#include "core/error.h"
#include "data/dataset.h"
#include "data/timestamp.h"

namespace winnow {

const char* name_of(Split split) { return split == Split::Train ? "train" : split == Split::Valid ? "valid" : "test"; }

std::string LoadReport::str() const {
  std::string text = fmt::format("{} rows read in {:.2f} s", rows_read, seconds);
  for (const Dropped& d : dropped) text += fmt::format("\n  {} dropped: {}", d.rows, d.rule);
  if (users_without_row > 0) text += fmt::format("\n  {} with a user that the user table lacks", users_without_row);
  if (items_without_row > 0) text += fmt::format("\n  {} with an item that the item table lacks", items_without_row);
  if (negatives > 0) text += fmt::format("\n  {} negatives sampled", negatives);
  if (negatives_short > 0) text += fmt::format("\n  {} negatives not sampled: no item was left", negatives_short);
  return text;
}

std::string Dataset::summary() const {
  std::string text;
  for (const Split s : {Split::Train, Split::Valid, Split::Test}) {
    const std::vector<int32_t>& index = split(s);
    double labels = 0;
    for (const int32_t r : index) labels += label[static_cast<size_t>(r)];
    text += fmt::format("{:<6} {:>9} rows, mean label {:.4f}", name_of(s), index.size(),
                        labels / static_cast<double>(std::max<size_t>(index.size(), 1)));
    if (!timestamp.empty() && !index.empty()) {
      const auto time = [this](int32_t r) { return timestamp[static_cast<size_t>(r)]; };
      text += fmt::format(", {} to {}", format_date(time(index.front())), format_date(time(index.back())));
    }
    text += '\n';
  }
  text += fmt::format("{} users, {} items\n", user_keys.size(), item_keys.size());
  for (const FittedFeature& f : map.features) {
    text += fmt::format("  {:<16} {:<12} {:<8}", f.spec.name, name_of(f.spec.type), name_of(f.spec.source));
    text += f.str() + "\n";
  }
  return text;
}

}  // namespace winnow
