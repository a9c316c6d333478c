// Parquet in a build without Arrow C++: a clear refusal. With Arrow, parquet_arrow.cpp is compiled instead.
#ifndef WINNOW_PARQUET
#include "core/error.h"
#include "data/detail/block_source.h"
#include "data/detail/line_writer.h"

namespace winnow::detail {
namespace {

[[noreturn]] void refuse(const std::string& path) {
  raise<ConfigError>(
      "{}: this build has no Parquet, because Arrow C++ was not found when it was configured; docs/data_sources.md "
      "says "
      "how to get it, or convert the file to csv elsewhere",
      path);
}

}  // namespace

std::unique_ptr<BlockSource> open_parquet(const SourceSpec& spec) { refuse(spec.path); }
std::unique_ptr<RowWriter> make_parquet_writer(const SinkSpec& spec, const std::vector<std::string>&) {
  refuse(spec.path);
}

}  // namespace winnow::detail
#endif
