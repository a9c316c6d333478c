#include "serve/http/chunked.h"

#include <algorithm>

#include "serve/http/chars.h"

namespace winnow {
namespace {
constexpr int kMaxDigits = 16, kMaxExtension = 256;
constexpr HttpFault kBadSize{400, "a chunk's size is not 1 to 16 hexadecimal digits"};
constexpr HttpFault kBadEnd{400, "a chunk does not end in CR LF"};
}  // namespace

HttpFault ChunkedBody::take_size_byte(char c) {
  if (const int digit = hex_value(c); digit >= 0) {
    if (++digits_ > kMaxDigits) return kBadSize;
    size_ = 16 * size_ + static_cast<uint64_t>(digit);
    return {};
  }
  if (digits_ == 0) return kBadSize;
  if (c == ';') {
    state_ = State::kExtension;
    extension_ = 1;
    return {};
  }
  if (c != '\r') return kBadSize;
  state_ = State::kSizeEnd;
  return {};
}

HttpFault ChunkedBody::take_byte(char c) {
  switch (state_) {
    case State::kSize: return take_size_byte(c);
    case State::kExtension:
      if (c == '\r') {
        state_ = State::kSizeEnd;
        return {};
      }
      if (!is_http_char(c, kValueChar)) return {400, "a control byte in a chunk's extension"};
      return ++extension_ > kMaxExtension ? HttpFault{400, "a chunk's extension is longer than 256 bytes"}
                                          : HttpFault{};
    case State::kSizeEnd:
      if (c != '\n') return kBadEnd;
      if (size_ > max_body_ - received_) return {413, "the body is too long"};
      left_ = size_;
      state_ = size_ == 0 ? State::kEndReturn : State::kData;
      size_ = 0;
      digits_ = 0;
      return {};
    case State::kDataReturn: state_ = State::kDataNewline; return c == '\r' ? HttpFault{} : kBadEnd;
    case State::kDataNewline: state_ = State::kSize; return c == '\n' ? HttpFault{} : kBadEnd;
    case State::kEndReturn:
      state_ = State::kEndNewline;
      return c == '\r' ? HttpFault{} : HttpFault{400, "trailers behind a chunked body"};
    case State::kEndNewline: state_ = State::kDone; return c == '\n' ? HttpFault{} : kBadEnd;
    case State::kData:
    case State::kDone: break;
  }
  return {};
}

HttpFault ChunkedBody::take(std::string_view& in, std::string* body) {
  while (!in.empty() && !done()) {
    if (state_ == State::kData) {
      const size_t n = std::min<size_t>(in.size(), left_);
      if (body != nullptr) body->append(in.substr(0, n));
      in.remove_prefix(n);
      received_ += n;
      left_ -= n;
      if (left_ == 0) state_ = State::kDataReturn;
      continue;
    }
    const char c = in.front();
    in.remove_prefix(1);
    if (HttpFault fault = take_byte(c)) return fault;
  }
  return {};
}

}  // namespace winnow
