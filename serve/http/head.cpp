#include "serve/http/head.h"

#include <algorithm>
#include <cstring>

#include "serve/http/chars.h"

namespace winnow {
namespace {

// Twice in a request, each of these says two things: which framing, which client, which service.
constexpr std::string_view kSingle[] = {"host",   "content-length", "transfer-encoding", "content-type",
                                        "expect", "authorization",  "x-api-key"};

constexpr size_t kAroundTarget = 64;  // of a request line: method, blanks, version

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Takes the next line, without its CR LF, off the front.
std::string_view take_line(std::string_view& bytes) {
  const size_t end = bytes.find("\r\n");
  const std::string_view line = bytes.substr(0, end);
  bytes.remove_prefix(end == std::string_view::npos ? bytes.size() : end + 2);
  return line;
}

HttpFault parse_request_line(std::string_view line, const HttpHeadLimits& limits, HttpHead& head) {
  const size_t first = line.find(' '), last = line.rfind(' ');
  if (first == std::string_view::npos || first == last) return {400, "the request line is not METHOD TARGET VERSION"};
  head.method = line.substr(0, first);
  head.target = line.substr(first + 1, last - first - 1);
  const std::string_view version = line.substr(last + 1);
  if (!is_http_token(head.method)) return {400, "the method is not one"};
  if (version != "HTTP/1.1" && version != "HTTP/1.0") return {400, "the version is neither HTTP/1.1 nor HTTP/1.0"};
  if (head.target.size() > limits.max_target) return {414, "the target is too long"};
  const bool whole_server = head.target == "*" && head.method == "OPTIONS";
  if (!whole_server && (!head.target.starts_with('/') || !all_http_chars(head.target, kTargetChar)))
    return {400, "the target is not a path as RFC 3986 writes it"};
  head.keep_alive = version == "HTTP/1.1";
  return {};
}

HttpFault parse_field(std::string_view line, HttpHead& head) {
  if (line.front() == ' ' || line.front() == '\t') return {400, "a folded header line"};
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_http_token(line.substr(0, colon)))
    return {400, "a header line is not NAME: VALUE"};
  const std::string_view value = trimmed(line.substr(colon + 1));
  if (!is_http_value(value)) return {400, "a control byte in a header's value"};
  head.fields.emplace_back(line.substr(0, colon), value);
  return {};
}

HttpFault parse_length(std::string_view value, uint64_t& length) {
  constexpr size_t kMaxDigits = 18;  // cannot overflow
  if (value.empty() || value.size() > kMaxDigits) return {400, "Content-Length is not a number of at most 18 digits"};
  for (const char c : value) {
    if (c < '0' || c > '9') return {400, "Content-Length is not a number of at most 18 digits"};
    length = 10 * length + static_cast<uint64_t>(c - '0');
  }
  return {};
}

void read_connection(std::string_view value, HttpHead& head, bool& close) {
  while (!value.empty()) {
    const size_t comma = value.find(',');
    const std::string_view option = trimmed(value.substr(0, comma));
    if (same_http_name(option, "close")) close = true;
    if (same_http_name(option, "keep-alive")) head.keep_alive = true;
    value.remove_prefix(comma == std::string_view::npos ? value.size() : comma + 1);
  }
}

// What the fields say of the message itself.
HttpFault interpret(HttpHead& head) {
  bool seen[std::size(kSingle)] = {}, close = false;
  const bool is_1_1 = head.keep_alive;
  for (const auto& [name, value] : head.fields) {
    if (same_http_name(name, "connection")) read_connection(value, head, close);
    for (size_t i = 0; i < std::size(kSingle); ++i) {
      if (!same_http_name(name, kSingle[i])) continue;
      if (seen[i]) return {400, "a header that must be single comes twice"};
      seen[i] = true;
    }
    HttpFault fault;
    if (same_http_name(name, "content-length")) fault = parse_length(value, head.content_length);
    if (same_http_name(name, "transfer-encoding")) {
      if (value != "chunked" || !is_1_1) fault = {400, "Transfer-Encoding is not chunked"};
      head.chunked = true;
    }
    if (same_http_name(name, "host") && (value.empty() || !all_http_chars(value, kHostChar)))
      fault = {400, "Host is not a name or an address"};
    if (same_http_name(name, "expect")) {
      if (!same_http_name(value, "100-continue")) fault = {417, "an expectation other than 100-continue"};
      head.expects_continue = is_1_1;
    }
    if (fault) return fault;
  }
  if (is_1_1 && !seen[0]) return {400, "HTTP/1.1 asks for a Host header"};
  if (head.chunked && seen[1]) return {400, "Content-Length beside Transfer-Encoding"};
  head.keep_alive = head.keep_alive && !close;
  return {};
}

}  // namespace

bool is_http_token(std::string_view text) { return !text.empty() && all_http_chars(text, kTokenChar); }
bool is_http_value(std::string_view text) { return all_http_chars(text, kValueChar); }

bool same_http_name(std::string_view name, std::string_view lower_name) {
  if (name.size() != lower_name.size()) return false;
  for (size_t i = 0; i < name.size(); ++i)
    if (lower(name[i]) != lower_name[i]) return false;
  return true;
}

std::string_view HttpHead::field(std::string_view name) const {
  for (const auto& [key, value] : fields)
    if (same_http_name(key, name)) return value;
  return {};
}

size_t HttpHeadScan::find_end(std::string_view bytes, const HttpHeadLimits& limits, HttpFault& fault) {
  if (bytes.empty()) return 0;
  if (!is_http_char(bytes[0], kTokenChar)) {
    fault = {400, "the request does not begin with a method"};
    return 0;
  }
  const size_t longest_line = std::min(limits.max_head, limits.max_target + kAroundTarget);
  while (true) {
    const std::string_view within = bytes.substr(0, line_ == 0 ? longest_line : limits.max_head);
    const void* found = std::memchr(within.data() + at_, '\n', within.size() - at_);
    if (found == nullptr) {
      at_ = within.size();
      break;
    }
    const auto end = static_cast<size_t>(static_cast<const char*>(found) - within.data());
    if (end == 0 || within[end - 1] != '\r') {
      fault = {400, "a line does not end in CR LF"};
      return 0;
    }
    const bool empty = end == line_ + 1;
    line_ = at_ = end + 1;
    if (empty) return line_;
  }
  if (line_ == 0 && at_ == longest_line) fault = {414, "the request line is too long"};
  if (line_ > 0 && at_ == limits.max_head) fault = {431, "the headers are too long"};
  return 0;
}

HttpFault parse_http_head(std::string_view bytes, const HttpHeadLimits& limits, HttpHead& head) {
  head.method = head.target = {};
  head.fields.clear();
  head.keep_alive = head.chunked = head.expects_continue = false;
  head.content_length = 0;
  if (HttpFault fault = parse_request_line(take_line(bytes), limits, head)) return fault;
  while (!bytes.empty()) {
    const std::string_view line = take_line(bytes);
    if (line.empty()) {
      if (!bytes.empty()) return {400, "bytes behind the head"};
      return interpret(head);
    }
    if (head.fields.size() == limits.max_fields) return {431, "too many headers"};
    if (HttpFault fault = parse_field(line, head)) return fault;
  }
  return {400, "the head has no end"};
}

}  // namespace winnow
