#include "data/batches.h"

#include <charconv>

#include "core/error.h"
#include "core/text.h"

namespace winnow {

std::string Cursor::str() const { return fmt::format("epoch={} row={}", epoch, row); }

Cursor Cursor::parse(const std::string& text) {
  Cursor c;
  const char *at = text.data(), *end = at + text.size();
  const auto number = [&](std::string_view name, int64_t& value) {
    const std::string_view rest(at, static_cast<size_t>(end - at));
    if (!rest.starts_with(name)) return false;
    const auto [stop, error] = std::from_chars(at + name.size(), end, value);
    at = stop;
    return error == std::errc{} && value >= 0;
  };
  WN_CHECK(number("epoch=", c.epoch) && number(" row=", c.row) && at == end, DataError,
           "{} is not a data cursor such as 'epoch=3 row=4096'", quoted(text));
  return c;
}

BatchSource::BatchSource(std::unique_ptr<RowSource> rows, const BatchOptions& options)
    : rows_(std::move(rows)), options_(options) {
  WN_CHECK(options.batch_size >= 1, ConfigError, "batch_size {} must be at least 1", options.batch_size);
  WN_CHECK(options.prefetch >= 0 && options.prefetch <= 1024, ConfigError, "prefetch {} must be 0 to 1024",
           options.prefetch);
  spec_ = rows_->spec(options.batch_size);
  stride_ = rows_->rows_per_batch(options.batch_size);
  ring_.resize(static_cast<size_t>(options.prefetch) + 1);  // one is with the consumer
  for (Buffer& buffer : ring_) {
    for (size_t i = 0; i < spec_.inputs.size(); ++i) buffer.tensors[i] = Tensor(spec_.inputs[i].spec);
    buffer.index.resize(static_cast<size_t>(options.batch_size));
  }
  if (options.prefetch > 0) thread_ = std::jthread([this](const std::stop_token& stop) { fill_ahead(stop); });
}

BatchSource::~BatchSource() = default;  // thread_ is the last member: it is stopped and joined first

void BatchSource::fill(Buffer& buffer, const Cursor& at) {
  buffer.rows = rows_->fill(at, options_.batch_size, {buffer.tensors.data(), spec_.inputs.size()}, buffer.index);
  buffer.taken = std::min(stride_, rows() - at.row);
}

void BatchSource::fill_ahead(const std::stop_token& stop) {
  std::unique_lock lock(mutex_);
  const auto room = [this] { return !paused_ && !ended_ && !error_ && filled_ + (held_ ? 1 : 0) < ring_.size(); };
  while (changed_.wait(lock, stop, room) && !stop.stop_requested()) {
    Buffer& buffer = ring_[(head_ + filled_) % ring_.size()];
    filling_ = true;
    lock.unlock();
    std::exception_ptr error;
    try {
      fill(buffer, ahead_);
    } catch (...) { error = std::current_exception(); }
    lock.lock();
    filling_ = false;
    error_ = error;
    if (!error) {
      ended_ = buffer.rows == 0;
      filled_ += !ended_;
      ahead_.row += buffer.taken;
    }
    changed_.notify_all();
  }
}

void BatchSource::hand_out(const Buffer& buffer, BatchSlot& slot) {
  slot.tensors = buffer.tensors;
  slot.inputs = spec_.inputs.size();
  slot.rows = buffer.rows;
  slot.index = std::span(buffer.index).first(static_cast<size_t>(buffer.rows));
  cursor_.row += buffer.taken;
}

bool BatchSource::next_prefetched(BatchSlot& slot) {
  std::unique_lock lock(mutex_);
  if (held_) {
    held_ = false;
    changed_.notify_all();
  }
  changed_.wait(lock, [this] { return filled_ > 0 || ended_ || error_; });
  if (filled_ == 0) {  // what was filled before an error is still handed out
    if (error_) std::rethrow_exception(error_);
    return false;
  }
  hand_out(ring_[head_], slot);
  head_ = (head_ + 1) % ring_.size();
  --filled_;
  held_ = true;
  return true;
}

bool BatchSource::next(BatchSlot& slot) {
  if (options_.prefetch > 0) return next_prefetched(slot);
  fill(ring_[0], cursor_);
  if (ring_[0].rows == 0) return false;
  hand_out(ring_[0], slot);
  return true;
}

void BatchSource::seek(const Cursor& cursor) {
  WN_CHECK(cursor.epoch >= 0 && cursor.row >= 0 && cursor.row <= rows(), DataError,
           "data cursor '{}' is outside the epoch of {} rows; was the data changed?", cursor.str(), rows());
  std::unique_lock lock(mutex_);
  // The thread starts no other batch, and the one that it may be writing is waited for.
  paused_ = true;
  changed_.wait(lock, [this] { return !filling_; });
  cursor_ = ahead_ = cursor;
  filled_ = 0;
  held_ = ended_ = paused_ = false;
  error_ = nullptr;
  changed_.notify_all();
}

}  // namespace winnow
