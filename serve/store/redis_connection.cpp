#include "serve/store/detail/redis_connection.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "core/error.h"

namespace winnow::detail {
namespace {

constexpr size_t kMaxReplyBytes = size_t{256} << 20;

std::string text_of(int error) { return std::generic_category().message(error); }

// SHA-1 of a script is what EVALSHA wants; the server computes it (SCRIPT LOAD), so that we need none.
std::string loaded(RedisConnection& connection, std::string_view source) {
  const RedisReply reply = connection.command({"SCRIPT", "LOAD", source});
  connection.expect(reply.get(), REDIS_REPLY_STRING);
  return {reply->str, reply->len};
}

}  // namespace

RedisConnection::RedisConnection(const RedisUrl& url)
    : name_(url.name()), timeout_(url.timeout), reader_(redisReaderCreate()) {
  WN_CHECK(reader_ != nullptr, OutOfMemory, "{}: no memory for a connection", name_);
  try {
    open_socket(url, std::chrono::steady_clock::now() + timeout_);
    if (!url.password.empty()) {
      if (url.user.empty())
        command({"AUTH", url.password});
      else
        command({"AUTH", url.user, url.password});
    }
    if (url.db != 0) command({"SELECT", std::to_string(url.db)});
    // A server that is still loading its data answers errors until it is done; so does one that wants a password.
    command({"PING"});
  } catch (const Error&) {
    if (socket_ >= 0) ::close(socket_);
    throw;
  }
}

RedisConnection::~RedisConnection() {
  if (socket_ >= 0) ::close(socket_);
}

void RedisConnection::broke(const std::string& why) {
  broken_ = true;
  throw IoError(name_ + ": " + why);
}

void RedisConnection::open_socket(const RedisUrl& url, Deadline deadline) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  const int result = ::getaddrinfo(url.host.c_str(), std::to_string(url.port).c_str(), &hints, &found);
  if (result != 0) broke(fmt::format("the host name cannot be looked up: {}", ::gai_strerror(result)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, ::freeaddrinfo);
  std::string why = "no address";
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (socket_ >= 0) ::close(socket_);
    socket_ = ::socket(at->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (socket_ < 0) {
      why = text_of(errno);
      continue;
    }
    int error = ::connect(socket_, at->ai_addr, at->ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      wait(POLLOUT, deadline);
      socklen_t size = sizeof error;
      ::getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error == 0) {
      const int on = 1;
      ::setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      ::setsockopt(socket_, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
      return;
    }
    why = text_of(error);
  }
  broke(why);
}

void RedisConnection::wait(short events, Deadline deadline) {
  while (true) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd polled{.fd = socket_, .events = events, .revents = 0};
    const int ready = left.count() <= 0 ? 0 : ::poll(&polled, 1, static_cast<int>(left.count()));
    if (ready > 0) return;
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) broke(text_of(errno));
    timed_out_ = true;
    broke(fmt::format("no answer within {} ms", timeout_.count()));
  }
}

void RedisConnection::send(std::string_view bytes, Deadline deadline) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent > 0)
      bytes.remove_prefix(static_cast<size_t>(sent));
    else if (errno == EAGAIN || errno == EWOULDBLOCK)
      wait(POLLOUT, deadline);
    else if (errno != EINTR)
      broke(text_of(errno));
  }
}

RedisReply RedisConnection::receive(Deadline deadline) {
  std::array<char, 16384> buffer;
  size_t received = 0;
  while (true) {
    void* reply = nullptr;
    if (redisReaderGetReply(reader_.get(), &reply) != REDIS_OK)
      broke(fmt::format("this is not Redis's protocol: {}", reader_->errstr));
    if (reply != nullptr) return RedisReply(static_cast<redisReply*>(reply));
    const ssize_t n = ::recv(socket_, buffer.data(), buffer.size(), 0);
    if (n == 0) broke("the server closed the connection");
    if (n < 0) {
      if (errno == EAGAIN || errno == EWOULDBLOCK)
        wait(POLLIN, deadline);
      else if (errno != EINTR)
        broke(text_of(errno));
      continue;
    }
    if ((received += static_cast<size_t>(n)) > kMaxReplyBytes)
      broke(fmt::format("a reply of more than {} MiB", kMaxReplyBytes >> 20));
    if (redisReaderFeed(reader_.get(), buffer.data(), static_cast<size_t>(n)) != REDIS_OK)
      broke(fmt::format("this is not Redis's protocol: {}", reader_->errstr));
  }
}

RedisReply RedisConnection::exchange(std::span<const std::string_view> words) {
  if (broken_) broke("the connection broke before");
  std::string bytes = fmt::format("*{}\r\n", words.size());
  for (const std::string_view word : words) {
    fmt::format_to(std::back_inserter(bytes), "${}\r\n", word.size());
    bytes.append(word).append("\r\n");
  }
  const Deadline deadline = std::chrono::steady_clock::now() + timeout_;
  send(bytes, deadline);
  return receive(deadline);
}

RedisReply RedisConnection::command(std::span<const std::string_view> words) {
  RedisReply reply = exchange(words);
  if (reply->type == REDIS_REPLY_ERROR) throw IoError(name_ + ": " + std::string(reply->str, reply->len));
  return reply;
}

RedisReply RedisConnection::script(std::string_view source, std::span<const std::string_view> words) {
  std::vector<std::string_view> all = {"EVALSHA", ""};
  all.insert(all.end(), words.begin(), words.end());
  if (script_ != source || digest_.empty()) {
    digest_ = loaded(*this, source);
    script_ = source;
  }
  all[1] = digest_;
  RedisReply reply = exchange(all);
  if (reply->type == REDIS_REPLY_ERROR && std::string_view(reply->str, reply->len).starts_with("NOSCRIPT")) {
    digest_ = loaded(*this, source);  // SCRIPT FLUSH
    all[1] = digest_;
    reply = exchange(all);
  }
  if (reply->type == REDIS_REPLY_ERROR) throw IoError(name_ + ": " + std::string(reply->str, reply->len));
  return reply;
}

void RedisConnection::expect(const redisReply* reply, int type) const {
  WN_CHECK(
      reply != nullptr && reply->type == type, IoError,
      "{}: a reply of another type ({}, not {}): other data lies under these keys, name another prefix or database",
      name_, reply != nullptr ? reply->type : 0, type);
}

}  // namespace winnow::detail
