#include "data/detail/store_texts.h"

#include <fmt/format.h>

#include <algorithm>

#include "data/detail/store_words.h"

namespace winnow::store {
namespace {

// The words that all texts of an item agree on.
struct ItemWords {
  Word brand, quality, style, tag, noun, use;
  std::string size;
};

ItemWords words_of(const World& world, size_t n) {
  const Item& i = world.items[n];
  const LeafWords& leaf = kLeafWords[i.leaf];
  Draws draws(world.options.seed, Stream::Text, n);
  // the dimension in which the item is most itself gives its adjective
  size_t most = 0;
  for (size_t d = 1; d < kDim; ++d)
    if (std::abs(i.own[d]) > std::abs(i.own[most])) most = d;
  const size_t quality = i.quality < -0.2 ? 0 : i.quality < 0.2 ? 1 : 2;
  ItemWords w;
  w.brand = kBrandWords[i.brand];
  w.quality = kQualityWords[draws.chance(0.1) ? draws.below(3) : quality][draws.below(4)];
  w.style = kStyleWords[most][i.own[most] < 0 ? 0 : 1][draws.below(4)];
  w.tag = kTagWords[*i.tags.begin()];
  w.noun = leaf.nouns[i.noun];
  w.use = kUseWords[draws.below(kUseWords.size())];
  w.size = fmt::format("{} {}", leaf.smallest + leaf.step * static_cast<int>(draws.below(6)), leaf.unit);
  return w;
}

std::string price_of(const Item& i) { return fmt::format("{}.{:02}", i.cents / 100, i.cents % 100); }

}  // namespace

Titles titles(const World& world, size_t item) {
  const ItemWords w = words_of(world, item);
  return {
      fmt::format("{} {} {} {} {}, {}, {}", w.brand.en, w.quality.en, w.style.en, w.tag.en, w.noun.en, w.size,
                  w.use.en),
      fmt::format("{}{} {}{}{} {} {}", w.brand.zh, w.quality.zh, w.style.zh, w.tag.zh, w.noun.zh, w.size, w.use.zh)};
}

std::string query_text(const Query& q) {
  const char* space = q.chinese ? "" : " ";
  std::string text;
  if (q.brand != kNone) text += kBrandWords[q.brand].in(q.chinese) + std::string(space);
  if (q.tag != kNone) text += kTagWords[q.tag].in(q.chinese) + std::string(space);
  return text + kLeafWords[q.leaf].nouns[q.noun].in(q.chinese);
}

std::string review_text(const World& world, size_t item, int rating, bool chinese, Draws& draws) {
  const Item& i = world.items[item];
  const size_t mood = rating <= 2 ? 0 : rating == 3 ? 1 : 2;
  const char* space = chinese ? "" : " ";
  const char* noun = kLeafWords[i.leaf].nouns[i.noun].in(chinese);
  std::string text = fmt::format(fmt::runtime(kOpenings[mood][draws.below(4)].in(chinese)), noun);
  for (size_t left = 1 + draws.below(2), aspect = draws.below(kAspects); left > 0; --left, ++aspect) {
    const size_t about = draws.chance(0.8) ? mood : 1;  // even a happy customer has a reservation
    text += space;
    text += kRemarks[aspect % kAspects][about][draws.below(2)].in(chinese);
  }
  if (draws.chance(0.6)) {
    text += space;
    text += kClosings[mood][draws.below(4)].in(chinese);
  }
  return text;
}

Question question(const World& world, size_t item, Draws& draws) {
  const ItemWords w = words_of(world, item);
  Question q;
  q.intent = draws.below(kIntents);
  q.chinese = draws.chance(0.7);
  const IntentWords& words = kIntentWords[q.intent];
  const char* noun = w.noun.in(q.chinese);
  const char* what = (std::string_view(words.name) == "material" ? w.tag : w.brand).in(q.chinese);
  const std::string price = price_of(world.items[item]);
  const auto fill = [&](const Word& sentence) {
    return fmt::format(fmt::runtime(sentence.in(q.chinese)), noun, what, w.size, price);
  };
  q.question = fill(words.questions[draws.below(3)]);
  q.answer = fill(words.answers[draws.below(2)]);
  return q;
}

void make_html(std::string& text) {
  std::string out = "<b>";
  for (const char c : text) {
    if (c == '&')
      out += "&amp;";
    else if (c == ' ')
      out += "&nbsp;";
    else if (c == '\'')
      out += "&#39;";
    else
      out += c;
  }
  text = out + "</b>";
}

void make_full_width(std::string& text) {
  std::string out;
  for (const char c : text) {
    if (c > 0x20 && c < 0x7f) {
      // U+FF01 + (c - '!'), in UTF-8
      const unsigned point = 0xFF01u + static_cast<unsigned>(c - '!');
      out += static_cast<char>(0xE0 | (point >> 12));
      out += static_cast<char>(0x80 | ((point >> 6) & 0x3F));
      out += static_cast<char>(0x80 | (point & 0x3F));
    } else {
      out += c;
    }
  }
  text = out;
}

}  // namespace winnow::store
