// Typed errors. Text says what, where and what to do; the library never aborts, exits or prints.
#pragma once
#include <fmt/format.h>

#include <stdexcept>
#include <string>

namespace winnow {

class Error : public std::runtime_error {
 public:
  explicit Error(const std::string& text) : std::runtime_error(text) {}
};
class ShapeError : public Error {
  using Error::Error;
};  // operator, rule, both shapes, source line
class DTypeError : public Error {
  using Error::Error;
};
class ConfigError : public Error {
  using Error::Error;
};  // file:line, key, nearest known key
class DataError : public Error {
  using Error::Error;
};  // file:line, column, value
class IoError : public Error {
  using Error::Error;
};  // path, system error
class DeviceError : public Error {
  using Error::Error;
};  // no kernel, no device: every candidate's reason
class OutOfMemory : public Error {
  using Error::Error;
};
class CommError : public Error {
  using Error::Error;
};

template <class E, class... Args>
[[noreturn]] void raise(fmt::format_string<Args...> format, Args&&... args) {
  throw E(fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace winnow

// Throws ErrorType with the formatted text unless cond holds.
#define WN_CHECK(cond, ErrorType, ...)                   \
  do {                                                   \
    if (!(cond)) [[unlikely]]                            \
      ::winnow::raise<::winnow::ErrorType>(__VA_ARGS__); \
  } while (0)
