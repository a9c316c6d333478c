// An inferred schema as a config, and as JSON.
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "data/infer_schema.h"

namespace winnow {
namespace {

// A YAML scalar that is text whatever it looks like; plain where nothing can be mistaken.
std::string scalar(const std::string& text) {
  const bool letters = !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '.' ||
           c == '-';
  });
  const bool word = letters && ((text[0] | 0x20) >= 'a' && (text[0] | 0x20) <= 'z');
  for (const char* reserved : {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}) {
    std::string lower = text;
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
    if (lower == reserved) return '"' + text + '"';
  }
  return word ? text : nlohmann::json(text).dump();
}

// "  key: value   # why", the comment without line ends.
void line(std::string& out, const std::string& text, const std::string& why) {
  out += text;
  if (!why.empty()) {
    if (text.size() < 40) out.append(40 - text.size(), ' ');
    out += "  # ";
    for (const char c : why) out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  out += '\n';
}

std::string features(const InferredSchema& s) {
  std::string out = "  features:\n";
  for (const InferredColumn& c : s.columns) {
    if (c.role == "out") line(out, "    # - {name: " + scalar(c.profile.name()) + "}", c.why);
    if (c.type.empty()) continue;
    line(out,
         fmt::format("    - {{name: {}, type: {}, source: {}{}{}}}", scalar(c.profile.name()), c.type, c.source,
                     c.keys.empty() ? "" : ", ", c.keys),
         c.why);
  }
  return out;
}

}  // namespace

std::string InferredSchema::yaml() const {
  const std::string& path = options.source.path;
  const size_t slash = path.rfind('/');
  std::string out = fmt::format(
      "# A first config for {}, by `winnow data schema`: read the comments and correct what it got wrong.\n", path);
  out += "data:\n";
  if (slash != std::string::npos) line(out, "  path: " + scalar(path.substr(0, std::max<size_t>(slash, 1))), "");
  std::string table = "{file: " + scalar(slash == std::string::npos ? path : path.substr(slash + 1));
  if (!options.source.format.empty()) table += ", format: " + scalar(options.source.format);
  if (options.source.csv)
    table += std::string(", separator: ") +
             (options.source.csv->separator == '\t' ? "tab" : scalar(std::string(1, options.source.csv->separator)));
  line(out, "  interactions: " + table + "}", fmt::format("{} rows, {} columns", rows, columns.size()));
  line(out, "  user_id: " + scalar(options.user), of_role("user")->why);
  line(out, "  item_id: " + scalar(options.item), of_role("item")->why);
  const InferredColumn *time = of_role("timestamp"), *label = of_role("label");
  if (time != nullptr)
    line(out,
         fmt::format("  timestamp: {{column: {}, format: {}}}", scalar(time->profile.name()),
                     scalar(time->profile.time_format())),
         time->why);
  if (label != nullptr)
    line(out,
         fmt::format("  label: {{column: {}{}}}", scalar(label->profile.name()),
                     label_rule.empty() ? "" : ", rule: " + scalar(label_rule)),
         label->why);
  else
    line(out, "  negatives: {per_positive: 4}",
         "no column is a label: each row is a positive, beside four sampled items");
  std::vector<std::string> missing;
  if (drop_missing_user) missing.push_back(options.user);
  if (drop_missing_item) missing.push_back(options.item);
  if (drop_missing_label) missing.push_back(label->profile.name());
  if (!missing.empty()) out += "  clean:\n";
  for (const std::string& column : missing)
    line(out, "    - {step: missing, columns: [" + scalar(column) + "]}", "rows without it teach nothing");
  line(out,
       fmt::format("  split: {{method: {}, train: 0.8, valid: 0.1, test: 0.1}}", time != nullptr ? "time" : "random"),
       time != nullptr ? "the test is the future" : "no timestamp was found: results will look better than they are");
  out += features(*this);
  out += "model:\n  name: DeepFM\n  embedding_dim: 16\n  hidden_units: [128, 64]\n";
  line(out, "train:\n  epochs: 10", "stops before when the validation AUC no longer rises");
  line(out, fmt::format("  batch_size: {}", rows < 100000 ? 256 : 4096), "");
  out += "  learning_rate: 0.001\n";
  return out;
}

std::string InferredSchema::json() const {
  nlohmann::ordered_json j{{"file", options.source.path}, {"rows", rows}};
  for (const InferredColumn& c : columns) {
    const ColumnProfile& p = c.profile;
    nlohmann::ordered_json column{{"name", p.name()},
                                  {"role", c.role},
                                  {"missing", p.missing()},
                                  {"distinct", p.distinct()},
                                  {"distinct_is_exact", p.distinct_is_exact()},
                                  {"examples", p.examples()}};
    if (!c.type.empty()) column["type"] = c.type, column["source"] = c.source;
    if (p.all_numbers()) column["least"] = p.least(), column["most"] = p.most(), column["mean"] = p.mean();
    if (!p.time_format().empty()) column["time_format"] = p.time_format();
    column["why"] = c.why;
    j["columns"].push_back(std::move(column));
  }
  j["config"] = yaml();
  return j.dump(1) + "\n";
}

}  // namespace winnow
