// serve/http/head.h and chunked.h over any bytes. A head that is taken is one that a second reader takes too, written
// byte by byte from the grammar, and both read the same framing; the pieces in which bytes come do not matter.
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "core/text.h"
#include "serve/http/chunked.h"
#include "serve/http/head.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow {
namespace {

constexpr HttpHeadLimits kLimits{.max_head = 2048, .max_target = 512, .max_fields = 20};
constexpr size_t kMaxBody = 1000;

struct Reference {
  std::string method, target, version;
  std::vector<std::pair<std::string, std::string>> fields;  // names in lower case
};

bool is_token(char c) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         (c != 0 && std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos);
}

// RFC 9112, sections 2 to 5, one byte after the other; nothing where a byte does not fit.
std::optional<Reference> read_by_grammar(std::string_view in) {
  Reference r;
  size_t i = 0;
  const auto next = [&] { return i < in.size() ? static_cast<unsigned char>(in[i++]) : 256; };
  int c;
  while ((c = next()) != ' ') {
    if (c > 255 || !is_token(static_cast<char>(c))) return {};
    r.method += static_cast<char>(c);
  }
  while ((c = next()) != ' ') {
    if (c <= 0x20 || c >= 0x7f) return {};
    r.target += static_cast<char>(c);
  }
  while ((c = next()) != '\r') {
    if (c > 255) return {};
    r.version += static_cast<char>(c);
  }
  if (next() != '\n' || r.method.empty()) return {};
  while ((c = next()) != '\r') {
    auto& [name, value] = r.fields.emplace_back();
    for (; c != ':'; c = next()) {
      if (c > 255 || !is_token(static_cast<char>(c))) return {};
      name += static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c);
    }
    while ((c = next()) != '\r') {
      if (c > 255 || c == 0x7f || (c < 0x20 && c != '\t')) return {};
      value += static_cast<char>(c);
    }
    if (next() != '\n' || name.empty()) return {};
    value.erase(0, std::min(value.find_first_not_of(" \t"), value.size()));
    value.erase(value.find_last_not_of(" \t") + 1);
  }
  if (next() != '\n' || i != in.size()) return {};
  return r;
}

std::vector<std::string> all_of(const Reference& r, const std::string& name) {
  std::vector<std::string> values;
  for (const auto& [key, value] : r.fields)
    if (key == name) values.push_back(value);
  return values;
}

// What the framing is, where it is beyond doubt.
bool has_plain_framing(const Reference& r, bool& chunked, uint64_t& length) {
  if (r.version != "HTTP/1.1" && r.version != "HTTP/1.0") return false;
  const auto lengths = all_of(r, "content-length"), encodings = all_of(r, "transfer-encoding"),
             hosts = all_of(r, "host");
  if (lengths.size() + encodings.size() > 1 || hosts.size() > 1) return false;
  if (r.version == "HTTP/1.1" ? hosts.empty() : !encodings.empty()) return false;
  for (const std::string& host : hosts)
    if (host.empty() || host.find_first_of(" \t/@,") != std::string::npos) return false;
  for (const std::string& value : encodings)
    if (value != "chunked") return false;
  chunked = !encodings.empty();
  length = 0;
  for (const std::string& value : lengths) {
    if (value.empty() || value.size() > 18 || value.find_first_not_of("0123456789") != std::string::npos) return false;
    length = std::stoull(value);
  }
  return true;
}

// The end of the head as it comes in pieces of `step` bytes.
size_t find_end(std::string_view bytes, size_t step, HttpFault& fault) {
  HttpHeadScan scan;
  for (size_t n = std::min(step, bytes.size());; n = std::min(n + step, bytes.size())) {
    const size_t size = scan.find_end(bytes.substr(0, n), kLimits, fault);
    if (size > 0 || fault || n == bytes.size()) return size;
  }
}

void check_target(const HttpHead& head) {
  std::string path, query;
  HttpParameters parameters;
  if (parse_http_target(head.target, kLimits.max_fields, path, query, parameters)) return;
  expect(path.starts_with('/') && is_utf8(path), "a path is UTF-8 behind a slash");
  expect((path + "/").find("/../") == std::string::npos && (path + "/").find("/./") == std::string::npos &&
             path.find("//") == std::string::npos && path.find('\\') == std::string::npos,
         "a path has no dot or empty segments");
  for (const char c : path) expect(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f, "a path has no control bytes");
  expect(path.size() <= head.target.size() && parameters.size() <= kLimits.max_fields, "nothing grows");
  for (const auto& [name, value] : parameters) expect(is_utf8(name) && is_utf8(value), "parameters are UTF-8");
}

int decode(std::string_view in, size_t step, std::string& body, size_t& taken) {
  ChunkedBody chunks(kMaxBody);
  taken = 0;
  while (taken < in.size() && !chunks.done()) {
    std::string_view part = in.substr(taken, step);
    const size_t size = part.size();
    if (const HttpFault fault = chunks.take(part, &body)) return fault.status;
    taken += size - part.size();
  }
  expect(body.size() == chunks.received() && body.size() <= kMaxBody, "a body keeps its limit");
  return chunks.done() ? 0 : -1;
}

void check(std::string_view bytes, size_t step) {
  HttpFault fault, in_pieces;
  const size_t size = find_end(bytes, bytes.size(), fault);
  const size_t size_in_pieces = find_end(bytes, step, in_pieces);
  // A fault behind the head's end is not looked for, one within it is found at once.
  expect(size == size_in_pieces && fault.status == in_pieces.status, "pieces do not matter to the head");
  if (size == 0) return;
  expect(size <= kLimits.max_head && bytes.substr(0, size).ends_with("\r\n\r\n"), "a head ends in an empty line");
  HttpHead head;
  fault = parse_http_head(bytes.substr(0, size), kLimits, head);
  const std::optional<Reference> reference = read_by_grammar(bytes.substr(0, size));
  if (fault) return;
  expect(reference.has_value(), "the grammar takes what was taken");
  bool chunked = false;
  uint64_t length = 0;
  expect(has_plain_framing(*reference, chunked, length), "the framing is plain");
  expect(chunked == head.chunked && length == head.content_length, "both read the same framing");
  expect(reference->method == head.method && reference->target == head.target, "both read the same request line");
  expect(reference->fields.size() == head.fields.size(), "both read the same fields");
  for (const auto& [name, value] : reference->fields) expect(head.field(name) == all_of(*reference, name)[0], "values");
  check_target(head);
  if (!head.chunked) return;
  std::string body, body_in_pieces;
  size_t taken = 0, taken_in_pieces = 0;
  const std::string_view rest = bytes.substr(size);
  const int status = decode(rest, std::max<size_t>(rest.size(), 1), body, taken);
  expect(status == decode(rest, step, body_in_pieces, taken_in_pieces), "pieces do not matter to a body");
  if (status == 0) expect(body == body_in_pieces && taken == taken_in_pieces, "pieces do not matter to a body's data");
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  if (size < 2) return 0;
  const size_t step = 1 + data[0] % 64;
  const std::unique_ptr<char[]> bytes(new char[size - 1]);  // the exact size, so that a read past the end is seen
  std::copy(data + 1, data + size, bytes.get());
  const MemoryBound bound(size);
  check({bytes.get(), size - 1}, step);
  return 0;
}
