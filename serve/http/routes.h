// Which handler answers a method and a path.
#pragma once
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http/server.h"

namespace winnow {

struct HttpRoute {
  HttpHandler handler;
  bool open = false;
};

class HttpRoutes {
 public:
  void add(std::string method, const std::string& pattern, HttpHandler handler, bool open);  // ConfigError

  // The methods of one pattern.
  using Methods = std::map<std::string, HttpRoute, std::less<>>;
  // Null: no pattern is like the path. Sets the values of its {names}.
  const Methods* find(std::string_view path, std::vector<std::pair<std::string, std::string>>& path_parameters) const;
  // The handler of a method, GET's for HEAD; null: 405.
  static const HttpRoute* of(const Methods& methods, std::string_view method);
  static std::string allow(const Methods& methods);  // "GET, HEAD, OPTIONS"
  void clear();

 private:
  struct Pattern {
    std::string text;
    std::vector<std::string> segments;  // "{name}", or as it stands
    Methods methods;
  };
  std::map<std::string, Methods, std::less<>> plain_;
  std::vector<Pattern> patterns_;  // with {names}, in the order in which they came
};

bool is_known_http_method(std::string_view method);  // 501 for others

}  // namespace winnow
