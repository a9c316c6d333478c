// Parquet through Arrow C++ (20 or later), where it was found when the build was configured.
#ifdef WINNOW_PARQUET
#include <arrow/api.h>
#include <arrow/io/file.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/writer.h>
#include <unistd.h>

#include "core/error.h"
#include "core/text.h"
#include "data/detail/block_source.h"
#include "data/detail/line_writer.h"
#include "data/detail/part_file.h"
#include "data/detail/text_format.h"
#include "data/timestamp.h"

namespace winnow::detail {
namespace {

constexpr int64_t kBatchRows = 8192, kGroupRows = 65536;

template <class T>
T value_of(const std::string& path, arrow::Result<T> result) {
  if (!result.ok()) raise<IoError>("{}: {}", path, result.status().message());
  return std::move(result).ValueUnsafe();
}
void check(const std::string& path, const arrow::Status& status) {
  if (!status.ok()) raise<IoError>("{}: {}", path, status.message());
}

// Seconds since 1970 with a fraction where there is one.
void append_time(int64_t value, arrow::TimeUnit::type unit, std::string& out) {
  const int64_t a_second = unit == arrow::TimeUnit::SECOND  ? 1
                           : unit == arrow::TimeUnit::MILLI ? 1000
                           : unit == arrow::TimeUnit::MICRO ? 1000000
                                                            : 1000000000;
  if (value % a_second == 0)
    fmt::format_to(std::back_inserter(out), "{}", value / a_second);
  else
    fmt::format_to(std::back_inserter(out), "{}", static_cast<double>(value) / static_cast<double>(a_second));
}

template <class Array>
void append_number(const arrow::Array& array, int64_t i, std::string& out) {
  fmt::format_to(std::back_inserter(out), "{}", static_cast<const Array&>(array).Value(i));
}

// The cell as the other formats would write it; false: a type that no cell can be.
bool append_cell(const arrow::Array& array, int64_t i, char list_separator, std::string& out) {
  if (array.IsNull(i)) return true;
  switch (array.type_id()) {
    case arrow::Type::BOOL: out += static_cast<const arrow::BooleanArray&>(array).Value(i) ? '1' : '0'; return true;
    case arrow::Type::INT8: append_number<arrow::Int8Array>(array, i, out); return true;
    case arrow::Type::INT16: append_number<arrow::Int16Array>(array, i, out); return true;
    case arrow::Type::INT32: append_number<arrow::Int32Array>(array, i, out); return true;
    case arrow::Type::INT64: append_number<arrow::Int64Array>(array, i, out); return true;
    case arrow::Type::UINT8: append_number<arrow::UInt8Array>(array, i, out); return true;
    case arrow::Type::UINT16: append_number<arrow::UInt16Array>(array, i, out); return true;
    case arrow::Type::UINT32: append_number<arrow::UInt32Array>(array, i, out); return true;
    case arrow::Type::UINT64: append_number<arrow::UInt64Array>(array, i, out); return true;
    case arrow::Type::FLOAT: append_number<arrow::FloatArray>(array, i, out); return true;
    case arrow::Type::DOUBLE: append_number<arrow::DoubleArray>(array, i, out); return true;
    case arrow::Type::STRING:
    case arrow::Type::BINARY: out += static_cast<const arrow::BinaryArray&>(array).GetView(i); return true;
    case arrow::Type::LARGE_STRING:
    case arrow::Type::LARGE_BINARY: out += static_cast<const arrow::LargeBinaryArray&>(array).GetView(i); return true;
    case arrow::Type::DECIMAL128: out += static_cast<const arrow::Decimal128Array&>(array).FormatValue(i); return true;
    case arrow::Type::DATE32:
      out += format_date(int64_t{static_cast<const arrow::Date32Array&>(array).Value(i)} * 86400).substr(0, 10);
      return true;
    case arrow::Type::TIMESTAMP:
      append_time(static_cast<const arrow::TimestampArray&>(array).Value(i),
                  static_cast<const arrow::TimestampType&>(*array.type()).unit(), out);
      return true;
    case arrow::Type::DICTIONARY: {
      const auto& coded = static_cast<const arrow::DictionaryArray&>(array);
      return append_cell(*coded.dictionary(), coded.GetValueIndex(i), list_separator, out);
    }
    case arrow::Type::LIST: {
      const auto& lists = static_cast<const arrow::ListArray&>(array);
      const auto kind = lists.values()->type_id();
      if (kind == arrow::Type::LIST || kind == arrow::Type::STRUCT) return false;
      const size_t begin = out.size();
      for (int64_t at = lists.value_offset(i); at < lists.value_offset(i + 1); ++at) {
        if (lists.values()->IsNull(at)) continue;
        if (out.size() > begin) out += list_separator;
        if (!append_cell(*lists.values(), at, list_separator, out)) return false;
      }
      return true;
    }
    default: return false;
  }
}

class ParquetSource final : public BlockSource {
 public:
  explicit ParquetSource(const SourceSpec& spec)
      : files_(list_files(spec.path)), separator_(spec.list_separator.at(0)) {
    name_ = spec.path;
    open();
  }

  bool read(Piece& piece) override {
    for (;;) {
      std::shared_ptr<arrow::RecordBatch> batch;
      check(files_[file_], batches_->ReadNext(&batch));
      if (batch != nullptr) {
        piece.file = files_[file_];
        piece.line = rows_ + 1;
        rows_ += batch->num_rows();
        piece.memory = std::move(batch);
        return true;
      }
      if (file_ + 1 == files_.size()) return false;
      ++file_;
      open();
    }
  }

  void parse(Piece& piece, RowBlock& block) const override {
    const auto batch = std::static_pointer_cast<arrow::RecordBatch>(piece.memory);
    piece.memory = make_memory();
    begin_block(piece, block, columns_.size());
    std::string& texts = static_cast<BlockMemory*>(block.memory.get())->scratch;
    block.rows = batch->num_rows();
    block.lines.resize(static_cast<size_t>(block.rows));
    std::vector<size_t> ends;
    for (int64_t r = 0; r < block.rows; ++r) {
      block.lines[static_cast<size_t>(r)] = piece.line + r;
      for (int c = 0; c < batch->num_columns(); ++c) {
        if (!append_cell(*batch->column(c), r, separator_, texts))
          block.fail(r, columns_[static_cast<size_t>(c)],
                     fmt::format("values of type {} are not read; cells are scalars or lists of scalars",
                                 batch->column(c)->type()->ToString()));
        ends.push_back(texts.size());
      }
    }
    block.cells.clear();
    for (size_t begin = 0; const size_t end : ends) {
      block.cells.push_back(std::string_view(texts).substr(begin, end - begin));
      begin = end;
    }
  }

 private:
  void open() {
    const std::string& path = files_[file_];
    batches_.reset();
    parquet::ArrowReaderProperties properties;
    properties.set_batch_size(kBatchRows);
    parquet::arrow::FileReaderBuilder builder;
    check(path, builder.OpenFile(path));
    reader_ = value_of(path, builder.properties(properties)->Build());
    batches_ = value_of(path, reader_->GetRecordBatchReader());
    const std::vector<std::string> names = batches_->schema()->field_names();
    if (columns_.empty()) columns_ = names;
    WN_CHECK(names == columns_, DataError, "{}: the columns differ from those of {}", path, files_.front());
    rows_ = 0;
  }

  std::vector<std::string> files_;
  char separator_;
  size_t file_ = 0;
  std::unique_ptr<parquet::arrow::FileReader> reader_;
  std::unique_ptr<arrow::RecordBatchReader> batches_;
  int64_t rows_ = 0;
};

class ParquetWriter final : public RowWriter {
 public:
  ParquetWriter(const SinkSpec& spec, const std::vector<std::string>& columns)
      : path_(spec.path), temporary_(spec.path + ".winnow-tmp"), builders_(columns.size()) {
    arrow::FieldVector fields;
    for (const std::string& name : columns) fields.push_back(arrow::field(name, arrow::utf8()));
    schema_ = arrow::schema(fields);
    file_ = value_of(path_, arrow::io::FileOutputStream::Open(temporary_));
    writer_ = value_of(path_, parquet::arrow::FileWriter::Open(*schema_, arrow::default_memory_pool(), file_));
  }

  ~ParquetWriter() override {
    if (!temporary_.empty()) ::unlink(temporary_.c_str());
  }
  ParquetWriter(const ParquetWriter&) = delete;
  ParquetWriter& operator=(const ParquetWriter&) = delete;

  void write(const RowBlock& block, int64_t begin, int64_t end) override {
    for (int64_t r = begin; r < end; ++r) {
      for (size_t c = 0; c < builders_.size(); ++c) {
        const std::string_view cell = block.cell(r, c);
        if (!is_utf8(cell))
          block.fail(r, schema_->field(static_cast<int>(c))->name(), fmt::format("{} is not UTF-8", quoted(cell)));
        check(path_, cell.empty() ? builders_[c].AppendNull() : builders_[c].Append(cell));
      }
      if (++rows_ % kGroupRows == 0) flush();
    }
  }

  void commit() override {
    if (rows_ % kGroupRows != 0) flush();
    check(path_, writer_->Close());
    check(path_, file_->Close());
    put_in_place(temporary_, path_);
    temporary_.clear();
  }

 private:
  void flush() {
    arrow::ArrayVector arrays;
    for (arrow::StringBuilder& builder : builders_) arrays.push_back(value_of(path_, builder.Finish()));
    check(path_, writer_->WriteRecordBatch(*arrow::RecordBatch::Make(schema_, arrays.front()->length(), arrays)));
  }

  std::string path_, temporary_;
  std::vector<arrow::StringBuilder> builders_;
  std::shared_ptr<arrow::Schema> schema_;
  std::shared_ptr<arrow::io::FileOutputStream> file_;
  std::unique_ptr<parquet::arrow::FileWriter> writer_;
  int64_t rows_ = 0;
};

}  // namespace

std::unique_ptr<BlockSource> open_parquet(const SourceSpec& spec) { return std::make_unique<ParquetSource>(spec); }
std::unique_ptr<RowWriter> make_parquet_writer(const SinkSpec& spec, const std::vector<std::string>& columns) {
  return std::make_unique<ParquetWriter>(spec, columns);
}

}  // namespace winnow::detail
#endif
