// convert_rows(): straight through, or with a key in steps that a later run can go on from.
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "data/detail/line_writer.h"
#include "data/detail/part_file.h"
#include "data/row_writer.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

// What "<path>.state" holds: the rows that are safe in "<path>.part".
struct Progress {
  int64_t rows = 0, bytes = 0;
  std::string key;     // of the last of these rows
  std::string source;  // what was read, so that another query is not continued
};

Json to_json(const Progress& p) { return {{"rows", p.rows}, {"bytes", p.bytes}, {"key", p.key}, {"source", p.source}}; }

Progress read_progress(const std::string& path) {
  try {
    const Json j = Json::parse(read_text(path, size_t{64} << 20));
    return {j.at("rows").get<int64_t>(), j.at("bytes").get<int64_t>(), j.at("key").get<std::string>(),
            j.at("source").get<std::string>()};
  } catch (const Json::exception&) {
    raise<DataError>("{}: is not the state of a conversion; remove it and the .part file and start anew", path);
  }
}

class KeyedConversion {
 public:
  KeyedConversion(const SourceSpec& from, const SinkSpec& to, const ConvertOptions& options)
      : from_(from), to_(to), options_(options), format_(to.format.empty() ? format_of(to.path) : to.format) {
    WN_CHECK(format_ != "sqlite" && format_ != "parquet" && format_ != "postgresql", ConfigError,
             "--key: {} cannot be continued; write a text format, then convert that", format_);
    done_.source = fmt::format("{}|{}|{}|{}|{}|{}", from.name(), from.query, from.table, from.key, format_,
                               fmt::join(from.columns, ","));
    const std::string state = detail::state_path(to.path);
    if (file_exists(state)) {
      WN_CHECK(options.resume, ConfigError,
               "{}: an interrupted conversion is there; --resume goes on with it, or remove {} and {}", to.path, state,
               detail::part_path(to.path));
      const Progress before = read_progress(state);
      WN_CHECK(before.source == done_.source, ConfigError,
               "{}: belongs to another source, query or format; remove it and {} and start anew", state,
               detail::part_path(to.path));
      done_ = before;
    }
    if (done_.rows > 0) from_.after = done_.key;
  }

  ConvertReport run() {
    ConvertReport report;
    report.resumed_after = done_.rows;
    try {
      const auto reader = open_rows(from_);
      open(*reader);
      report.notes = lines_->notes();
      report.columns = reader->columns().size();
      for (RowBlock block; reader->next(block);) {
        append(block);
        if (options_.on_progress) options_.on_progress(rows_, -1);
      }
    } catch (const IoError& e) {
      if (part_ == nullptr) throw;
      raise<IoError>("{}\n{} rows are kept in {}; the same command with --resume goes on after them", e.what(),
                     done_.rows, detail::part_path(to_.path));
    }
    finish();
    report.rows = rows_;
    return report;
  }

 private:
  void open(const RowReader& reader) {
    key_ = reader.column(from_.key);
    lines_ = detail::make_line_writer(format_, reader.columns());
    packer_ = detail::make_packer(to_.path);
    part_ = std::make_unique<detail::PartFile>(to_.path, done_.bytes);
    rows_ = done_.rows;
    last_key_ = done_.key;
    if (done_.rows == 0) save();
  }

  void append(const RowBlock& block) {
    if (rows_ == 0) text_ = lines_->header(block);
    for (int64_t r = 0; r < block.rows; ++r) {
      const std::string_view key = block.cell(r, key_);
      if (key.empty()) block.fail(r, from_.key, "a missing key");
      if (rows_ > 0 && key == last_key_)
        block.fail(r, from_.key, fmt::format("{} occurs twice; a key must be unique", quoted(key)));
      last_key_ = key;
      lines_->append(block, r, text_);
      if (++rows_ % options_.checkpoint_rows == 0) checkpoint();
    }
    packer_->add(text_, packed_);
    text_.clear();
    part_->write(packed_);
    packed_.clear();
  }

  // Frames end at multiples of checkpoint_rows, interrupted or not, so that the bytes are the same.
  void checkpoint() {
    packer_->add(text_, packed_);
    packer_->end_frame(packed_);
    text_.clear();
    part_->write(packed_);
    packed_.clear();
    part_->sync();
    save();
  }

  void save() {
    done_.rows = rows_;
    done_.bytes = part_->size();
    done_.key = last_key_;
    write_atomically(detail::state_path(to_.path), to_json(done_).dump() + "\n");
  }

  void finish() {
    if (rows_ == 0) {
      text_ = lines_->header({});
      packer_->add(text_, packed_);
    }
    if (rows_ % options_.checkpoint_rows != 0 || rows_ == 0) packer_->end_frame(packed_);
    part_->write(packed_);
    part_->sync();
    part_->commit();
    ::unlink(detail::state_path(to_.path).c_str());
  }

  SourceSpec from_;
  SinkSpec to_;
  ConvertOptions options_;
  std::string format_;
  Progress done_;
  std::unique_ptr<detail::LineWriter> lines_;
  std::unique_ptr<detail::Packer> packer_;
  std::unique_ptr<detail::PartFile> part_;
  std::string text_, packed_, last_key_;
  size_t key_ = 0;
  int64_t rows_ = 0;
};

}  // namespace

ConvertReport convert_rows(const SourceSpec& from, const SinkSpec& to, const ConvertOptions& options) {
  if (!from.key.empty()) return KeyedConversion(from, to, options).run();
  WN_CHECK(!options.resume, ConfigError, "--resume needs --key, the unique column that rows are ordered by");
  const auto reader = open_rows(from);
  const auto writer = make_row_writer(to, reader->columns());
  ConvertReport report;
  report.columns = reader->columns().size();
  report.notes = writer->notes();
  for (RowBlock block; reader->next(block);) {
    writer->write(block);
    report.rows += block.rows;
    if (options.on_progress) options.on_progress(report.rows, reader->progress());
  }
  writer->commit();
  return report;
}

}  // namespace winnow
