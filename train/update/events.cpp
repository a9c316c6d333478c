#include "train/update/events.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/rng.h"

namespace winnow {
namespace {

using Json = nlohmann::json;
constexpr uint64_t kNegatives = 0x6e656761;  // the Philox stream of sampled negatives

double number_of(const std::string& text, const std::string& rule) {
  size_t used = 0;
  double value = NAN;
  try {
    value = std::stod(text, &used);
  } catch (const std::logic_error&) { used = 0; }
  WN_CHECK(used == text.size() && used > 0 && std::isfinite(value), ConfigError,
           "label '{}': '{}' is no number; write click=1, impression=0@600 or rating>=4", rule, text);
  return value;
}

}  // namespace

LabelRule parse_label_rule(const std::string& text) {
  LabelRule rule;
  rule.text = text;
  const size_t at = text.find_first_of("=<>!");
  WN_CHECK(at != std::string::npos && at > 0, ConfigError, "label '{}': write click=1, impression=0@600 or rating>=4",
           text);
  rule.kind = text.substr(0, at);
  if (text[at] != '=' || text.compare(at, 2, "==") == 0) {
    const size_t value = text.find_first_not_of("=<>! ", at);
    WN_CHECK(value != std::string::npos, ConfigError, "label '{}': nothing to compare with", text);
    std::string comparison = text.substr(at, value - at);
    std::erase(comparison, ' ');
    rule.rule = parse_rule("value of " + rule.kind, comparison + " " + text.substr(value));
    return rule;
  }
  const size_t wait = text.find('@', at);
  rule.label =
      static_cast<float>(number_of(text.substr(at + 1, wait == std::string::npos ? wait : wait - at - 1), text));
  WN_CHECK(rule.label >= 0 && rule.label <= 1, ConfigError, "label '{}': a label lies between 0 and 1", text);
  if (wait != std::string::npos) rule.wait = number_of(text.substr(wait + 1), text);
  WN_CHECK(rule.wait >= 0 && rule.wait <= 1e9, ConfigError, "label '{}': wait some seconds, at most 1e9", text);
  return rule;
}

std::vector<LabelRule> default_label_rules(const Schema& schema) {
  std::vector<LabelRule> rules;
  if (schema.label && schema.label->kind >= CellRule::Less && schema.label->kind <= CellRule::GreaterEqual) {
    LabelRule& rule = rules.emplace_back();
    rule.kind = schema.label->column;
    rule.rule = *schema.label;
    const char* comparisons[] = {"", "<", "<=", ">", ">="};
    rule.text = fmt::format("{}{}{}", rule.kind, comparisons[schema.label->kind], schema.label->text);
  }
  for (const char* text : {"impression=0@600", "click=1", "like=1", "dislike=0", "cart=1", "purchase=1"}) {
    LabelRule rule = parse_label_rule(text);
    if (rules.empty() || rules[0].kind != rule.kind) rules.push_back(std::move(rule));
  }
  return rules;
}

int64_t EventCounts::skipped() const {
  int64_t n = unknown_items + bad_values;
  for (const auto& [kind, count] : unknown) n += count;
  return n;
}

std::string EventCounts::reasons() const {
  std::vector<std::string> parts;
  if (unknown_items > 0) parts.push_back(fmt::format("{} of unknown items", unknown_items));
  if (bad_values > 0) parts.push_back(fmt::format("{} without a number to compare", bad_values));
  for (const auto& [kind, count] : unknown) parts.push_back(fmt::format("{} of kind '{}'", count, kind));
  return fmt::format("{}", fmt::join(parts, ", "));
}

EventRows::EventRows(std::vector<LabelRule> rules, KnownIds known, int64_t negatives, uint64_t seed)
    : rules_(std::move(rules)), known_(std::move(known)), negatives_(negatives), seed_(seed) {
  WN_CHECK(!rules_.empty(), ConfigError, "no label rule: no event would be learnt; give some, as click=1");
  for (size_t i = 0; i < rules_.size(); ++i)
    for (size_t k = 0; k < i; ++k)
      WN_CHECK(rules_[i].kind != rules_[k].kind, ConfigError, "labels '{}' and '{}': two rules of one kind",
               rules_[k].text, rules_[i].text);
}

void EventRows::add(const UpdateEvent& event, std::vector<UpdateRow>& out) {
  ++counts_.events;
  const auto rule = std::ranges::find(rules_, event.kind, &LabelRule::kind);
  UpdateRow row{known_.user(event.user), known_.item(event.item), 0, event.sequence};
  bool learnt = false;
  if (rule == rules_.end()) {
    constexpr size_t kMostKinds = 100;
    const bool known = counts_.unknown.contains(event.kind) || counts_.unknown.size() < kMostKinds;
    ++counts_.unknown[known ? event.kind : "(others)"];
  } else if (row.item < 0) {
    ++counts_.unknown_items;
  } else if (rule->rule.kind == CellRule::AsIs) {
    row.label = rule->label;
    learnt = true;
  } else if (const auto held = holds(rule->rule, fmt::format("{}", event.value))) {
    row.label = *held ? 1.f : 0.f;
    learnt = true;
  } else {
    ++counts_.bad_values;
  }
  reached_ = std::max(reached_, event.time_us);
  if (learnt && row.label > 0.5f) answer(event, row);
  release(out);
  if (!learnt) return;
  if (rule->wait > 0)
    wait({event.time_us + static_cast<int64_t>(rule->wait * 1e6), event.sequence}, {row, event.user, event.request});
  else
    emit(row, out);
}

void EventRows::emit(const UpdateRow& row, std::vector<UpdateRow>& out) {
  out.push_back(row);
  ++counts_.rows;
  counts_.strangers += row.user < 0 ? 1 : 0;
  if (negatives_ > 0 && row.label > 0.5f) sample_negatives(row, static_cast<uint64_t>(row.sequence), out);
}

void EventRows::sample_negatives(const UpdateRow& positive, uint64_t key, std::vector<UpdateRow>& out) {
  const size_t first = out.size();
  const Philox random{seed_, kNegatives};
  // a user who took nearly everything gets fewer
  const int64_t tries = 20 * negatives_;
  for (int64_t t = 0, found = 0; t < tries && found < negatives_; ++t) {
    const auto bits = random(static_cast<uint64_t>(t), key);
    const auto item = static_cast<int64_t>(to_unit(bits[0]) * static_cast<double>(known_.items));
    const auto drawn = std::span(out).subspan(first);
    if (item == positive.item || std::ranges::find(drawn, item, &UpdateRow::item) != drawn.end()) continue;
    if (positive.user >= 0 && known_.taken && known_.taken(positive.user, item)) continue;
    out.push_back({positive.user, item, 0, positive.sequence});
    ++found;
  }
  counts_.sampled += static_cast<int64_t>(out.size() - first);
}

void EventRows::answer(const UpdateEvent& event, const UpdateRow& row) {
  const auto list = of_pair_.find(pair_of(event.user, row.item));
  if (list == of_pair_.end()) return;
  std::erase_if(list->second, [&](const Due& due) {
    const auto at = waiting_.find(due);
    const std::string& request = at->second.request;
    if (event.time_us > due.first || (!request.empty() && !event.request.empty() && request != event.request))
      return false;
    waiting_.erase(at);
    ++counts_.answered;
    return true;
  });
  if (list->second.empty()) of_pair_.erase(list);
}

void EventRows::wait(const Due& due, Waiting waiting) {
  of_pair_[pair_of(waiting.user, waiting.row.item)].push_back(due);
  waiting_.emplace(due, std::move(waiting));
}

void EventRows::release(std::vector<UpdateRow>& out) {
  while (!waiting_.empty() && waiting_.begin()->first.first < reached_) {
    const auto first = waiting_.begin();
    const auto list = of_pair_.find(pair_of(first->second.user, first->second.row.item));
    std::erase(list->second, first->first);
    if (list->second.empty()) of_pair_.erase(list);
    emit(first->second.row, out);
    waiting_.erase(first);
  }
}

std::string EventRows::state() const {
  Json waiting = Json::array();
  for (const auto& [due, w] : waiting_)
    waiting.push_back({due.first, due.second, w.row.user, w.row.item, w.row.label, w.user, w.request});
  const EventCounts& c = counts_;
  return Json{{"reached", reached_},
              {"waiting", std::move(waiting)},
              {"counts", {c.events, c.rows, c.strangers, c.answered, c.sampled, c.unknown_items, c.bad_values}},
              {"unknown", c.unknown}}
      .dump();
}

void EventRows::restore(const std::string& json) {
  try {
    const Json j = Json::parse(json);
    reached_ = j.at("reached");
    waiting_.clear();
    of_pair_.clear();
    for (const Json& w : j.at("waiting")) {
      Waiting one{{w.at(2), w.at(3), w.at(4), w.at(1)}, w.at(5), w.at(6)};
      WN_CHECK(one.row.user >= -1 && one.row.user < known_.users && one.row.item >= 0 && one.row.item < known_.items,
               DataError, "the state of the updates: a row of user {} and item {}", one.row.user, one.row.item);
      wait({w.at(0), w.at(1)}, std::move(one));
    }
    const Json& c = j.at("counts");
    counts_ = {c.at(0), c.at(1), c.at(2), c.at(3), c.at(4), c.at(5), c.at(6), j.at("unknown")};
  } catch (const Json::exception& e) { raise<DataError>("the state of the updates: {}", e.what()); }
}

}  // namespace winnow
