#include "data/row_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>
#include <system_error>

#include "core/checksum.h"
#include "core/error.h"

namespace winnow {
namespace {

constexpr std::string_view kMagic = "WNROWS01", kEnd = "WNROWEND";
constexpr std::array kSplits = {Split::Train, Split::Valid, Split::Test};

struct BlockHead {
  uint32_t rows, words, split, checksum;
};
struct Footer {
  uint64_t tail_offset, tail_bytes;
  uint32_t checksum, unused;
  char magic[8];
};
static_assert(sizeof(BlockHead) == 16 && sizeof(Footer) == 32);

template <class T>
void put(std::string& to, const T& value) {
  to.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void put_texts(std::string& to, const std::vector<std::string>& texts) {
  put(to, uint64_t{texts.size()});
  for (const std::string& text : texts) {
    put(to, uint64_t{text.size()});
    to += text;
  }
}

// Takes values off the front; `ok` turns false, and stays so, at the first that is not there.
struct TailReader {
  std::string_view rest;
  bool ok = true;
  template <class T>
  T take() {
    T value{};
    if (!ok || rest.size() < sizeof value) {
      ok = false;
      return value;
    }
    std::memcpy(&value, rest.data(), sizeof value);
    rest.remove_prefix(sizeof value);
    return value;
  }
  std::vector<std::string> take_texts() {
    std::vector<std::string> texts;
    for (auto n = take<uint64_t>(); ok && n > 0; --n) {
      const auto size = take<uint64_t>();
      ok = ok && size <= rest.size();
      if (!ok) break;
      texts.emplace_back(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    return texts;
  }
};

}  // namespace

RowFileWriter::RowFileWriter(const std::string& path, const RowLayout& layout) : file_(path), layout_(layout) {
  file_.write(kMagic);
  offset_ = kMagic.size();
}

void RowFileWriter::add(Split split, const RowWords& rows) {
  RowWords& open = open_[static_cast<size_t>(split)];
  for (size_t r = 0; r < rows.begin.size(); ++r) {
    const size_t end = r + 1 < rows.begin.size() ? rows.begin[r + 1] : rows.words.size();
    open.begin.push_back(open.words.size());
    open.words.insert(open.words.end(), rows.words.begin() + static_cast<int64_t>(rows.begin[r]),
                      rows.words.begin() + static_cast<int64_t>(end));
    if (open.begin.size() == kBlockRows) flush(split);
  }
}

void RowFileWriter::flush(Split split) {
  RowWords& open = open_[static_cast<size_t>(split)];
  if (open.begin.empty()) return;
  const size_t bytes = open.words.size() * sizeof(uint32_t);
  WN_CHECK(open.words.size() <= std::numeric_limits<uint32_t>::max(), DataError, "a block of rows of {} bytes", bytes);
  const BlockHead head{static_cast<uint32_t>(open.begin.size()), static_cast<uint32_t>(open.words.size()),
                       static_cast<uint32_t>(split), crc32c(open.words.data(), bytes)};
  places_[static_cast<size_t>(split)].push_back({offset_, head.rows, head.words});
  file_.write(&head, sizeof head);
  file_.write(open.words.data(), bytes);
  offset_ += sizeof head + bytes;
  open.clear();
}

void RowFileWriter::commit(const RowFileTexts& texts) {
  for (const Split s : kSplits) flush(s);
  std::string tail;
  put(tail, layout_.fields);
  put(tail, layout_.dense);
  put(tail, uint32_t{layout_.bags});
  put(tail, uint32_t{texts.timestamps});
  put_texts(tail, {texts.fingerprint, texts.feature_map, texts.report});
  for (const auto* list : {&texts.user_keys, &texts.item_keys, &texts.item_titles}) put_texts(tail, *list);
  for (const auto& places : places_) {
    put(tail, uint64_t{places.size()});
    for (const Place& p : places) put(tail, p);
  }
  Footer footer{offset_, tail.size(), crc32c(tail.data(), tail.size()), 0, {}};
  std::ranges::copy(kEnd, footer.magic);
  file_.write(tail);
  file_.write(&footer, sizeof footer);
  file_.commit();
}

RowFile::RowFile(std::string path) : path_(std::move(path)) {
  descriptor_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  WN_CHECK(descriptor_ >= 0, IoError, "{}: cannot open: {}", path_, std::generic_category().message(errno));
  try {
    read_tail();
  } catch (...) {
    ::close(descriptor_);
    throw;
  }
}
RowFile::~RowFile() { ::close(descriptor_); }

void RowFile::damaged(const std::string& what) const {
  raise<DataError>("{}: {}; remove the file, and it is made anew", path_, what);
}

void RowFile::read_at(uint64_t offset, void* to, size_t bytes) const {
  auto* at = static_cast<char*>(to);
  while (bytes > 0) {
    const ssize_t n = ::pread(descriptor_, at, bytes, static_cast<off_t>(offset));
    if (n < 0 && errno == EINTR) continue;
    WN_CHECK(n >= 0, IoError, "{}: cannot read: {}", path_, std::generic_category().message(errno));
    if (n == 0) damaged("the file is cut short");
    at += n, offset += static_cast<uint64_t>(n), bytes -= static_cast<size_t>(n);
  }
}

void RowFile::read_tail() {
  struct stat info;
  WN_CHECK(::fstat(descriptor_, &info) == 0, IoError, "{}: cannot stat: {}", path_,
           std::generic_category().message(errno));
  size_ = static_cast<uint64_t>(info.st_size);
  Footer footer;
  char magic[8];
  if (size_ < sizeof footer + sizeof magic) damaged("not a file of encoded rows");
  read_at(0, magic, sizeof magic);
  read_at(size_ - sizeof footer, &footer, sizeof footer);
  if (std::string_view(magic, 8) != kMagic || std::string_view(footer.magic, 8) != kEnd)
    damaged("not a file of encoded rows, or one of another version");
  const uint64_t before = size_ - sizeof footer;
  if (footer.tail_offset > before || footer.tail_bytes != before - footer.tail_offset) damaged("its footer is damaged");
  std::string tail(footer.tail_bytes, '\0');
  read_at(footer.tail_offset, tail.data(), tail.size());
  if (crc32c(tail.data(), tail.size()) != footer.checksum) damaged("its tail is damaged");

  TailReader in{tail};
  layout_.fields = in.take<int64_t>();
  layout_.dense = in.take<int64_t>();
  layout_.bags = in.take<uint32_t>() != 0;
  texts_.timestamps = in.take<uint32_t>() != 0;
  auto texts = in.take_texts();
  texts_.user_keys = in.take_texts();
  texts_.item_keys = in.take_texts();
  texts_.item_titles = in.take_texts();
  constexpr int64_t kMost = int64_t{1} << 24;
  if (!in.ok || texts.size() != 3 || layout_.fields < 0 || layout_.dense < 0 || layout_.fields > kMost ||
      layout_.dense > kMost)
    damaged("its tail is damaged");
  texts_.fingerprint = std::move(texts[0]);
  texts_.feature_map = std::move(texts[1]);
  texts_.report = std::move(texts[2]);
  for (const Split s : kSplits) {
    const auto i = static_cast<size_t>(s);
    first_row_[i].push_back(0);
    for (auto n = in.take<uint64_t>(); in.ok && n > 0; --n) {
      const auto p = in.take<Place>();
      const uint64_t bytes = sizeof(BlockHead) + uint64_t{p.words} * sizeof(uint32_t);
      if (!in.ok || p.rows == 0 || p.offset > before || bytes > before - p.offset || p.words / layout_.head() < p.rows)
        damaged("its list of blocks is damaged");
      places_[i].push_back(p);
      first_row_[i].push_back(first_row_[i].back() + p.rows);
    }
  }
  if (!in.ok || !in.rest.empty()) damaged("its list of blocks is damaged");
}

size_t RowFile::block_of(Split split, int64_t row) const {
  const auto& first = first_row_[static_cast<size_t>(split)];
  return static_cast<size_t>(std::ranges::upper_bound(first, row) - first.begin()) - 1;
}

void RowFile::read(Split split, size_t block, RowWords& out) const {
  const Place& place = places_[static_cast<size_t>(split)][block];
  BlockHead head;
  read_at(place.offset, &head, sizeof head);
  const size_t before = out.words.size();
  out.words.resize(before + place.words);
  uint32_t* words = out.words.data() + before;
  read_at(place.offset + sizeof head, words, place.words * sizeof(uint32_t));
  if (head.rows != place.rows || head.words != place.words || head.split != static_cast<uint32_t>(split) ||
      crc32c(words, place.words * sizeof(uint32_t)) != head.checksum)
    damaged(fmt::format("block {} of the {} split is damaged", block, name_of(split)));
  size_t at = 0;
  for (uint32_t r = 0; r < place.rows; ++r) {
    out.begin.push_back(before + at);
    if (place.words - at < layout_.head()) damaged("a row is cut short");
    uint64_t varying = 0;
    if (layout_.bags)
      for (int64_t f = 0; f < layout_.fields; ++f) varying += words[at + layout_.ids() + static_cast<size_t>(f)];
    if (varying > place.words - at - layout_.head()) damaged("a row is cut short");
    at += layout_.head() + varying;
  }
  if (at != place.words) damaged("a block holds more than its rows");
}

}  // namespace winnow
