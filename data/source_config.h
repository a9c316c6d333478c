// A table of the `data:` section (interactions, users, items) as a source of rows.
#pragma once
#include <string>

#include "data/rows.h"

namespace winnow {

class ConfigNode;

// Keys: `file` (a file, directory or pattern, under `folder` unless absolute) or `connection`; `format`; of separated
// formats `separator`, `quoting`, `strip_types`; of jsonl and parquet `list_separator`; of databases `query` or
// `table`; `columns`. ConfigError also for a connection string that holds a password: a run keeps its config.
SourceSpec read_source(const ConfigNode& table, const std::string& folder);

}  // namespace winnow
