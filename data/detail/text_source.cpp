// The files of a text source, one after another.
#include <glob.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <numeric>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "data/detail/text_format.h"

namespace winnow::detail {
namespace {

constexpr size_t kBytesPerCell = 4;  // of the text of a block: a sparse format has no more cells than this allows

// Marks the pointers that make_memory() gave, so that a block of another reader is told apart.
struct MemoryDeleter {
  void operator()(void* memory) const { delete static_cast<BlockMemory*>(memory); }
};

std::unique_ptr<TextFormat> make_format(const SourceSpec& spec) {
  if (spec.format == "jsonl") return make_jsonl_format(spec.columns, spec.list_separator[0]);
  if (spec.format == "libsvm") return make_libsvm_format(spec.columns);
  if (spec.format == "lines") return make_lines_format();
  if (spec.format == "libffm") return make_libffm_format(spec.columns);
  return make_csv_format(spec.csv.value_or(format_options(spec.format)), spec.format != "criteo");
}

class TextSource final : public BlockSource {
 public:
  explicit TextSource(const SourceSpec& spec)
      : files_(list_files(spec.path)), format_(make_format(spec)), block_bytes_(spec.block_bytes) {
    std::error_code ignored;  // a file that vanished is reported when it is opened
    for (const std::string& file : files_) total_ += static_cast<double>(std::filesystem::file_size(file, ignored));
    name_ = spec.path;
    begin();
  }

  TextSource(std::string name, std::string_view text, std::unique_ptr<TextFormat> format, size_t block_bytes)
      : files_{name}, text_(text), format_(std::move(format)), block_bytes_(block_bytes) {
    total_ = static_cast<double>(text.size());
    name_ = std::move(name);
    begin();
  }

  bool read(Piece& piece) override {
    if (first_.text != nullptr) {
      piece = std::move(first_);
      first_ = {};
      return true;
    }
    while (!next_piece(piece)) {
      if (++file_ >= files_.size()) return false;
      open_file();
    }
    return true;
  }

  void parse(Piece& piece, RowBlock& block) const override { format_->parse(piece, block); }

  double progress() const override {
    return total_ > 0 ? std::min(1.0, static_cast<double>(consumed_.load(std::memory_order_relaxed)) / total_) : 1;
  }

 private:
  void begin() {
    open_file();
    const bool rows = read(first_);
    columns_ = format_->columns();
    WN_CHECK(rows || !columns_.empty(), DataError, "{}: is empty, so that its columns are not known", name_);
  }

  void open_file() {
    auto stream = text_ ? unpack(stream_of(*text_), files_[file_]) : open_stream(files_[file_]);
    chunks_.emplace(files_[file_], std::move(stream), format_->row_ends(), block_bytes_);
    begun_ = false;
  }

  bool next_piece(Piece& piece) {
    const bool more = chunks_->next(piece);
    if (!more) read_before_ += chunks_->consumed();
    consumed_.store(read_before_ + (more ? chunks_->consumed() : 0), std::memory_order_relaxed);
    if (!begun_) {
      begun_ = true;
      WN_CHECK(more || format_->may_be_empty(), DataError, "{}:1: the file is empty; a header row is needed",
               files_[file_]);
      if (more) format_->begin_file(piece);
      if (more && format_->is_sparse()) chunks_->limit_rows(most_rows(), piece);
    }
    return more;
  }

  int64_t most_rows() const {
    return static_cast<int64_t>(std::max<size_t>(1, block_bytes_ / kBytesPerCell / format_->columns().size()));
  }

  std::vector<std::string> files_;
  std::optional<std::string_view> text_;
  std::unique_ptr<TextFormat> format_;
  size_t block_bytes_;
  size_t file_ = 0;
  std::optional<RowChunks> chunks_;
  bool begun_ = false;
  Piece first_;
  int64_t read_before_ = 0;
  std::atomic<int64_t> consumed_ = 0;
  double total_ = 0;
};

}  // namespace

std::shared_ptr<void> make_memory() { return {static_cast<void*>(new BlockMemory), MemoryDeleter()}; }

BlockMemory& own_memory(std::shared_ptr<void>& memory) {
  if (memory == nullptr || memory.use_count() != 1 || std::get_deleter<MemoryDeleter>(memory) == nullptr)
    memory = make_memory();
  return *static_cast<BlockMemory*>(memory.get());
}

void begin_block(Piece& piece, RowBlock& block, size_t width) {
  block.memory = piece.memory;
  block.file = piece.file;
  block.width = static_cast<int64_t>(width);
  block.rows = 0;
}

std::vector<std::string> list_files(const std::string& path) {
  std::vector<std::string> files;
  if (directory_exists(path)) {
    for (const auto& entry : std::filesystem::directory_iterator(path))
      if (entry.is_regular_file() && !entry.path().filename().string().starts_with('.'))
        files.push_back(entry.path().string());
    WN_CHECK(!files.empty(), IoError, "{}: the directory holds no files", path);
  } else if (path.find_first_of("*?[") != std::string::npos && !file_exists(path)) {
    glob_t found{};
    const int result = ::glob(path.c_str(), GLOB_MARK, nullptr, &found);
    for (size_t i = 0; result == 0 && i < found.gl_pathc; ++i)
      if (!std::string_view(found.gl_pathv[i]).ends_with('/')) files.emplace_back(found.gl_pathv[i]);
    ::globfree(&found);
    WN_CHECK(!files.empty(), IoError, "{}: no file matches the pattern", path);
  } else {
    files.push_back(path);
  }
  std::ranges::sort(files);
  return files;
}

std::unique_ptr<BlockSource> open_text(const SourceSpec& spec) { return std::make_unique<TextSource>(spec); }

std::unique_ptr<BlockSource> open_memory(std::string name, std::string_view text, std::unique_ptr<TextFormat> format,
                                         size_t block_bytes) {
  return std::make_unique<TextSource>(std::move(name), text, std::move(format), block_bytes);
}

}  // namespace winnow::detail
