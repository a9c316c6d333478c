// What a policy did and got, and the probabilities with which another one would have acted: the input of off-policy
// evaluation.
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "data/rows.h"

namespace winnow {

// Row i: in context x_i, at position k_i of the list, the logging policy chose a_i with probability p_i; reward r_i.
struct LoggedBandit {
  int64_t rows = 0, actions = 0, positions = 1, width = 0, action_width = 0;
  std::vector<double> features;                           // [rows, width]
  std::vector<int32_t> action, position;                  // [rows], from 0
  std::vector<double> reward, propensity;                 // [rows]
  std::vector<int32_t> fold;                              // [rows], from 0: of cross-fitting; none: drawn
  std::vector<double> action_features;                    // [actions, action_width]; none: an indicator of each action
  std::vector<double> policy;                             // pi(a | x_i, k_i): [rows, actions], or [positions, actions]
  bool policy_by_row = false;                             // the first of the two
  std::vector<std::string> action_names, position_names;  // as the log has them
  int64_t zero_propensities = 0;                          // rows left out for it

  std::span<const double> context(int64_t row) const {
    return std::span(features).subspan(static_cast<size_t>(row * width), static_cast<size_t>(width));
  }
  std::span<const double> policy_of(int64_t row) const {
    const int64_t line = policy_by_row ? row : position[static_cast<size_t>(row)];
    return std::span(policy).subspan(static_cast<size_t>(line * actions), static_cast<size_t>(actions));
  }
  // w_i = pi(a_i | x_i, k_i) / p_i
  double weight(int64_t row) const {
    const auto i = static_cast<size_t>(row);
    return policy_of(row)[static_cast<size_t>(action[i])] / propensity[i];
  }
  // DataError names the first broken rule: sizes, ids out of range, propensities outside (0, 1], a value that is not
  // finite, probabilities below 0 or whose sum over the actions is further than 1e-3 from 1.
  void check() const;
};

// Where the columns of a log are, and the evaluation policy. One of policy_columns, policy_table and policy_file.
struct LoggedBanditSpec {
  SourceSpec log;
  std::string action = "action", reward = "reward", propensity = "propensity";
  std::string position;               // "": one position
  std::string fold;                   // of cross-fitting, a text for each; "": drawn
  std::vector<std::string> features;  // names; "user_*": all that begin so. Numbers as they are; columns with a cell
                                      // that is no number become an indicator for each of their texts
  // The prefix of columns <prefix><action>: pi of each action in each row.
  std::string policy_columns;
  // A table of the columns action, probability and, with positions, position: the same pi in every context.
  std::string policy_table;
  // A saved policy (serve/bandits/policy.h); contexts are the features in the order given, actions 0, 1, ...
  std::string policy_file;
  int64_t draws = 10000;  // where a policy file has no closed form of its probabilities
  // A table of one row an action: the column `action`, and features of it (all other named columns, "" none).
  std::string action_table;
  std::vector<std::string> action_features;
};

// DataError "file:line: column 'name': what". Rows with a propensity of 0 are left out and counted.
LoggedBandit read_logged_bandit(const LoggedBanditSpec& spec);

}  // namespace winnow
