#include <algorithm>
#include <tuple>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/clean_filters.h"
#include "data/string_index.h"
#include "data/timestamp.h"

namespace winnow::detail {
namespace {

class Bots final : public CleanFilter {
 public:
  Bots(const DropBots& spec, const RowReader& reader)
      : spec_(spec), format_(spec.time_format), user_(reader.column(spec.user)), time_(reader.column(spec.time)) {
    add_line("bots", spec.user,
             fmt::format("{} with more than {} rows in less than {} s", spec.whole_user ? "users" : "bursts",
                         spec.events, spec.seconds));
  }
  bool has_fit() const override { return true; }

  void fit(const CleanRow& row) override {
    const int64_t number = row_++;
    if (row.cells[user_].empty()) return;
    const std::string_view cell = row.cells[time_];
    const auto seconds = format_.parse(cell);
    if (!seconds)
      row.fail(spec_.time, fmt::format("{} is not a time of the format {}", quoted(cell), quoted(format_.format())));
    events_.push_back({*seconds, number, users_.add(row.cells[user_])});
  }

  void end_fit() override {
    std::ranges::sort(events_, {}, [](const Event& e) { return std::tuple(e.user, e.seconds, e.row); });
    for (size_t begin = 0; begin < events_.size();) {
      size_t end = begin;
      while (end < events_.size() && events_[end].user == events_[begin].user) ++end;
      mark(std::span(events_).subspan(begin, end - begin));
      begin = end;
    }
    std::ranges::sort(marked_);
    events_ = {};
    users_ = {};
  }
  void begin_pass() override { row_ = 0, next_ = 0; }

  int apply(CleanRow&) override {
    const int64_t number = row_++;
    if (next_ == marked_.size() || marked_[next_] != number) return kKept;
    ++next_;
    return 0;
  }

 private:
  struct Event {
    int64_t seconds, row;
    int32_t user;
  };

  // The events of one user, in order of time.
  void mark(std::span<const Event> events) {
    const auto most = static_cast<size_t>(spec_.events);
    size_t marked = 0;  // events before this place are marked or stay
    for (size_t i = 0; i + most < events.size(); ++i) {
      if (events[i + most].seconds - events[i].seconds >= spec_.seconds) continue;
      if (spec_.whole_user) {
        for (const Event& e : events) marked_.push_back(e.row);
        return;
      }
      for (size_t j = std::max(marked, i); j <= i + most; ++j) marked_.push_back(events[j].row);
      marked = i + most + 1;
    }
  }

  DropBots spec_;
  TimeFormat format_;
  size_t user_, time_;
  StringIndex users_;
  std::vector<Event> events_;
  std::vector<int64_t> marked_;  // row numbers, ascending
  int64_t row_ = 0;
  size_t next_ = 0;
};

}  // namespace

FilterPointer make_filter(const DropBots& spec, const RowReader& reader) {
  return std::make_unique<Bots>(spec, reader);
}

}  // namespace winnow::detail
