// Batches for training a dual encoder: token rows of queries and candidates, and what is a negative of what.
#pragma once
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"
#include "data/match_data.h"
#include "data/token_batches.h"

namespace winnow {

struct MatchBatchOptions {
  int64_t batch_size = 64;
  int64_t hard_negatives = 0;  // of each query, from set_negatives()
  bool one_tower = true;       // queries and candidates in one set of token tensors, queries first
  // Subtracts log(n q) of each in-batch item, q its share of the training pairs and n the number of items
  // (nn/similarity_losses.h; the factor n shifts all alike and puts hard negatives, which are not sampled, beside
  // them).
  bool log_q = false;
  bool pairs = false;       // CoSENT: also lists pairs with labels
  int64_t other_items = 0;  // pairs: so many other items of the batch for each query, with label 0
  float excluded = -1e9f;   // what marks a candidate that is no negative
  uint64_t seed = 0;
  int forms = 3;
};

// The batches of every epoch: a function of (data, options, epoch, negatives). Row b of a batch has query b, candidate
// b (its positive) and candidates B + b H .. B + b H + H - 1 (its hard negatives); C = B (1 + H). A candidate is no
// negative of a query when its text is that of the query's positive, when the query's owner is known to like it
// (MatchData::known), or when there is none (a short last batch, a negative that was not found).
class MatchBatches {
 public:
  // Tokens of the two sets of tensors; one_tower: all are in `queries`, candidates is 0.
  struct Form {
    int64_t queries, candidates;
  };
  // queries, items: the token rows of data's texts. All three must outlive the batches. ConfigError: batch_size < 1.
  MatchBatches(const MatchData& data, const JaggedIds& queries, const JaggedIds& items,
               const MatchBatchOptions& options);

  int64_t rows() const { return static_cast<int64_t>(rows_.size()); }  // of an epoch
  int64_t batches() const { return order_.batches(0); }
  int64_t candidates() const { return options_.batch_size * (1 + options_.hard_negatives); }
  int64_t listed_pairs() const { return options_.batch_size * (1 + options_.other_items + options_.hard_negatives); }
  const std::vector<Form>& forms() const { return forms_; }

  // The query of a row of an epoch, for who looks for negatives. Rows of one query are consecutive.
  int32_t query_of(int64_t row) const { return rows_[static_cast<size_t>(row)].query; }
  // Items [rows, H] that are shown beside each row from here on; -1: none.
  void set_negatives(std::span<const int32_t> items);

  bool next();  // false at the epoch's end
  size_t form() const { return form_; }
  // In this order: ids, types, positions, offsets of the queries (one_tower: of the queries, then the candidates); of
  // the candidates (two towers); excluded f32 [B, C]; weights f32 [B]; with `pairs`: place i64 [P], label f32 [P],
  // weight f32 [P].
  std::span<const Tensor> feeds() const { return feeds_; }
  // Of the batch: items [C], -1 where there is none.
  std::span<const int32_t> items() const { return candidate_; }
  std::span<const int32_t> queries() const { return query_; }

  Cursor cursor() const { return order_.cursor(); }
  void seek(const Cursor& cursor);
  void start_epoch(int64_t epoch) { seek({epoch, 0}); }

 private:
  struct Row {
    int32_t query, item;  // item -1: drawn
    float strength;
  };
  struct TokenRow {
    const JaggedIds* source;
    int32_t row;  // -1: empty
  };
  void make_rows();
  MatchData::Pair positive(int64_t row, int64_t epoch) const;
  void choose_forms();
  void gather(std::span<const int32_t> rows, int64_t epoch);
  void fill_tokens();
  void fill_excluded();
  void fill_pairs();
  bool is_negative(int64_t query, int64_t candidate) const;
  static int64_t tokens_of(std::span<const TokenRow> rows);
  static void fill(std::span<const TokenRow> rows, TokenTensors& out);

  const MatchData& data_;
  const JaggedIds &query_tokens_, &item_tokens_;
  MatchBatchOptions options_;
  std::vector<Row> rows_;
  std::vector<int64_t> answer_begin_;  // draw: the answers of row r are answers_[answer_begin_[r] ..)
  std::vector<MatchData::Pair> answers_;
  std::vector<int32_t> negatives_;
  std::vector<float> log_q_;  // of each item
  TokenBatches order_;
  std::vector<Form> forms_;
  std::vector<TokenTensors> query_tensors_, candidate_tensors_;  // one a form
  Tensor excluded_, weights_, place_, label_, pair_weight_;
  std::vector<Tensor> feeds_;
  size_t form_ = 0;
  int64_t live_ = 0;
  std::vector<int32_t> query_, candidate_;
  std::vector<float> strength_;
  std::vector<TokenRow> query_rows_, candidate_rows_;
};

}  // namespace winnow
