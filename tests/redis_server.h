// A Redis server of a test's own: on a free port of the loopback, its files in a temporary directory.
#pragma once
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <thread>

#include "core/error.h"
#include "serve/store/detail/redis_connection.h"

namespace winnow {

inline int free_port() {
  const int descriptor = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(descriptor, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("no free port");
  ::close(descriptor);
  return ntohs(address.sin_port);
}

class RedisServer {
 public:
  static bool installed() { return std::system("command -v redis-server >/dev/null 2>&1") == 0; }

  explicit RedisServer(std::vector<std::string> options = {}) : options_(std::move(options)) {
    std::string name = (std::filesystem::temp_directory_path() / "winnow-redis-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp " + name);
    directory_ = name;
    start();
  }
  ~RedisServer() {
    kill();
    std::filesystem::remove_all(directory_);
  }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  void start() {
    std::vector<std::string> words = {
        "redis-server", "--port", std::to_string(port_), "--bind", "127.0.0.1", "--dir", directory_,
        "--appendonly", "yes",    "--appendfsync",       "always", "--save",    "",      "--logfile",
        "log"};
    words.insert(words.end(), options_.begin(), options_.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    process_ = ::fork();
    if (process_ == 0) {
      ::execvp("redis-server", arguments.data());
      ::_exit(127);
    }
    for (int i = 0; i < 500; ++i, std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
      try {
        detail::RedisConnection redis(detail::RedisUrl::parse(url()));
        return;
      } catch (const IoError& error) {
        if (std::string(error.what()).find("NOAUTH") != std::string::npos) return;
      }
    }
    throw std::runtime_error("redis-server does not start");
  }
  void kill() {
    if (process_ <= 0) return;
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
    process_ = 0;
  }
  void signal(int number) const { ::kill(process_, number); }

  std::string url(const std::string& options = "") const {
    return "redis://127.0.0.1:" + std::to_string(port_) + "/0" + (options.empty() ? "" : "?" + options);
  }
  const std::string& directory() const { return directory_; }
  int port() const { return port_; }
  // A command as redis-cli would send it.
  detail::RedisReply command(std::initializer_list<std::string_view> words) const {
    detail::RedisConnection redis(detail::RedisUrl::parse(url()));
    return redis.command(words);
  }

 private:
  std::vector<std::string> options_;
  std::string directory_;
  int port_ = free_port();
  pid_t process_ = 0;
};

#define WN_SKIP_WITHOUT_REDIS() \
  if (!RedisServer::installed()) GTEST_SKIP() << "redis-server is not installed (scripts/install_packages.sh --tests)"

}  // namespace winnow
