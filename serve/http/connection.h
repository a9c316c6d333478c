// One connection: reads a request, has it answered, writes the reply, and so on; in order, one at a time.
//
//   handshake -> head -> (continue ->) body -> handling -> writing -> head ...
//                                                                  \-> lingering -> closed
//
// All but deliver() runs on the thread of its loop. Every phase has one deadline.
#pragma once
#include <boost/asio/ssl/stream.hpp>
#include <chrono>
#include <memory>
#include <optional>
#include <string>

#include "serve/http/chunked.h"
#include "serve/http/loop.h"
#include "serve/http/service.h"

namespace winnow {

class HttpConnection : public std::enable_shared_from_this<HttpConnection> {
 public:
  using Clock = std::chrono::steady_clock;
  HttpConnection(std::shared_ptr<HttpLoop> loop, std::shared_ptr<HttpService> service, HttpSocket socket,
                 std::string peer);

  void start();
  void start_refused(HttpReply reply);  // a connection too many: says so and closes
  Clock::time_point deadline() const { return deadline_; }
  void on_deadline(Clock::time_point now);
  void drain();
  void close();

  void deliver(uint64_t serial, HttpReply reply, bool dropped = false);  // from any thread

  size_t slot = 0;  // in the loop's list

 private:
  enum class Phase { kHandshake, kHead, kContinue, kBody, kHandling, kWriting, kLingering, kClosed };
  using MilliSeconds = std::chrono::milliseconds;

  // reading: connection.cpp
  void begin_head();
  void read();
  void on_read(const NetError& error, size_t bytes);
  void process();
  void take_head();
  void take_body();
  HttpFault fill_request();
  void begin_body();
  void refuse_for_bodies();
  void send_continue();
  void dispatch();

  // admission: admission.cpp
  std::optional<HttpReply> admit(Clock::time_point now);  // the reply of a request that no handler gets

  // writing and ends: connection_end.cpp
  void answer(uint64_t serial, HttpReply reply, bool dropped);
  void refuse(const HttpFault& fault);  // and close
  void reply_early(HttpReply reply, bool keep_alive);
  void write(HttpReply reply, bool keep_alive);
  void on_written(const NetError& error, size_t bytes);
  void linger();
  void read_away();
  void set_deadline(MilliSeconds after) { deadline_ = Clock::now() + after; }
  void mark_gone();

  const std::shared_ptr<HttpLoop> loop_;  // before the socket, which is part of its io_context
  const std::shared_ptr<HttpService> service_;
  HttpSocket socket_;
  std::optional<net::ssl::stream<HttpSocket&>> tls_;
  const std::string peer_;  // HttpPeers::name()
  bool counted_ = true;

  Phase phase_ = Phase::kHandshake;
  Clock::time_point deadline_;
  std::vector<char> in_;
  size_t begin_ = 0, end_ = 0;            // of what was read and not taken
  bool reading_ = false, ended_ = false;  // a read is under way; the client sends no more
  bool head_begun_ = false;

  HttpHeadScan scan_;
  HttpHead head_;
  std::unique_ptr<HttpExchange::State> next_;  // the request that is being read
  bool keep_alive_ = false, chunked_ = false, head_only_ = false;
  uint64_t length_ = 0, left_ = 0;  // of a body with Content-Length
  ChunkedBody chunks_;
  size_t received_ = 0, received_before_ = 0;  // of the body; at the last look at its progress
  std::optional<HttpReply> early_;             // the body is read and let go, then this is the reply
  const HttpRoute* route_ = nullptr;

  uint64_t serial_ = 0;
  std::weak_ptr<HttpExchange::State> exchange_;
  HttpReply reply_;
  std::string out_;
  size_t lingered_ = 0;
};

// f(stream, ...): the TLS stream where there is one, else the socket.
template <class Tls, class Socket, class F>
void on_stream(std::optional<Tls>& tls, Socket& socket, F f) {
  if (tls) {
    f(*tls);
  } else {
    f(socket);
  }
}

}  // namespace winnow
