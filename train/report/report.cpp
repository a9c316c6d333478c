#include "train/report/report.h"

#include "train/report/html.h"
#include "train/report/sections.h"

namespace winnow {
namespace {

struct Part {
  const char* id;
  const char* name;
  std::string html;
};

std::string notes(const RunFiles& files) {
  if (files.notes.empty()) return "";
  std::string items;
  for (const std::string& note : files.notes) items += "<li>" + escape_html(note) + "</li>\n";
  return "<section id=\"missing\" class=\"note\"><h2>Not in this report</h2>\n<ul>\n" + items + "</ul></section>\n";
}

}  // namespace

std::string render_report(const RunFiles& files) {
  const std::vector<Part> parts = {{"evaluation", "Evaluation", evaluation_section(files)},
                                   {"classes", "Classes", classes_section(files)},
                                   {"values", "Values", values_section(files)},
                                   {"ranking", "Ranking", ranking_section(files)},
                                   {"slices", "Slices", slices_section(files)},
                                   {"importance", "Features", importance_section(files)},
                                   {"training", "Training", training_section(files)},
                                   {"data", "Data", data_section(files)},
                                   {"memory", "Memory", memory_section(files)},
                                   {"reproduce", "Reproduce", reproduce_section(files)}};
  std::string links, sections;
  for (const Part& part : parts) {
    if (part.html.empty()) continue;
    links += fmt::format("<a href=\"#{}\">{}</a>\n", part.id, part.name);
    sections += part.html;
  }
  return html_page(files.name + " - Winnow report", headline_section(files) + warnings_box(files) +
                                                        "<nav aria-label=\"Sections\">\n" + links + "</nav>\n<main>\n" +
                                                        sections + notes(files) + "</main>\n");
}

}  // namespace winnow
