#include "serve/http/routes.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/text.h"

namespace winnow {
namespace {

constexpr std::string_view kMethods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"};

// Takes "/segment" off the front; what is behind the slash.
std::string_view take_segment(std::string_view& path) {
  path.remove_prefix(1);
  const size_t slash = path.find('/');
  const std::string_view segment = path.substr(0, slash);
  path.remove_prefix(slash == std::string_view::npos ? path.size() : slash);
  return segment;
}

bool is_name(std::string_view segment) { return segment.starts_with('{') && segment.ends_with('}'); }

std::vector<std::string> split(const std::string& pattern) {
  WN_CHECK(pattern.starts_with('/'), ConfigError, "HttpServer::route(): {} does not begin with '/'", quoted(pattern));
  std::vector<std::string> segments;
  std::set<std::string> names;
  std::string_view left = pattern;
  while (!left.empty()) {
    const std::string_view segment = take_segment(left);
    WN_CHECK(!segment.empty() || left.empty(), ConfigError, "HttpServer::route(): {} has an empty segment",
             quoted(pattern));
    const bool braces = segment.find_first_of("{}") != std::string_view::npos;
    const bool plain_name =
        is_name(segment) && segment.size() > 2 && segment.find_first_of("{}", 1) + 1 == segment.size();
    WN_CHECK(!braces || (plain_name && names.emplace(segment).second), ConfigError,
             "HttpServer::route(): {}: a parameter is a whole segment {{name}}, each name once", quoted(pattern));
    segments.emplace_back(segment);
  }
  return segments;
}

bool matches(const std::vector<std::string>& segments, std::string_view path) {
  for (const std::string& segment : segments) {
    if (path.empty()) return false;
    const std::string_view found = take_segment(path);
    if (is_name(segment) ? found.empty() : found != segment) return false;
  }
  return path.empty();
}

}  // namespace

bool is_known_http_method(std::string_view method) {
  return std::find(std::begin(kMethods), std::end(kMethods), method) != std::end(kMethods);
}

void HttpRoutes::add(std::string method, const std::string& pattern, HttpHandler handler, bool open) {
  WN_CHECK(is_known_http_method(method) && method != "HEAD" && method != "OPTIONS", ConfigError,
           "HttpServer::route(): no handler for the method {}: GET, POST, PUT, PATCH or DELETE", quoted(method));
  WN_CHECK(handler != nullptr, ConfigError, "HttpServer::route(): {} {} has no handler", method, quoted(pattern));
  std::vector<std::string> segments = split(pattern);
  Methods* methods = nullptr;
  if (std::none_of(segments.begin(), segments.end(), is_name)) {
    methods = &plain_[pattern];
  } else {
    auto at = std::find_if(patterns_.begin(), patterns_.end(), [&](const Pattern& p) { return p.text == pattern; });
    if (at == patterns_.end()) at = patterns_.insert(at, Pattern{pattern, std::move(segments), {}});
    methods = &at->methods;
  }
  const bool added = methods->emplace(method, HttpRoute{std::move(handler), open}).second;
  WN_CHECK(added, ConfigError, "HttpServer::route(): {} {} is there already", method, quoted(pattern));
}

const HttpRoutes::Methods* HttpRoutes::find(std::string_view path,
                                            std::vector<std::pair<std::string, std::string>>& path_parameters) const {
  path_parameters.clear();
  if (const auto at = plain_.find(path); at != plain_.end()) return &at->second;
  for (const Pattern& pattern : patterns_) {
    if (!matches(pattern.segments, path)) continue;
    for (const std::string& segment : pattern.segments) {
      const std::string_view value = take_segment(path);
      if (is_name(segment)) path_parameters.emplace_back(segment.substr(1, segment.size() - 2), value);
    }
    return &pattern.methods;
  }
  return nullptr;
}

const HttpRoute* HttpRoutes::of(const Methods& methods, std::string_view method) {
  auto at = methods.find(method);
  if (at == methods.end() && method == "HEAD") at = methods.find(std::string_view("GET"));
  return at == methods.end() ? nullptr : &at->second;
}

std::string HttpRoutes::allow(const Methods& methods) {
  std::string text;
  for (const auto& [method, route] : methods) text += method + (method == "GET" ? ", HEAD, " : ", ");
  return text + "OPTIONS";
}

void HttpRoutes::clear() {
  plain_.clear();
  patterns_.clear();
}

}  // namespace winnow
