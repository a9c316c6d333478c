// A Kafka topic as a log of events, against librdkafka's own broker in memory.
#include <gtest/gtest.h>

#include "app/event_logs.h"
#include "core/error.h"

#ifdef WINNOW_KAFKA
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

namespace winnow {
namespace {

class KafkaLogTest : public ::testing::Test {
 protected:
  static constexpr const char* kTopic = "feedback";
  KafkaLogTest() {
    char text[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
    producer_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
    cluster_ = rd_kafka_mock_cluster_new(producer_, 1);
    rd_kafka_mock_topic_create(cluster_, kTopic, 2, 1);
    brokers_ = rd_kafka_mock_cluster_bootstraps(cluster_);
    conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof text);
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers_.c_str(), text, sizeof text);
    sender_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof text);
  }
  ~KafkaLogTest() override {
    rd_kafka_destroy(sender_);
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(producer_);
  }
  void send(int32_t partition, std::string text) const {
    ASSERT_EQ(rd_kafka_producev(sender_, RD_KAFKA_V_TOPIC(kTopic), RD_KAFKA_V_PARTITION(partition),
                                RD_KAFKA_V_VALUE(text.data(), text.size()), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
                                RD_KAFKA_V_END),
              RD_KAFKA_RESP_ERR_NO_ERROR);
    ASSERT_EQ(rd_kafka_flush(sender_, 60'000), RD_KAFKA_RESP_ERR_NO_ERROR);
  }
  void send_event(int32_t partition, int number) const {
    send(partition, fmt::format(R"({{"user":"u","item":"i{}","kind":"click","time_us":{}}})", number, number));
  }
  // All that is there, `limit` at a time.
  static std::vector<UpdateEvent> read_all(EventLog& log, int64_t after, int64_t limit = 3) {
    std::vector<UpdateEvent> out;
    for (int tries = 0; tries < 1000; ++tries) {
      const size_t before = out.size();
      log.read(after + static_cast<int64_t>(before), limit, out);
      if (out.size() == before && log.at_end()) break;
    }
    return out;
  }
  static std::set<std::string> items(const std::vector<UpdateEvent>& events) {
    std::set<std::string> set;
    for (const UpdateEvent& e : events) set.insert(e.item);
    return set;
  }
  rd_kafka_t *producer_ = nullptr, *sender_ = nullptr;
  rd_kafka_mock_cluster_t* cluster_ = nullptr;
  std::string brokers_;
};

TEST_F(KafkaLogTest, EachEventComesOnceInWhateverPieces) {
  for (int i = 0; i < 10; ++i) send_event(i % 2, i);
  auto log = open_kafka_log(brokers_, kTopic);
  auto first = read_all(*log, 0);
  ASSERT_EQ(first.size(), 10U);
  EXPECT_EQ(items(first).size(), 10U);
  for (size_t i = 0; i < first.size(); ++i) EXPECT_EQ(first[i].sequence, static_cast<int64_t>(i) + 1);
  const std::string position = log->position();
  log.reset();
  for (int i = 10; i < 15; ++i) send_event(i % 2, i);
  auto again = open_kafka_log(brokers_, kTopic);
  again->seek(position, 10);
  const auto rest = read_all(*again, 10);
  EXPECT_EQ(items(rest), (std::set<std::string>{"i10", "i11", "i12", "i13", "i14"}));
  ASSERT_EQ(rest.size(), 5U);
  EXPECT_EQ(rest[0].sequence, 11);
}

TEST_F(KafkaLogTest, AMessageThatIsNoEventIsNumberedAndToldByItsKind) {
  send(0, "not json");
  send_event(0, 1);
  auto log = open_kafka_log(brokers_, kTopic);
  const auto events = read_all(*log, 0);
  ASSERT_EQ(events.size(), 2U);
  EXPECT_EQ(events[0].kind, "(not an event)");
  EXPECT_EQ(events[1].item, "i1");
}

TEST_F(KafkaLogTest, APositionThatDoesNotFitIsRefused) {
  auto log = open_kafka_log(brokers_, kTopic);
  EXPECT_THROW(log->seek("nonsense", 1), ConfigError);
  EXPECT_THROW(log->seek(R"({"topic":"other","next":{}})", 1), ConfigError);
  EXPECT_THROW(log->seek(R"({"topic":"feedback","next":{"7":1}})", 1), ConfigError);
  std::vector<UpdateEvent> out;
  EXPECT_THROW(log->read(5, 1, out), ConfigError);
  send_event(0, 1);
  log->seek(R"({"topic":"feedback","next":{"0":99,"1":0}})", 0);
  EXPECT_THROW(read_all(*log, 0), IoError);
}

}  // namespace
}  // namespace winnow

#else

TEST(KafkaLog, WithoutTheLibraryTheOptionSaysHowToGetIt) {
  try {
    winnow::open_kafka_log("127.0.0.1:9092", "feedback");
    FAIL();
  } catch (const winnow::ConfigError& error) {
    EXPECT_NE(std::string(error.what()).find("librdkafka-dev"), std::string::npos);
  }
}

#endif
