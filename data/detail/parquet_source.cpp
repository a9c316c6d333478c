#include "core/error.h"
#include "data/detail/block_source.h"
namespace winnow::detail {
std::unique_ptr<BlockSource> open_parquet(const SourceSpec& spec) {
  raise<ConfigError>(
      "{}: this build reads no Parquet: Arrow C++ was not found when it was configured (docs/data_sources.md says how "
      "to get it)",
      spec.path);
}
}  // namespace winnow::detail
