#include "serve/http/connection.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/write.hpp>
#include <cstring>

#include "serve/http/reply.h"

namespace winnow {
namespace {

constexpr size_t kMinBuffer = 16 << 10;
constexpr std::string_view kContinueLine = "HTTP/1.1 100 Continue\r\n\r\n";

HttpReply too_many_bodies() {
  HttpReply reply = http_error(503, "the bodies of all requests are too much: wait as long as Retry-After says");
  reply.fields.emplace_back("Retry-After", "1");
  return reply;
}

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

}  // namespace

HttpConnection::HttpConnection(std::shared_ptr<HttpLoop> loop, std::shared_ptr<HttpService> service, HttpSocket socket,
                               std::string peer)
    : loop_(std::move(loop)), service_(std::move(service)), socket_(std::move(socket)), peer_(std::move(peer)) {}

void HttpConnection::start() {
  loop_->add(shared_from_this());
  if (service_->draining) return close();
  in_.resize(std::max(service_->options.max_head, kMinBuffer));
  if (!service_->tls) {
    begin_head();
    set_deadline(service_->options.head_time);  // a new connection has a reason to send at once
    return process();
  }
  set_deadline(service_->options.head_time);
  tls_.emplace(socket_, *service_->tls);
  tls_->async_handshake(net::ssl::stream_base::server, [self = shared_from_this()](const NetError& error) {
    if (self->phase_ != Phase::kHandshake) return;
    if (error) return self->close();
    self->begin_head();
    self->set_deadline(self->service_->options.head_time);
    self->process();
  });
}

void HttpConnection::begin_head() {
  phase_ = Phase::kHead;
  head_begun_ = false;
  scan_.restart();
  set_deadline(service_->options.idle_time);
}

void HttpConnection::read() {
  if (reading_) return;
  if (begin_ == end_) begin_ = end_ = 0;
  if (begin_ > 0) {
    std::memmove(in_.data(), in_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == in_.size()) return;
  reading_ = true;
  on_stream(tls_, socket_, [this](auto& stream) {
    stream.async_read_some(
        net::buffer(in_.data() + end_, in_.size() - end_),
        [self = shared_from_this()](const NetError& error, size_t bytes) { self->on_read(error, bytes); });
  });
}

void HttpConnection::on_read(const NetError& error, size_t bytes) {
  reading_ = false;
  add(service_->counters.bytes_in, bytes);
  if (phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kLingering) return error ? close() : read_away();
  end_ += bytes;
  if (error && error != net::error::eof && error != net::ssl::error::stream_truncated) return close();
  ended_ = static_cast<bool>(error);
  // A client that sends no more may still read: the reply is written, but it is not worth much computing.
  if (phase_ == Phase::kHandling && ended_) return mark_gone();
  process();
}

void HttpConnection::process() {
  if (phase_ == Phase::kHead) take_head();
  if (phase_ == Phase::kBody) take_body();
}

void HttpConnection::take_head() {
  HttpFault fault;
  const std::string_view bytes(in_.data() + begin_, end_ - begin_);
  const size_t size = scan_.find_end(bytes, service_->limits, fault);
  if (!fault && size == 0) {
    if (ended_) return close();
    if (!bytes.empty() && !head_begun_) {
      head_begun_ = true;
      set_deadline(service_->options.head_time);
    }
    return read();
  }
  add(service_->counters.requests);
  head_only_ = false;
  if (!fault) fault = parse_http_head(bytes.substr(0, size), service_->limits, head_);
  if (!fault) fault = fill_request();
  if (fault) return refuse(fault);
  begin_ += size;
  begin_body();
}

// Copies the head: its bytes go when the body is read. Strings keep the memory they had in a request before.
HttpFault HttpConnection::fill_request() {
  if (!next_) next_ = service_->exchanges->take();
  HttpRequest& request = next_->request;
  request.arrived = Clock::now();
  request.method = head_.method;
  request.body.clear();
  request.path_parameters.clear();
  size_t count = 0;
  for (const auto& [name, value] : head_.fields) {
    if (same_http_name(name, "authorization") || same_http_name(name, "x-api-key")) continue;  // never in a log
    if (request.fields.size() == count) request.fields.emplace_back();
    auto& [key, text] = request.fields[count++];
    key = name;
    for (char& c : key) c = lower(c);
    text = value;
  }
  request.fields.resize(count);
  keep_alive_ = head_.keep_alive;
  chunked_ = head_.chunked;
  head_only_ = head_.method == "HEAD";
  if (head_.target != "*")
    return parse_http_target(head_.target, service_->options.max_fields, request.path, request.query,
                             request.parameters);
  request.path = "*";
  request.query.clear();
  request.parameters.clear();
  return {};
}

void HttpConnection::begin_body() {
  early_ = admit(next_->request.arrived);
  length_ = left_ = head_.content_length;
  const size_t max_body = service_->options.max_body;
  if (left_ > max_body)
    return early_ ? reply_early(std::move(*early_), false) : refuse(HttpFault{413, "the body is too long"});
  if (!early_ && !service_->exchanges->has_room(left_)) {
    if (left_ > end_ - begin_) return refuse_for_bodies();
    early_ = too_many_bodies();  // it has come already
  }
  chunks_ = ChunkedBody(max_body);
  received_ = received_before_ = 0;
  phase_ = Phase::kBody;
  set_deadline(service_->options.body_grace);
  if (!head_.expects_continue || begin_ != end_ || (left_ == 0 && !chunked_)) return;
  // The body may come or not: where the next request begins is open.
  if (early_) return reply_early(std::move(*early_), false);
  send_continue();
}

void HttpConnection::refuse_for_bodies() { reply_early(too_many_bodies(), false); }

void HttpConnection::send_continue() {
  phase_ = Phase::kContinue;
  set_deadline(service_->options.write_time);
  on_stream(tls_, socket_, [this](auto& stream) {
    net::async_write(stream, net::buffer(kContinueLine),
                     [self = shared_from_this()](const NetError& error, size_t bytes) {
                       add(self->service_->counters.bytes_out, bytes);
                       if (self->phase_ != Phase::kContinue) return;
                       if (error) return self->close();
                       self->phase_ = Phase::kBody;
                       self->set_deadline(self->service_->options.body_grace);
                       self->process();
                     });
  });
}

void HttpConnection::take_body() {
  std::string_view in(in_.data() + begin_, end_ - begin_);
  std::string* body = early_ ? nullptr : &next_->request.body;
  const size_t coming = chunked_ ? in.size() : std::min<size_t>(in.size(), left_);
  if (body != nullptr && coming > 0 &&
      !service_->exchanges->make_room(*next_, body->size() + coming, chunked_ ? service_->options.max_body : length_))
    return refuse_for_bodies();
  HttpFault fault;
  if (chunked_) {
    fault = chunks_.take(in, body);
    received_ = chunks_.received();
  } else {
    if (body != nullptr) body->append(in.substr(0, coming));
    in.remove_prefix(coming);
    left_ -= coming;
    received_ += coming;
  }
  begin_ = end_ - in.size();
  if (fault) return refuse(fault);
  if (chunked_ ? chunks_.done() : left_ == 0) return dispatch();
  if (ended_) return close();
  read();
}

void HttpConnection::dispatch() {
  if (early_) return reply_early(std::move(*early_), true);
  phase_ = Phase::kHandling;
  set_deadline(service_->options.handler_time);
  next_->serial = ++serial_;
  next_->connection = shared_from_this();
  std::shared_ptr<HttpExchange::State> state = service_->exchanges->share(std::move(next_));
  exchange_ = state;
  try {
    route_->handler(HttpExchange(std::move(state)));
  } catch (...) {}  // its exchange went with it, which is answered with 500
  // Tells when the client goes; what it sends ahead waits in the buffer.
  if (phase_ == Phase::kHandling && begin_ == end_) read();
}

}  // namespace winnow
