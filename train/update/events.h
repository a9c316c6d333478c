// What users did, as rows that a click model learns from.
//
//   click=1            an event of the kind click is a row of label 1
//   impression=0@600   one of label 0, unless within 600 s the same user gives the same item a row of label 1 (of the
//                      same request, where both name one); it becomes a row once the log has reached that time
//   rating>=4          label 1 where the event's value holds the rule, else 0
#pragma once
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/error.h"
#include "data/schema.h"

namespace winnow {

struct UpdateEvent {
  int64_t sequence = 0;  // 1, 2, ... in the order of the log
  int64_t time_us = 0;   // microseconds since 1970
  std::string user, item, kind;
  double value = 1;
  std::string request;  // "" none
};

// Where events come from.
class EventLog {
 public:
  virtual ~EventLog() = default;
  virtual std::string name() const = 0;
  // Appends the events after sequence `after` in order, at most `limit`. DataError: the log ends before `after`.
  virtual void read(int64_t after, int64_t limit, std::vector<UpdateEvent>& out) = 0;
  virtual int64_t last_sequence() const = 0;
  virtual bool at_end() const {
    return true;
  }  // when read() appended nothing: there is no more, not just no answer yet
  // Where a log of several parts stands, for its next start; kept in the state, beside the parameters.
  virtual std::string position() const { return ""; }
  virtual void seek(const std::string& /*position*/, int64_t /*sequence*/) {}
};

struct LabelRule {
  std::string kind;
  float label = 1;   // where there is no rule
  CellRule rule;     // AsIs: none
  double wait = 0;   // seconds
  std::string text;  // as it was given
};
// ConfigError with the forms above.
LabelRule parse_label_rule(const std::string& text);
// impression=0@600 click=1 like=1 dislike=0 cart=1 purchase=1; and where the run's label is a rule on a column, that
// one for events of the column's name, as rating>=4.
std::vector<LabelRule> default_label_rules(const Schema& schema);

// A row to learn: what the catalogue knows of its user and its item.
struct UpdateRow {
  int64_t user = -1, item = 0;  // user -1: a stranger
  float label = 0;
  int64_t sequence = 0;  // of the event; 0: of the run's own data
  friend bool operator==(const UpdateRow&, const UpdateRow&) = default;
};

struct KnownIds {
  std::function<int64_t(std::string_view)> user, item;  // -1: unknown
  int64_t users = 0, items = 0;
  std::function<bool(int64_t user, int64_t item)> taken;  // never a sampled negative of the user
};

struct EventCounts {
  int64_t events = 0, rows = 0;
  int64_t strangers = 0;                   // rows of users whom the run does not know
  int64_t answered = 0;                    // impressions that a positive followed
  int64_t sampled = 0;                     // negatives drawn beside positives
  int64_t unknown_items = 0;               // skipped
  int64_t bad_values = 0;                  // skipped: the rule compares numbers and the value is none
  std::map<std::string, int64_t> unknown;  // skipped: kinds that no rule names
  int64_t skipped() const;
  std::string reasons() const;  // "3 of unknown items, 2 of kind 'view'"; "" none
};

// Rows as a function of the log alone: whatever the pieces in which it is read, and whatever the clock says.
class EventRows {
 public:
  // negatives: rows of label 0 beside each of label 1, of items drawn by (seed, sequence) uniformly from those that the
  // user has not taken, for logs that hold no impressions. ConfigError: a kind twice, no rule.
  EventRows(std::vector<LabelRule> rules, KnownIds known, int64_t negatives, uint64_t seed);
  // Appends the rows that this event makes ready. Events come in order.
  void add(const UpdateEvent& event, std::vector<UpdateRow>& out);
  // The negatives beside a row of label 1.
  void sample_negatives(const UpdateRow& positive, uint64_t key, std::vector<UpdateRow>& out);
  const EventCounts& counts() const { return counts_; }
  int64_t waiting() const { return static_cast<int64_t>(waiting_.size()); }

  std::string state() const;              // JSON: what waits, the time reached, the counts
  void restore(const std::string& json);  // DataError

 private:
  struct Waiting {
    UpdateRow row;
    std::string user, request;
  };
  using Due = std::pair<int64_t, int64_t>;  // time, sequence
  void emit(const UpdateRow& row, std::vector<UpdateRow>& out);
  void answer(const UpdateEvent& event, const UpdateRow& row);
  void wait(const Due& due, Waiting waiting);
  void release(std::vector<UpdateRow>& out);
  static std::string pair_of(std::string_view user, int64_t item) { return fmt::format("{}\n{}", item, user); }

  std::vector<LabelRule> rules_;
  KnownIds known_;
  int64_t negatives_;
  uint64_t seed_;
  EventCounts counts_;
  int64_t reached_ = 0;  // the latest time of an event, microseconds
  std::map<Due, Waiting> waiting_;
  std::unordered_map<std::string, std::vector<Due>> of_pair_;  // by pair_of(): what waits
};

}  // namespace winnow
