// Bodies of requests as JSON (simdjson): strict, with errors that name the place, and without memory of its own once
// warm.
//
//   JsonBody body;                                  // one a thread
//   const JsonObject o = body.object(text, {"user", "items", "k"});
//   o.text("user"); o.integer("k", 10, 1, 1000);
#pragma once
#include <simdjson.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace winnow {

using JsonElement = simdjson::dom::element;

// All of these throw DataErrors such as "items[3]: expected a text or a number".
class JsonObject {
 public:
  JsonObject(simdjson::dom::object object, std::string place) : object_(object), place_(std::move(place)) {}
  bool has(std::string_view key) const { return find(key).has_value(); }  // null counts as absent
  std::optional<JsonElement> find(std::string_view key) const;
  JsonElement need(std::string_view key) const;
  std::string_view text(std::string_view key, std::string_view fallback) const;
  int64_t integer(std::string_view key, int64_t fallback, int64_t least, int64_t most) const;
  bool flag(std::string_view key, bool fallback) const;
  std::optional<simdjson::dom::array> list(std::string_view key, size_t most) const;
  std::optional<JsonObject> object(std::string_view key) const;
  simdjson::dom::object fields() const { return object_; }
  std::string place_of(std::string_view key) const;
  [[noreturn]] void refuse(std::string_view key, std::string_view expected) const;
  void only(std::initializer_list<std::string_view> keys) const;  // an unknown key is an error that suggests one

 private:
  simdjson::dom::object object_;
  std::string place_;  // "" of the body
};

class JsonBody {
 public:
  JsonBody() : parser_(size_t{64} << 20) {}
  // An object with these keys alone, which lives until the next call.
  JsonObject object(std::string_view text, std::initializer_list<std::string_view> keys);

 private:
  simdjson::dom::parser parser_;
  std::string padded_;
};

// A scalar as the text of a CSV cell: texts as they are, numbers in their shortest form, null as nothing; a list of
// those with `separator` between them. False for anything else.
bool append_cell(JsonElement value, std::string_view separator, std::string& out);

// An id: a text or an integer.
bool id_text(JsonElement value, std::string& out);

}  // namespace winnow
