// The second half of a connection: replies, deadlines, the end.
#include <array>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>

#include "serve/http/connection.h"
#include "serve/http/reply.h"

namespace winnow {
namespace {

constexpr size_t kJoinedBody = 16 << 10;  // up to here a body is copied behind its head: one packet, one TLS record
constexpr size_t kKeptBuffer = 64 << 10;
constexpr size_t kMaxLingered = 1 << 20;
constexpr std::chrono::milliseconds kLingerTime{1'000}, kProgressTime{1'000};

}  // namespace

void HttpConnection::start_refused(HttpReply reply) {
  counted_ = false;
  loop_->add(shared_from_this());
  if (service_->draining || service_->tls) return close();  // a handshake is work that is not owed
  in_.resize(4 << 10);
  write(std::move(reply), false);
}

void HttpConnection::deliver(uint64_t serial, HttpReply reply, bool dropped) {
  if (loop_->is_this_thread()) return answer(serial, std::move(reply), dropped);
  loop_->post([self = shared_from_this(), serial, dropped, r = std::move(reply)]() mutable {
    self->answer(serial, std::move(r), dropped);
  });
}

void HttpConnection::answer(uint64_t serial, HttpReply reply, bool dropped) {
  if (phase_ != Phase::kHandling || serial != serial_) return;  // late
  if (dropped) add(service_->counters.failed);
  write(std::move(reply), keep_alive_);
}

void HttpConnection::refuse(const HttpFault& fault) { reply_early(http_error(fault.status, fault.reason), false); }

void HttpConnection::reply_early(HttpReply reply, bool keep_alive) {
  service_->counters.count_reply(reply.status);
  if (next_) service_->exchanges->drop_body(*next_);  // of a body that broke off
  write(std::move(reply), keep_alive && keep_alive_);
}

void HttpConnection::write(HttpReply reply, bool keep_alive) {
  if (!can_send(reply)) {
    add(service_->counters.failed);
    reply = http_error(500, "the answer could not be sent");
  }
  const bool last = (ended_ && begin_ == end_) || service_->draining.load(std::memory_order_relaxed);
  keep_alive_ = keep_alive && !last;
  reply_ = std::move(reply);
  out_.clear();
  append_http_head(reply_, loop_->date(), keep_alive_, out_);
  const bool has_body = has_http_body(reply_.status) && !head_only_ && !reply_.body.empty();
  const bool joined = has_body && reply_.body.size() <= kJoinedBody;
  if (joined) out_ += reply_.body;
  phase_ = Phase::kWriting;
  set_deadline(service_->options.write_time);
  on_stream(tls_, socket_, [&](auto& stream) {
    auto done = [self = shared_from_this()](const NetError& error, size_t bytes) { self->on_written(error, bytes); };
    if (!has_body || joined) return net::async_write(stream, net::buffer(out_), std::move(done));
    net::async_write(stream, std::array{net::buffer(std::as_const(out_)), net::buffer(std::as_const(reply_.body))},
                     std::move(done));
  });
}

void HttpConnection::on_written(const NetError& error, size_t bytes) {
  add(service_->counters.bytes_out, bytes);
  if (phase_ != Phase::kWriting) return;
  if (error) return close();
  early_.reset();
  if (out_.capacity() > kKeptBuffer) std::string().swap(out_);
  reply_.body.clear();
  if (!keep_alive_ || service_->draining.load(std::memory_order_relaxed)) return linger();
  begin_head();
  process();
}

// Closing with unread bytes makes the kernel reset the connection, which can take the reply from the client: what still
// comes is read away for a moment.
void HttpConnection::linger() {
  phase_ = Phase::kLingering;
  set_deadline(kLingerTime);
  if (!tls_) return read_away();
  tls_->async_shutdown([self = shared_from_this()](const NetError&) {
    if (self->phase_ != Phase::kLingering) return;
    self->read_away();
  });
}

void HttpConnection::read_away() {
  NetError ignored;
  if (lingered_ == 0) socket_.shutdown(HttpSocket::shutdown_send, ignored);
  if (ended_ || lingered_ > kMaxLingered) return close();
  if (reading_) return;
  reading_ = true;
  socket_.async_read_some(net::buffer(in_), [self = shared_from_this()](const NetError& error, size_t bytes) {
    self->lingered_ += bytes;
    self->on_read(error, bytes);
  });
}

void HttpConnection::on_deadline(Clock::time_point now) {
  switch (phase_) {
    case Phase::kHead:
      if (!head_begun_) return close();
      return refuse(HttpFault{408, "the head did not come in time"});
    case Phase::kBody:
      if (static_cast<double>(received_ - received_before_) <
          static_cast<double>(service_->options.body_bytes_per_second) * kProgressTime.count() / 1000)
        return refuse(HttpFault{408, "the body comes too slowly"});
      received_before_ = received_;
      deadline_ = now + kProgressTime;
      return;
    case Phase::kHandling: {
      ++serial_;
      mark_gone();
      service_->counters.count_reply(504);
      return write(http_error(504, "the answer was not ready in time"), keep_alive_);
    }
    case Phase::kHandshake:
    case Phase::kContinue:
    case Phase::kWriting: {
      add(service_->counters.timeouts);
      NetError ignored;  // a reset: the kernel need not keep what was not read
      socket_.set_option(net::socket_base::linger(true, 0), ignored);
      return close();
    }
    case Phase::kLingering: return close();
    case Phase::kClosed: return;
  }
}

void HttpConnection::drain() {
  if (phase_ == Phase::kHandshake || (phase_ == Phase::kHead && begin_ == end_)) close();
}

void HttpConnection::mark_gone() {
  if (const std::shared_ptr<HttpExchange::State> exchange = exchange_.lock()) exchange->open = false;
}

void HttpConnection::close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  const std::shared_ptr<HttpConnection> self = shared_from_this();
  mark_gone();
  if (next_) service_->exchanges->drop_body(*next_);
  if (counted_) {  // before the client sees the end, so that it may come again
    service_->peers.leave(peer_);
  } else {
    service_->peers.leave_refused();
  }
  NetError ignored;
  socket_.close(ignored);
  loop_->remove(*this);
}

}  // namespace winnow
