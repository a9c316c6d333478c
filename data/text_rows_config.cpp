// The keys of `data:` that say where texts come from.
#include <algorithm>

#include "core/config.h"
#include "data/source_config.h"
#include "data/text_rows.h"

namespace winnow {
namespace {

TextSplitSpec read_split(const ConfigNode& n, bool valid_file, bool test_file) {
  TextSplitSpec s;
  if (!valid_file) s.valid = n.get("valid", 0.1, fraction());
  if (!test_file) s.test = n.get("test", 0.1, fraction());
  if (s.valid + s.test >= 1) n.fail("valid and test leave nothing to train on");
  if (s.valid + s.test == 0) return s;
  const std::vector<std::string> methods = {"random", "stratified", "hash", "time"};
  s.method = static_cast<TextSplitSpec::Method>(std::ranges::find(methods, n.choice("method", "random", methods)) -
                                                methods.begin());
  if (s.method == TextSplitSpec::Stratified) {
    s.by = {n.require<std::string>("by")};
  } else if (s.method == TextSplitSpec::Hash) {
    s.by = n.get<std::vector<std::string>>("by", {});
  } else if (s.method == TextSplitSpec::Time) {
    s.time = n.require<std::string>("time");
    s.time_format = n.get("format", s.time_format);
  }
  if (s.method != TextSplitSpec::Time) s.seed = n.get("seed", s.seed);
  return s;
}

}  // namespace

TextRowsSpec read_text_rows(const ConfigNode& n, bool pairs) {
  TextRowsSpec s;
  const std::string folder = n.get("path", "");
  s.sources[0] = read_source(n.child("train"), folder);
  if (n.has("valid")) s.sources[1] = read_source(n.child("valid"), folder);
  if (n.has("test")) s.sources[2] = read_source(n.child("test"), folder);
  s.text = n.require<std::vector<std::string>>("text");
  if (s.text.empty()) n.fail("text", "names no column");
  if (pairs) s.second = n.get<std::vector<std::string>>("second", {});
  if (s.text.size() > 1 || s.second.size() > 1) s.separator = n.get("separator", s.separator);
  s.clean = parse_clean(n.list("clean"));
  s.split = read_split(n.child("split"), s.sources[1].given(), s.sources[2].given());
  return s;
}

}  // namespace winnow
