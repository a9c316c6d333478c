// POST /v1/feedback: what users did, kept before it is acknowledged, and seen by the next answer.
#include <algorithm>
#include <set>

#include "core/error.h"
#include "serve/api/detail/service_impl.h"
#include "serve/store/json_event.h"

namespace winnow {

std::shared_ptr<const std::vector<UserEvent>> Service::Impl::history(const std::string& user) {
  constexpr int64_t kLatest = 200;
  return histories.get(user, [&] { return store->history(user, kLatest); });
}

void Service::Impl::since(const std::string& user, const Catalogue& catalogue, std::vector<TakenItem>& out) {
  out.clear();
  if (user.empty()) return;
  const auto events = history(user);
  for (const UserEvent& e : *events) {
    if (e.kind == "impression") continue;
    const int64_t item = catalogue.find_item(e.item);
    if (item < 0) continue;
    const bool liked = e.kind == "rating" ? e.value >= options.taste.liked_rating
                                          : std::ranges::find(options.taste.liked, e.kind) != options.taste.liked.end();
    out.push_back({item, e.time_us / 1'000'000, liked ? 1.f : 0.f});
  }
}

void Service::Impl::add_event_routes(HttpServer& server) {
  MetricCounter& about_unknown = metrics.counter("winnow_events_unknown_items_total",
                                                 "Of them those about items that the catalogue does not have.");
  work(server,
       {"POST", "/v1/feedback", "Events of users, one or {\"events\": [...]}: kept when the answer comes.",
        R"({"user": "196", "item": "242", "kind": "click", "request": "18f-2a", "position": 0})",
        R"({"accepted": 1, "sequence": 77})"},
       [this, &about_unknown](HttpExchange& x, Measured& m) {
         std::vector<UserEvent> events = parse_events(x.request().body, "body");
         for (UserEvent& e : events) {
           if (e.variant.empty()) e.variant = models->for_user(e.user)->name;
           if (policy != nullptr && !e.request.empty()) {
             const double propensity = policy->feedback(e.request, e.item, e.kind);
             if (e.propensity == 0) e.propensity = propensity;
           }
         }
         const int64_t last = store->append(events);
         std::set<std::string> users;
         for (const UserEvent& e : events) users.insert(e.user);
         for (const std::string& user : users) histories.invalidate(user);
         const std::vector<std::string> variants = models->names();
         const auto label = [&](const std::string& variant) {
           return std::ranges::find(variants, variant) == variants.end() ? std::string("other") : variant;
         };
         for (const UserEvent& e : events)
           metrics
               .counter("winnow_events_total", "Events taken.",
                        {{"kind", known_kind(e.kind)}, {"variant", label(e.variant)}})
               .add();
         JsonWriter json;
         json.open('{').field("accepted", events.size()).field("sequence", last);
         std::set<std::string> unknown;
         for (const UserEvent& e : events) {
           const auto model = models->for_user(e.user);
           if (model->catalogue == nullptr || model->catalogue->find_item(e.item) >= 0) continue;
           unknown.insert(e.item);
           about_unknown.add();
         }
         if (!unknown.empty()) {
           json.key("unknown_items").open('[');
           for (const std::string& item : unknown) json.value(item);
           json.close(']');
         }
         json.close('}');
         reply_json(x, m, json);
       });
}

}  // namespace winnow
