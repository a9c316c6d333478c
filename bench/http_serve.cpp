// The HTTP server by itself, for http_load or wrk: what a request costs before anything is computed.
//   http_serve [--port 8081] [--threads 1] [--reply 2048]     POST or GET /: a reply of that many bytes, at once
//                                                             /handed: the same by another thread
#include <CLI/CLI.hpp>
#include <condition_variable>
#include <csignal>
#include <cstdio>
#include <mutex>
#include <thread>
#include <vector>

#include "core/error.h"
#include "serve/http/server.h"

namespace winnow {
namespace {

// Exchanges from the I/O threads to one that replies.
class Replier {
 public:
  explicit Replier(std::string body) : body_(std::move(body)), thread_([this] { run(); }) {}
  ~Replier() {
    {
      const std::lock_guard lock(mutex_);
      ended_ = true;
    }
    ready_.notify_one();
    thread_.join();
  }
  void add(HttpExchange exchange) {
    {
      const std::lock_guard lock(mutex_);
      waiting_.push_back(std::move(exchange));
    }
    ready_.notify_one();
  }

 private:
  void run() {
    std::vector<HttpExchange> taken;
    while (true) {
      {
        std::unique_lock lock(mutex_);
        ready_.wait(lock, [this] { return ended_ || !waiting_.empty(); });
        if (ended_) return;
        taken.swap(waiting_);
      }
      for (HttpExchange& exchange : taken) {
        HttpReply reply;
        reply.body = body_;
        exchange.reply(std::move(reply));
      }
      taken.clear();
    }
  }
  const std::string body_;
  std::mutex mutex_;
  std::condition_variable ready_;
  std::vector<HttpExchange> waiting_;
  bool ended_ = false;
  std::thread thread_;
};

void serve(const HttpOptions& options, size_t reply_bytes) {
  sigset_t ends;
  sigemptyset(&ends);
  sigaddset(&ends, SIGINT);
  sigaddset(&ends, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &ends, nullptr);
  const std::string body(reply_bytes, 'x');
  Replier replier(body);
  HttpServer server(options);
  for (const char* method : {"GET", "POST"}) {
    server.route(method, "/", [&](HttpExchange x) {
      HttpReply reply;
      reply.body = body;
      x.reply(std::move(reply));
    });
    server.route(method, "/handed", [&](HttpExchange x) { replier.add(std::move(x)); });
  }
  server.start();
  std::fprintf(stderr, "http_serve: http://127.0.0.1:%d/\n", server.port());
  int signal = 0;
  sigwait(&ends, &signal);
  server.stop();
  const HttpCounts c = server.counts();
  std::fprintf(stderr, "http_serve: %lld connections, %lld requests, %lld bad, %lld refused, %lld timeouts\n",
               static_cast<long long>(c.connections), static_cast<long long>(c.requests),
               static_cast<long long>(c.bad_requests), static_cast<long long>(c.refused),
               static_cast<long long>(c.timeouts));
}

}  // namespace
}  // namespace winnow

int main(int argc, char** argv) {
  winnow::HttpOptions options;
  options.port = 8081;
  options.max_connections_per_peer = options.max_connections;
  size_t reply = 2048;
  CLI::App app("The HTTP server by itself: http_serve --threads 1");
  app.add_option("--port", options.port)->capture_default_str();
  app.add_option("--threads", options.threads, "of I/O")->capture_default_str();
  app.add_option("--reply", reply, "bytes of a reply")->capture_default_str();
  try {
    app.parse(argc, argv);
    winnow::serve(options, reply);
  } catch (const CLI::ParseError& e) { return app.exit(e) == 0 ? 0 : 2; } catch (const winnow::Error& e) {
    std::fprintf(stderr, "http_serve: %s\n", e.what());
    return 1;
  }
}
