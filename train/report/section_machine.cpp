#include <algorithm>

#include "train/report/html.h"
#include "train/report/json_access.h"
#include "train/report/scale.h"
#include "train/report/sections.h"

namespace winnow {
namespace {

constexpr size_t kLargest = 12;

std::vector<ChartRow> largest(const Json& list, int colour) {
  std::vector<ChartRow> rows;
  if (!list.is_array()) return rows;
  for (const Json& entry : list) {
    const auto bytes = number_in(entry, "bytes");
    if (!bytes) continue;
    rows.push_back({text_in(entry, "name"), bytes_text(*bytes), *bytes / 1048576, std::nullopt, colour});
    if (rows.size() == kLargest) break;
  }
  return rows;
}

std::string bytes_chart(const char* title, const std::string& explanation, const std::vector<ChartRow>& rows) {
  ChartOptions options;
  options.title = title;
  options.explanation = explanation;
  options.x_label = "MiB";
  options.y_label = "value";
  return bar_chart(options, rows);
}

std::string tensors_table(const Json& memory) {
  std::string html;
  for (const auto& [key, title] :
       {std::pair{"persistent", "Parameters, tables and optimizer state"}, {"arena", "Values of one step"}}) {
    const Json& list = member(memory, key);
    if (!list.is_array() || list.empty()) continue;
    const bool lives = key[0] == 'a';
    HtmlTable table(title, lives ? std::vector<std::string>{"name", "tensor", "size", "alive in nodes"}
                                 : std::vector<std::string>{"name", "tensor", "size"});
    table.text_columns(2);
    for (const Json& entry : list) {
      std::vector<std::string> cells = {escape_html(text_in(entry, "name")), escape_html(text_in(entry, "tensor")),
                                        bytes_text(number_in(entry, "bytes").value_or(0))};
      if (lives) cells.push_back(escape_html(text_in(entry, "first") + " to " + text_in(entry, "last")));
      table.row(cells);
    }
    html += table.str(200, "memory.json");
  }
  return html;
}

}  // namespace

std::string memory_section(const RunFiles& files) {
  if (!files.memory) return "";
  const Json& memory = *files.memory;
  const auto persistent = number_in(memory, "persistent_bytes"), arena = number_in(memory, "arena_bytes"),
             without = number_in(memory, "arena_without_sharing_bytes");
  std::vector<ChartRow> totals;
  if (persistent)
    totals.push_back(
        {"parameters, tables, optimizer state", bytes_text(*persistent), *persistent / 1048576, std::nullopt, 1});
  if (arena)
    totals.push_back({"values of one step (arena, peak)", bytes_text(*arena), *arena / 1048576, std::nullopt, 2});
  if (without)
    totals.push_back(
        {"the same values if none shared memory", bytes_text(*without), *without / 1048576, std::nullopt, 5});
  std::string charts =
      bytes_chart("Memory of training",
                  "Planned before the first step and never exceeded by it; data and its buffers come on top.", totals);
  charts += bytes_chart("Largest of what stays", "Parameters, tables and the optimizer's state for them.",
                        largest(member(memory, "persistent"), 1));
  charts +=
      bytes_chart("Largest values of a step",
                  "Values whose lives do not overlap lie in the same place, so the sum may be larger than the arena.",
                  largest(member(memory, "arena"), 2));
  if (charts.empty()) return "";
  std::string html = "<div class=\"grid\">\n" + charts + "</div>\n";
  if (const std::string tables = tensors_table(memory); !tables.empty()) html += html_details("Every value", tables);
  return html_section("memory", "Memory", html);
}

std::string without_places(const std::string& text) {
  constexpr const char* kBetween = " \t\n\"',[]{}()=";
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t end = std::min(text.find_first_of(kBetween, i), text.size());
    const std::string token = text.substr(i, end - i);
    if (const size_t scheme = token.find("://"); scheme != std::string::npos && scheme > 0) {
      out += token.substr(0, scheme) + "://\u2026";
    } else if (token.size() > 1 && (token[0] == '/' || token.starts_with("~/"))) {
      const size_t last = token.find_last_not_of('/'), slash = token.find_last_of('/', last);
      out += last == std::string::npos ? "\u2026" : "\u2026" + token.substr(slash, last - slash + 1);
    } else {
      out += token;
    }
    if (end < text.size()) out += text[end];
    i = end + 1;
  }
  return out;
}

std::string reproduce_section(const RunFiles& files) {
  std::string html;
  if (!files.config.empty()) {
    html +=
        "<p>With the config.yaml below, or that of the run directory, which has every default written out; the same "
        "data and the same instruction set give the same bytes, whatever the number of threads:</p>\n"
        "<pre class=\"wrap\">winnow train ctr --config config.yaml --data FOLDER_OF_THE_DATA --out runs/again</pre>\n";
    html +=
        html_details("config.yaml", "<pre tabindex=\"0\">" + escape_html(without_places(files.config)) + "</pre>\n");
  }
  if (files.run) {
    HtmlTable table("Program and machine", {"", ""});
    table.text_columns(2);
    for (const auto& [key, title] : {std::pair{"winnow", "Winnow"},
                                     {"instruction_set", "instruction set"},
                                     {"threads", "threads"},
                                     {"onednn", "oneDNN"}})
      if (const std::string value = text_in(*files.run, key); !value.empty()) table.row({title, escape_html(value)});
    if (table.rows() > 0) html += table.str();
  }
  return html_section("reproduce", "Reproduce", html);
}

}  // namespace winnow
