// The target of a request: path and query.
#include "core/text.h"
#include "serve/http/chars.h"
#include "serve/http/head.h"

namespace winnow {
namespace {

constexpr HttpFault kBadPath{400, "the path is not plain: empty or dot segments, or encoded dots, slashes or controls"};
constexpr HttpFault kBadQuery{400, "the query is not percent-encoded UTF-8"};

// The byte of "%XX" at `at`, -1 where there is none.
int decoded_byte(std::string_view text, size_t at) {
  if (at + 2 >= text.size()) return -1;
  const int high = hex_value(text[at + 1]), low = hex_value(text[at + 2]);
  return high < 0 || low < 0 ? -1 : 16 * high + low;
}

bool is_control(int byte) { return byte < 0x20 || byte == 0x7f; }

bool decode_path(std::string_view text, std::string& path) {
  path.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      path += text[i];
      continue;
    }
    const int byte = decoded_byte(text, i);
    // An encoded dot or slash is a way past a check of segments; no client has a reason to send one.
    if (byte < 0 || is_control(byte) || byte == '.' || byte == '/' || byte == '\\') return false;
    path += static_cast<char>(byte);
    i += 2;
  }
  return is_utf8(path);
}

bool has_plain_segments(std::string_view path) {
  path.remove_prefix(1);
  while (true) {
    const size_t slash = path.find('/');
    const std::string_view segment = path.substr(0, slash);
    if (segment == "." || segment == "..") return false;
    if (slash == std::string_view::npos) return true;
    if (segment.empty()) return false;
    path.remove_prefix(slash + 1);
  }
}

bool decode_query_part(std::string_view text, std::string& out) {
  out.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    int byte = static_cast<unsigned char>(text[i]);
    if (text[i] == '+') byte = ' ';
    if (text[i] == '%') {
      byte = decoded_byte(text, i);
      i += 2;
      // Line ends may be typed into a form.
      if (byte < 0 || (is_control(byte) && byte != '\n' && byte != '\r' && byte != '\t')) return false;
    }
    out += static_cast<char>(byte);
  }
  return is_utf8(out);
}

HttpFault parse_query(std::string_view query, size_t max_parameters, HttpParameters& parameters) {
  size_t count = 0;
  while (!query.empty()) {
    const size_t end = query.find('&');
    const std::string_view part = query.substr(0, end);
    query.remove_prefix(end == std::string_view::npos ? query.size() : end + 1);
    if (part.empty()) continue;
    if (count == max_parameters) return {400, "too many parameters in the query"};
    if (parameters.size() == count) parameters.emplace_back();
    auto& [name, value] = parameters[count++];  // the strings of the request before keep their memory
    const size_t equal = part.find('=');
    const std::string_view text = equal == std::string_view::npos ? std::string_view{} : part.substr(equal + 1);
    if (!decode_query_part(part.substr(0, equal), name) || !decode_query_part(text, value)) return kBadQuery;
  }
  parameters.resize(count);
  return {};
}

}  // namespace

HttpFault parse_http_target(std::string_view target, size_t max_parameters, std::string& path, std::string& query,
                            HttpParameters& parameters) {
  if (!target.starts_with('/') || !all_http_chars(target, kTargetChar)) return kBadPath;
  const size_t mark = target.find('?');
  if (!decode_path(target.substr(0, mark), path) || !has_plain_segments(path)) return kBadPath;
  query = mark == std::string_view::npos ? std::string_view{} : target.substr(mark + 1);
  return parse_query(query, max_parameters, parameters);
}

}  // namespace winnow
