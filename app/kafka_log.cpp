#include "app/event_logs.h"
#include "core/error.h"

#ifdef WINNOW_KAFKA

#include <librdkafka/rdkafka.h>

#include <array>
#include <nlohmann/json.hpp>
#include <set>

#include "serve/store/json_event.h"

namespace winnow {
namespace {

constexpr int kAnswerMs = 10'000, kPollMs = 100;

struct Destroy {
  void operator()(rd_kafka_t* k) const { rd_kafka_destroy(k); }
  void operator()(rd_kafka_message_t* m) const { rd_kafka_message_destroy(m); }
  void operator()(rd_kafka_topic_partition_list_t* l) const { rd_kafka_topic_partition_list_destroy(l); }
  void operator()(rd_kafka_topic_t* t) const { rd_kafka_topic_destroy(t); }
  void operator()(const rd_kafka_metadata_t* m) const { rd_kafka_metadata_destroy(m); }
};
template <class T>
using Owned = std::unique_ptr<T, Destroy>;

// All partitions of a topic, numbered in the order in which they come. Offsets are ours, kept with the parameters: the
// broker's are neither read nor committed.
class KafkaLog final : public EventLog {
 public:
  KafkaLog(const std::string& brokers, const std::string& topic) : brokers_(brokers), topic_(topic) {
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    std::array<char, 512> text{};
    const std::map<std::string, std::string> settings = {{"bootstrap.servers", brokers},
                                                         {"group.id", "winnow-update"},
                                                         {"enable.auto.commit", "false"},
                                                         {"enable.auto.offset.store", "false"},
                                                         {"auto.offset.reset", "error"},
                                                         {"enable.partition.eof", "true"},
                                                         {"log_level", "0"}};
    for (const auto& [key, value] : settings)
      if (rd_kafka_conf_set(conf, key.c_str(), value.c_str(), text.data(), text.size()) != RD_KAFKA_CONF_OK) {
        rd_kafka_conf_destroy(conf);
        raise<ConfigError>("--kafka {}: {}", brokers, text.data());
      }
    consumer_.reset(rd_kafka_new(RD_KAFKA_CONSUMER, conf, text.data(), text.size()));
    if (consumer_ == nullptr) rd_kafka_conf_destroy(conf);
    WN_CHECK(consumer_ != nullptr, IoError, "--kafka {}: {}", brokers, text.data());
    rd_kafka_poll_set_consumer(consumer_.get());
    for (const int32_t partition : partitions()) next_[partition] = RD_KAFKA_OFFSET_BEGINNING;
  }

  std::string name() const override { return fmt::format("topic {} of {}", topic_, brokers_); }
  int64_t last_sequence() const override { return last_; }  // that was read
  bool at_end() const override { return ended_.size() == next_.size(); }

  void seek(const std::string& position, int64_t sequence) override {
    try {
      const auto j = nlohmann::json::parse(position);
      WN_CHECK(j.at("topic") == topic_, ConfigError,
               "these updates read topic {}, not {}; go on with that, or start anew with --restart",
               j.at("topic").get<std::string>(), topic_);
      for (const auto& [partition, offset] : j.at("next").items()) {
        const auto at = next_.find(std::stoi(partition));
        WN_CHECK(at != next_.end(), ConfigError, "{}: partition {} is gone; start anew with --restart", name(),
                 partition);
        at->second = offset;
      }
    } catch (const nlohmann::json::exception&) {
      raise<ConfigError>("the position '{}' is none of a Kafka topic; start anew with --restart", position);
    }
    last_ = sequence;
  }
  std::string position() const override {
    nlohmann::json next = nlohmann::json::object();
    for (const auto& [partition, offset] : next_)
      if (offset >= 0) next[std::to_string(partition)] = offset;
    return nlohmann::json{{"topic", topic_}, {"next", next}}.dump();
  }

  void read(int64_t after, int64_t limit, std::vector<UpdateEvent>& out) override {
    WN_CHECK(after == last_, ConfigError,
             "{}: event {} is asked for behind {}; these updates were begun on another log", name(), after, last_);
    if (!assigned_) assign();
    for (int64_t taken = 0; taken < limit;) {
      const Owned<rd_kafka_message_t> message(rd_kafka_consumer_poll(consumer_.get(), taken > 0 ? 0 : kPollMs));
      if (message == nullptr) return;
      if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF) {
        ended_.insert(message->partition);
        if (at_end()) return;
        continue;
      }
      WN_CHECK(message->err != RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, IoError,
               "{}: the messages of partition {} from offset {} on are gone; start anew with --restart", name(),
               message->partition, next_[message->partition]);
      if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
        WN_CHECK(!rd_kafka_fatal_error(consumer_.get(), nullptr, 0), IoError, "{}: {}", name(),
                 rd_kafka_message_errstr(message.get()));
        continue;  // brokers that do not answer for a while: the library tries again
      }
      ended_.erase(message->partition);
      out.push_back(event_of(*message));
      next_[message->partition] = message->offset + 1;
      ++taken;
    }
  }

 private:
  std::vector<int32_t> partitions() {
    const Owned<rd_kafka_topic_t> topic(rd_kafka_topic_new(consumer_.get(), topic_.c_str(), nullptr));
    const rd_kafka_metadata_t* metadata = nullptr;
    const rd_kafka_resp_err_t error = rd_kafka_metadata(consumer_.get(), 0, topic.get(), &metadata, kAnswerMs);
    WN_CHECK(error == RD_KAFKA_RESP_ERR_NO_ERROR, IoError, "{}: {}", name(), rd_kafka_err2str(error));
    const Owned<const rd_kafka_metadata_t> owned(metadata);
    std::vector<int32_t> list;
    for (int i = 0; i < metadata->topics[0].partition_cnt; ++i) list.push_back(metadata->topics[0].partitions[i].id);
    WN_CHECK(!list.empty(), IoError, "{}: there is no such topic ({})", name(),
             rd_kafka_err2str(metadata->topics[0].err));
    return list;
  }
  void assign() {
    const Owned<rd_kafka_topic_partition_list_t> list(
        rd_kafka_topic_partition_list_new(static_cast<int>(next_.size())));
    for (const auto& [partition, offset] : next_)
      rd_kafka_topic_partition_list_add(list.get(), topic_.c_str(), partition)->offset = offset;
    const rd_kafka_resp_err_t error = rd_kafka_assign(consumer_.get(), list.get());
    WN_CHECK(error == RD_KAFKA_RESP_ERR_NO_ERROR, IoError, "{}: {}", name(), rd_kafka_err2str(error));
    assigned_ = true;
  }
  // A message that is no event keeps its number and is skipped by its kind.
  UpdateEvent event_of(const rd_kafka_message_t& message) {
    const std::string_view text(static_cast<const char*>(message.payload), message.len);
    const int64_t time_ms = rd_kafka_message_timestamp(&message, nullptr);
    UpdateEvent out{++last_, std::max<int64_t>(0, time_ms) * 1000, "", "", "(not an event)", 0, ""};
    try {
      UserEvent e = parse_event(text, topic_, true);
      if (e.time_us > 0) out.time_us = e.time_us;
      out.user = std::move(e.user), out.item = std::move(e.item), out.kind = std::move(e.kind);
      out.value = e.value, out.request = std::move(e.request);
    } catch (const DataError&) {}
    return out;
  }

  std::string brokers_, topic_;
  Owned<rd_kafka_t> consumer_;
  std::map<int32_t, int64_t> next_;  // by partition
  std::set<int32_t> ended_;          // partitions read to their end
  int64_t last_ = 0;
  bool assigned_ = false;
};

}  // namespace

std::unique_ptr<EventLog> open_kafka_log(const std::string& brokers, const std::string& topic) {
  return std::make_unique<KafkaLog>(brokers, topic);
}

}  // namespace winnow

#else

namespace winnow {

std::unique_ptr<EventLog> open_kafka_log(const std::string& /*brokers*/, const std::string& /*topic*/) {
  raise<ConfigError>("--kafka: this winnow was built without librdkafka; install librdkafka-dev and build again");
}

}  // namespace winnow

#endif
