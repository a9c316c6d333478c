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

// A port of the loopback that the kernel gives to nobody else while the object lives, also not to a client as its own
// end (which then could be connected with itself): a server may listen there, end and come back. The server must allow
// the reuse of its address, as this socket does, which never listens.
class HeldPort {
 public:
  HeldPort() : socket_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const int one = 1;
    ::setsockopt(socket_, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (::bind(socket_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
        ::getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
      throw std::runtime_error("no free port");
    number_ = ntohs(address.sin_port);
  }
  ~HeldPort() { ::close(socket_); }
  HeldPort(const HeldPort&) = delete;
  HeldPort& operator=(const HeldPort&) = delete;
  int number() const { return number_; }

 private:
  int socket_, number_;
};

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
        "redis-server", "--port", std::to_string(port()), "--bind", "127.0.0.1", "--dir", directory_,
        "--appendonly", "yes",    "--appendfsync",        "always", "--save",    "",      "--logfile",
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
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes(1);
    for (; std::chrono::steady_clock::now() < end; std::this_thread::sleep_for(std::chrono::milliseconds(20))) {
      if (::waitpid(process_, nullptr, WNOHANG) != 0) {
        process_ = 0;
        break;
      }
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
  // After SIGSTOP the server has stopped.
  void signal(int number) const {
    ::kill(process_, number);
    if (number == SIGSTOP) ::waitpid(process_, nullptr, WUNTRACED);
  }

  // With options of its own; answers are waited for long unless these say otherwise.
  std::string url(const std::string& options = "") const {
    const bool patient = options.find("timeout_ms=") == std::string::npos;
    return "redis://127.0.0.1:" + std::to_string(port()) + "/0?" + (patient ? "timeout_ms=60000" : "") +
           (patient && !options.empty() ? "&" : "") + options;
  }
  const std::string& directory() const { return directory_; }
  int port() const { return port_.number(); }
  // A command as redis-cli would send it.
  detail::RedisReply command(std::initializer_list<std::string_view> words) const {
    detail::RedisConnection redis(detail::RedisUrl::parse(url()));
    return redis.command(words);
  }

 private:
  std::vector<std::string> options_;
  std::string directory_;
  const HeldPort port_;
  pid_t process_ = 0;
};

#define WN_SKIP_WITHOUT_REDIS() \
  if (!RedisServer::installed()) GTEST_SKIP() << "redis-server is not installed (scripts/install_packages.sh --tests)"

}  // namespace winnow
