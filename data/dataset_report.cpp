#include <algorithm>

#include "core/error.h"
#include "data/dataset.h"
#include "data/timestamp.h"

namespace winnow {

std::string Dataset::summary() const {
  std::string text;
  for (const Split s : {Split::Train, Split::Valid, Split::Test}) {
    const LoadReport::SplitCount& c = report.splits[static_cast<size_t>(s)];
    text += fmt::format("{:<6} {:>9} rows, mean label {:.4f}", name_of(s), c.rows,
                        c.labels / static_cast<double>(std::max<int64_t>(c.rows, 1)));
    if (report.timestamps && c.rows > 0) text += fmt::format(", {} to {}", format_date(c.from), format_date(c.to));
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
