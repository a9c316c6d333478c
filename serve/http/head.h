// The head of a request and its target, read strictly: what two servers could read in two ways is refused (RFC 9112,
// sections 2.2, 5.1, 6.3 and 11.2). Pure functions over bytes that allocate nothing but the list of fields.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace winnow {

// Why a request is refused: a status and a text for whoever sent it. Status 0: it is not.
struct HttpFault {
  int status = 0;
  const char* reason = "";
  explicit operator bool() const { return status != 0; }
};

struct HttpHeadLimits {
  size_t max_head = 16 << 10;   // bytes, the empty line included: 431, or 414 where the target alone is longer
  size_t max_target = 8 << 10;  // bytes: 414
  size_t max_fields = 100;      // 431
};

// Looks for the empty line that ends a head, over as many calls as the bytes take to come.
class HttpHeadScan {
 public:
  // bytes: from the head's first on, as many as there are. The head's size with its empty line, or 0: more must come.
  // Sets fault for a line that does not end in CR LF, for a first byte that begins no method, and for over max_head.
  size_t find_end(std::string_view bytes, const HttpHeadLimits& limits, HttpFault& fault);
  void restart() { line_ = at_ = 0; }

 private:
  size_t line_ = 0, at_ = 0;  // the begin of the line that is not complete, and what was looked at
};

struct HttpHead {  // views into the bytes
  std::string_view method, target;
  std::vector<std::pair<std::string_view, std::string_view>> fields;  // names as sent, values without outer blanks
  bool keep_alive = false, chunked = false, expects_continue = false;
  uint64_t content_length = 0;                          // below 10^18; 0 when chunked
  std::string_view field(std::string_view name) const;  // name in lower case; "" when absent
};

// bytes: one whole head, as HttpHeadScan finds it. 400 for all that is not plain: a target that begins with no slash
// ("*" of OPTIONS apart), another version than HTTP/1.0 and 1.1, folded lines, a blank before a colon, control bytes,
// Content-Length other than 1 to 18 digits, Transfer-Encoding other than exactly "chunked", both of them, or one of the
// fields that must be single twice. 417: an expectation other than 100-continue.
HttpFault parse_http_head(std::string_view bytes, const HttpHeadLimits& limits, HttpHead& head);

using HttpParameters = std::vector<std::pair<std::string, std::string>>;

// "/v1/items/a%20b?k=5+6" -> path "/v1/items/a b", query "k=5+6", parameters {k, "5 6"}. 400 for what RFC 3986 does not
// allow in a target, empty and dot segments, encoded dots, slashes and backslashes of the path, control bytes, text
// that is not UTF-8 (overlong forms), and over max_parameters.
HttpFault parse_http_target(std::string_view target, size_t max_parameters, std::string& path, std::string& query,
                            HttpParameters& parameters);

bool is_http_token(std::string_view text);                           // a field's name
bool is_http_value(std::string_view text);                           // a field's value: no control bytes but tabs
bool same_http_name(std::string_view name, std::string_view lower);  // without regard to case; lower is in lower case

}  // namespace winnow
