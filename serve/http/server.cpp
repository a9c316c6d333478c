#include "serve/http/server.h"

#include <boost/asio/ip/tcp.hpp>

#include "core/error.h"
#include "serve/http/connection.h"
#include "serve/http/loop.h"
#include "serve/http/service.h"

namespace winnow {
namespace {

using net::ip::tcp;
using Acceptor = net::basic_socket_acceptor<tcp, net::io_context::executor_type>;

constexpr std::chrono::milliseconds kAcceptPause{20};
constexpr int kSendBuffer = 256 << 10;

tcp::endpoint resolve(const HttpOptions& options) {
  net::io_context io;
  NetError error;
  tcp::resolver resolver(io);
  const auto flags = tcp::resolver::passive | tcp::resolver::numeric_service;
  const auto found = resolver.resolve(options.host, std::to_string(options.port), flags, error);
  WN_CHECK(!error && !found.empty(), ConfigError, "HttpServer: the host {} is neither an address nor a known name: {}",
           options.host, error.message());
  return found.begin()->endpoint();
}

}  // namespace

struct HttpServer::Impl {
  explicit Impl(HttpOptions options);
  void bind();
  void accept();
  void take(HttpSocket socket);
  void pause();

  std::shared_ptr<HttpService> service;
  std::vector<std::shared_ptr<HttpLoop>> loops;  // the first has the acceptor
  std::unique_ptr<Acceptor> acceptor;
  std::unique_ptr<
      net::basic_waitable_timer<HttpLoop::Clock, net::wait_traits<HttpLoop::Clock>, net::io_context::executor_type>>
      retry;
  uint16_t port = 0;
  size_t next = 0;
  enum class Stage { kNew, kServing, kStopped } stage = Stage::kNew;
};

HttpServer::Impl::Impl(HttpOptions options) : service(std::make_shared<HttpService>(std::move(options))) {
  for (int i = 0; i < service->options.threads; ++i) loops.push_back(std::make_shared<HttpLoop>(service->options));
  acceptor = std::make_unique<Acceptor>(loops[0]->io());
  retry = std::make_unique<decltype(retry)::element_type>(loops[0]->io());
  bind();
}

void HttpServer::Impl::bind() {
  const HttpOptions& options = service->options;
  const tcp::endpoint endpoint = resolve(options);
  WN_CHECK(endpoint.address().is_loopback() || !options.api_keys.empty() || options.open, ConfigError,
           "HttpServer: {} can be reached by other machines: give API keys, or say that the service is open to all",
           options.host);
  NetError error;
  acceptor->open(endpoint.protocol(), error);
  if (!error) acceptor->set_option(tcp::acceptor::reuse_address(true), error);
  // Connections take these over. The bound on what the kernel keeps for a client that does not read is ours to set.
  if (!error) acceptor->set_option(tcp::no_delay(true), error);
  if (!error) acceptor->set_option(net::socket_base::send_buffer_size(kSendBuffer), error);
  if (!error) acceptor->bind(endpoint, error);
  WN_CHECK(!error, IoError, "HttpServer: {}:{} cannot be listened at: {}", options.host, options.port, error.message());
  port = acceptor->local_endpoint().port();
}

void HttpServer::Impl::accept() {
  const std::shared_ptr<HttpLoop>& loop = loops[next];
  acceptor->async_accept(loop->io(), [this](const NetError& error, HttpSocket socket) {
    if (!acceptor->is_open()) return;
    // No descriptors or no memory for one: what is there is served on, and new ones wait in the backlog.
    if (error && error != net::error::connection_aborted) return pause();
    if (!error) take(std::move(socket));
    accept();
  });
}

void HttpServer::Impl::pause() {
  retry->expires_after(kAcceptPause);
  retry->async_wait([this](const NetError& error) {
    if (!error && acceptor->is_open()) accept();
  });
}

void HttpServer::Impl::take(HttpSocket socket) {
  const std::shared_ptr<HttpLoop> loop = loops[next];
  next = (next + 1) % loops.size();
  NetError error;
  const tcp::endpoint remote = socket.remote_endpoint(error);
  if (error) return;  // gone already
  const std::string peer = HttpPeers::name(remote.address());
  const bool entered = service->peers.enter(peer);
  add(service->counters.connections);
  if (!entered) service->counters.count_reply(503);
  if (!entered && !service->peers.enter_refused()) return;
  auto connection = std::make_shared<HttpConnection>(loop, service, std::move(socket), peer);
  loop->post([connection, entered] {
    if (entered) return connection->start();
    HttpReply reply = http_error(503, "too many connections");
    reply.fields.emplace_back("Retry-After", "1");
    connection->start_refused(std::move(reply));
  });
}

HttpServer::HttpServer(HttpOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}

HttpServer::~HttpServer() { stop(std::chrono::milliseconds(0)); }

void HttpServer::route(std::string method, std::string pattern, HttpHandler handler, bool open) {
  WN_CHECK(impl_->stage == Impl::Stage::kNew, ConfigError, "HttpServer::route(): {} {} after start()", method, pattern);
  impl_->service->routes.add(std::move(method), pattern, std::move(handler), open);
}

void HttpServer::start() {
  WN_CHECK(impl_->stage == Impl::Stage::kNew, ConfigError, "HttpServer::start(): a server starts once");
  NetError error;
  impl_->acceptor->listen(net::socket_base::max_listen_connections, error);
  WN_CHECK(!error, IoError, "HttpServer: {}:{} cannot be listened at: {}", impl_->service->options.host, impl_->port,
           error.message());
  impl_->stage = Impl::Stage::kServing;
  for (const std::shared_ptr<HttpLoop>& loop : impl_->loops) loop->start();
  impl_->loops[0]->post([impl = impl_.get()] { impl->accept(); });
}

void HttpServer::stop(std::chrono::milliseconds grace) {
  if (impl_->stage == Impl::Stage::kServing) {
    const auto until = HttpLoop::Clock::now() + grace;
    impl_->service->draining = true;
    impl_->loops[0]->post([impl = impl_.get()] {
      NetError ignored;
      impl->acceptor->close(ignored);
      impl->retry->cancel();
    });
    for (const std::shared_ptr<HttpLoop>& loop : impl_->loops) loop->drain();
    for (const std::shared_ptr<HttpLoop>& loop : impl_->loops) loop->end(until);
  }
  impl_->stage = Impl::Stage::kStopped;
  impl_->service->routes.clear();  // what handlers hold goes with the server, not with the last exchange
}

uint16_t HttpServer::port() const { return impl_->port; }

HttpCounts HttpServer::counts() const {
  const HttpCounters& c = impl_->service->counters;
  return {.connections = c.connections,
          .open_connections = impl_->service->peers.open(),
          .requests = c.requests,
          .bad_requests = c.bad_requests,
          .refused = c.refused,
          .timeouts = c.timeouts,
          .failed = c.failed,
          .bytes_in = c.bytes_in,
          .bytes_out = c.bytes_out,
          .body_bytes = static_cast<int64_t>(impl_->service->exchanges->body_bytes())};
}

}  // namespace winnow
