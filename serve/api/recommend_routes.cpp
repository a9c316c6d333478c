// Lists of items: for a user, similar to an item, bought together with it, new, popular; and who the users are.
#include <algorithm>

#include "core/error.h"
#include "core/text.h"
#include "serve/api/detail/service_impl.h"

namespace winnow {
namespace {

struct ListScratch {
  RecommendScratch recommend;
  std::vector<RecommendedItem> items;
  std::vector<Candidate> candidates;
  std::vector<RankedItem> ranked;
  std::vector<TakenItem> since;
  std::vector<int64_t> allow, deny;
  JsonBody body;
};
ListScratch& scratch() {
  thread_local ListScratch s;
  return s;
}

std::vector<int64_t> items_of(const Catalogue& catalogue, const JsonObject& o, std::string_view key) {
  std::vector<int64_t> items;
  const auto list = o.list(key, 10'000);
  if (!list) return items;
  std::string id;
  for (const JsonElement element : *list) {
    if (!id_text(element, id)) o.refuse(key, "a list of items");
    if (const int64_t item = catalogue.find_item(id); item >= 0) items.push_back(item);
  }
  return items;
}

void write_item(JsonWriter& json, const Catalogue& catalogue, int64_t item) {
  json.field("item", catalogue.item_key(item));
  if (const auto title = catalogue.item_title(item); !title.empty()) json.field("title", title);
}

void write_reason(JsonWriter& json, const Recommender& recommender, const Catalogue& catalogue, const Reason& reason) {
  json.field("reason", recommender.text(reason));
  if (reason.item >= 0) json.field("because", catalogue.item_key(reason.item));
}

// The policy's choice of what stands first among the best, and of the order behind it; the first `k` stay.
double arrange(ListPolicy& policy, const std::string& request, const Catalogue& catalogue, int64_t k,
               std::vector<RecommendedItem>& items) {
  std::vector<PolicyCandidate> candidates;
  std::vector<std::string> keys;
  for (const RecommendedItem& item : items) {
    const bool is_new = std::ranges::any_of(item.causes, [](const Cause& c) { return c.source == "new"; });
    candidates.push_back({item.score, is_new, catalogue.positives(item.item)});
    keys.emplace_back(catalogue.item_key(item.item));
  }
  const ListPolicy::Choice choice = policy.choose(request, candidates, keys, k);
  std::vector<RecommendedItem> chosen;
  for (const int32_t place : choice.order) chosen.push_back(std::move(items[static_cast<size_t>(place)]));
  items = std::move(chosen);
  return choice.propensity;
}

}  // namespace

// {"genres": "Comedy"}, {"genres": ["Comedy", "Drama"], "year": {"not": "1995"}}
std::vector<ValueFilter> read_where(const JsonObject& o) {
  std::vector<ValueFilter> filters;
  const auto where = o.object("where");
  if (!where) return filters;
  for (const auto field : where->fields()) {
    ValueFilter f{std::string(field.key), {}, false};
    JsonElement values = field.value;
    simdjson::dom::object inner;
    if (values.get(inner) == simdjson::SUCCESS) {
      const JsonObject exclude(inner, where->place_of(field.key));
      exclude.only({"not"});
      f.exclude = true;
      values = exclude.need("not");
    }
    const auto add = [&](JsonElement value) {
      std::string text;
      if (value.is_array() || !append_cell(value, "", text) || text.empty())
        where->refuse(field.key, "a value, a list of values, or {\"not\": ...}");
      f.values.push_back(std::move(text));
    };
    if (simdjson::dom::array list; values.get(list) == simdjson::SUCCESS)
      for (const JsonElement value : list) add(value);
    else
      add(values);
    filters.push_back(std::move(f));
  }
  return filters;
}

void Service::Impl::add_recommend_routes(HttpServer& server) {
  work(server,
       {"POST", "/v1/recommend", "Items for a user, with the reasons.",
        R"({"user": "196", "k": 10, "where": {"genres": "Comedy"}})", ""},
       [this](HttpExchange& x, Measured& m) {
         ListScratch& s = scratch();
         const JsonObject o = s.body.object(x.request().body, {"user", "user_features", "k", "where", "allow", "deny",
                                                               "seen_too", "model", "explain"});
         const auto [user, model] = asked(o);
         const auto known = knowledge_of(*model);
         const Catalogue& c = *known->catalogue;
         RecommendRequest request{.user = user.empty() ? -1 : c.find_user(user)};
         const int64_t k = o.integer("k", 10, 1, 1000);
         request.k = policy == nullptr ? k : std::max(k, policy->options().among);
         const std::vector<ValueFilter> where = read_where(o);
         request.where = where;
         s.allow = items_of(c, o, "allow"), s.deny = items_of(c, o, "deny");
         WN_CHECK(!o.has("allow") || !s.allow.empty(), DataError, "allow: none of these items is known");
         request.allow = s.allow, request.deny = s.deny;
         request.seen_too = o.flag("seen_too", false);
         EncodedRow row;
         if (const auto features = o.object("user_features")) {
           SideCells cells(model->saved->map, FeatureSide::User);
           cells.read(*features);
           cells.encode(request.user >= 0 ? c.side(FeatureSide::User, request.user) : c.stranger(), row);
           request.side = view_of(row);
         }
         since(user, c, s.since);
         request.since = s.since;
         RecommendTrace trace;
         {
           const RequestModel mine(model, deadline(x));
           known->recommender->recommend(request, s.recommend, s.items, &trace);
         }
         const std::string id = fmt::format("{:x}-{:x}", started_us, answers.fetch_add(1));
         JsonWriter json;
         json.open('{').field("model", model->name).field("version", model->version).field("request", id);
         if (policy != nullptr) json.field("propensity", arrange(*policy, id, c, k, s.items));
         json.field("known_user", request.user >= 0).field("recent_events", s.since.size());
         json.field("candidates", trace.candidates).key("items").open('[');
         for (const RecommendedItem& item : s.items) {
           json.open('{');
           write_item(json, c, item.item);
           json.field("score", item.score).field("probability", item.probability);
           if (item.pinned) json.field("pinned", true);
           json.key("sources").open('[');
           for (const Cause& cause : item.causes) {
             json.open('{').field("source", cause.source).field("rank", cause.rank).field("score", cause.score);
             write_reason(json, *known->recommender, c, cause.reason);
             json.close('}');
           }
           json.close(']').close('}');
         }
         json.close(']').close('}');
         reply_json(x, m, json);
       });

  work(server,
       {"GET", "/v1/similar", "Items like an item: ?item=242&k=10, and how=together, content or taste.", "", ""},
       [this](HttpExchange& x, Measured& m) {
         ListScratch& s = scratch();
         const auto model = models->of(x.request().parameter("model"));
         const auto known = knowledge_of(*model);
         const Catalogue& c = *known->catalogue;
         const std::string_view id = x.request().parameter("item"), how = x.request().parameter("how");
         const int64_t item = c.find_item(id), k = query_integer(x.request(), "k", 10, 1, 1000);
         WN_CHECK(item >= 0, DataError, "item: there is no item {}", quoted(id));
         RecommendRequest request;
         request.k = k;
         JsonWriter json;
         json.open('{').key("of").open('{');
         write_item(json, c, item);
         json.close('}').key("items").open('[');
         if (how.empty()) {
           known->recommender->similar(item, request, s.recommend, s.ranked);
           for (const RankedItem& r : s.ranked) {
             json.open('{');
             write_item(json, c, r.item);
             json.field("score", r.score).close('}');
           }
         } else {
           const std::string_view source = how == "together"  ? "co_occurrence"
                                           : how == "content" ? "text"
                                           : how == "taste"   ? "embedding"
                                                              : "";
           WN_CHECK(!source.empty(), DataError, "how: expected together, content or taste, found {}", quoted(how));
           known->recommender->related(source, item, request, s.recommend, s.candidates);
           for (const Candidate& r : s.candidates) {
             json.open('{');
             write_item(json, c, r.item);
             json.field("score", r.score).close('}');
           }
         }
         json.close(']').close('}');
         reply_json(x, m, json);
       });

  work(server, {"GET", "/v1/items", "Items without a user: ?source=new or popular, &k=10.", "", ""},
       [this](HttpExchange& x, Measured& m) {
         ListScratch& s = scratch();
         const auto known = knowledge_of(*models->of(x.request().parameter("model")));
         const Catalogue& c = *known->catalogue;
         const std::string_view source = x.request().parameter("source");
         RecommendRequest request;
         request.k = query_integer(x.request(), "k", 10, 1, 1000);
         known->recommender->from_source(source.empty() ? "popular" : source, request, s.recommend, s.candidates);
         JsonWriter json;
         json.open('{').key("items").open('[');
         for (const Candidate& r : s.candidates) {
           json.open('{');
           write_item(json, c, r.item);
           json.field("score", r.score);
           write_reason(json, *known->recommender, c, r.reason);
           json.close('}');
         }
         json.close(']').close('}');
         reply_json(x, m, json);
       });

  work(
      server,
      {"GET", "/v1/users", "Some users of the training data, or one with the latest it did: ?user=196, &k=20.", "", ""},
      [this](HttpExchange& x, Measured& m) {
        const auto known = knowledge_of(*models->of(x.request().parameter("model")));
        const Catalogue& c = *known->catalogue;
        const std::string user(x.request().parameter("user"));
        const int64_t k = query_integer(x.request(), "k", 20, 1, 1000);
        JsonWriter json;
        json.open('{');
        if (user.empty()) {
          json.key("users").open('[');
          const int64_t step = std::max<int64_t>(c.users() / k, 1);
          for (int64_t u = 0, n = 0; u < c.users() && n < k; u += step, ++n)
            json.open('{').field("user", c.user_key(u)).field("history", c.taken(u)).close('}');
        } else {
          std::vector<TakenItem> recent;
          since(user, c, recent);
          const int64_t u = c.find_user(user), had = u < 0 ? 0 : c.taken(u);
          json.field("user", user).field("known", u >= 0).key("history").open('[');
          const auto write = [&](const TakenItem& t, bool live) {
            json.open('{');
            write_item(json, c, t.item);
            json.field("time", t.time).field("liked", t.label > 0.5f).field("live", live).close('}');
          };
          for (auto t = recent.rbegin(); t != recent.rend(); ++t) write(*t, true);
          for (int64_t n = had; n-- > std::max<int64_t>(had - k, 0);) write(c.taken(u, n), false);
          json.close(']').close('}');
          reply_json(x, m, json);
          return;
        }
        json.close(']').close('}');
        reply_json(x, m, json);
      });
}

}  // namespace winnow
