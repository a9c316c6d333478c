#include <algorithm>
#include <charconv>
#include <optional>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "serve/store/detail/redis_connection.h"
#include "serve/store/event_store.h"

namespace winnow::detail {
namespace {

const std::vector<std::string> kOptions = {"spool", "password_file", "timeout_ms", "history", "prefix"};

int64_t number(std::string_view text, const char* what, int64_t least, int64_t most) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  WN_CHECK(error == std::errc() && end == text.data() + text.size() && value >= least && value <= most, ConfigError,
           "store redis://: {}: {} is not a whole number in [{}, {}]", what, quoted(text), least, most);
  return value;
}

// %41 is A, so that a path may hold & and %.
std::string decoded(std::string_view text, const std::string& option) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    unsigned value = 0;
    const char* digits = text.data() + i + 1;
    WN_CHECK(i + 2 < text.size() && std::from_chars(digits, digits + 2, value, 16).ptr == digits + 2 && value != 0,
             ConfigError, "store redis://: {}: % must be followed by two hexadecimal digits", option);
    out += static_cast<char>(value);
    i += 2;
  }
  return out;
}

std::string first_line(const std::string& path) {
  const std::string text = read_text(path, 4096);
  std::string line = text.substr(0, text.find_first_of("\r\n"));
  WN_CHECK(!line.empty(), ConfigError, "{}: the first line is empty; it must be the password", path);
  return line;
}

void set_option(RedisUrl& url, const std::string& name, const std::string& value) {
  if (name == "spool") {
    WN_CHECK(!value.empty(), ConfigError, "store redis://: spool: a path is needed");
    url.spool = value;
  } else if (name == "password_file") {
    url.password = first_line(value);
  } else if (name == "timeout_ms") {
    url.timeout = std::chrono::milliseconds(number(value, "timeout_ms", 1, 60'000));
  } else if (name == "history") {
    url.history = number(value, "history", 1, kMaxHistory);
  } else if (name == "prefix") {
    const bool plain = !value.empty() && value.size() <= 64 && std::all_of(value.begin(), value.end(), [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
             std::string_view("_.:-").find(c) != std::string_view::npos;
    });
    WN_CHECK(plain, ConfigError, "store redis://: prefix: {} is not 1 to 64 of [A-Za-z0-9_.:-]", quoted(value));
    url.prefix = value;
  } else {
    raise<ConfigError>("store redis://: unknown option {}{}", quoted(name), did_you_mean(name, kOptions));
  }
}

void set_host(RedisUrl& url, std::string_view text) {
  if (const size_t at = text.rfind('@'); at != std::string_view::npos) {
    const std::string_view user = text.substr(0, at);
    WN_CHECK(user.find(':') == std::string_view::npos, ConfigError,
             "store redis://: no password in the URL, where logs and process lists show it: ?password_file=PATH");
    url.user = user;
    text.remove_prefix(at + 1);
  }
  std::optional<std::string_view> port;
  if (text.starts_with('[')) {  // [::1]:6379
    const size_t end = text.find(']');
    WN_CHECK(end != std::string_view::npos, ConfigError, "store redis://: a host that begins with [ must end with ]");
    url.host = text.substr(1, end - 1);
    text.remove_prefix(end + 1);
    WN_CHECK(text.empty() || text[0] == ':', ConfigError, "store redis://: expected :PORT behind ]");
    if (!text.empty()) port = text.substr(1);
  } else {
    const size_t colon = text.find(':');
    url.host = text.substr(0, colon);
    if (colon != std::string_view::npos) port = text.substr(colon + 1);
  }
  WN_CHECK(!url.host.empty() && url.host.find('\0') == std::string::npos, ConfigError,
           "store redis://: a host is needed: redis://HOST[:PORT][/DB]");
  if (port) url.port = static_cast<int>(number(*port, "port", 1, 65535));
}

}  // namespace

RedisUrl RedisUrl::parse(const std::string& text) {
  RedisUrl url;
  std::string_view rest = std::string_view(text).substr(std::string_view("redis://").size());
  std::string_view options;
  if (const size_t mark = rest.find('?'); mark != std::string_view::npos) {
    options = rest.substr(mark + 1);
    rest = rest.substr(0, mark);
  }
  const size_t slash = rest.find('/');
  set_host(url, rest.substr(0, slash));
  if (slash != std::string_view::npos && slash + 1 < rest.size())
    url.db = static_cast<int>(number(rest.substr(slash + 1), "database", 0, 1'000'000));
  while (!options.empty()) {
    const size_t end = options.find('&');
    const std::string_view option = options.substr(0, end);
    options = end == std::string_view::npos ? std::string_view() : options.substr(end + 1);
    const size_t equals = option.find('=');
    const std::string name(option.substr(0, equals));
    WN_CHECK(equals != std::string_view::npos, ConfigError, "store redis://: option {}: expected OPTION=VALUE",
             quoted(name));
    set_option(url, name, decoded(option.substr(equals + 1), name));
  }
  WN_CHECK(url.user.empty() || !url.password.empty(), ConfigError,
           "store redis://: a user needs its password: ?password_file=PATH");
  return url;
}

}  // namespace winnow::detail
