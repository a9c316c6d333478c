// Load on an HTTP server: http_load --help.
//
// Closed loop: each of C connections sends its next request when the reply is there. Open loop (--rate): requests are
// due at times that do not depend on the replies; one that finds no free connection waits, and its latency counts from
// when it was due, so that a server that stalls does not hide the requests it kept from being sent (Tene 2013,
// "coordinated omission").
#include <CLI/CLI.hpp>
#include <algorithm>
#include <boost/asio.hpp>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <deque>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/file.h"
#include "core/scheduling.h"

namespace winnow {
namespace {

namespace net = boost::asio;
using net::ip::tcp;
using Clock = std::chrono::steady_clock;
using NetError = boost::system::error_code;

struct Options {
  std::string url, method, body_file, type = "application/json", arrivals = "poisson";
  std::vector<std::string> headers;
  int connections = 8;
  double seconds = 10, warmup = 1, rate = 0, timeout = 10;
  uint64_t seed = 1;
  bool json = false;
};

struct Target {
  std::string host, port = "80", path = "/";
};

Target parse_url(const std::string& url) {
  constexpr std::string_view kScheme = "http://";
  WN_CHECK(url.starts_with(kScheme), ConfigError, "{}: not an http:// URL", url);
  Target target;
  std::string authority = url.substr(kScheme.size());
  if (const size_t slash = authority.find('/'); slash != std::string::npos) {
    target.path = authority.substr(slash);
    authority.resize(slash);
  }
  const size_t colon = authority.rfind(':');
  target.host = authority.substr(0, colon);
  if (colon != std::string::npos) target.port = authority.substr(colon + 1);
  return target;
}

std::string request_text(const Options& options, const Target& target) {
  const std::string body = options.body_file.empty() ? "" : read_text(options.body_file, size_t{1} << 30);
  const std::string method = !options.method.empty() ? options.method : options.body_file.empty() ? "GET" : "POST";
  std::string text = fmt::format("{} {} HTTP/1.1\r\nHost: {}:{}\r\n", method, target.path, target.host, target.port);
  for (const std::string& header : options.headers) text += header + "\r\n";
  if (!options.body_file.empty())
    text += fmt::format("Content-Type: {}\r\nContent-Length: {}\r\n", options.type, body.size());
  return text + "\r\n" + body;
}

// What was measured: requests that were due within the measured time.
struct Results {
  std::vector<double> latencies;                // seconds, of replies
  std::map<int, std::vector<double>> statuses;  // the same of each status
  std::map<std::string, int64_t> errors;
  int64_t bytes = 0, unanswered = 0;
};

class Load;

class Connection {
 public:
  Connection(Load& load, net::io_context& io) : load_(load), socket_(io) {}
  void connect();
  void send(Clock::time_point due);
  bool is_free() const { return connected_ && !busy_; }
  bool is_busy() const { return busy_; }
  void look_at(Clock::time_point now);  // gives up a request that waits too long
  void close();

 private:
  void read();
  void on_read(const NetError& error, size_t bytes);
  void fail(const std::string& what);
  bool take_reply();

  Load& load_;
  tcp::socket socket_;
  bool connected_ = false, busy_ = false;
  Clock::time_point due_, sent_;
  std::string in_;
  char buffer_[16384];
  uint64_t life_ = 0;  // completions of a connection before are let go
};

class Load {
 public:
  Load(const Options& options, const std::string& request, const tcp::endpoint& endpoint);
  void run();
  void on_free(Connection& connection);
  void record(Clock::time_point due, int status, size_t bytes);
  void record_error(Clock::time_point due, const std::string& what);

  const Options& options;
  const std::string& request;
  const tcp::endpoint endpoint;
  Results results;

 private:
  bool measured(Clock::time_point due) const { return due >= measure_from_ && due < end_; }
  void schedule();
  void watch();
  void finish();
  Connection* free_connection();

  net::io_context io_{1};
  net::steady_timer arrival_{io_}, watch_{io_};
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<Clock::time_point> waiting_;  // due, no connection was free
  std::mt19937_64 random_;
  Clock::time_point measure_from_, end_, next_;
};

void Connection::connect() {
  const uint64_t life = ++life_;
  connected_ = busy_ = false;
  in_.clear();
  socket_ = tcp::socket(socket_.get_executor());
  socket_.async_connect(load_.endpoint, [this, life](const NetError& error) {
    if (life != life_) return;
    if (error) return fail("connect: " + error.message());
    NetError ignored;
    socket_.set_option(tcp::no_delay(true), ignored);
    connected_ = true;
    read();
    load_.on_free(*this);
  });
}

void Connection::close() {
  ++life_;
  NetError ignored;
  socket_.close(ignored);
}

void Connection::send(Clock::time_point due) {
  busy_ = true;
  due_ = due;
  sent_ = Clock::now();
  const uint64_t life = life_;
  net::async_write(socket_, net::buffer(load_.request), [this, life](const NetError& error, size_t) {
    if (life == life_ && error && busy_) fail("write: " + error.message());
  });
}

void Connection::read() {
  const uint64_t life = life_;
  socket_.async_read_some(net::buffer(buffer_), [this, life](const NetError& error, size_t bytes) {
    if (life == life_) on_read(error, bytes);
  });
}

void Connection::on_read(const NetError& error, size_t bytes) {
  if (error) return busy_ ? fail("read: " + error.message()) : connect();
  in_.append(buffer_, bytes);
  if (!take_reply()) return read();
}

// true: the reply ended, and whoever comes next reads.
bool Connection::take_reply() {
  const size_t end = in_.find("\r\n\r\n");
  if (end == std::string::npos) return false;
  size_t length = 0;
  bool close = false;
  int status = 0;
  if (in_.size() > 12) status = std::atoi(in_.c_str() + 9);
  std::string head = in_.substr(0, end + 2);
  std::transform(head.begin(), head.end(), head.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  if (const size_t at = head.find("\r\ncontent-length:"); at != std::string::npos)
    length = std::strtoull(head.c_str() + at + 17, nullptr, 10);
  else if (status != 204 && status != 304) {
    fail("a reply without Content-Length");
    return true;
  }
  if (head.find("\r\nconnection: close") != std::string::npos) close = true;
  if (in_.size() < end + 4 + length) return false;
  load_.record(due_, status, end + 4 + length);
  in_.erase(0, end + 4 + length);
  busy_ = false;
  if (close) {
    connect();
  } else {
    read();
    load_.on_free(*this);
  }
  return true;
}

void Connection::fail(const std::string& what) {
  load_.record_error(busy_ ? due_ : Clock::now(), what);
  if (what.starts_with("connect")) {  // not at once again
    connected_ = busy_ = false;
    ++life_;
    sent_ = Clock::now();
    return;
  }
  connect();
}

void Connection::look_at(Clock::time_point now) {
  const double waited = std::chrono::duration<double>(now - sent_).count();
  if (busy_ && waited > load_.options.timeout) return fail("no reply in time");
  if (!connected_ && !socket_.is_open()) return;
  if (!connected_ && !busy_ && waited > 0.1) connect();
}

Load::Load(const Options& given, const std::string& text, const tcp::endpoint& to)
    : options(given), request(text), endpoint(to), random_(given.seed) {
  for (int i = 0; i < options.connections; ++i) connections_.push_back(std::make_unique<Connection>(*this, io_));
}

void Load::run() {
  const auto seconds = [](double s) {
    return std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(s));
  };
  next_ = Clock::now();
  measure_from_ = next_ + seconds(options.warmup);
  end_ = measure_from_ + seconds(options.seconds);
  for (const auto& connection : connections_) connection->connect();
  if (options.rate > 0) schedule();
  watch();
  prefer_short_slices();  // replies are seen when they come
  io_.run();
}

void Load::schedule() {
  arrival_.expires_at(next_);
  arrival_.async_wait([this](const NetError& error) {
    if (error) return;
    std::exponential_distribution<double> gap(options.rate);
    for (const auto now = Clock::now(); next_ <= now && next_ < end_;) {
      if (Connection* connection = free_connection(); connection != nullptr && waiting_.empty()) {
        connection->send(next_);
      } else {
        waiting_.push_back(next_);
      }
      const double wait = options.arrivals == "poisson" ? gap(random_) : 1 / options.rate;
      next_ += std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(wait));
    }
    if (next_ < end_) schedule();
  });
}

Connection* Load::free_connection() {
  for (const auto& connection : connections_)
    if (connection->is_free()) return connection.get();
  return nullptr;
}

void Load::on_free(Connection& connection) {
  const auto now = Clock::now();
  if (now >= end_ && options.rate <= 0) return;
  if (options.rate <= 0) return connection.send(now);
  if (waiting_.empty()) return;
  const Clock::time_point due = waiting_.front();
  waiting_.pop_front();
  connection.send(due);
}

void Load::watch() {
  watch_.expires_after(std::chrono::milliseconds(50));
  watch_.async_wait([this](const NetError&) {
    const auto now = Clock::now();
    for (const auto& connection : connections_) connection->look_at(now);
    const bool done = waiting_.empty() && std::none_of(connections_.begin(), connections_.end(),
                                                       [](const auto& c) { return c->is_busy(); });
    const auto last =
        end_ + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(options.timeout));
    if (now >= end_ && (done || now >= last)) return finish();
    watch();
  });
}

void Load::finish() {
  for (const Clock::time_point due : waiting_)
    if (measured(due)) ++results.unanswered;
  for (const auto& connection : connections_) connection->close();
  io_.stop();
}

void Load::record(Clock::time_point due, int status, size_t bytes) {
  if (!measured(due)) return;
  results.latencies.push_back(std::chrono::duration<double>(Clock::now() - due).count());
  results.statuses[status].push_back(results.latencies.back());
  results.bytes += static_cast<int64_t>(bytes);
}

void Load::record_error(Clock::time_point due, const std::string& what) {
  if (measured(due)) ++results.errors[what];
}

double quantile(const std::vector<double>& sorted, double q) {
  if (sorted.empty()) return 0;
  const auto rank = static_cast<size_t>(std::ceil(q * static_cast<double>(sorted.size())));
  return sorted[std::max<size_t>(rank, 1) - 1];
}

void print(const Options& options, Results& results) {
  std::vector<double>& l = results.latencies;
  std::sort(l.begin(), l.end());
  const double per_second = static_cast<double>(l.size()) / options.seconds;
  constexpr std::pair<const char*, double> kQuantiles[] = {
      {"p50", .5}, {"p90", .9}, {"p99", .99}, {"p99.9", .999}, {"max", 1}};
  if (options.json) {
    nlohmann::ordered_json out = {{"loop", options.rate > 0 ? "open" : "closed"},
                                  {"connections", options.connections},
                                  {"seconds", options.seconds},
                                  {"rate", options.rate},
                                  {"replies", l.size()},
                                  {"requests_per_second", per_second},
                                  {"bytes_in", results.bytes},
                                  {"unanswered", results.unanswered}};
    for (const auto& [name, q] : kQuantiles) out["latency_ms"][name] = 1e3 * quantile(l, q);
    out["statuses"] = nlohmann::ordered_json::object();
    for (auto& [status, latencies] : results.statuses) {
      std::sort(latencies.begin(), latencies.end());
      auto& of = out["statuses"][std::to_string(status)];
      of["replies"] = latencies.size();
      for (const auto& [name, q] : kQuantiles) of["latency_ms"][name] = 1e3 * quantile(latencies, q);
    }
    out["errors"] = nlohmann::ordered_json::object();
    for (const auto& [what, n] : results.errors) out["errors"][what] = n;
    std::printf("%s\n", out.dump().c_str());
    return;
  }
  std::printf("%zu replies in %g s: %.0f requests/s, %.1f MB/s read\n", l.size(), options.seconds, per_second,
              static_cast<double>(results.bytes) / options.seconds / 1e6);
  for (const auto& [name, q] : kQuantiles) std::printf("%s %.3f ms  ", name, 1e3 * quantile(l, q));
  std::printf("\n");
  for (auto& [status, latencies] : results.statuses) {
    std::sort(latencies.begin(), latencies.end());
    std::printf("status %d: %zu, p50 %.3f ms, p99 %.3f ms\n", status, latencies.size(), 1e3 * quantile(latencies, .5),
                1e3 * quantile(latencies, .99));
  }
  for (const auto& [what, n] : results.errors)
    std::printf("error, %s: %lld\n", what.c_str(), static_cast<long long>(n));
  if (results.unanswered > 0) std::printf("never sent: %lld\n", static_cast<long long>(results.unanswered));
}

int run(const Options& options) {
  const Target target = parse_url(options.url);
  const std::string request = request_text(options, target);
  net::io_context io;
  NetError error;
  const auto found = tcp::resolver(io).resolve(target.host, target.port, error);
  WN_CHECK(!error && !found.empty(), IoError, "{}: {}", options.url, error.message());
  Load load(options, request, found.begin()->endpoint());
  load.run();
  print(options, load.results);
  return load.results.latencies.empty() ? 1 : 0;
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  winnow::Options options;
  CLI::App app(
      "Load on an HTTP server, latencies from when each request was due.\n"
      "  http_load http://127.0.0.1:8080/v1/score --body request.json --connections 16\n"
      "  http_load http://127.0.0.1:8080/v1/score --body request.json --rate 500 --connections 64");
  app.add_option("url", options.url, "http://HOST[:PORT]/PATH")->required();
  app.add_option("--method", options.method, "default: POST with --body, else GET");
  app.add_option("--body", options.body_file, "file that every request sends");
  app.add_option("--type", options.type, "Content-Type of the body")->capture_default_str();
  app.add_option("--header", options.headers, "\"NAME: VALUE\", may be repeated");
  app.add_option("--connections", options.connections, "connections that are kept open")
      ->check(CLI::Range(1, 10000))
      ->capture_default_str();
  app.add_option("--seconds", options.seconds, "measured time")->check(CLI::PositiveNumber)->capture_default_str();
  app.add_option("--warmup", options.warmup, "seconds before that")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  app.add_option("--rate", options.rate, "open loop: requests per second; 0: closed loop")
      ->check(CLI::NonNegativeNumber);
  app.add_option("--arrivals", options.arrivals, "of the open loop")
      ->check(CLI::IsMember({"poisson", "constant"}))
      ->capture_default_str();
  app.add_option("--timeout", options.timeout, "seconds to wait for a reply")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  app.add_option("--seed", options.seed, "of the Poisson arrivals")->capture_default_str();
  app.add_flag("--json", options.json, "one JSON object");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) { return app.exit(e) == 0 ? 0 : 2; }
  try {
    return winnow::run(options);
  } catch (const winnow::Error& e) {
    std::fprintf(stderr, "http_load: %s\n", e.what());
    return 1;
  }
}
