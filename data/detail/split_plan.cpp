#include "data/detail/split_plan.h"

#include <array>
#include <cmath>
#include <limits>

#include "core/error.h"
#include "core/rng.h"

namespace winnow::detail {
namespace {

constexpr uint64_t kSplitStream = uint64_t{1} << 63;  // apart from the streams of the negatives, one an interaction

// 0.7 + 0.1 is a little below 0.8: a boundary is meant to be exact where the fractions are
int64_t boundary(int64_t n, double x) { return static_cast<int64_t>(std::floor(static_cast<double>(n) * x + 1e-6)); }

struct Census {
  int64_t rows = 0;
  int32_t users = 0;
  std::vector<int64_t> strata;  // rows of each
  int64_t first_time = std::numeric_limits<int64_t>::max(), last_time = std::numeric_limits<int64_t>::min();
};

Census count(const EachSplitRows& each) {
  Census c;
  each([&](const SplitRows& rows) {
    c.rows += static_cast<int64_t>(rows.user.size());
    for (const int32_t u : rows.user) c.users = std::max(c.users, u + 1);
    for (const int64_t t : rows.time) {
      c.first_time = std::min(c.first_time, t);
      c.last_time = std::max(c.last_time, t);
    }
    for (const int32_t s : rows.stratum) {
      if (static_cast<size_t>(s) >= c.strata.size()) c.strata.resize(static_cast<size_t>(s) + 1);
      ++c.strata[static_cast<size_t>(s)];
    }
  });
  return c;
}

// The first k interactions in stable order of time: those earlier than `time`, and the first `ties` at it.
struct TimeBoundary {
  int64_t time = 0, ties = 0;
  // To be asked for every interaction in order of the file.
  bool before(int64_t t) { return t < time || (t == time && ties-- > 0); }
};

// Exact selection of rank k < n in memory of one histogram: each pass keeps the bucket that holds the rank.
TimeBoundary select(const EachSplitRows& each, const Census& census, int64_t k) {
  constexpr int64_t kBuckets = int64_t{1} << 16;
  int64_t low = census.first_time, high = census.last_time, rank = k;
  while (low < high) {
    const int64_t width = (high - low) / kBuckets + 1;
    std::vector<int64_t> histogram(static_cast<size_t>((high - low) / width) + 1);
    each([&](const SplitRows& rows) {
      for (const int64_t t : rows.time)
        if (t >= low && t <= high) ++histogram[static_cast<size_t>((t - low) / width)];
    });
    size_t bucket = 0;
    for (; rank >= histogram[bucket]; ++bucket) rank -= histogram[bucket];
    low += static_cast<int64_t>(bucket) * width;
    high = std::min(high, low + width - 1);
  }
  return {low, rank};
}

// Algorithm S: deals out places of several parts, each row being as likely as any other to get any place.
class Deal {
 public:
  explicit Deal(std::vector<int64_t> places) : places_(std::move(places)) {
    for (const int64_t p : places_) left_ += p;
  }
  size_t next(Rng& rng) {
    auto at = static_cast<int64_t>(rng.below(static_cast<uint64_t>(left_--)));
    size_t part = 0;
    for (; at >= places_[part]; ++part) at -= places_[part];
    --places_[part];
    return part;
  }

 private:
  std::vector<int64_t> places_;
  int64_t left_ = 0;
};

class Planner {
 public:
  Planner(const Schema& schema, const EachSplitRows& each)
      : spec_(schema.split),
        name_(schema.interactions.source.name()),
        each_(each),
        census_(count(each)),
        rng_(schema.seed, kSplitStream) {
    splits_.reserve(static_cast<size_t>(census_.rows));
  }

  std::vector<Split> plan() {
    switch (spec_.method) {
      case SplitSpec::Time: by_time(); break;
      case SplitSpec::Random: drawn(); break;
      case SplitSpec::Stratified: stratified(); break;
      case SplitSpec::User: by_user(); break;
      case SplitSpec::LeaveLastOut: leave_last_out(); break;
      case SplitSpec::KFold: folds(); break;
    }
    std::array<int64_t, 3> rows{};
    for (const Split s : splits_) ++rows[static_cast<size_t>(s)];
    for (const Split s : {Split::Train, Split::Valid, Split::Test}) check(s, rows[static_cast<size_t>(s)]);
    return std::move(splits_);
  }

 private:
  // Train, valid, test of m.
  std::vector<int64_t> places(int64_t m) const {
    const int64_t train = boundary(m, spec_.train), valid = boundary(m, spec_.train + spec_.valid);
    return {train, valid - train, m - valid};
  }

  void check(Split s, int64_t rows) const {
    if (rows > 0) return;
    std::string why = fmt::format("fractions {} / {} / {}", spec_.train, spec_.valid, spec_.test);
    if (spec_.method == SplitSpec::LeaveLastOut) why = "leave_last_out: no user has 3 or more";
    if (spec_.method == SplitSpec::User) why += fmt::format(" of {} users", census_.users);
    if (spec_.method == SplitSpec::KFold)
      why = fmt::format("{} folds and a test fraction of {}", spec_.folds, spec_.test);
    raise<DataError>("{}: the {} split is empty: {} interactions are left for {}", name_, name_of(s), census_.rows,
                     why);
  }

  void by_time() {
    const auto p = places(census_.rows);
    for (size_t i = 0; i < 3; ++i) check(static_cast<Split>(i), p[i]);
    TimeBoundary train = select(each_, census_, p[0]), valid = select(each_, census_, p[0] + p[1]);
    each_([&](const SplitRows& rows) {
      for (const int64_t t : rows.time) {
        const bool in_train = train.before(t), before_test = valid.before(t);  // each counts its ties
        splits_.push_back(in_train ? Split::Train : before_test ? Split::Valid : Split::Test);
      }
    });
  }

  void drawn() {
    Deal deal(places(census_.rows));
    for (int64_t r = 0; r < census_.rows; ++r) splits_.push_back(static_cast<Split>(deal.next(rng_)));
  }

  void stratified() {
    std::vector<Deal> deals;
    for (const int64_t n : census_.strata) {
      const auto nearest = [n](double x) { return static_cast<int64_t>(std::floor(static_cast<double>(n) * x + 0.5)); };
      const int64_t train = nearest(spec_.train), valid = nearest(spec_.train + spec_.valid);
      deals.emplace_back(std::vector<int64_t>{train, valid - train, n - valid});
    }
    each_([&](const SplitRows& rows) {
      for (const int32_t s : rows.stratum)
        splits_.push_back(static_cast<Split>(deals[static_cast<size_t>(s)].next(rng_)));
    });
  }

  void by_user() {
    Deal deal(places(census_.users));
    std::vector<Split> of_user;
    for (int32_t u = 0; u < census_.users; ++u) of_user.push_back(static_cast<Split>(deal.next(rng_)));
    each_([&](const SplitRows& rows) {
      for (const int32_t u : rows.user) splits_.push_back(of_user[static_cast<size_t>(u)]);
    });
  }

  void leave_last_out() {
    struct Latest {
      int64_t last_time, second_time;
      int32_t last = -1, second = -1;
      int64_t rows = 0;
    };
    std::vector<Latest> users(static_cast<size_t>(census_.users));
    int32_t row = 0;
    each_([&](const SplitRows& rows) {
      for (size_t i = 0; i < rows.user.size(); ++i, ++row) {
        Latest& u = users[static_cast<size_t>(rows.user[i])];
        const int64_t time = rows.time.empty() ? 0 : rows.time[i];
        ++u.rows;
        if (u.last < 0 || time >= u.last_time) {
          u.second = u.last, u.second_time = u.last_time;
          u.last = row, u.last_time = time;
        } else if (u.second < 0 || time >= u.second_time) {
          u.second = row, u.second_time = time;
        }
      }
    });
    splits_.assign(static_cast<size_t>(census_.rows), Split::Train);
    for (const Latest& u : users) {
      if (u.rows < 3) continue;
      splits_[static_cast<size_t>(u.last)] = Split::Test;
      splits_[static_cast<size_t>(u.second)] = Split::Valid;
    }
  }

  void folds() {
    const int64_t kept = boundary(census_.rows, 1 - spec_.test), k = spec_.folds;
    check(Split::Test, census_.rows - kept);
    std::vector<int64_t> parts;
    for (int64_t f = 0; f < k; ++f) parts.push_back(kept * (f + 1) / k - kept * f / k);
    const auto of_fold = [&](size_t f) { return static_cast<int64_t>(f) == spec_.fold ? Split::Valid : Split::Train; };
    if (!spec_.test_by_time) {
      parts.push_back(census_.rows - kept);
      Deal deal(std::move(parts));
      for (int64_t r = 0; r < census_.rows; ++r) {
        const size_t part = deal.next(rng_);
        splits_.push_back(part == static_cast<size_t>(k) ? Split::Test : of_fold(part));
      }
      return;
    }
    TimeBoundary test = select(each_, census_, kept);
    Deal deal(std::move(parts));
    each_([&](const SplitRows& rows) {
      for (const int64_t t : rows.time) splits_.push_back(test.before(t) ? of_fold(deal.next(rng_)) : Split::Test);
    });
  }

  const SplitSpec& spec_;
  std::string name_;
  const EachSplitRows& each_;
  Census census_;
  Rng rng_;
  std::vector<Split> splits_;
};

}  // namespace

std::vector<Split> plan_splits(const Schema& schema, const EachSplitRows& each) { return Planner(schema, each).plan(); }

}  // namespace winnow::detail
