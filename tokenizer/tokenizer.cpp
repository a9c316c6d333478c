#include "tokenizer/tokenizer.h"

#include <atomic>
#include <exception>
#include <optional>
#include <thread>

#include "core/error.h"

namespace winnow {

void Tokenizer::check_ids(std::span<const int32_t> ids) const {
  for (const int32_t id : ids)
    WN_CHECK(id >= 0 && id < size(), DataError, "id {} is outside the vocabulary of {} tokens", id, size());
}

std::vector<int64_t> JaggedIds::lengths() const {
  std::vector<int64_t> all;
  all.reserve(offsets.size());
  for (int64_t r = 0; r < rows(); ++r) all.push_back(length(r));
  return all;
}

RowEncoder::RowEncoder(const Tokenizer& tokenizer, const EncodeOptions& options)
    : tokenizer_(tokenizer), options_(options) {
  WN_CHECK(options.max_len >= 0, ConfigError, "max_len {} must not be negative", options.max_len);
  if (!options.special_tokens) return;
  const SpecialTokens& s = tokenizer.special();
  WN_CHECK(s.cls >= 0 && s.sep >= 0, ConfigError,
           "the vocabulary has no {} token; encode without special tokens, or add it to the vocabulary",
           s.cls < 0 ? "[CLS]" : "[SEP]");
  WN_CHECK(options.max_len == 0 || options.max_len >= 3, ConfigError,
           "max_len {} leaves no room beside the special tokens; at least 3", options.max_len);
}

void RowEncoder::frame(std::span<const int32_t> ids, int8_t type, bool begin, JaggedIds& out) const {
  const SpecialTokens& s = tokenizer_.special();
  if (begin && options_.special_tokens) out.ids.push_back(s.cls);
  out.ids.insert(out.ids.end(), ids.begin(), ids.end());
  if (options_.special_tokens) out.ids.push_back(s.sep);
  out.types.resize(out.ids.size(), type);
}

void RowEncoder::append(std::string_view text, JaggedIds& out) {
  first_.clear();
  tokenizer_.encode(text, first_);
  const auto frame_ids = static_cast<size_t>(options_.special_tokens ? 2 : 0);
  if (options_.max_len > 0) first_.resize(std::min(first_.size(), static_cast<size_t>(options_.max_len) - frame_ids));
  frame(first_, 0, true, out);
  out.offsets.push_back(static_cast<int64_t>(out.ids.size()));
}

namespace {

// How much of two texts fits: the shorter one whole where half the room holds it, else half each, the odd id to the
// longer.
std::pair<size_t, size_t> longest_first(size_t first, size_t second, size_t room) {
  if (first + second <= room) return {first, second};
  const bool swapped = first > second;
  size_t shorter = std::min(first, second), longer = std::max(shorter, room - std::min(shorter, room));
  if (shorter + longer > room) {
    shorter = room / 2;
    longer = room - shorter;
  }
  return swapped ? std::pair{longer, shorter} : std::pair{shorter, longer};
}

}  // namespace

void RowEncoder::append(std::string_view first, std::string_view second, JaggedIds& out) {
  first_.clear();
  second_.clear();
  tokenizer_.encode(first, first_);
  tokenizer_.encode(second, second_);
  if (options_.max_len > 0) {
    const size_t room = static_cast<size_t>(options_.max_len) - (options_.special_tokens ? 3 : 0);
    const auto [a, b] = longest_first(first_.size(), second_.size(), room);
    first_.resize(a);
    second_.resize(b);
  }
  frame(first_, 0, true, out);
  frame(second_, 1, false, out);
  out.offsets.push_back(static_cast<int64_t>(out.ids.size()));
}

namespace {

constexpr size_t kChunkRows = 2048;  // encoded in a thread's own cache, then copied to their place

void append_rows(const JaggedIds& part, JaggedIds& out) {
  const int64_t shift = out.offsets.back();
  out.ids.insert(out.ids.end(), part.ids.begin(), part.ids.end());
  out.types.insert(out.types.end(), part.types.begin(), part.types.end());
  for (size_t i = 1; i < part.offsets.size(); ++i) out.offsets.push_back(part.offsets[i] + shift);
}

// The threads take chunks of rows as they come and append them in order.
class BatchEncoding {
 public:
  BatchEncoding(const Tokenizer& tokenizer, std::span<const std::string_view> first,
                std::span<const std::string_view> second, const EncodeOptions& options)
      : tokenizer_(tokenizer), first_(first), second_(second), options_(options) {
    out_.offsets.reserve(first.size() + 1);
  }
  size_t chunks() const { return (first_.size() + kChunkRows - 1) / kChunkRows; }

  void work() noexcept {
    std::exception_ptr error;
    JaggedIds part;
    std::optional<RowEncoder> encoder;
    for (size_t c = next_++; c < chunks(); c = next_++) {
      try {
        if (!encoder) encoder.emplace(tokenizer_, options_);
        if (!failed_) encode(c, *encoder, part);
      } catch (...) { error = std::current_exception(); }
      for (size_t turn = turn_; turn != c; turn = turn_) turn_.wait(turn);
      try {
        if (!error && !failed_) append(c, part);
      } catch (...) { error = std::current_exception(); }
      if (error && !failed_.exchange(true)) error_ = error;
      turn_ = c + 1;
      turn_.notify_all();
    }
  }
  JaggedIds finish() {  // after every work() has returned
    if (error_) std::rethrow_exception(error_);
    return std::move(out_);
  }

 private:
  void encode(size_t chunk, RowEncoder& encoder, JaggedIds& part) const {
    part.ids.clear();
    part.types.clear();
    part.offsets.assign(1, 0);
    for (size_t i = chunk * kChunkRows, end = std::min(first_.size(), i + kChunkRows); i < end; ++i)
      second_.empty() ? encoder.append(first_[i], part) : encoder.append(first_[i], second_[i], part);
  }
  void append(size_t chunk, const JaggedIds& part) {
    if (chunk == 0) {  // room for all, as the first rows let expect
      const size_t expected = part.ids.size() * chunks() + part.ids.size() / 8;
      out_.ids.reserve(expected);
      out_.types.reserve(expected);
    }
    append_rows(part, out_);
  }

  const Tokenizer& tokenizer_;
  std::span<const std::string_view> first_, second_;
  const EncodeOptions& options_;
  JaggedIds out_;
  std::atomic<size_t> next_ = 0, turn_ = 0;
  std::atomic<bool> failed_ = false;
  std::exception_ptr error_;
};

}  // namespace

JaggedIds encode_batch(const Tokenizer& tokenizer, std::span<const std::string_view> first,
                       std::span<const std::string_view> second, const EncodeOptions& options, int threads) {
  WN_CHECK(second.empty() || second.size() == first.size(), ShapeError,
           "encode_batch(): {} first texts, {} second ones", first.size(), second.size());
  WN_CHECK(threads >= 1 && threads <= 1024, ConfigError, "threads {} must be 1 to 1024", threads);
  RowEncoder(tokenizer, options);  // its errors, also for no rows
  BatchEncoding encoding(tokenizer, first, second, options);
  {
    std::vector<std::jthread> others;
    for (size_t t = 1; t < std::min(static_cast<size_t>(threads), encoding.chunks()); ++t)
      others.emplace_back([&] { encoding.work(); });
    encoding.work();
  }
  return encoding.finish();
}

}  // namespace winnow
