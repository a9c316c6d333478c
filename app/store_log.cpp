#include "app/event_logs.h"
#include "serve/store/event_store.h"

namespace winnow {
namespace {

class StoreLog final : public EventLog {
 public:
  explicit StoreLog(const std::string& url) : name_(url), store_(EventStore::open(url, false)) {}
  std::string name() const override { return name_; }
  int64_t last_sequence() const override { return store_->last_sequence(); }
  void seek(const std::string& position, int64_t /*sequence*/) override {
    WN_CHECK(position.empty(), ConfigError,
             "these updates were begun on a Kafka topic; go on with that, or start anew with --restart");
  }
  void read(int64_t after, int64_t limit, std::vector<UpdateEvent>& out) override {
    events_.clear();
    store_->read(after, limit, events_);
    for (auto& e : events_)
      out.push_back({e.sequence, e.time_us, std::move(e.user), std::move(e.item), std::move(e.kind), e.value,
                     std::move(e.request)});
  }

 private:
  std::string name_;
  std::unique_ptr<EventStore> store_;
  std::vector<UserEvent> events_;
};

}  // namespace

std::unique_ptr<EventLog> open_store_log(const std::string& url) { return std::make_unique<StoreLog>(url); }

}  // namespace winnow
