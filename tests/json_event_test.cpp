// serve/store/json_event.h: what is read strictly, what errors say, and that what is printed reads back.
#include "serve/store/json_event.h"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "core/error.h"
#include "tests/error_text.h"

namespace winnow {
namespace {

TEST(JsonEvent, ReadsEveryField) {
  const UserEvent e = parse_event(
      R"( {"user":"196","item":"ü\u00fc\ud83d\ude00","kind":"rating","time_us":881250949000000,"value":4,
      "request":"r-1","position":3,"propensity":2.5e-1,"variant":"B"} )",
      "body");
  EXPECT_EQ(e.user, "196");
  EXPECT_EQ(e.item, "üü😀");
  EXPECT_EQ(e.kind, "rating");
  EXPECT_EQ(e.time_us, 881250949000000);
  EXPECT_EQ(e.value, 4);
  EXPECT_EQ(e.request, "r-1");
  EXPECT_EQ(e.position, 3);
  EXPECT_EQ(e.propensity, 0.25);
  EXPECT_EQ(e.variant, "B");
  EXPECT_EQ(e.sequence, 0);
  const UserEvent least = parse_event(R"({"kind":"click","item":"i","user":"u"})", "body");
  UserEvent expected;
  expected.user = "u", expected.item = "i", expected.kind = "click";
  EXPECT_EQ(least, expected);
}

std::string refusal(const std::string& json) {
  return text_of<DataError>([&] { parse_events(json, "body"); });
}
// An event with one more field.
std::string with(const std::string& field) { return refusal(R"({"user":"u","item":"i","kind":"k",)" + field + "}"); }

TEST(JsonEvent, ErrorsNameFieldAndRule) {
  EXPECT_EQ(with(R"("usre":"x")"), "body: 'usre': unknown field; did you mean 'user'?");
  EXPECT_EQ(with(R"("user":"x")"), "body: user: is there twice");
  EXPECT_EQ(with(R"("value":"4")"), "body: value: expected a number, found '4'");
  EXPECT_EQ(with(R"("value":null)"), "body: value: expected a number, found null");
  EXPECT_EQ(with(R"("value":[1])"), "body: value: expected a number, found a list");
  EXPECT_EQ(with(R"("value":{"a":1})"), "body: value: expected a number, found an object");
  EXPECT_EQ(with(R"("request":5)"), "body: request: expected a text, found 5");
  EXPECT_EQ(with(R"("request":true)"), "body: request: expected a text, found true");
  EXPECT_EQ(with(R"("position":1.5)"), "body: position: expected a whole number, found 1.5");
  EXPECT_EQ(with(R"("position":2147483648)"), "body: position: 2147483648 is not in [-1, 2147483647]");
  EXPECT_EQ(with(R"("position":-2)"), "body: position: -2 is not in [-1, 2147483647]");
  EXPECT_EQ(with(R"("time_us":9223372036854775808)"),
            "body: time_us: expected a whole number, found 9223372036854775808");
  EXPECT_NE(with(R"("time_us":-1)").find("body: time_us: -1 is not in [0, "), std::string::npos);
  EXPECT_EQ(with(R"("propensity":1.5)"), "body: propensity: 1.5 is not in [0, 1]");
  EXPECT_EQ(with(R"("sequence":1)"), "body: sequence: is given by the store");
  EXPECT_EQ(with(R"("variant":")" + std::string(257, 'x') + "\""), "body: variant: 257 bytes, at most 256 are allowed");
  EXPECT_EQ(with(R"("variant":"a\u0000b")"), "body: variant: 'a\\x00b' has control characters");
  EXPECT_EQ(refusal(R"({"user":"u","item":"i"})"), "body: kind: is required");
  EXPECT_EQ(refusal(R"({"user":"","item":"i","kind":"k"})"), "body: user: must not be empty");
}

TEST(JsonEvent, ErrorsOfTheTextNameThePlace) {
  for (const char* text : {"", "{", R"({"user")", R"({"user":"u)", R"({"user":"u","item":"i","kind":"k"} x)",
                           "{\"user\":\"\xff\"}", R"({"user":"\ud800"})", R"({'user':'u'})", R"({"value":1e999})",
                           R"({"value":NaN})", R"({"value":01})", "{\"user\":\"a\nb\"}"}) {
    const std::string found = refusal(text);
    EXPECT_EQ(found.find("body: byte "), 0u) << text << ": " << found;
  }
  EXPECT_EQ(refusal("[]"), "body: expected an object, found a list");
  EXPECT_EQ(refusal("null"), "body: expected an object, found null");
  EXPECT_EQ(refusal("7"), "body: expected an object, found a number");
  EXPECT_EQ(refusal("1.5"), "body: expected an object, found 1.5");
  EXPECT_EQ(refusal("\"text\""), "body: expected an object, found a text");
}

TEST(JsonEvent, ReadsAListOfEventsAndNamesTheBrokenOne) {
  const std::string one = R"({"user":"u","item":"i","kind":"k"})";
  EXPECT_EQ(parse_events(one, "body").size(), 1u);
  EXPECT_EQ(parse_events(R"({"events":[)" + one + "," + one + "]}", "body").size(), 2u);
  EXPECT_EQ(refusal(R"({"events":[)" + one + R"(,{"user":"u","item":"i","kind":5}]})"),
            "body: events[1]: kind: expected a text, found 5");
  EXPECT_EQ(refusal(R"({"events":[)" + one + R"(,{"user":"u"}]})"), "body: events[1]: item: is required");
  EXPECT_EQ(refusal(R"({"events":[7]})"), "body: events[0]: expected an object, found a number");
  EXPECT_EQ(refusal(R"({"events":[[]]})"), "body: events[0]: expected an object, found a list");
  EXPECT_EQ(refusal(R"({"events":[]})"), "body: events: is empty");
  EXPECT_EQ(refusal(R"({"events":7})"), "body: events: expected a list, found a number");
  EXPECT_EQ(refusal(R"({"events":)" + one + "}"), "body: events: expected a list, found an object");
  EXPECT_EQ(refusal(R"({"events":[)" + one + R"(],"events":[]})"), "body: 'events': not beside other fields");
  EXPECT_EQ(refusal(R"({"events":[)" + one + R"(],"user":"u"})"), "body: 'user': not beside other fields");
  EXPECT_EQ(refusal(R"({"user":"u","events":[]})"), "body: 'events': not beside other fields");
  EXPECT_NE(refusal(R"({"events":[{"user":"u","item":"i","kind":"k","events":[]}]})").find("unknown field"),
            std::string::npos);
  std::string many = R"({"events":[)" + one;
  for (int i = 1; i < 1000; ++i) many += "," + one;
  EXPECT_EQ(parse_events(many + "]}", "body").size(), kMaxJsonEvents);
  EXPECT_EQ(refusal(many + "," + one + "]}"), "body: events: more than 1000 at a time");
  EXPECT_NE(text_of<DataError>([&] { parse_event(R"({"events":[)" + one + "]}", "line"); }).find("unknown field"),
            std::string::npos);
  EXPECT_NE(refusal(std::string(100'000, '[')).find("found a list"), std::string::npos);
}

TEST(JsonEvent, WhatIsPrintedReadsBack) {
  std::mt19937_64 random(3);
  const auto pick = [&](auto... values) {
    const std::common_type_t<decltype(values)...> all[] = {values...};
    return all[random() % sizeof...(values)];
  };
  for (int i = 0; i < 2000; ++i) {
    UserEvent e;
    e.sequence = static_cast<int64_t>(random() % 3);
    e.time_us = pick(int64_t{0}, int64_t{1}, kMaxEventTime);
    e.user = pick("u", "\"\\/", "ü😀", "a b", "{}");
    e.item = pick("1", "\\u0041", "'");
    e.kind = "k";
    e.value = pick(0.0, 1.0, -1.5, 1e16, 1e300, 5e-324, 0.1, 123456789012345680.0);
    e.request = pick("", "r");
    e.position = pick(-1, 0, 2147483647);
    e.propensity = pick(0.0, 1.0, 1e-9, 1 / 3.0);
    e.variant = pick("", "B");
    check_event(e, "event");
    EXPECT_EQ(parse_event(event_json(e), "event", true), e) << event_json(e);
  }
}

}  // namespace
}  // namespace winnow
