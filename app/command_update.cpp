// winnow update
#include <chrono>
#include <cmath>
#include <cstdio>
#include <nlohmann/json.hpp>
#include <thread>

#include "app/commands.h"
#include "app/event_logs.h"
#include "core/file.h"
#include "core/parallel.h"
#include "serve/delta/publisher.h"
#include "train/console.h"
#include "train/train_arguments.h"
#include "train/update/update_run.h"

namespace winnow {
namespace {

using Clock = std::chrono::steady_clock;
using Json = nlohmann::json;

struct UpdateArguments {
  std::string run, store, kafka, topic, every = "2s";
  UpdateSettings settings;
  PublisherOptions publisher;
  std::optional<int64_t> rollback;
  int threads = 0;
  bool once = false, restart = false, json = false, quiet = false;
};

std::chrono::milliseconds parse_every(const std::string& text) {
  size_t used = 0;
  double value = -1;
  try {
    value = std::stod(text, &used);
  } catch (const std::logic_error&) { used = 0; }
  const std::string unit = text.substr(std::min(used, text.size()));
  const double ms = unit == "ms" ? value : unit == "s" || unit.empty() ? value * 1e3 : unit == "m" ? value * 6e4 : -1;
  WN_CHECK(used > 0 && ms >= 10 && ms <= 864e5, ConfigError, "--every {}: expected 10ms to 1440m, as 500ms, 2s or 5m",
           text);
  return std::chrono::milliseconds(static_cast<int64_t>(ms));
}

std::unique_ptr<EventLog> open_log(const UpdateArguments& a) {
  return a.store.empty() ? open_kafka_log(a.kafka, a.topic) : open_store_log(a.store);
}

// One process that learns and publishes.
class UpdateLoop {
 public:
  explicit UpdateLoop(const UpdateArguments& a)
      : a_(a), every_(parse_every(a.every)), run_(a.run, a.settings), updater_(run_.updater()) {
    if (a.restart) run_.forget();
    const bool went_on = run_.start(&position_);
    saved_ = went_on ? updater_.offset() : -1;
    publisher_ = open_publisher();
    say(went_on ? fmt::format("goes on behind event {}: {} batches learnt, version {}", updater_.offset(),
                              updater_.batches(), publisher_->id().version)
                : fmt::format("{} rows of the run seen, {} of them kept for replay; version {}", updater_.seeded(),
                              updater_.reservoir().rows().size(), publisher_->id().version));
  }

  int run() {
    const std::unique_ptr<EventLog> log = open_log(a_);
    if (!position_.empty()) log->seek(position_, updater_.offset());
    std::vector<UpdateEvent> events;
    auto published_at = Clock::now() - every_;
    const auto start = Clock::now();
    bool caught_up = false;
    while (true) {
      events.clear();
      log->read(updater_.offset(), kEventsAtATime, events);
      updater_.learn(events);
      caught_up = events.empty() && log->at_end();
      const bool end = interrupted() || (caught_up && a_.once);
      if (end || Clock::now() - published_at >= every_) {
        if (updater_.offset() != published_offset_) {
          publish(*log);
          published_at = Clock::now();
        }
        if (end) break;
      }
      if (events.empty()) std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
    if (a_.once && !caught_up)
      say("stopped with events left to learn; everything so far is saved, the same command goes on");
    report(std::chrono::duration<double>(Clock::now() - start).count());
    return a_.once && !caught_up ? 1 : 0;
  }

  int roll_back(int64_t version) {
    const int64_t from = publisher_->id().version;
    publisher_->read_version(version, updater_.parameters());
    updater_.forget_optimizer();
    run_.save(position_);
    const auto published = publisher_->publish(updater_.parameters(), updater_.offset(), true);
    say(
        fmt::format("version {} has the parameters of version {}; version {} is passed over. The log goes on behind "
                    "event {}",
                    published->version, version, from, updater_.offset()));
    versions_ = 1;
    report(0);
    return 0;
  }

 private:
  static constexpr int64_t kEventsAtATime = 1000;

  std::unique_ptr<DeltaPublisher> open_publisher() const {
    const auto open = [&] { return std::make_unique<DeltaPublisher>(a_.run, updater_.parameters(), a_.publisher); };
    if (!a_.restart) return open();
    try {
      return open();
    } catch (const IoError& e) {  // of an earlier training, or damaged: what --restart is for
      say(fmt::format("{}; its deltas are removed", e.what()));
      remove_versions();
      return open();
    }
  }
  void remove_versions() const {
    const VersionFolder folder(a_.run);
    for (const int64_t version : folder.versions())
      WN_CHECK(std::remove(folder.path(version).c_str()) == 0, IoError, "{}: cannot be removed", folder.path(version));
  }
  void say(const std::string& text) const {
    if (!a_.quiet) print_message(text);
  }

  // The state first: it is what a start goes on from, and whatever was published before it comes again.
  void publish(const EventLog& log) {
    if (updater_.offset() != saved_) run_.save(log.position());
    saved_ = published_offset_ = updater_.offset();
    std::optional<Published> published;
    updater_.with_tail([&] { published = publisher_->publish(updater_.parameters(), updater_.offset()); });
    const EventCounts& c = updater_.events().counts();
    const double loss = updater_.take_loss();
    if (std::isfinite(loss)) loss_ = loss;
    if (!published) return;
    ++versions_;
    say(fmt::format("version {}{}: events up to {} ({} skipped), {} batches{}, {} rows of tables, {} KB",
                    published->version, published->snapshot ? " (snapshot)" : "", updater_.offset(), c.skipped(),
                    updater_.batches(), std::isfinite(loss) ? fmt::format(", loss {:.4f}", loss) : "", published->rows,
                    (published->bytes + 1023) / 1024));
  }

  void report(double seconds) const {
    const EventCounts& c = updater_.events().counts();
    if (a_.json) {
      const Json j{{"run", a_.run},
                   {"version", publisher_->id().version},
                   {"published", versions_},
                   {"events", c.events},
                   {"rows", c.rows},
                   {"strangers", c.strangers},
                   {"negatives", c.sampled},
                   {"answered_impressions", c.answered},
                   {"waiting_impressions", updater_.events().waiting()},
                   {"skipped", {{"unknown_item", c.unknown_items}, {"no_number", c.bad_values}, {"kind", c.unknown}}},
                   {"batches", updater_.batches()},
                   {"tail", updater_.tail()},
                   {"loss", std::isfinite(loss_) ? Json(loss_) : Json(nullptr)},
                   {"seconds", seconds}};
      std::fputs((j.dump(2) + "\n").c_str(), stdout);
      return;
    }
    const std::string reasons = c.reasons();
    std::string text = fmt::format(
        "version {}: {} events, {} rows ({} of users the run does not know), {} negatives drawn, {} batches and {} "
        "rows "
        "of the next\n",
        publisher_->id().version, c.events, c.rows, c.strangers, c.sampled, updater_.batches(), updater_.tail());
    if (updater_.events().waiting() > 0)
      text += fmt::format("{} impressions wait for an answer\n", updater_.events().waiting());
    if (!reasons.empty()) text += fmt::format("skipped: {}\n", reasons);
    std::fputs(text.c_str(), stdout);
  }

  const UpdateArguments& a_;
  std::chrono::milliseconds every_;
  UpdateRun run_;
  Updater& updater_;
  std::unique_ptr<DeltaPublisher> publisher_;
  std::string position_;
  int64_t saved_ = -1, published_offset_ = -1, versions_ = 0;
  double loss_ = NAN;
};

int run_update(const UpdateArguments& a) {
  if (a.threads > 0) set_num_threads(a.threads);
  UpdateLoop loop(a);
  if (a.rollback) return loop.roll_back(*a.rollback);
  handle_interrupts();
  return loop.run();
}

void add_learning_options(CLI::App& command, UpdateSettings& s) {
  UpdateOptions& o = s.options;
  command.add_option(
      "--label", s.labels,
      "rules from kinds of events to labels: click=1, impression=0@600 (unless a positive follows within "
      "600 s), rating>=4; default: the run's rule, impression=0@600, click, like, cart and purchase 1, "
      "dislike 0");
  command.add_option("--batch", o.batch_rows, "new rows of a mini-batch")->capture_default_str();
  command.add_option("--learning-rate", s.learning_rate, "default: the run's")->check(CLI::PositiveNumber);
  command.add_option("--replay", o.replay, "share of each mini-batch that is past rows, 0 to 0.95")
      ->capture_default_str();
  command.add_option("--reservoir", o.reservoir_rows, "past rows kept for that: a uniform sample of all")
      ->capture_default_str();
  command.add_option("--distill", o.distill, "weight of staying near the logits of the run's model; 0: off")
      ->capture_default_str();
  command.add_option("--ewc", o.ewc, "weight of elastic weight consolidation; 0: off")->capture_default_str();
  command.add_option("--fisher-rows", o.fisher_rows, "ewc: past rows that its Fisher information is estimated on")
      ->capture_default_str();
  command.add_option("--consolidate", o.consolidate_batches, "ewc: batches after which it is estimated anew; 0: never")
      ->capture_default_str();
  command.add_option("--ewc-decay", o.ewc_decay, "ewc: of the estimate before")->capture_default_str();
  command.add_option("--negatives", s.negatives, "drawn beside each positive; default: as the run's data says")
      ->check(CLI::NonNegativeNumber);
  command.add_option("--seed", s.seed, "of replay, negatives and dropout; default: the run's");
}

}  // namespace

void add_update_command(CLI::App& app, Action& chosen) {
  auto a = std::make_shared<UpdateArguments>();
  CLI::App* command =
      app.add_subcommand("update", "Go on learning from what users do, and publish the difference to running servers");
  command->add_option("--run", a->run, "directory of `winnow train ctr`")->required();
  CLI::Option* store =
      command->add_option("--store", a->store, "event log: sqlite:events.db, redis://127.0.0.1:6379/0");
  CLI::Option* topic = command->add_option("--topic", a->topic, "of Kafka: one JSON event a message");
  CLI::Option* kafka =
      command->add_option("--kafka", a->kafka, "or brokers of Kafka, as 127.0.0.1:9092")->needs(topic)->excludes(store);
  topic->needs(kafka);
  command->add_flag("--once", a->once, "end when the log is read; otherwise wait for more until Ctrl-C");
  command->add_option("--every", a->every, "time between two versions, as 500ms, 2s, 1m")->capture_default_str();
  a->settings.options.distill = 0.5;
  add_learning_options(*command, a->settings);
  command->add_option("--snapshot-every", a->publisher.snapshot_every, "versions between two that hold all parameters")
      ->check(CLI::Range(1, 1000000))
      ->capture_default_str();
  command->add_option("--rollback", a->rollback, "publish an earlier version's parameters again, and go on from them")
      ->check(CLI::NonNegativeNumber);
  command->add_flag("--restart", a->restart, "forget what was learnt: begin with the run and the log's first event");
  command->add_option("--threads", a->threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  command->add_flag("--json", a->json, "print JSON at the end");
  command->add_flag("--quiet", a->quiet, "no progress on stderr");
  command->footer(
      "Examples:\n"
      "  winnow update --run runs/ml --store sqlite:events.db --every 2s\n"
      "  winnow update --run runs/ml --store sqlite:events.db --once --replay 0.5 --json\n"
      "  winnow update --run runs/ml --store sqlite:events.db --label 'rating>=4' --label click=1\n"
      "  winnow update --run runs/ml --rollback 12\n"
      "Exit codes: 0 done, or ended by Ctrl-C with everything saved; 1 an error, or --once was stopped before the end; "
      "2 wrong usage.\ndocs/update.md");
  command->callback([a, &chosen] {
    if (a->store.empty() && a->kafka.empty() && !a->rollback) throw CLI::RequiredError("--store or --kafka");
    chosen = [a] { return run_update(*a); };
  });
}

}  // namespace winnow
