#include "data/row_writer.h"

#include <algorithm>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "data/detail/line_writer.h"

namespace winnow {
namespace detail {

std::unique_ptr<LineWriter> make_line_writer(const std::string& format, const std::vector<std::string>& columns) {
  if (format == "jsonl") return make_jsonl_writer(columns);
  if (format == "libsvm" || format == "libffm") return make_svm_writer(columns, format == "libffm");
  return make_separated_writer(format, columns);
}

}  // namespace detail

namespace {

class TextWriter final : public RowWriter {
 public:
  TextWriter(const SinkSpec& spec, const std::vector<std::string>& columns)
      : lines_(detail::make_line_writer(spec.format, columns)),
        packer_(detail::make_packer(spec.path)),
        file_(spec.path) {
    notes_ = lines_->notes();
  }

  void write(const RowBlock& block, int64_t begin, int64_t end) override {
    if (!begun_) text_ = lines_->header(block);
    begun_ = true;
    for (int64_t r = begin; r < end; ++r) lines_->append(block, r, text_);
    packer_->add(text_, packed_);
    text_.clear();
    file_.write(packed_);
    packed_.clear();
  }

  void commit() override {
    if (!begun_) write({}, 0, 0);
    packer_->end_frame(packed_);
    file_.write(packed_);
    file_.commit();
  }

 private:
  std::unique_ptr<detail::LineWriter> lines_;
  std::unique_ptr<detail::Packer> packer_;
  AtomicFile file_;
  std::string text_, packed_;
  bool begun_ = false;
};

}  // namespace

std::unique_ptr<RowWriter> make_row_writer(const SinkSpec& given, const std::vector<std::string>& columns) {
  SinkSpec spec = given;
  if (spec.format.empty()) spec.format = format_of(spec.path);
  WN_CHECK(spec.format != "postgresql", ConfigError, "Winnow does not write into PostgreSQL; write csv and use \\copy");
  WN_CHECK(std::ranges::find(source_formats(), spec.format) != source_formats().end(), ConfigError,
           "there is no format {}{}", quoted(spec.format), did_you_mean(spec.format, source_formats()));
  WN_CHECK(spec.format != "lines", ConfigError, "Winnow reads lines and does not write them; write csv or tsv");
  if (spec.format == "sqlite") return detail::make_sqlite_writer(spec, columns);
  if (spec.format == "parquet") return detail::make_parquet_writer(spec, columns);
  return std::make_unique<TextWriter>(spec, columns);
}

}  // namespace winnow
