#include "data/detail/conninfo.h"

#include <fmt/format.h>
#include <libpq-fe.h>

#include <memory>
#include <string_view>

namespace winnow::detail {
namespace {

struct Free {
  void operator()(PQconninfoOption* options) const { PQconninfoFree(options); }
};
using Options = std::unique_ptr<PQconninfoOption[], Free>;

Options parse(const std::string& connection) {
  char* message = nullptr;  // not shown: it may quote the string
  Options options(PQconninfoParse(connection.c_str(), &message));
  PQfreemem(message);
  return options;
}

template <class F>
void for_each_given(const Options& options, F&& f) {
  for (const PQconninfoOption* o = options.get(); o != nullptr && o->keyword != nullptr; ++o)
    if (o->val != nullptr && o->val[0] != '\0') f(std::string_view(o->keyword), std::string_view(o->val));
}

bool is_secret(std::string_view keyword) { return keyword == "password" || keyword == "sslpassword"; }

}  // namespace

std::string describe_connection(const std::string& connection) {
  std::string text = "postgresql";
  for_each_given(parse(connection), [&](std::string_view keyword, std::string_view value) {
    if (keyword == "host" || keyword == "port" || keyword == "dbname" || keyword == "user")
      text += fmt::format(" {}={}", keyword, value);
  });
  return text;
}

bool is_connection(const std::string& text) { return parse(text) != nullptr; }

bool holds_password(const std::string& connection) {
  bool found = false;
  for_each_given(parse(connection), [&](std::string_view keyword, std::string_view) { found |= is_secret(keyword); });
  return found;
}

std::string without_secrets(std::string text, const std::string& connection) {
  for_each_given(parse(connection), [&](std::string_view keyword, std::string_view value) {
    if (!is_secret(keyword)) return;
    for (size_t at = text.find(value); at != std::string::npos; at = text.find(value, at + 3))
      text.replace(at, value.size(), "***");
  });
  return text;
}

}  // namespace winnow::detail
