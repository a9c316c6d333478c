// POST /v1/search and /v1/embeddings.
#include "core/error.h"
#include "core/text.h"
#include "serve/api/detail/service_impl.h"

namespace winnow {
namespace {

struct SearchMemory {
  SearchScratch scratch;
  SearchAnswer answer;
  JsonBody body;
};
SearchMemory& memory() {
  thread_local SearchMemory m;
  return m;
}

void write_vector(JsonWriter& json, std::span<const float> vector) {
  json.open('[');
  for (const float v : vector) json.value(v);
  json.close(']');
}

}  // namespace

void Service::Impl::add_search_routes(HttpServer& server) {
  work(server,
       {"POST", "/v1/search", "Items for a query, by words and meaning; for a user in the order of the user's taste.",
        R"({"query": "toy story", "k": 10, "user": "196"})", ""},
       [this](HttpExchange& x, Measured& m) {
         SearchMemory& s = memory();
         const JsonObject o = s.body.object(x.request().body, {"query", "k", "user", "where", "model"});
         const auto [user, model] = asked(o);
         const auto known = knowledge_of(*model);
         const Catalogue& c = *known->catalogue;
         SearchRequest request{.query = o.text("query", "")};
         WN_CHECK(!request.query.empty() && request.query.size() <= 1024, DataError,
                  "query: expected a text of 1 to 1024 bytes");
         request.k = o.integer("k", 10, 1, 1000);
         const std::vector<ValueFilter> where = read_where(o);
         request.where = where;
         const auto available = known->recommender->available();
         request.may = available.get();
         if (!user.empty()) {
           const int64_t u = c.find_user(user);
           request.user = u >= 0 ? c.side(FeatureSide::User, u) : c.stranger();
         }
         {
           const RequestModel mine(model, deadline(x));
           known->search->search(request, s.scratch, s.answer);
         }
         JsonWriter json;
         json.open('{').field("model", model->name).field("version", model->version);
         if (!s.answer.corrected.empty()) json.field("searched_for", s.answer.corrected);
         json.key("items").open('[');
         for (const SearchHit& hit : s.answer.hits) {
           json.open('{').field("item", c.item_key(hit.item));
           if (const auto title = c.item_title(hit.item); !title.empty()) json.field("title", title);
           json.field("score", hit.score).field("words", hit.words).field("meaning", hit.meaning);
           if (hit.probability) json.field("probability", *hit.probability);
           json.close('}');
         }
         json.close(']').close('}');
         reply_json(x, m, json);
       });

  work(server,
       {"POST", "/v1/embeddings", "Vectors of texts (with an encoder), or of items as the model learned them.",
        R"({"texts": ["red shoes"]})", ""},
       [this](HttpExchange& x, Measured& m) {
         SearchMemory& s = memory();
         const JsonObject o = s.body.object(x.request().body, {"texts", "items", "model"});
         WN_CHECK(o.has("texts") != o.has("items"), DataError, "expected either `texts` or `items`");
         JsonWriter json;
         json.open('{');
         if (const auto given = o.list("texts", 256)) {
           WN_CHECK(query_encoder != nullptr, DataError, "texts: this server has no encoder (winnow serve --encoder)");
           json.field("width", encoder->width()).key("embeddings").open('[');
           std::vector<float> vector(static_cast<size_t>(encoder->width()));
           for (const JsonElement element : *given) {
             std::string_view text;
             if (element.get(text) != simdjson::SUCCESS || text.size() > (64 << 10))
               o.refuse("texts", "a list of texts of at most 64 KiB");
             (*query_encoder)(text, vector);
             write_vector(json, vector);
           }
         } else {
           const auto known = knowledge_of(*models->of(o.text("model", "")));
           WN_CHECK(known->items.embedding != nullptr, DataError, "items: this model has no embeddings of items");
           json.field("width", known->items.embedding->width()).key("embeddings").open('[');
           std::string id;
           const auto items = o.list("items", 1000);
           for (const JsonElement element : *items) {
             if (!id_text(element, id)) o.refuse("items", "a list of items");
             const int64_t item = known->catalogue->find_item(id);
             WN_CHECK(item >= 0, DataError, "items: there is no item {}", winnow::quoted(id));
             write_vector(json, known->items.embedding->of(item));
           }
         }
         json.close(']').close('}');
         reply_json(x, m, json);
       });
}

}  // namespace winnow
