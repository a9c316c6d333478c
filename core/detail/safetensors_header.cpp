#include "core/detail/safetensors_header.h"

#include <array>

#include "core/error.h"
#include "core/text.h"
#include "core/utf8.h"

namespace winnow::detail {
namespace {

constexpr std::array kDTypes = {DType::F32, DType::BF16, DType::F64, DType::I8, DType::U8, DType::I32, DType::I64};
constexpr size_t kLongestName = 512;

class Parser {
 public:
  Parser(std::string_view json, const std::string& source) : text_(json), source_(source) {}

  SafeTensorsHeader parse() {
    SafeTensorsHeader header;
    if (text_.empty() || text_[0] != '{') fail("must start with '{{'");
    bool seen_metadata = false;
    members([&](std::string& key) {
      if (key == "__metadata__") {
        if (seen_metadata) fail("__metadata__ is given twice");
        seen_metadata = true;
        metadata(header);
      } else {
        header.entries.push_back(entry(key));
      }
    });
    while (at_ < text_.size())
      if (text_[at_++] != ' ') fail_at(at_ - 1, "only spaces may follow the object");
    return header;
  }

 private:
  template <class... A>
  [[noreturn]] void fail(fmt::format_string<A...> format, A&&... args) const {
    fail_at(at_, fmt::format(format, std::forward<A>(args)...));
  }
  [[noreturn]] void fail_at(size_t at, const std::string& text) const {
    raise<IoError>("{}: header: byte {}: {}", source_, at, text);
  }

  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r'))
      ++at_;
  }
  bool accept(char c) {
    skip_space();
    if (at_ == text_.size() || text_[at_] != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (accept(c)) return;
    if (at_ == text_.size()) fail("expected '{}', the header ends", c);
    fail("expected '{}', found {}", c, quoted(text_.substr(at_, 1)));
  }

  // { "key": <value>, ... }; value(key) parses the value.
  template <class F>
  void members(F&& value) {
    expect('{');
    if (accept('}')) return;
    do {
      std::string key = string();
      expect(':');
      value(key);
    } while (accept(','));
    expect('}');
  }

  void metadata(SafeTensorsHeader& header) {
    members([&](std::string& key) {
      skip_space();
      const size_t quote = at_;
      std::string value = string();
      if (key == kHeaderChecksum && at_ - quote == 10) header.header_checksum_at = quote + 1;
      if (!header.metadata.emplace(std::move(key), std::move(value)).second)
        fail_at(quote, "a metadata key is given twice");
    });
  }

  SafeTensors::Entry entry(std::string& name) {
    if (name.size() > kLongestName)
      fail("the name {} has {} bytes, {} are allowed", quoted(name, 40), name.size(), kLongestName);
    if (name.find('\0') != std::string::npos) fail("the name {} holds a NUL", quoted(name));
    SafeTensors::Entry entry;
    bool dtype = false, shape = false, offsets = false;
    members([&](const std::string& field) {
      bool* seen = field == "dtype" ? &dtype : field == "shape" ? &shape : field == "data_offsets" ? &offsets : nullptr;
      if (seen == nullptr) fail("tensor {}: unknown field {}", quoted(name), quoted(field));
      if (*seen) fail("tensor {}: {} is given twice", quoted(name), field);
      *seen = true;
      if (seen == &dtype)
        entry.spec.dtype = this->dtype(name);
      else if (seen == &shape)
        entry.spec.shape = this->shape(name);
      else
        this->offsets(name, entry);
    });
    if (!dtype || !shape || !offsets)
      fail("tensor {}: {} is missing", quoted(name), !dtype ? "dtype" : !shape ? "shape" : "data_offsets");
    entry.name = std::move(name);
    return entry;
  }

  DType dtype(const std::string& name) {
    const std::string word = string();
    for (const DType t : kDTypes)
      if (word == safetensors_dtype(t)) return t;
    fail("tensor {}: dtype {} is not supported; F32, BF16, F64, I8, U8, I32 and I64 are", quoted(name), quoted(word));
  }

  Shape shape(const std::string& name) {
    std::array<int64_t, Shape::kMaxRank> dims{};
    size_t rank = 0;
    expect('[');
    if (!accept(']')) {
      do {
        if (rank == dims.size()) fail("tensor {}: rank over {}", quoted(name), dims.size());
        const uint64_t extent = integer();
        if (extent > INT64_MAX) fail("tensor {}: the extent {} at axis {} overflows", quoted(name), extent, rank);
        dims[rank++] = static_cast<int64_t>(extent);
      } while (accept(','));
      expect(']');
    }
    try {
      return Shape(std::span<const int64_t>(dims.data(), rank));
    } catch (const ShapeError& e) { fail("tensor {}: {}", quoted(name), e.what()); }
  }

  void offsets(const std::string& name, SafeTensors::Entry& entry) {
    expect('[');
    entry.begin = integer();
    expect(',');
    entry.end = integer();
    expect(']');
    if (entry.end < entry.begin)
      fail("tensor {}: its data ends at {}, before its begin {}", quoted(name), entry.end, entry.begin);
  }

  uint64_t integer() {
    skip_space();
    const size_t first = at_;
    uint64_t n = 0;
    for (; at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; ++at_) {
      if (__builtin_mul_overflow(n, uint64_t{10}, &n) || __builtin_add_overflow(n, uint64_t(text_[at_] - '0'), &n))
        fail_at(first, "the number does not fit 64 bits");
    }
    if (at_ == first) fail("expected a non-negative integer");
    if (text_[first] == '0' && at_ - first > 1) fail_at(first, "a number with a leading zero");
    return n;
  }

  // Whole runs of plain characters are copied at once; the text is known to be UTF-8.
  std::string string() {
    expect('"');
    std::string out;
    for (;;) {
      const size_t first = at_;
      while (at_ < text_.size() && text_[at_] != '"' && text_[at_] != '\\' &&
             static_cast<unsigned char>(text_[at_]) >= 0x20)
        ++at_;
      out.append(text_, first, at_ - first);
      if (at_ == text_.size()) fail("a string does not end");
      if (text_[at_] == '"') return ++at_, out;
      if (text_[at_] != '\\') fail("a control character in a string");
      ++at_;
      escape(out);
    }
  }

  void escape(std::string& out) {
    constexpr std::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    const char letter = at_ < text_.size() ? text_[at_++] : '\0';
    if (letter == 'u') return append_utf8(out, code_point());
    const size_t which = kLetters.find(letter);
    if (letter == '\0' || which == std::string_view::npos) fail("an unknown escape in a string");
    out += kMeanings[which];
  }

  uint32_t code_point() {
    const uint32_t unit = hex4();
    if (unit < 0xd800 || unit > 0xdfff) return unit;
    if (unit > 0xdbff || text_.substr(at_, 2) != "\\u") fail("an unpaired surrogate in a string");
    at_ += 2;
    const uint32_t low = hex4();
    if (low < 0xdc00 || low > 0xdfff) fail("an unpaired surrogate in a string");
    return 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
  }

  uint32_t hex4() {
    uint32_t value = 0;
    for (int i = 0; i < 4; ++i, ++at_) {
      const char c = at_ < text_.size() ? text_[at_] : '\0';
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit < 0) fail("expected four hexadecimal digits");
      value = value * 16 + static_cast<uint32_t>(digit);
    }
    return value;
  }

  std::string_view text_;
  const std::string& source_;
  size_t at_ = 0;
};

}  // namespace

std::string_view safetensors_dtype(DType dtype) {
  switch (dtype) {
    case DType::F32: return "F32";
    case DType::BF16: return "BF16";
    case DType::F64: return "F64";
    case DType::I8: return "I8";
    case DType::U8: return "U8";
    case DType::I32: return "I32";
    case DType::I64: return "I64";
  }
  return "";
}

SafeTensorsHeader parse_safetensors_header(std::string_view json, const std::string& source) {
  WN_CHECK(is_utf8(json), IoError, "{}: header: not valid UTF-8", source);
  return Parser(json, source).parse();
}

}  // namespace winnow::detail
