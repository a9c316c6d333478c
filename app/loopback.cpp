#include "app/loopback.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <charconv>
#include <cstring>

#include "core/error.h"

namespace winnow {

LoopbackClient::LoopbackClient(uint16_t port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  const int one = 1;
  setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  if (socket_ < 0 || connect(socket_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    const int error = errno;
    if (socket_ >= 0) close(socket_);
    raise<IoError>("127.0.0.1:{}: cannot connect: {}", port, std::strerror(error));
  }
}

LoopbackClient::~LoopbackClient() { close(socket_); }

std::string LoopbackClient::post(std::string_view path, std::string_view body) {
  const std::string request = fmt::format(
      "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", path,
      body.size(), body);
  for (std::string_view left = request; !left.empty();) {
    const ssize_t n = send(socket_, left.data(), left.size(), MSG_NOSIGNAL);
    WN_CHECK(n > 0, IoError, "{}: the server closed the connection", path);
    left.remove_prefix(static_cast<size_t>(n));
  }
  const auto more = [&] {
    char buffer[16384];
    const ssize_t n = recv(socket_, buffer, sizeof buffer, 0);
    WN_CHECK(n > 0, IoError, "{}: the server closed the connection", path);
    in_.append(buffer, static_cast<size_t>(n));
  };
  size_t head = 0;
  while ((head = in_.find("\r\n\r\n")) == std::string::npos) more();
  constexpr std::string_view kLength = "\r\nContent-Length: ";
  const size_t at = in_.find(kLength);
  size_t length = 0;
  if (at < head) std::from_chars(in_.data() + at + kLength.size(), in_.data() + head, length);
  while (in_.size() < head + 4 + length) more();
  const std::string reply = in_.substr(head + 4, length);
  const bool ok = in_.starts_with("HTTP/1.1 200 ");
  in_.erase(0, head + 4 + length);
  WN_CHECK(ok, IoError, "{}: {}", path, reply);
  return reply;
}

}  // namespace winnow
