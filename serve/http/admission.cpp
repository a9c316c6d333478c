// Which requests reach a handler.
#include <fmt/format.h>

#include <cmath>

#include "serve/http/connection.h"
#include "serve/http/reply.h"

namespace winnow {
namespace {

// Authorization: Bearer KEY, else X-Api-Key.
std::string_view given_key(const HttpHead& head) {
  constexpr std::string_view kBearer = "bearer ";
  const std::string_view authorization = head.field("authorization");
  if (authorization.size() > kBearer.size() && same_http_name(authorization.substr(0, kBearer.size()), kBearer))
    return authorization.substr(kBearer.size());
  return head.field("x-api-key");
}

HttpReply with_field(HttpReply reply, std::string name, std::string value) {
  reply.fields.emplace_back(std::move(name), std::move(value));
  return reply;
}

HttpReply options_reply(std::string allow) {
  HttpReply reply;
  reply.status = 204;
  return with_field(std::move(reply), "Allow", std::move(allow));
}

}  // namespace

std::optional<HttpReply> HttpConnection::admit(Clock::time_point now) {
  HttpRequest& request = next_->request;
  route_ = nullptr;
  const HttpRoutes::Methods* methods = service_->routes.find(request.path, request.path_parameters);
  if (methods != nullptr) route_ = HttpRoutes::of(*methods, request.method);
  const int key = service_->keys.empty() ? -1 : service_->keys.find(given_key(head_));
  if (key >= 0) {
    request.client = fmt::format("key {}", key + 1);
  } else {
    request.client = peer_;
  }
  const double wait = service_->rates.take(request.client, now);  // of the address where the key is wrong
  if (wait > 0)
    return with_field(http_error(429, "too many requests: wait as long as Retry-After says"), "Retry-After",
                      fmt::format("{:.0f}", std::ceil(wait)));
  if (!service_->keys.empty() && key < 0 && (route_ == nullptr || !route_->open))
    return with_field(http_error(401, "an API key is needed: Authorization: Bearer KEY, or X-Api-Key: KEY"),
                      "WWW-Authenticate", "Bearer");
  if (!is_known_http_method(request.method)) return http_error(501, "the method is not known here");
  if (request.path == "*") return options_reply("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
  if (methods == nullptr) return http_error(404, "there is nothing at this path");
  if (route_ != nullptr) {
    if (route_->open || service_->exchanges->in_flight() < service_->options.max_in_flight) return std::nullopt;
    return with_field(http_error(503, "too much to do: wait as long as Retry-After says"), "Retry-After", "1");
  }
  std::string allow = HttpRoutes::allow(*methods);
  if (request.method == "OPTIONS") return options_reply(std::move(allow));
  return with_field(http_error(405, "the path does not take this method: see Allow"), "Allow", std::move(allow));
}

}  // namespace winnow
