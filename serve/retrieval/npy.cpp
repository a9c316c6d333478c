#include "serve/retrieval/npy.h"

#include <charconv>
#include <cstring>
#include <utility>
#include <vector>

#include "core/error.h"
#include "core/text.h"

namespace winnow {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";

struct Header {
  std::string_view descr;
  bool fortran = false;
  std::vector<int64_t> shape;
};

// The header is a literal of Python: {'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }.
class HeaderText {
 public:
  HeaderText(std::string_view text, const std::string& source) : rest_(text), source_(source) {}

  Header read() {
    Header h;
    bool descr = false, order = false, shape = false;
    expect("{");
    while (!take("}")) {
      const std::string_view key = string();
      expect(":");
      if (key == "descr" && !std::exchange(descr, true))
        h.descr = string();
      else if (key == "fortran_order" && !std::exchange(order, true))
        h.fortran = truth();
      else if (key == "shape" && !std::exchange(shape, true))
        h.shape = numbers();
      else
        fail("an unknown or repeated key " + quoted(key));
      if (!take(",") && !starts("}")) fail("no comma between keys");
    }
    skip();
    if (!rest_.empty()) fail("text behind the header");
    if (!descr || !order || !shape) fail("descr, fortran_order or shape is missing");
    return h;
  }
  [[noreturn]] void fail(const std::string& what) const { raise<IoError>("{}: npy: {}", source_, what); }

 private:
  void skip() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n')) rest_.remove_prefix(1);
  }
  bool starts(std::string_view word) {
    skip();
    return rest_.starts_with(word);
  }
  bool take(std::string_view word) {
    if (!starts(word)) return false;
    rest_.remove_prefix(word.size());
    return true;
  }
  void expect(std::string_view word) {
    if (!take(word)) fail(fmt::format("'{}' was expected in the header", word));
  }
  std::string_view string() {
    skip();
    const char quote = rest_.empty() ? '\0' : rest_[0];
    const size_t end = quote == '\'' || quote == '"' ? rest_.find(quote, 1) : std::string_view::npos;
    if (end == std::string_view::npos) fail("a quoted word was expected in the header");
    const std::string_view word = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return word;
  }
  bool truth() {
    if (take("True")) return true;
    expect("False");
    return false;
  }
  std::vector<int64_t> numbers() {
    std::vector<int64_t> all;
    expect("(");
    while (!take(")")) {
      skip();
      int64_t n = 0;
      const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), n);
      if (error != std::errc() || n < 0 || all.size() == 2) fail("the shape is not that of vectors: (rows, width)");
      rest_.remove_prefix(static_cast<size_t>(end - rest_.data()));
      all.push_back(n);
      if (!take(",") && !starts(")")) fail("no comma in the shape");
    }
    return all;
  }
  std::string_view rest_;
  const std::string& source_;
};

}  // namespace

Tensor parse_npy(std::span<const std::byte> bytes, const std::string& source) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  WN_CHECK(text.size() >= 12 && text.starts_with(kMagic), IoError, "{}: npy: no file of numpy.save", source);
  const int version = text[6];
  WN_CHECK(version >= 1 && version <= 3, IoError, "{}: npy: version {} of the format is not known", source, version);
  const size_t start = version == 1 ? 10 : 12;
  uint32_t length = 0;
  std::memcpy(&length, text.data() + 8, version == 1 ? 2 : 4);
  WN_CHECK(length <= text.size() - start, IoError, "{}: npy: the header ends beyond the file", source);
  HeaderText parser(text.substr(start, length), source);
  const Header h = parser.read();
  const bool wide = h.descr == "<f8";
  if (!wide && h.descr != "<f4") parser.fail("numbers of type " + quoted(h.descr) + "; float32 and float64 are read");
  if (h.fortran && h.shape.size() > 1) parser.fail("Fortran order; save numpy.ascontiguousarray(vectors)");
  if (h.shape.empty()) parser.fail("a single number is no vector");
  const int64_t rows = h.shape.size() == 1 ? 1 : h.shape[0], width = h.shape.back();
  const auto numbers = static_cast<int64_t>((text.size() - start - length) / (wide ? 8 : 4));
  if (width == 0 || rows > numbers / width ||
      static_cast<size_t>(rows * width) * (wide ? 8 : 4) != text.size() - start - length)
    parser.fail(
        fmt::format("shape ({}, {}) is not that of {} bytes of data", rows, width, text.size() - start - length));
  Tensor out({DType::F32, {rows, width}});
  const char* data = text.data() + start + length;
  if (!wide) {
    if (rows * width > 0) std::memcpy(out.raw(), data, out.bytes());
    return out;
  }
  for (int64_t i = 0; i < rows * width; ++i) {
    double x = 0;
    std::memcpy(&x, data + i * 8, 8);
    out.data<float>()[i] = static_cast<float>(x);
  }
  return out;
}

}  // namespace winnow
