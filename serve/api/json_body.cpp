#include "serve/api/json_body.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace winnow {

using namespace simdjson;

std::string JsonObject::place_of(std::string_view key) const {
  return place_.empty() ? std::string(key) : fmt::format("{}.{}", place_, key);
}

void JsonObject::refuse(std::string_view key, std::string_view expected) const {
  raise<DataError>("{}: expected {}", place_of(key), expected);
}

std::optional<JsonElement> JsonObject::find(std::string_view key) const {
  JsonElement value;
  if (object_.at_key(key).get(value) != SUCCESS || value.is_null()) return std::nullopt;
  return value;
}

JsonElement JsonObject::need(std::string_view key) const {
  const auto value = find(key);
  WN_CHECK(value, DataError, "{}: missing", place_of(key));
  return *value;
}

std::string_view JsonObject::text(std::string_view key, std::string_view fallback) const {
  const auto value = find(key);
  if (!value) return fallback;
  std::string_view text;
  if (value->get(text) != SUCCESS) refuse(key, "a text");
  return text;
}

int64_t JsonObject::integer(std::string_view key, int64_t fallback, int64_t least, int64_t most) const {
  const auto value = find(key);
  if (!value) return fallback;
  int64_t n = 0;
  if (value->get(n) != SUCCESS || n < least || n > most)
    refuse(key, fmt::format("an integer from {} to {}", least, most));
  return n;
}

bool JsonObject::flag(std::string_view key, bool fallback) const {
  const auto value = find(key);
  if (!value) return fallback;
  bool b = false;
  if (value->get(b) != SUCCESS) refuse(key, "true or false");
  return b;
}

std::optional<dom::array> JsonObject::list(std::string_view key, size_t most) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  dom::array a;
  if (value->get(a) != SUCCESS || a.size() > most) refuse(key, fmt::format("a list of at most {}", most));
  return a;
}

std::optional<JsonObject> JsonObject::object(std::string_view key) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  dom::object o;
  if (value->get(o) != SUCCESS) refuse(key, "an object");
  return JsonObject(o, place_of(key));
}

void JsonObject::only(std::initializer_list<std::string_view> keys) const {
  for (const auto field : object_)
    if (std::ranges::find(keys, field.key) == keys.end()) {
      const std::vector<std::string> known(keys.begin(), keys.end());
      raise<DataError>("{}: unknown{}; known are {}", place_of(field.key), did_you_mean(std::string(field.key), known),
                       fmt::join(known, ", "));
    }
}

JsonObject JsonBody::object(std::string_view text, std::initializer_list<std::string_view> keys) {
  constexpr size_t kDepth = 16;
  if (parser_.max_depth() != kDepth && parser_.allocate(1 << 16, kDepth) != SUCCESS)
    throw OutOfMemory("no memory for a request's JSON");
  padded_.assign(text);
  padded_.append(SIMDJSON_PADDING, '\0');
  dom::object object;
  dom::element root;
  if (const auto error = parser_.parse(padded_.data(), text.size(), false).get(root); error != SUCCESS)
    raise<DataError>("the body is no JSON that can be read: {}", error_message(error));
  WN_CHECK(root.get(object) == SUCCESS, DataError, "the body must be a JSON object");
  JsonObject o(object, "");
  o.only(keys);
  return o;
}

bool append_cell(JsonElement value, std::string_view separator, std::string& out) {
  switch (value.type()) {
    case dom::element_type::NULL_VALUE: return true;
    case dom::element_type::STRING: out += std::string_view(value.get_string()); return true;
    case dom::element_type::INT64:
      fmt::format_to(std::back_inserter(out), "{}", int64_t{value.get_int64()});
      return true;
    case dom::element_type::UINT64:
      fmt::format_to(std::back_inserter(out), "{}", uint64_t{value.get_uint64()});
      return true;
    case dom::element_type::DOUBLE:
      fmt::format_to(std::back_inserter(out), "{}", double{value.get_double()});
      return true;
    case dom::element_type::ARRAY: {
      bool first = true;
      for (const dom::element part : dom::array(value)) {
        if (part.is_array() || part.is_null()) return false;
        if (!first) out += separator;
        first = false;
        if (!append_cell(part, separator, out)) return false;
      }
      return true;
    }
    default: return false;
  }
}

bool id_text(JsonElement value, std::string& out) {
  out.clear();
  const bool fits = value.is_string() || value.is_int64() || value.is_uint64();
  return fits && append_cell(value, "", out);
}

}  // namespace winnow
