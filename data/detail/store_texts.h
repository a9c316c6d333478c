// Sentences of the synthetic store: the words of store_words.h put together by a small grammar, so that they say what
// the item, the search or the rating is.
#pragma once
#include <string>

#include "data/detail/store_world.h"

namespace winnow::store {

// A title names quality, the item's own style, a tag, the noun, the size and a use, in both languages the same.
struct Titles {
  std::string en, zh;
};
Titles titles(const World& world, size_t item);

std::string query_text(const Query& query);
std::string review_text(const World& world, size_t item, int rating, bool chinese, Draws& draws);

struct Question {
  size_t intent = 0;
  bool chinese = false;
  std::string question, answer;
};
Question question(const World& world, size_t item, Draws& draws);

void make_html(std::string& text);        // markup and entities, as a careless export leaves them
void make_full_width(std::string& text);  // ASCII letters, digits and signs as their full-width forms

}  // namespace winnow::store
