// Events as JSON: one object each, {"user": "196", "item": "242", "kind": "click", "time_us": 881250949000000}.
// Fields are the members of UserEvent by their names; user, item and kind are required, the rest has UserEvent's
// defaults.
//
// Strict: an unknown or repeated field, a value of another type (null too), depth beyond what is asked for, text behind
// the end, what is not UTF-8 and what check_event() refuses are DataErrors "where: field: rule".
#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "serve/store/event_store.h"

namespace winnow {

constexpr size_t kMaxJsonEvents = 1000;  // of {"events": [...]}

// with_sequence: the field `sequence` may be there, as event_json() writes it; otherwise it is refused.
UserEvent parse_event(std::string_view json, const std::string& where, bool with_sequence = false);

// The body of POST /v1/feedback: one event, or {"events": [...]} with 1 to kMaxJsonEvents of them; errors name
// "where: events[3].user: ...". Memory: some 8 times the text.
std::vector<UserEvent> parse_events(std::string_view json, const std::string& where);

// One line. Members that have their default are left out, but for value; sequence where it is not 0.
// parse_event(event_json(e), ..., true) == e for every event that check_event() takes.
std::string event_json(const UserEvent& event);

}  // namespace winnow
