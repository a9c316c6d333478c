// The texts of a batch of clicks: which item and history each row has, and the tokens that the encoder reads.
#pragma once
#include <memory>
#include <span>
#include <vector>

#include "data/item_history.h"
#include "data/token_batches.h"
#include "models/click_text.h"

namespace winnow {

struct ClickTextRows {
  HistoryOptions history;
  std::vector<std::string> items;  // texts, by item
  std::vector<std::string> users;  // pair: what stands before the history, by user
};

// Tokens of every item and user, encoded once.
struct ClickTextTokens {
  ClickTextTokens(const TextEncoder& encoder, const ClickTextRows& rows, bool pair);
  bool pair;
  int64_t max_len;
  SpecialTokens special;
  bool types;              // whether the second text is told apart
  JaggedIds items, users;  // towers: with special tokens; pair: without
  int64_t history;         // items at most
};

// One batch's text tensors. The forms differ in how many tokens they hold; all other tensors are common.
class ClickTextBatch {
 public:
  enum class Vectors : uint8_t { Encoded, Table };  // towers: item vectors from the encoder, or from a table of all
  // like: rows whose batches tell what capacities are worth a form.
  ClickTextBatch(const ClickTextTokens& tokens, const ItemHistory& history, const Dataset& dataset, int64_t batch_size,
                 Vectors vectors, std::span<const int32_t> like);
  // Tokens; a single 0 when there are none.
  const std::vector<int64_t>& capacities() const { return capacities_; }
  // Declares the inputs in `graph`, in feed order, and records the text of each row.
  Value record(Graph& graph, const ClickTextModel& model, const VariablePtr& table, const StepContext& context,
               int64_t capacity) const;
  // The texts of rows of the data set; rows of the batch beyond them are empty. Allocates nothing after the first
  // calls.
  void fill(std::span<const int32_t> rows);
  size_t form() const { return form_; }
  void append_feeds(std::vector<Tensor>& feeds) const;

 private:
  int64_t collect(std::span<const int32_t> rows);  // the batch's tokens
  void write_pairs(std::span<const int32_t> rows, TokenTensors& to) const;
  std::span<const int32_t> history_of(size_t at) const;
  void choose_capacities(std::span<const int32_t> like);

  const ClickTextTokens& tokens_;
  const ItemHistory& history_;
  const Dataset& dataset_;
  int64_t batch_size_, sequences_ = 0;
  Vectors vectors_;
  Tensor items_, history_ids_, history_offsets_;
  std::vector<int64_t> capacities_;
  std::vector<std::unique_ptr<TokenTensors>> forms_;
  size_t form_ = 0;
  std::vector<int32_t> taken_, distinct_, place_;  // histories of the batch, its distinct items, where each of all is
  std::vector<size_t> taken_begin_;
};

}  // namespace winnow
