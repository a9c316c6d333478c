#include "data/detail/fact_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>
#include <mutex>
#include <system_error>

#include "core/error.h"
#include "data/detail/ordered_blocks.h"

namespace winnow::detail {
namespace {

constexpr size_t kBufferRows = 32768;

[[noreturn]] void fail(const std::string& directory, const char* what) {
  raise<IoError>("{}: {} a scratch file: {}", directory, what, std::generic_category().message(errno));
}

}  // namespace

FactFile::FactFile(const std::string& directory) : directory_(directory) {
  std::string name = directory + "/facts-XXXXXX";
  descriptor_ = ::mkostemp(name.data(), O_CLOEXEC);
  if (descriptor_ < 0) fail(directory_, "cannot create");
  ::unlink(name.c_str());
}
FactFile::~FactFile() { ::close(descriptor_); }

void FactFile::append(const FactBlock& facts) {
  times_ = times_ || !facts.time.empty();
  strata_ = strata_ || !facts.stratum.empty();
  for (size_t r = 0; r < facts.size(); ++r) {
    FactRecord record{.user = facts.user[r], .item = facts.item[r], .label = facts.label[r]};
    if (!facts.time.empty()) record.time = facts.time[r];
    if (!facts.stratum.empty()) record.stratum = facts.stratum[r];
    if (!facts.weight.empty()) record.weight = facts.weight[r];
    buffer_.push_back(record);
    if (buffer_.size() == kBufferRows) flush();
  }
  rows_ += static_cast<int64_t>(facts.size());
}

void FactFile::finish() {
  flush();
  buffer_.shrink_to_fit();
}

void FactFile::flush() {
  const char* at = reinterpret_cast<const char*>(buffer_.data());
  for (size_t left = buffer_.size() * sizeof(FactRecord); left > 0;) {
    const ssize_t n = ::write(descriptor_, at, left);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(directory_, "cannot write");
    at += n, left -= static_cast<size_t>(n);
  }
  buffer_.clear();
}

void FactFile::read(int64_t first, int64_t count, std::vector<FactRecord>& out) const {
  WN_CHECK(first + count <= rows_, DataError,
           "the source gave {} rows at first and more now; was it changed while it was read?", rows_);
  out.resize(static_cast<size_t>(count));
  char* at = reinterpret_cast<char*>(out.data());
  auto offset = static_cast<off_t>(first * static_cast<int64_t>(sizeof(FactRecord)));
  for (size_t left = out.size() * sizeof(FactRecord); left > 0;) {
    const ssize_t n = ::pread(descriptor_, at, left, offset);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail(directory_, "cannot read");
    at += n, offset += n, left -= static_cast<size_t>(n);
  }
}

EachSplitRows FactFile::each() const {
  return [this](const auto& visit) {
    std::vector<FactRecord> records;
    std::vector<int32_t> user, stratum;
    std::vector<int64_t> time;
    for (int64_t first = 0; first < rows_; first += static_cast<int64_t>(kBufferRows)) {
      read(first, std::min(rows_ - first, static_cast<int64_t>(kBufferRows)), records);
      user.clear(), stratum.clear(), time.clear();
      for (const FactRecord& r : records) {
        user.push_back(r.user);
        if (strata_) stratum.push_back(r.stratum);
        if (times_) time.push_back(r.time);
      }
      visit({.user = user, .stratum = stratum, .time = time});
    }
  };
}

FactKeys read_facts(const Schema& schema, Tables& tables, FactFile& out) {
  const auto rows = tables.open_interactions();
  FactReader reader(schema, *rows);
  const int workers = reading_workers();
  std::vector<FactBlock> parsed(static_cast<size_t>(workers));
  ordered_blocks(
      *rows, workers,
      [&](int w, RowBlock& block, int64_t) {
        const std::shared_lock lock(reader.mutex());
        reader.parse(block, parsed[static_cast<size_t>(w)]);
      },
      [&](int w, RowBlock& block, int64_t) {
        FactBlock& facts = parsed[static_cast<size_t>(w)];
        {
          const std::unique_lock lock(reader.mutex());
          reader.resolve(block, facts);
        }
        out.append(facts);
        WN_CHECK(out.rows() <= std::numeric_limits<int32_t>::max(), DataError, "{}: more than {} rows", block.file,
                 std::numeric_limits<int32_t>::max());
      });
  out.finish();
  return {reader.take_users(), reader.take_items(), reader.take_titles()};
}

}  // namespace winnow::detail
