// One connection to a Redis server: hiredis parses the replies, sockets and deadlines are ours (its own
// timeouts are per read, and a write to a closed connection would raise SIGPIPE).
#pragma once
#include <hiredis/hiredis.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace winnow::detail {

struct RedisUrl {
  std::string host, user, password;  // user "": the default one; password "": none is sent
  int port = 6379, db = 0;
  std::chrono::milliseconds timeout{500};
  std::string spool;  // a path, or ""
  int64_t history = 500;
  std::string prefix = "winnow";

  // ConfigError names the part; a URL with a password in it is refused without showing it.
  static RedisUrl parse(const std::string& url);
  std::string name() const { return host.find(':') != std::string::npos ? fmt_name("[" + host + "]") : fmt_name(host); }

 private:
  std::string fmt_name(const std::string& shown) const { return "redis " + shown + ":" + std::to_string(port); }
};

struct ReplyFree {
  void operator()(redisReply* reply) const { freeReplyObject(reply); }
};
using RedisReply = std::unique_ptr<redisReply, ReplyFree>;

class RedisConnection {
 public:
  // Connects, says who it is, selects the database; IoError within the timeout (looking up a host name is the
  // system's affair and has its own).
  explicit RedisConnection(const RedisUrl& url);
  ~RedisConnection();
  RedisConnection(const RedisConnection&) = delete;
  RedisConnection& operator=(const RedisConnection&) = delete;

  // The reply within the timeout. IoError: no answer (then the connection is broken() and of no more use), or an error
  // reply with its text (then it is not).
  RedisReply command(std::span<const std::string_view> words);
  RedisReply command(std::initializer_list<std::string_view> words) { return command({words.begin(), words.size()}); }
  // Runs a script that is kept by the server. source: must live as long; words: number of keys, keys, arguments.
  RedisReply script(std::string_view source, std::span<const std::string_view> words);

  bool broken() const { return broken_; }
  bool timed_out() const { return timed_out_; }  // the command may still be carried out
  const std::string& name() const { return name_; }
  // IoError unless the reply is of this type (REDIS_REPLY_ARRAY, ...).
  void expect(const redisReply* reply, int type) const;

 private:
  using Deadline = std::chrono::steady_clock::time_point;
  void open_socket(const RedisUrl& url, Deadline deadline);
  void send(std::string_view bytes, Deadline deadline);
  RedisReply receive(Deadline deadline);
  RedisReply exchange(std::span<const std::string_view> words);
  void wait(short events, Deadline deadline);
  [[noreturn]] void broke(const std::string& why);

  struct ReaderFree {
    void operator()(redisReader* reader) const { redisReaderFree(reader); }
  };
  const std::string name_;
  const std::chrono::milliseconds timeout_;
  int socket_ = -1;
  bool broken_ = false, timed_out_ = false;
  std::string_view script_;  // the last one, and its digest
  std::string digest_;
  std::unique_ptr<redisReader, ReaderFree> reader_;
};

}  // namespace winnow::detail
