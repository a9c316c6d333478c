// What `winnow update` promises: each event is learnt once whatever happens, old knowledge is held as the formulas say.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>

#include "core/parallel.h"
#include "models/ctr_batches.h"
#include "nn/saved_parameters.h"
#include "ops/losses.h"
#include "tests/update_fixture.h"

namespace winnow {
namespace {

UpdateEvent event(int64_t sequence, int64_t second, const std::string& user, const std::string& item,
                  const std::string& kind, double value = 1, const std::string& request = "") {
  return {sequence, second * 1'000'000, user, item, kind, value, request};
}

KnownIds ten_ids() {
  const auto number = [](std::string_view key) {
    return key.size() == 1 && key[0] >= '0' && key[0] <= '9' ? key[0] - '0' : -1;
  };
  return {number, number, 10, 10, [](int64_t user, int64_t item) { return user == item; }};
}

std::vector<UpdateRow> rows_of(EventRows& rows, const std::vector<UpdateEvent>& events) {
  std::vector<UpdateRow> out;
  for (const UpdateEvent& e : events) rows.add(e, out);
  return out;
}

EventRows event_rows(const std::vector<std::string>& labels, int64_t negatives = 0) {
  std::vector<LabelRule> rules;
  for (const std::string& text : labels) rules.push_back(parse_label_rule(text));
  return EventRows(rules, ten_ids(), negatives, 1);
}

TEST(EventRows, AnImpressionIsANegativeOnlyWhenNoPositiveFollowsInTime) {
  EventRows rows = event_rows({"impression=0@60", "click=1"});
  const auto out = rows_of(rows, {event(1, 0, "1", "2", "impression"), event(2, 0, "1", "3", "impression"),
                                  event(3, 30, "1", "2", "click"), event(4, 61, "1", "3", "click")});
  const std::vector<UpdateRow> expected = {{1, 2, 1, 3}, {1, 3, 0, 2}, {1, 3, 1, 4}};
  EXPECT_EQ(out, expected);
  EXPECT_EQ(rows.counts().answered, 1);
}

TEST(EventRows, AClickAnswersTheImpressionOfItsRequestAlone) {
  EventRows rows = event_rows({"impression=0@60", "click=1"});
  const auto out =
      rows_of(rows, {event(1, 0, "1", "2", "impression", 1, "a"), event(2, 1, "1", "2", "impression", 1, "b"),
                     event(3, 5, "1", "2", "click", 1, "b"), event(4, 100, "9", "9", "click")});
  const std::vector<UpdateRow> expected = {{1, 2, 1, 3}, {1, 2, 0, 1}, {9, 9, 1, 4}};
  EXPECT_EQ(out, expected);
}

TEST(EventRows, EverySkippedEventIsCountedWithItsReason) {
  EventRows rows = event_rows({"rating>=4", "click=1"});
  const auto out =
      rows_of(rows, {event(1, 0, "1", "2", "rating", 4), event(2, 0, "1", "3", "rating", 3.5),
                     event(3, 0, "x", "3", "click"), event(4, 0, "1", "x", "click"), event(5, 0, "1", "3", "scroll")});
  const std::vector<UpdateRow> expected = {{1, 2, 1, 1}, {1, 3, 0, 2}, {-1, 3, 1, 3}};
  EXPECT_EQ(out, expected);
  EXPECT_EQ(rows.counts().skipped(), 2);
  EXPECT_EQ(rows.counts().strangers, 1);
  EXPECT_EQ(rows.counts().reasons(), "1 of unknown items, 1 of kind 'scroll'");
}

TEST(EventRows, SampledNegativesAreDistinctAndNeverTaken) {
  EventRows rows = event_rows({"click=1"}, 6);
  std::array<int, 10> drawn{};
  for (int64_t i = 1; i <= 2000; ++i) {
    std::vector<UpdateRow> out;
    rows.add(event(i, i, "4", "7", "click"), out);
    ASSERT_EQ(out.size(), 7U);
    std::set<int64_t> items;
    for (const UpdateRow& row : out) items.insert(row.item);
    EXPECT_EQ(items.size(), 7U);
    for (size_t k = 1; k < out.size(); ++k) ++drawn[static_cast<size_t>(out[k].item)];
  }
  EXPECT_EQ(drawn[4], 0);
  EXPECT_EQ(drawn[7], 0);
  for (const size_t item : {0U, 1U, 2U, 3U, 5U, 6U, 8U, 9U}) EXPECT_NEAR(drawn[item], 1500, 100) << item;
}

TEST(EventRows, RulesThatCannotBeMeantAreRefused) {
  for (const char* text : {"click", "=1", "click=2", "click=one", "impression=0@-1", "rating>=", "rating~4"})
    EXPECT_THROW(parse_label_rule(text), ConfigError) << text;
  EXPECT_THROW(event_rows({"click=1", "click=0"}), ConfigError);
  EXPECT_THROW(event_rows({}), ConfigError);
}

TEST(Reservoir, HoldsAUniformSampleOfAllRows) {
  constexpr int64_t kRows = 200, kCapacity = 20, kTrials = 4000;
  std::vector<int> held(kRows);
  for (int64_t trial = 0; trial < kTrials; ++trial) {
    Reservoir reservoir(kCapacity, static_cast<uint64_t>(trial));
    for (int64_t i = 0; i < kRows; ++i) reservoir.add({0, i, 0, i});
    ASSERT_EQ(reservoir.rows().size(), static_cast<size_t>(kCapacity));
    for (const UpdateRow& row : reservoir.rows()) ++held[static_cast<size_t>(row.item)];
  }
  const double expected = static_cast<double>(kTrials * kCapacity) / kRows;  // 400
  double chi = 0;
  for (const int n : held) chi += (n - expected) * (n - expected) / expected;
  EXPECT_LT(chi, 199 + 5 * std::sqrt(2 * 199.0));  // its deviation is sqrt(2 dof): 5 of them
  EXPECT_GT(chi, 199 - 6 * std::sqrt(2 * 199.0));
}

class Update : public UpdateFixture {
 protected:
  static std::vector<Tensor> learn(UpdateRun& run, std::span<const UpdateEvent> events, size_t piece) {
    for (size_t at = 0; at < events.size(); at += piece)
      run.updater().learn(events.subspan(at, std::min(piece, events.size() - at)));
    return values(run.updater().parameters());
  }
};

TEST_F(Update, PiecesInWhichTheLogArrivesDoNotShow) {
  const auto log = events(300);
  UpdateRun a(run("a"), settings()), b(run("b"), settings());
  a.start(nullptr), b.start(nullptr);
  const auto before = values(a.updater().parameters());
  const auto whole = learn(a, log, 300);
  EXPECT_FALSE(same(before, whole));
  for (size_t at = 0; at < log.size(); ++at) {
    b.updater().learn(std::span(log).subspan(at, 1));
    if (at % 7 == 0) b.updater().with_tail([] {});
  }
  EXPECT_TRUE(same(whole, values(b.updater().parameters())));
  EXPECT_GT(a.updater().batches(), 20);
  EXPECT_GT(a.updater().events().counts().skipped(), 10);
}

TEST_F(Update, TheTailIsPublishedAndTakenBack) {
  UpdateRun a(run("a"), settings());
  a.start(nullptr);
  a.updater().learn(events(40));
  ASSERT_GT(a.updater().tail(), 0);
  const auto before = values(a.updater().parameters());
  bool moved = false;
  a.updater().with_tail([&] { moved = !same(before, values(a.updater().parameters())); });
  EXPECT_TRUE(moved);
  EXPECT_TRUE(same(before, values(a.updater().parameters())));
}

TEST_F(Update, AStateThatIsRestoredGoesOnWithTheSameBits) {
  const auto log = events(200);
  UpdateSettings with_all = settings();
  with_all.options.ewc = 100, with_all.options.fisher_rows = 20, with_all.options.consolidate_batches = 5;
  with_all.options.distill = 0.5;
  UpdateRun whole(run("whole"), with_all);
  whole.start(nullptr);
  const auto expected = learn(whole, log, 200);
  const std::string parts = run("parts");
  for (size_t at = 0, piece = 1; at < log.size(); at += piece, piece = std::min<size_t>(piece + 6, log.size() - at)) {
    UpdateRun part(parts, with_all);
    std::string position;
    EXPECT_EQ(part.start(&position), at > 0);
    EXPECT_EQ(part.updater().offset(), static_cast<int64_t>(at));
    part.updater().learn(std::span(log).subspan(at, piece));
    part.save("here");
    if (at + piece < log.size()) continue;
    EXPECT_TRUE(same(expected, values(part.updater().parameters())));
    EXPECT_EQ(part.updater().events().state(), whole.updater().events().state());
  }
}

// A child process learns and saves until it is killed, at a time that the parent does not choose.
TEST_F(Update, KillNeitherLosesNorRepeatsAnEvent) {
  const auto log = events(400);
  UpdateRun whole(run("whole"), settings());
  whole.start(nullptr);
  const auto expected = learn(whole, log, 400);
  const std::string directory = run("killed");
  int kills = 0, in_vain = 0;  // in_vain: one after the other that came before anything was saved
  int64_t offset = 0;
  set_num_threads(1);  // a forked child has no team of threads
  while (offset < 400) {
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      UpdateRun part(directory, settings());
      part.start(nullptr);
      for (auto at = static_cast<size_t>(part.updater().offset()); at < log.size(); ++at) {
        part.updater().learn(std::span(log).subspan(at, 1));
        part.save("");
      }
      _exit(0);
    }
    usleep(static_cast<useconds_t>(20'000 + 7'000 * (kills % 9)) << std::min(in_vain, 10));
    kill(child, SIGKILL);
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFSIGNALED(status)) ++kills;
    UpdateRun now(directory, settings());
    const int64_t before = offset;
    if (now.start(nullptr)) {
      EXPECT_GE(now.updater().offset(), offset);
      offset = now.updater().offset();
    }
    in_vain = offset > before ? 0 : in_vain + 1;
    ASSERT_LT(kills, 2000);
    const bool all = offset == 400;
    EXPECT_TRUE(!all || same(expected, values(now.updater().parameters())));
  }
  EXPECT_GT(kills, 0);
}

TEST_F(Update, AStateOfAnotherTrainingOrOtherOptionsIsRefused) {
  const std::string directory = run("a");
  {
    UpdateRun first(directory, settings());
    first.start(nullptr);
    first.updater().learn(events(20));
    first.save("");
    EXPECT_THROW(UpdateRun(directory, settings()), IoError) << "one process at a time";
  }
  UpdateSettings other = settings();
  other.options.batch_rows = 9;
  EXPECT_THROW(UpdateRun(directory, other).start(nullptr), ConfigError);
  const std::string model = directory + "/model.safetensors";
  {
    const SavedClickModel saved(directory);
    saved.model->parameters()[0].value().data<float>()[0] += 1;
    const std::string before = run_fingerprint(directory);
    save_parameters(model, saved.model->parameters(), "DeepFM");
    EXPECT_NE(before, run_fingerprint(directory));
  }
  EXPECT_THROW(UpdateRun(directory, settings()).start(nullptr), ConfigError);
}

TEST_F(Update, ADamagedStateIsRefused) {
  const std::string directory = run("a");
  std::string path;
  {
    UpdateRun first(directory, settings());
    first.start(nullptr);
    first.updater().learn(events(60));
    first.save("");
    path = first.state_path();
  }
  const std::string whole = read_text(path, 1 << 26);
  for (size_t at = 1; at < whole.size(); at += whole.size() / 50) {
    std::string broken = whole;
    broken[at] = static_cast<char>(broken[at] ^ 0x10);
    write_atomically(path, broken);
    EXPECT_THROW(UpdateRun(directory, settings()).start(nullptr), Error) << at;
  }
}

TEST_F(Update, AHoleInTheLogIsAnError) {
  UpdateRun a(run("a"), settings());
  a.start(nullptr);
  auto log = events(5);
  log.erase(log.begin() + 2);
  EXPECT_THROW(a.updater().learn(log), DataError);
}

// What the formulas are checked on: sgd, no dropout in effect (rate 0), one batch.
class UpdateFormulas : public Update {
 protected:
  UpdateFormulas()
      : saved_(trained()), before_(trained()), catalogue_(trained() + "/catalogue.safetensors", saved_.map) {
    options_.optimizer.name = "sgd";
    options_.optimizer.embedding = "sgd";
    options_.learning_rate = 0.5;
    options_.batch_rows = 4;
    join_ = [this](int64_t user, int64_t item, EncodedRow& row) { catalogue_.row(user, item, row); };
    for (int64_t i = 0; i < 6; ++i) rows_.push_back({i, i + 1, i % 2 == 0 ? 1.f : 0.f, i + 1});
  }
  // dz/dw of a row by central differences in double steps, for parameter p, element e.
  double slope(const Parameter& p, int64_t e, const UpdateRow& row) {
    float* w = p.value().data<float>() + e;
    const float kept = *w, h = 1e-3f;
    *w = kept + h;
    const double above = logit(row);
    *w = kept - h;
    const double below = logit(row);
    *w = kept;
    return (above - below) / (2 * static_cast<double>(h));
  }
  double logit(const UpdateRow& row) {
    UpdateBatch batch(saved_.map, 1, join_);
    batch.fill({&row, 1});
    Graph graph;
    const Value step = graph.input("step", {DType::I64, {}});
    const BatchValues values(graph, batch.spec());
    graph.output("logit", saved_.model->logits(values.ctr, {step, values.weight, false}));
    Program program = compile(graph);
    std::vector<Tensor> feeds = {Tensor::of<int64_t>({0}, {})};
    feeds.insert(feeds.end(), batch.feeds().begin(), batch.feeds().end());
    program.run(feeds, *make_stream());
    return static_cast<double>(program.output("logit").span<float>()[0]);
  }
  SavedClickModel saved_, before_;
  Catalogue catalogue_;
  JoinRow join_;
  UpdateOptions options_;
  std::vector<UpdateRow> rows_;
};

TEST_F(UpdateFormulas, FisherInformationIsTheMeanOfSquaredSlopes) {
  const auto parameters = saved_.model->parameters();
  Rng rng(3);  // values far from the kinks of relu, which those of a short training are not
  for (const Parameter& p : parameters)
    if (p.group != Group::Statistic)
      for (float& w : p.value().span<float>()) w = static_cast<float>(rng.uniform() - 0.5);
  Ewc ewc(parameters);
  ewc.consolidate(*saved_.model, saved_.map, join_, rows_, 0);
  int checked = 0;
  for (const VariablePtr& v : ewc.state()) {
    if (!v->name.starts_with("fisher/")) continue;
    const auto p = std::ranges::find(parameters, v->name.substr(7), &Parameter::name);
    ASSERT_NE(p, parameters.end());
    const auto fisher = v->value.span<float>();
    const auto largest = std::ranges::max_element(fisher) - fisher.begin();
    for (const int64_t e : {static_cast<int64_t>(largest), int64_t{0}, v->value.numel() - 1}) {
      double expected = 0;
      for (const UpdateRow& row : rows_) {
        const double z = logit(row), prob = 1 / (1 + std::exp(-z)), s = slope(*p, e, row);
        expected += prob * (1 - prob) * s * s / static_cast<double>(rows_.size());
      }
      EXPECT_NEAR(fisher[static_cast<size_t>(e)], expected, 1e-4 + 0.05 * expected) << v->name << " " << e;
      checked += expected > 1e-6 ? 1 : 0;
    }
  }
  EXPECT_GT(checked, 4);
}

TEST_F(UpdateFormulas, ElasticWeightsTakeTheProximalStepOfTheirPenalty) {
  const auto parameters = saved_.model->parameters();
  Ewc ewc(parameters);
  ewc.consolidate(*saved_.model, saved_.map, join_, rows_, 0);
  const auto anchor = values(parameters);
  for (const Parameter& p : parameters)
    if (p.group != Group::Statistic)
      for (float& w : p.value().span<float>()) w += 0.25f;
  const auto moved = values(parameters);
  options_.ewc = 40;
  options_.optimizer.net_regularizer = 0;
  options_.optimizer.embedding_row_regularizer = 0;
  UpdateStep step(*saved_.model, nullptr, saved_.map, join_, options_, &ewc);
  step.run(1, {}, {});  // no row, no gradient: the penalty is alone
  const auto state = ewc.state();
  size_t k = 0;
  double most = 0;
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (parameters[i].group == Group::Statistic) continue;
    const auto fisher = state[k++]->value.span<float>();
    for (size_t e = 0; e < fisher.size(); ++e) {
      const double w = static_cast<double>(moved[i].span<float>()[e]),
                   a = static_cast<double>(anchor[i].span<float>()[e]);
      const double c = 0.5 * 40 * static_cast<double>(fisher[e]);
      EXPECT_NEAR(parameters[i].value().span<float>()[e], w - c * (w - a) / (1 + c), 1e-5);
      most = std::max(most, c);
    }
  }
  EXPECT_GT(most, 0.1);
}

TEST_F(UpdateFormulas, DistillationPullsReplayedLogitsBack) {
  // A bias of the last layer has dz/db = 1: its step tells the gradient of the whole loss by the logits.
  const auto parameters = saved_.model->parameters();
  const Parameter* bias = nullptr;
  for (const Parameter& p : parameters)
    if (p.group == Group::Bias && p.value().numel() == 1) bias = &p;
  ASSERT_NE(bias, nullptr);
  *bias->value().data<float>() += 0.7f;  // every logit is .7 above that of the model before
  const float start = *bias->value().data<float>();
  const auto fresh = std::span(rows_).first(2), old = std::span(rows_).subspan(2, 2);
  const auto own = values(parameters);
  const auto step_of_bias = [&](double distill) {
    for (size_t i = 0; i < parameters.size(); ++i) parameters[i].value().copy_from(own[i]);
    options_.distill = distill;
    options_.replay = 0.5;
    UpdateStep step(*saved_.model, before_.model.get(), saved_.map, join_, options_, nullptr);
    step.run(1, fresh, old);
    return static_cast<double>(*bias->value().data<float>() - start);
  };
  const double distill = 0.8, difference = step_of_bias(distill) - step_of_bias(0);
  // d/db of distill / 2 * mean over the 2 old rows of (z - z_before)^2 = distill * .7, by the rate of .5; dropout of
  // the training pass moves single logits
  EXPECT_NEAR(difference, -0.5 * distill * 0.7, 0.05);
}

}  // namespace
}  // namespace winnow
