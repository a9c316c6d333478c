// safetensors files (github.com/huggingface/safetensors, "Format"): an 8-byte little-endian header size N, N bytes of
// JSON {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ..., "__metadata__": {"k": "v"}}, the data.
//
// The reader is strict. Refused, with an IoError "model.safetensors: header: ...", are: a file under 8 bytes, N over
// 100 MB or beyond the end of the file, a header that is not UTF-8 or does not start with '{', JSON outside the
// structure above (other fields, missing fields, other types, numbers with sign, point or exponent, unpaired
// surrogates, anything but spaces behind the object), a name twice, a name over 512 bytes or with a NUL, metadata that
// is not string -> string, an unknown dtype, rank over 6, a shape whose size overflows, offsets that do not give the
// size of the shape, and data that is not covered from its first to its last byte without hole or overlap. Nothing is
// allocated from a declared count, the parser does not recurse, and its memory stays below 16 x header + 1 MiB.
#pragma once
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "core/tensor.h"

namespace winnow {

struct NamedTensor {
  std::string name;
  Tensor tensor;
};

class SafeTensors {
 public:
  struct Entry {
    std::string name;
    TensorSpec spec;
    size_t begin = 0, end = 0;  // within the data
  };

  static SafeTensors open(const std::string& path);
  // Over bytes that `owner` keeps alive; `source` names them in errors.
  static SafeTensors parse(std::span<const std::byte> bytes, std::shared_ptr<void> owner, std::string source);

  const std::vector<Entry>& entries() const { return entries_; }  // in the order of the header
  std::vector<std::string> names() const;
  const std::map<std::string, std::string>& metadata() const { return metadata_; }  // without our checksums
  const TensorSpec* spec(const std::string& name) const;                            // nullptr when absent

  // The named tensor, an undefined one when absent; at() throws an IoError that suggests the nearest name instead.
  // Zero copy: a view that keeps the mapping alive, aligned to the element size and READ-ONLY (writing through it is a
  // segmentation fault; clone() or copy_from() first). Data that a foreign writer misaligned is copied.
  Tensor find(const std::string& name) const;
  Tensor at(const std::string& name) const;

  // save_safetensors() leaves a CRC-32C of the header and of every tensor. verify() reads all data and throws an
  // IoError that names the first part that differs, or says that the file carries no checksums (as foreign files do).
  bool has_checksums() const { return header_checksum_at_.has_value() && checksums_.has_value(); }
  void verify() const;

 private:
  const Entry* find_entry(const std::string& name) const;
  Tensor tensor_of(const Entry& entry) const;

  std::string source_;
  std::span<const std::byte> header_, data_;  // header_ includes the 8 bytes of its size
  std::shared_ptr<void> owner_;
  std::vector<Entry> entries_;
  std::vector<uint32_t> by_name_;  // entries_ sorted by name
  std::map<std::string, std::string> metadata_;
  std::optional<std::string> checksums_;      // as written: 8 hex digits per entry
  std::optional<size_t> header_checksum_at_;  // of its 8 hex digits, in header_
};

// Writes the file atomically. The bytes depend on the arguments alone: the header lists the tensors in the given order,
// the data lies by falling element size (stable), so that every tensor is aligned for its type, and starts at a
// multiple of 64 bytes. IoError: a name twice, invalid or reserved, a tensor that is undefined or not on the host, a
// metadata key that starts with "winnow.".
void save_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                      const std::map<std::string, std::string>& metadata = {});

}  // namespace winnow
