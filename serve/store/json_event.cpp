#include "serve/store/json_event.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

const std::vector<std::string> kFields = {"user",    "item",     "kind",       "time_us", "value",
                                          "request", "position", "propensity", "variant", "sequence"};
enum Field : uint8_t { User, Item, Kind, TimeUs, Value, Request, Position, Propensity, Variant, Sequence };

// Takes the parser's calls one by one: nothing is built but the events, and nothing is nested deeper than they are.
class EventReader final : public nlohmann::json_sax<Json> {
 public:
  EventReader(std::string where, bool many, bool with_sequence)
      : where_(std::move(where)), many_(many), with_sequence_(with_sequence) {}

  std::vector<UserEvent> events;

  bool null() override { wrong("null"); }
  bool boolean(bool value) override { wrong(value ? "true" : "false"); }
  bool binary(binary_t&) override { wrong("binary"); }
  bool number_integer(int64_t value) override { return whole(value); }
  bool number_unsigned(uint64_t value) override {
    if (value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max())) wrong(std::to_string(value).c_str());
    return whole(static_cast<int64_t>(value));
  }

  bool number_float(double value, const std::string& text) override {
    if (at_event() && (field_ == Value || field_ == Propensity)) return real(value);
    wrong(text.c_str());
  }

  bool string(std::string& text) override {
    if (!at_event()) wrong("a text");
    switch (field_) {
      case User: event_.user = std::move(text); break;
      case Item: event_.item = std::move(text); break;
      case Kind: event_.kind = std::move(text); break;
      case Request: event_.request = std::move(text); break;
      case Variant: event_.variant = std::move(text); break;
      default: wrong(winnow::quoted(text).c_str());
    }
    return true;
  }

  bool start_object(size_t) override {
    if (depth_ == Depth::Top || depth_ == Depth::List) {
      if (depth_ == Depth::List && events.size() == kMaxJsonEvents)
        raise<DataError>("{}: events: more than {} at a time", where_, kMaxJsonEvents);
      in_list_ = depth_ == Depth::List;
      depth_ = Depth::UserEvent;
      event_ = {};
      seen_ = 0;
      return true;
    }
    wrong("an object");
  }

  bool key(std::string& name) override {
    if (depth_ == Depth::Body || (many_ && !in_list_ && name == "events")) {
      if (depth_ == Depth::Body || seen_ != 0)
        raise<DataError>("{}: {}: not beside other fields", where_, winnow::quoted(name));
      depth_ = Depth::Body;
      return true;
    }
    const auto found = std::find(kFields.begin(), kFields.end(), name);
    if (found == kFields.end())
      raise<DataError>("{}: {}: unknown field{}", place(), winnow::quoted(name), did_you_mean(name, kFields));
    field_ = static_cast<Field>(found - kFields.begin());
    if (field_ == Sequence && !with_sequence_) raise<DataError>("{}: sequence: is given by the store", place());
    const auto bit = static_cast<uint16_t>(1u << field_);
    if ((seen_ & bit) != 0) raise<DataError>("{}: {}: is there twice", place(), name);
    seen_ = static_cast<uint16_t>(seen_ | bit);
    return true;
  }

  bool end_object() override {
    if (depth_ == Depth::Body) {
      if (!listed_) raise<DataError>("{}: events: expected a list", where_);
      depth_ = Depth::End;
      return true;
    }
    for (const Field field : {User, Item, Kind})
      if ((seen_ >> field & 1) == 0) raise<DataError>("{}: {}: is required", place(), kFields[field]);
    check_event(event_, place());
    events.push_back(std::move(event_));
    depth_ = in_list_ ? Depth::List : Depth::End;
    return true;
  }

  bool start_array(size_t) override {
    if (depth_ != Depth::Body || listed_) wrong("a list");
    listed_ = true;
    depth_ = Depth::List;
    return true;
  }

  bool end_array() override {
    if (events.empty()) raise<DataError>("{}: events: is empty", where_);
    depth_ = Depth::Body;
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception& error) override {
    // "[json.exception.parse_error.101] parse error at line 1, column 5: syntax error ...; last read: '...'"
    std::string text = error.what();
    if (const size_t at = text.find("] "); at != std::string::npos) text.erase(0, at + 2);
    if (const size_t at = text.find("; last read"); at != std::string::npos) text.erase(at);
    raise<DataError>("{}: byte {}: {}", where_, position, text.substr(0, 200));
  }

 private:
  enum class Depth : uint8_t { Top, Body, List, UserEvent, End };

  bool at_event() const { return depth_ == Depth::UserEvent; }
  std::string place() const { return in_list_ ? fmt::format("{}: events[{}]", where_, events.size()) : where_; }

  [[noreturn]] void wrong(const char* found) const {
    if (depth_ == Depth::Top) raise<DataError>("{}: expected an object, found {}", where_, found);
    if (depth_ == Depth::Body) raise<DataError>("{}: events: expected a list, found {}", where_, found);
    if (depth_ == Depth::List)
      raise<DataError>("{}: events[{}]: expected an object, found {}", where_, events.size(), found);
    static constexpr const char* kExpected[] = {"a text",   "a text",        "a text",         "a whole number",
                                                "a number", "a text",        "a whole number", "a number",
                                                "a text",   "a whole number"};
    raise<DataError>("{}: {}: expected {}, found {}", place(), kFields[field_], kExpected[field_], found);
  }

  bool whole(int64_t value) {
    if (!at_event()) wrong("a number");
    switch (field_) {
      case TimeUs: event_.time_us = value; break;
      case Sequence:
        if (value < 0) wrong(std::to_string(value).c_str());
        event_.sequence = value;
        break;
      case Position:
        if (value < -1 || value > std::numeric_limits<int32_t>::max())
          raise<DataError>("{}: position: {} is not in [-1, 2147483647]", place(), value);
        event_.position = static_cast<int32_t>(value);
        break;
      case Value:
      case Propensity: return real(static_cast<double>(value));
      default: wrong(std::to_string(value).c_str());
    }
    return true;
  }

  bool real(double value) {
    (field_ == Value ? event_.value : event_.propensity) = value;
    return true;
  }

  const std::string where_;
  const bool many_, with_sequence_;
  Depth depth_ = Depth::Top;
  bool in_list_ = false, listed_ = false;
  Field field_ = User;
  uint16_t seen_ = 0;
  UserEvent event_;
};

std::vector<UserEvent> read(std::string_view json, const std::string& where, bool many, bool with_sequence) {
  EventReader reader(where, many, with_sequence);
  Json::sax_parse(json.begin(), json.end(), &reader);
  return std::move(reader.events);
}

void append_text(std::string& out, const char* key, const std::string& text) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":\"", key);
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  out += '"';
}

// The shortest digits that read back to the same number; JSON has no "1e+16" without them and no inf.
void append_number(std::string& out, const char* key, double value) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":{}", key, value);
}

}  // namespace

UserEvent parse_event(std::string_view json, const std::string& where, bool with_sequence) {
  return std::move(read(json, where, false, with_sequence).front());
}

std::vector<UserEvent> parse_events(std::string_view json, const std::string& where) {
  return read(json, where, true, false);
}

std::string event_json(const UserEvent& e) {
  std::string out;
  if (e.sequence != 0) out += fmt::format(",\"sequence\":{}", e.sequence);
  if (e.time_us != 0) out += fmt::format(",\"time_us\":{}", e.time_us);
  append_text(out, "user", e.user);
  append_text(out, "item", e.item);
  append_text(out, "kind", e.kind);
  append_number(out, "value", e.value);
  if (!e.request.empty()) append_text(out, "request", e.request);
  if (e.position != -1) out += fmt::format(",\"position\":{}", e.position);
  if (e.propensity != 0) append_number(out, "propensity", e.propensity);
  if (!e.variant.empty()) append_text(out, "variant", e.variant);
  out[0] = '{';
  return out += '}';
}

}  // namespace winnow
