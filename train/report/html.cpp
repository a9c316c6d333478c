#include "train/report/html.h"

#include <fmt/format.h>

#include "core/text.h"
#include "train/report/style.h"

namespace winnow {
namespace {

constexpr const char* kReplacement = "\xef\xbf\xbd";

// The length of the UTF-8 character that begins here; 0 when none does.
size_t character_at(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text[0]);
  const size_t length = lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  return length <= text.size() && is_utf8(text.substr(0, length)) ? length : 0;
}

}  // namespace

std::string escape_html(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size();) {
    const size_t length = character_at(text.substr(i));
    const char c = text[i];
    if (c == '&')
      out += "&amp;";
    else if (c == '<')
      out += "&lt;";
    else if (c == '>')
      out += "&gt;";
    else if (c == '"')
      out += "&quot;";
    else if (c == '\'')
      out += "&#39;";
    else if (length == 0 || (length == 1 && static_cast<unsigned char>(c) < 0x20 && c != '\t' && c != '\n') ||
             c == 0x7f)
      out += kReplacement;
    else
      out += text.substr(i, length);
    i += std::max<size_t>(1, length);
  }
  return out;
}

HtmlTable::HtmlTable(std::string caption, std::vector<std::string> headings)
    : caption_(std::move(caption)), headings_(std::move(headings)) {}

HtmlTable& HtmlTable::text_columns(size_t n) {
  text_columns_ = n;
  return *this;
}

HtmlTable& HtmlTable::row(std::vector<std::string> cells) {
  rows_.push_back(std::move(cells));
  return *this;
}

std::string HtmlTable::str(size_t max_rows, const std::string& rest_in) const {
  const auto kind = [&](size_t column) { return column < text_columns_ ? " class=\"text\"" : ""; };
  std::string html = fmt::format(
      "<p class=\"caption\">{0}</p>\n<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"{0}\">"
      "<table aria-label=\"{0}\"><thead><tr>",
      escape_html(caption_));
  for (size_t c = 0; c < headings_.size(); ++c)
    html += fmt::format("<th scope=\"col\"{}>{}</th>", kind(c), escape_html(headings_[c]));
  html += "</tr></thead><tbody>\n";
  for (size_t r = 0; r < std::min(rows_.size(), max_rows); ++r) {
    html += "<tr>";
    for (size_t c = 0; c < rows_[r].size(); ++c)
      html += c == 0 ? fmt::format("<th scope=\"row\"{}>{}</th>", kind(c), rows_[r][c])
                     : fmt::format("<td{}>{}</td>", kind(c), rows_[r][c]);
    html += "</tr>\n";
  }
  html += "</tbody></table></div>\n";
  if (rows_.size() > max_rows)
    html += fmt::format("<p class=\"note\">and {} more{}</p>\n", rows_.size() - max_rows,
                        rest_in.empty() ? "" : " in " + escape_html(rest_in));
  return html;
}

std::string html_details(const std::string& summary, const std::string& body) {
  return fmt::format("<details><summary>{}</summary>\n{}</details>\n", escape_html(summary), body);
}

std::string html_section(const std::string& id, const std::string& title, const std::string& body) {
  if (body.empty()) return "";
  return fmt::format(
      "<section id=\"{0}\" aria-labelledby=\"{0}-title\">\n<h2 id=\"{0}-title\">{1}</h2>\n{2}</section>\n",
      escape_html(id), escape_html(title), body);
}

std::string html_page(const std::string& title, const std::string& body) {
  return fmt::format(
      "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; img-src "
      "data:\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n<link rel=\"icon\" href=\"data:,\">\n"
      "<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n{}</body>\n</html>\n",
      escape_html(title), kReportStyle, body);
}

}  // namespace winnow
