#include "serve/retrieval/index_file.h"

#include <charconv>

#include "core/text.h"
#include "serve/retrieval/exact.h"
#include "serve/retrieval/hnsw.h"

namespace winnow {
namespace {

constexpr const char* kFormat = "winnow vector index";
constexpr int64_t kVersion = 1;

}  // namespace

IndexFile::IndexFile(const std::string& path) : IndexFile(SafeTensors::open(path), path) {}

IndexFile::IndexFile(const SafeTensors& file, std::string path, bool verify) : file_(file), path_(std::move(path)) {
  const auto format = file_.metadata().find("format");
  WN_CHECK(format != file_.metadata().end() && format->second == kFormat, IoError,
           "{}: not a vector index; `winnow index build` makes one", path_);
  const int64_t version = number("version", 0, INT32_MAX);
  if (version != kVersion) fail(fmt::format("version {}, this program reads {}", version, kVersion));
  if (verify) file_.verify();
}

void IndexFile::fail(const std::string& problem) const { raise<IoError>("{}: vector index: {}", path_, problem); }

const std::string& IndexFile::text(const std::string& key) const {
  const auto at = file_.metadata().find(key);
  if (at == file_.metadata().end()) fail(fmt::format("no '{}' in its metadata", key));
  return at->second;
}

int64_t IndexFile::number(const std::string& key, int64_t least, int64_t most) const {
  const std::string& word = text(key);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc() || end != word.data() + word.size() || value < least || value > most)
    fail(fmt::format("{} {} is not a number in {}..{}", key, quoted(word), least, most));
  return value;
}

Tensor IndexFile::tensor(const std::string& name, DType dtype, int64_t rows, int64_t width) const {
  const TensorSpec* spec = file_.spec(name);
  if (spec == nullptr) fail(fmt::format("no tensor '{}'", name));
  if (spec->dtype != dtype || spec->shape.rank() != 2 || spec->shape[1] != width ||
      (rows >= 0 && spec->shape[0] != rows) || spec->shape[0] > VectorIndex::kMaxVectors)
    fail(fmt::format("tensor '{}' is {}, not {} [{}, {}]", name, spec->str(), name_of(dtype),
                     rows >= 0 ? std::to_string(rows) : "rows", width));
  return file_.at(name);
}

void IndexFile::save(const std::string& path, const VectorIndex& index, const std::vector<NamedTensor>& tensors,
                     Facts facts) {
  facts["format"] = kFormat;
  facts["version"] = std::to_string(kVersion);
  facts["type"] = index.type();
  facts["similarity"] = name_of(index.similarity());
  facts["width"] = std::to_string(index.width());
  save_safetensors(path, tensors, facts);
}

std::unique_ptr<VectorIndex> read_index(const IndexFile& file) {
  const std::string &type = file.text("type"), &similarity = file.text("similarity");
  const int64_t width = file.number("width", 1, VectorIndex::kMaxWidth);
  file.check(similarity == "cosine" || similarity == "inner_product", "unknown similarity");
  const Similarity s = similarity_named(similarity);
  if (type == "exact") return ExactIndex::open(file, width, s);
  if (type == "hnsw") return HnswIndex::open(file, width, s);
  if (type == "int8")
    file.fail("type int8 is no more: exact search is as fast; build it again with `winnow index build --type exact`");
  file.fail("unknown type " + quoted(type));
}

std::unique_ptr<VectorIndex> open_index(const std::string& path) { return read_index(IndexFile(path)); }

}  // namespace winnow
