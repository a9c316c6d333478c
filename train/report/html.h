// HTML from text that may come from anywhere: feature names, categories, configs.
#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace winnow {

// The text as element content or as a quoted attribute value: & < > " ' become entities, control characters other than
// tab and newline and bytes that are not UTF-8 become U+FFFD.
std::string escape_html(std::string_view text);

// A table whose first column holds row headings. Cells are HTML: escape_html() what is text.
class HtmlTable {
 public:
  HtmlTable(std::string caption, std::vector<std::string> headings);
  HtmlTable& text_columns(size_t n);  // the first n columns are set left, the others are numbers; default 1
  HtmlTable& row(std::vector<std::string> cells);
  size_t rows() const { return rows_.size(); }
  // At most max_rows, with a line that says how many more there are and where. The table scrolls in its own box.
  std::string str(size_t max_rows = 200, const std::string& rest_in = "") const;

 private:
  std::string caption_;
  std::vector<std::string> headings_;
  size_t text_columns_ = 1;
  std::vector<std::vector<std::string>> rows_;
};

// <details>: `summary` is text, `body` HTML.
std::string html_details(const std::string& summary, const std::string& body);
// A section of the page with an anchor. Empty when the body is.
std::string html_section(const std::string& id, const std::string& title, const std::string& body);
// The page around the sections, with its style sheet; nothing in it refers outside itself.
std::string html_page(const std::string& title, const std::string& body);

}  // namespace winnow
