// Logs of events that `winnow update` reads.
#pragma once
#include <memory>
#include <string>

#include "train/update/events.h"

namespace winnow {

std::unique_ptr<EventLog> open_store_log(const std::string& url);  // serve/store/event_store.h
// A Kafka topic of JSON events (docs/update.md). ConfigError where Winnow was built without librdkafka.
std::unique_ptr<EventLog> open_kafka_log(const std::string& brokers, const std::string& topic);

}  // namespace winnow
