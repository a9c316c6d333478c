// One HTTP exchange with a server of this process, blocking: what `winnow verify` asks itself.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace winnow {

class LoopbackClient {
 public:
  explicit LoopbackClient(uint16_t port);  // IoError
  ~LoopbackClient();
  LoopbackClient(const LoopbackClient&) = delete;
  LoopbackClient& operator=(const LoopbackClient&) = delete;
  // The body of the reply to POST `path`. IoError: another status than 200, with the reply's text; no reply.
  std::string post(std::string_view path, std::string_view body);

 private:
  int socket_;
  std::string in_;
};

}  // namespace winnow
