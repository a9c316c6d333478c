// A blocking client over a plain socket, as rude as a test wants it to be.
#pragma once
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <utility>

namespace winnow {

struct ClientReply {
  int status = 0;  // 0: the connection ended, or nothing came in time
  std::string head, body;
  std::string field(const std::string& name) const {  // as the server spells it
    const size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find("\r\n", begin) - begin);
  }
};

class HttpClient {
  static constexpr int kLongestMs = 60'000;  // for what hangs

 public:
  HttpClient() : fd_(socket(AF_INET, SOCK_STREAM, 0)) {}  // not connected yet
  explicit HttpClient(uint16_t port, int receive_buffer = 0) : HttpClient() {
    if (receive_buffer > 0) setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    connect_to(port);
  }
  void connect_to(uint16_t port) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const int one = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) close_now();
  }
  ~HttpClient() { close_now(); }
  HttpClient(HttpClient&& other) noexcept : fd_(std::exchange(other.fd_, -1)), in_(std::move(other.in_)) {}
  HttpClient& operator=(HttpClient&&) = delete;

  bool is_connected() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  void close_now() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void end_sending() { shutdown(fd_, SHUT_WR); }

  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  // The next reply; without_body for those to HEAD.
  ClientReply receive(bool without_body = false, int timeout_ms = kLongestMs) {
    ClientReply reply;
    size_t end;
    while ((end = in_.find("\r\n\r\n")) == std::string::npos)
      if (!more(timeout_ms)) return {};
    reply.head = in_.substr(0, end + 2);
    in_.erase(0, end + 4);
    const std::string length = reply.field("Content-Length");
    const size_t body = without_body || length.empty() ? 0 : std::stoull(length);
    while (in_.size() < body)
      if (!more(timeout_ms)) return {};
    reply.body = in_.substr(0, body);
    in_.erase(0, body);
    reply.status = std::stoi(reply.head.substr(9, 3));
    return reply;
  }
  ClientReply ask(std::string_view request) { return send(request) ? receive() : ClientReply{}; }

  // The server closed the connection, within the time.
  bool is_closed(int timeout_ms = kLongestMs) {
    while (more(timeout_ms)) in_.clear();
    return ended_;
  }

 private:
  bool more(int timeout_ms) {
    pollfd wait{fd_, POLLIN, 0};
    if (fd_ < 0 || poll(&wait, 1, timeout_ms) <= 0) return false;
    char buffer[16384];
    const ssize_t n = recv(fd_, buffer, sizeof buffer, 0);
    if (n <= 0) {
      ended_ = true;
      return false;
    }
    in_.append(buffer, static_cast<size_t>(n));
    return true;
  }
  int fd_;
  std::string in_;
  bool ended_ = false;
};

inline std::string get_request(const std::string& target, const std::string& fields = "") {
  return "GET " + target + " HTTP/1.1\r\nHost: localhost\r\n" + fields + "\r\n";
}
inline std::string post_request(const std::string& target, const std::string& body, const std::string& fields = "") {
  return "POST " + target + " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
         fields + "\r\n" + body;
}

inline double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

// Whether it comes to hold; the limit is for what hangs, not for what a busy machine delays.
template <class F>
bool comes_to_hold(F&& holds) {
  const auto start = std::chrono::steady_clock::now();
  while (!holds()) {
    if (std::chrono::steady_clock::now() - start > std::chrono::minutes(4)) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
  return true;
}

}  // namespace winnow
