// The rows of the tables of a synthetic store, as CSV text.
#pragma once
#include <string>

#include "data/detail/store_log.h"

namespace winnow::store {

// What --dirty put into the tables, row by row, for the counts that a cleaning can be checked against.
struct Dirt {
  int64_t duplicate_rows = 0, cancelled_orders = 0, bot_rows = 0, impossible_times = 0;
  int64_t impossible_ages = 0, impossible_prices = 0, html_titles = 0, full_width_titles = 0;
  Dirt& operator+=(const Dirt& d);
};

// Header rows, with the line end.
extern const char* const kUsersHeader;
extern const char* const kItemsHeader;
extern const char* const kQueriesHeader;
extern const char* const kRelevanceHeader;
extern const char* const kQuestionsHeader;
extern const char* const kImpressionsHeader;
extern const char* const kSessionsHeader;
extern const char* const kReviewsHeader;
extern const char* const kProbabilitiesHeader;

void add_user(std::string& text, const World& world, size_t n, Dirt& dirt);
void add_item(std::string& text, const World& world, size_t n, Dirt& dirt);
void add_query(std::string& text, const World& world, size_t n);
void add_relevance(std::string& text, const World& world, size_t query);  // up to 20 judged items
void add_questions(std::string& text, const World& world, size_t item);   // none to three

// The tables of a block. Rows of `impressions` and of `probabilities` correspond, dirty ones included.
struct BlockTexts {
  std::string impressions, sessions, reviews, probabilities;
  int64_t rows = 0;
  Dirt dirt;
};
BlockTexts write_block(const World& world, const Block& block);

}  // namespace winnow::store
