#include "serve/http/service.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <algorithm>

#include "core/error.h"

namespace winnow {
namespace {

constexpr int64_t kMaxRefused = 64;

const HttpOptions& checked(const HttpOptions& o) {
  using namespace std::chrono_literals;
  WN_CHECK(o.threads >= 1 && o.threads <= 256, ConfigError, "HttpServer: {} threads: 1 to 256", o.threads);
  WN_CHECK(o.requests_per_second >= 0 && o.burst >= 0, ConfigError,
           "HttpServer: {} requests per second, burst {}: neither may be negative", o.requests_per_second, o.burst);
  WN_CHECK(o.burst == 0 || o.burst >= 1, ConfigError, "HttpServer: a burst of {} lets no request through: at least 1",
           o.burst);
  WN_CHECK(
      o.max_head >= 256 && o.max_target >= 16 && o.max_target <= o.max_head && o.max_fields >= 1, ConfigError,
      "HttpServer: max_head {}, max_target {}, max_fields {}: at least 256, 16 and 1, and the target within the head",
      o.max_head, o.max_target, o.max_fields);
  WN_CHECK(o.max_head <= (1 << 20) && o.max_body <= (size_t{1} << 40), ConfigError,
           "HttpServer: max_head {} and max_body {}: at most 1 MiB and 1 TiB", o.max_head, o.max_body);
  WN_CHECK(o.max_bodies >= o.max_body, ConfigError,
           "HttpServer: max_bodies {} is less than max_body {}: a body of that size would never be read", o.max_bodies,
           o.max_body);
  WN_CHECK(o.max_connections >= 1 && o.max_connections_per_peer >= 1 && o.max_in_flight >= 1, ConfigError,
           "HttpServer: {} connections, {} per peer, {} requests in flight: at least 1", o.max_connections,
           o.max_connections_per_peer, o.max_in_flight);
  WN_CHECK(std::min({o.head_time, o.idle_time, o.body_grace, o.write_time, o.handler_time}) >= 1ms, ConfigError,
           "HttpServer: every time must be at least a millisecond");
  WN_CHECK(o.certificate.empty() == o.private_key.empty(), ConfigError,
           "HttpServer: {} is given without the other: TLS needs both certificate and private_key",
           o.certificate.empty() ? "private_key" : "certificate");
  return o;
}

void check_tls(const NetError& error, const std::string& path, std::string_view what) {
  WN_CHECK(!error, IoError, "{}: cannot be used as {}: {}", path, what, error.message());
}

std::unique_ptr<net::ssl::context> make_tls(const HttpOptions& options) {
  if (options.certificate.empty()) return nullptr;
  using Context = net::ssl::context;
  auto context = std::make_unique<Context>(Context::tls_server);
  SSL_CTX* native = context->native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  NetError error;
  // Without it an encrypted key would make OpenSSL ask at the terminal.
  context->set_password_callback([](size_t, Context::password_purpose) { return std::string(); }, error);
  ERR_clear_error();
  context->use_certificate_chain_file(options.certificate, error);
  check_tls(error, options.certificate, "a PEM certificate chain");
  context->use_private_key_file(options.private_key, Context::pem, error);
  check_tls(error, options.private_key, "the certificate's PEM private key, without a pass phrase");
  return context;
}

}  // namespace

std::string HttpPeers::name(net::ip::address address) {
  if (address.is_v4()) return address.to_string();
  const net::ip::address_v6 v6 = address.to_v6();
  if (v6.is_v4_mapped()) return net::ip::make_address_v4(net::ip::v4_mapped, v6).to_string();
  net::ip::address_v6::bytes_type bytes = v6.to_bytes();
  if (!v6.is_loopback()) std::fill(bytes.begin() + 8, bytes.end(), uint8_t{0});
  const std::string text = net::ip::address_v6(bytes).to_string();
  return v6.is_loopback() ? text : text + "/64";
}

bool HttpPeers::enter(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  if (open_ >= most_) return false;
  int64_t& of_peer = of_peer_[peer];
  if (of_peer >= most_per_peer_) return false;
  ++of_peer;
  ++open_;
  return true;
}

void HttpPeers::leave(const std::string& peer) {
  const std::lock_guard lock(mutex_);
  const auto at = of_peer_.find(peer);
  if (--at->second == 0) of_peer_.erase(at);
  --open_;
}

bool HttpPeers::enter_refused() {
  const std::lock_guard lock(mutex_);
  if (refused_ >= kMaxRefused) return false;
  ++refused_;
  return true;
}

void HttpPeers::leave_refused() {
  const std::lock_guard lock(mutex_);
  --refused_;
}

int64_t HttpPeers::open() const {
  const std::lock_guard lock(mutex_);
  return open_;
}

void HttpCounters::count_reply(int status) {
  switch (status) {
    case 400:
    case 413:
    case 414:
    case 417:
    case 431:
    case 501: return add(bad_requests);
    case 401:
    case 429:
    case 503: return add(refused);
    case 408:
    case 504: return add(timeouts);
    default: return;
  }
}

HttpService::HttpService(HttpOptions given)
    : options(checked(given)),
      limits{options.max_head, options.max_target, options.max_fields},
      keys(options.api_keys),
      rates(options.requests_per_second, options.burst),
      tls(make_tls(options)),
      peers(options.max_connections, options.max_connections_per_peer),
      exchanges(std::make_shared<ExchangePool>(options.max_bodies)) {}

}  // namespace winnow
