#include "core/safetensors.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <numeric>
#include <utility>

#include "core/checksum.h"
#include "core/detail/safetensors_header.h"
#include "core/error.h"
#include "core/file.h"
#include "core/text.h"

namespace winnow {
namespace {

constexpr size_t kLargestHeader = 100'000'000;
constexpr size_t kDataAlignment = 64;
constexpr std::string_view kNoChecksum = "00000000";

// The data must be covered from its first byte to its last, each byte once; the header may list tensors in any order.
void check_coverage(const std::vector<SafeTensors::Entry>& entries, size_t data_bytes, const std::string& source) {
  std::vector<uint32_t> order(entries.size());
  std::iota(order.begin(), order.end(), 0u);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return std::pair(entries[a].begin, entries[a].end) < std::pair(entries[b].begin, entries[b].end);
  });
  size_t covered = 0;
  for (const uint32_t i : order) {
    const SafeTensors::Entry& e = entries[i];
    WN_CHECK(e.end - e.begin == e.spec.bytes(), IoError,
             "{}: header: tensor {}: {} needs {} bytes, its offsets span {}", source, quoted(e.name), e.spec.str(),
             e.spec.bytes(), e.end - e.begin);
    WN_CHECK(e.begin == covered, IoError, "{}: header: tensor {}: its data begins at {}, {} {}", source, quoted(e.name),
             e.begin, e.begin < covered ? "inside the tensor that ends at" : "behind a hole that starts at", covered);
    WN_CHECK(e.end <= data_bytes, IoError,
             "{}: header: tensor {}: its data ends at {}, the file holds {} bytes of data", source, quoted(e.name),
             e.end, data_bytes);
    covered = e.end;
  }
  WN_CHECK(covered == data_bytes, IoError, "{}: header: the tensors cover {} of {} bytes of data", source, covered,
           data_bytes);
}

std::string hex8(uint32_t v) { return fmt::format("{:08x}", v); }

uint32_t header_checksum(std::span<const std::byte> header, size_t at) {
  uint32_t crc = crc32c(header.data(), at);
  crc = crc32c(kNoChecksum.data(), kNoChecksum.size(), crc);
  const size_t behind = at + kNoChecksum.size();
  return crc32c(header.data() + behind, header.size() - behind, crc);
}

void append_json(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (static_cast<unsigned char>(c) < 0x20)
      out += fmt::format("\\u{:04x}", static_cast<int>(c));
    else
      out += c;
  }
  out += '"';
}

}  // namespace

SafeTensors SafeTensors::open(const std::string& path) {
  const auto file = std::make_shared<MappedFile>(path);
  return parse(file->bytes(), file, path);
}

SafeTensors SafeTensors::parse(std::span<const std::byte> bytes, std::shared_ptr<void> owner, std::string source) {
  WN_CHECK(bytes.size() >= 8, IoError, "{}: header: the file has {} bytes, a safetensors file at least 8", source,
           bytes.size());
  uint64_t length = 0;
  for (size_t i = 0; i < 8; ++i) length |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  WN_CHECK(length <= kLargestHeader, IoError, "{}: header: {} bytes are declared, {} are allowed", source, length,
           kLargestHeader);
  WN_CHECK(length <= bytes.size() - 8, IoError, "{}: header: {} bytes are declared, the file holds {}", source, length,
           bytes.size() - 8);
  SafeTensors file;
  file.header_ = bytes.first(8 + length);
  file.data_ = bytes.subspan(8 + length);
  const std::string_view json(reinterpret_cast<const char*>(bytes.data()) + 8, length);
  detail::SafeTensorsHeader header = detail::parse_safetensors_header(json, source);
  check_coverage(header.entries, file.data_.size(), source);

  file.entries_ = std::move(header.entries);
  file.by_name_.resize(file.entries_.size());
  std::iota(file.by_name_.begin(), file.by_name_.end(), 0u);
  const auto& entries = file.entries_;
  std::sort(file.by_name_.begin(), file.by_name_.end(),
            [&](uint32_t a, uint32_t b) { return entries[a].name < entries[b].name; });
  for (size_t i = 1; i < entries.size(); ++i)
    WN_CHECK(entries[file.by_name_[i - 1]].name != entries[file.by_name_[i]].name, IoError,
             "{}: header: tensor {} is given twice", source, quoted(entries[file.by_name_[i]].name));

  if (header.header_checksum_at) file.header_checksum_at_ = 8 + *header.header_checksum_at;
  if (auto node = header.metadata.extract(std::string(detail::kTensorChecksums)))
    file.checksums_ = std::move(node.mapped());
  header.metadata.erase(std::string(detail::kHeaderChecksum));
  file.metadata_ = std::move(header.metadata);
  file.owner_ = std::move(owner);
  file.source_ = std::move(source);
  return file;
}

std::vector<std::string> SafeTensors::names() const {
  std::vector<std::string> names;
  names.reserve(entries_.size());
  for (const Entry& e : entries_) names.push_back(e.name);
  return names;
}

const SafeTensors::Entry* SafeTensors::find_entry(const std::string& name) const {
  const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), name,
                                   [&](uint32_t i, const std::string& n) { return entries_[i].name < n; });
  return at == by_name_.end() || entries_[*at].name != name ? nullptr : &entries_[*at];
}

const TensorSpec* SafeTensors::spec(const std::string& name) const {
  const Entry* e = find_entry(name);
  return e == nullptr ? nullptr : &e->spec;
}

Tensor SafeTensors::tensor_of(const Entry& e) const {
  const std::byte* at = data_.data() + e.begin;
  if (reinterpret_cast<uintptr_t>(at) % size_of(e.spec.dtype) == 0)
    return Tensor::view(e.spec, const_cast<std::byte*>(at), owner_);
  Tensor copy(e.spec);
  std::memcpy(copy.raw(), at, e.spec.bytes());
  return copy;
}

Tensor SafeTensors::find(const std::string& name) const {
  const Entry* e = find_entry(name);
  return e == nullptr ? Tensor() : tensor_of(*e);
}

Tensor SafeTensors::at(const std::string& name) const {
  const Entry* e = find_entry(name);
  if (e == nullptr) raise<IoError>("{}: no tensor {}{}", source_, quoted(name), did_you_mean(name, names()));
  return tensor_of(*e);
}

void SafeTensors::verify() const {
  WN_CHECK(has_checksums(), IoError, "{}: carries no checksums; it was not written by save_safetensors()", source_);
  const auto parsed = [&](std::string_view digits) {
    uint32_t value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value, 16);
    // Only the form that is written counts, so that a changed letter case is found too.
    WN_CHECK(error == std::errc() && hex8(value) == digits, IoError, "{}: header: a checksum reads {}", source_,
             quoted(digits));
    return value;
  };
  const std::string_view header(reinterpret_cast<const char*>(header_.data()), header_.size());
  WN_CHECK(parsed(header.substr(*header_checksum_at_, 8)) == header_checksum(header_, *header_checksum_at_), IoError,
           "{}: the checksum of the header differs: the file is damaged", source_);
  WN_CHECK(checksums_->size() == 8 * entries_.size(), IoError, "{}: header: {} checksum digits for {} tensors", source_,
           checksums_->size(), entries_.size());
  for (size_t i = 0; i < entries_.size(); ++i) {
    const Entry& e = entries_[i];
    WN_CHECK(parsed(std::string_view(*checksums_).substr(8 * i, 8)) == crc32c(data_.data() + e.begin, e.end - e.begin),
             IoError, "{}: the checksum of tensor {} differs: the file is damaged", source_, quoted(e.name));
  }
}

namespace {

void check_saved(const std::string& path, const std::vector<NamedTensor>& tensors,
                 const std::map<std::string, std::string>& metadata) {
  std::vector<std::string_view> names;
  for (const NamedTensor& t : tensors) {
    WN_CHECK(t.tensor.defined(), IoError, "{}: tensor {} is an empty handle", path, quoted(t.name));
    WN_CHECK(
        t.name.size() <= 512 && t.name != "__metadata__" && t.name.find('\0') == std::string::npos && is_utf8(t.name),
        IoError, "{}: {} cannot be the name of a tensor", path, quoted(t.name));
    names.push_back(t.name);
  }
  std::sort(names.begin(), names.end());
  const auto twice = std::adjacent_find(names.begin(), names.end());
  WN_CHECK(twice == names.end(), IoError, "{}: tensor {} is given twice", path, quoted(*twice));
  for (const auto& [key, value] : metadata)
    WN_CHECK(is_utf8(key) && is_utf8(value) && !key.starts_with("winnow."), IoError,
             "{}: {} cannot be a metadata entry: UTF-8 is needed, keys \"winnow.\" are reserved", path, quoted(key));
}

// Where each tensor's data begins: falling element size keeps every tensor aligned, since all sizes divide each other.
std::vector<size_t> data_order(const std::vector<NamedTensor>& tensors) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return size_of(tensors[a].tensor.dtype()) > size_of(tensors[b].tensor.dtype());
  });
  return order;
}

// The header with its size, padded so that the data starts aligned, and with its own checksum filled in.
std::string make_header(const std::vector<NamedTensor>& tensors, const std::vector<size_t>& order,
                        std::map<std::string, std::string> metadata) {
  std::string& checksums = metadata[std::string(detail::kTensorChecksums)];
  for (const NamedTensor& t : tensors) checksums += hex8(crc32c(t.tensor.raw(), t.tensor.bytes()));
  metadata[std::string(detail::kHeaderChecksum)] = kNoChecksum;
  std::vector<size_t> begins(tensors.size());
  size_t end = 0;
  for (const size_t i : order) {
    begins[i] = end;
    end += tensors[i].tensor.bytes();
  }

  std::string out(8, '\0');
  size_t checksum_at = 0;
  out += R"({"__metadata__":)";
  char separator = '{';
  for (const auto& [key, value] : metadata) {
    out += std::exchange(separator, ',');
    append_json(out, key);
    out += ':';
    if (key == detail::kHeaderChecksum) checksum_at = out.size() + 1;
    append_json(out, value);
  }
  out += '}';
  for (size_t i = 0; i < tensors.size(); ++i) {
    const Tensor& t = tensors[i].tensor;
    out += ',';
    append_json(out, tensors[i].name);
    out += fmt::format(R"(:{{"dtype":"{}","shape":[{}],"data_offsets":[{},{}]}})", detail::safetensors_dtype(t.dtype()),
                       fmt::join(t.shape().dims(), ","), begins[i], begins[i] + t.bytes());
  }
  out += '}';
  out.append((kDataAlignment - out.size() % kDataAlignment) % kDataAlignment, ' ');
  const uint64_t length = out.size() - 8;
  for (size_t i = 0; i < 8; ++i) out[i] = static_cast<char>(length >> (8 * i));
  out.replace(checksum_at, 8, hex8(header_checksum(std::as_bytes(std::span(out)), checksum_at)));
  return out;
}

}  // namespace

void save_safetensors(const std::string& path, const std::vector<NamedTensor>& given,
                      const std::map<std::string, std::string>& metadata) {
  std::vector<NamedTensor> tensors = given;
  for (NamedTensor& t : tensors) t.tensor = t.tensor.on({});
  check_saved(path, tensors, metadata);
  const std::vector<size_t> order = data_order(tensors);
  const std::string header = make_header(tensors, order, metadata);
  WN_CHECK(header.size() - 8 <= kLargestHeader, IoError, "{}: header: {} bytes are needed, {} are allowed", path,
           header.size() - 8, kLargestHeader);
  AtomicFile file(path);
  file.write(header);
  for (const size_t i : order) file.write(tensors[i].tensor.raw(), tensors[i].tensor.bytes());
  file.commit();
}

}  // namespace winnow
