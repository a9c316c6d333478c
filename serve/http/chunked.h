// A chunked body (RFC 9112, section 7.1), decoded as its bytes come. Strict: a size of 1 to 16 hexadecimal digits,
// extensions of at most 256 bytes, CR LF behind each, no trailers.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "serve/http/head.h"

namespace winnow {

class ChunkedBody {
 public:
  explicit ChunkedBody(size_t max_body = 1 << 20) : max_body_(max_body) {}
  // Takes the body's bytes off the front of `in`, all of them unless the body ends before, and appends its data to
  // `body`; null: the data is let go. 400 for what is no chunk, 413 when the data would exceed max_body: known from the
  // size line, before the data comes.
  HttpFault take(std::string_view& in, std::string* body);
  bool done() const { return state_ == State::kDone; }
  size_t received() const { return received_; }  // bytes of data

 private:
  enum class State { kSize, kExtension, kSizeEnd, kData, kDataReturn, kDataNewline, kEndReturn, kEndNewline, kDone };
  HttpFault take_byte(char c);
  HttpFault take_size_byte(char c);

  State state_ = State::kSize;
  size_t max_body_, received_ = 0;
  uint64_t size_ = 0, left_ = 0;
  int digits_ = 0, extension_ = 0;
};

}  // namespace winnow
