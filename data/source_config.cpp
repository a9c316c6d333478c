#include "data/source_config.h"

#include "core/config.h"
#include "core/text.h"
#include "data/detail/conninfo.h"

namespace winnow {
namespace {

CsvOptions read_csv_options(const ConfigNode& n, const std::string& format) {
  CsvOptions csv = format_options(format);
  const std::string separator = n.get("separator", csv.separator == '\t' ? "tab" : ",");
  if (separator != "tab" && separator.size() != 1) n.fail("separator", "one character, or the word tab");
  csv.separator = separator == "tab" ? '\t' : separator[0];
  csv.quoting = n.get("quoting", csv.quoting);
  csv.strip_types = n.get("strip_types", csv.strip_types);
  return csv;
}

void read_query(const ConfigNode& n, SourceSpec& s) {
  s.query = n.get("query", "");
  s.table = n.get("table", "");
  if (s.query.empty() == s.table.empty()) n.fail("a database needs `query` or `table`, one of the two");
}

}  // namespace

SourceSpec read_source(const ConfigNode& n, const std::string& folder) {
  SourceSpec s;
  if (n.has("connection")) {
    s.connection = n.require<std::string>("connection");
    s.format = n.choice("format", "postgresql", {"postgresql"});
    if (detail::holds_password(s.connection))
      n.fail("connection", "leave the password out: a run keeps its config. Put it into ~/.pgpass or PGPASSWORD");
  } else {
    const std::string file = n.require<std::string>("file");
    if (file.empty()) n.fail("file", "must not be empty");
    s.path = file.front() == '/' || folder.empty() ? file : folder + "/" + file;
    s.format = n.choice("format", format_of(s.path), source_formats());
    if (s.format == "postgresql") n.fail("format", "postgresql takes `connection` instead of `file`");
  }
  if (s.format == "csv" || s.format == "tsv" || s.format == "recbole") s.csv = read_csv_options(n, s.format);
  if (s.format == "jsonl" || s.format == "parquet") {
    s.list_separator = n.get("list_separator", s.list_separator);
    if (s.list_separator.size() != 1) n.fail("list_separator", "one character");
  }
  if (s.format == "sqlite" || s.format == "postgresql") read_query(n, s);
  s.columns = n.get<std::vector<std::string>>("columns", {});
  return s;
}

}  // namespace winnow
