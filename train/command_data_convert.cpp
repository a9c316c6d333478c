// winnow data convert
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "data/row_writer.h"
#include "train/console.h"
#include "train/data_commands.h"

namespace winnow {
namespace {

struct Arguments {
  SourceSpec from;
  SinkSpec to;
  std::string separator;
  bool resume = false, json = false;
};

bool is_connection(const std::string& text) {
  return text.starts_with("postgresql://") || text.starts_with("postgres://") ||
         (text.find('=') != std::string::npos && text.find('/') > text.find('='));
}

// A line on a terminal, at most ten times a second.
class ProgressLine {
 public:
  void show(int64_t rows, double progress) {
    const auto now = std::chrono::steady_clock::now();
    if (!terminal_ || now - last_ < std::chrono::milliseconds(100)) return;
    last_ = now;
    const double seconds = std::chrono::duration<double>(now - begun_).count();
    std::string text = fmt::format("\r\x1b[K{} rows, {:.0f} rows/s", rows, static_cast<double>(rows) / seconds);
    if (progress > 0)
      text += fmt::format(", {:.0f} %, {} left", progress * 100, duration(seconds / progress - seconds));
    std::fputs(text.c_str(), stderr);
    open_ = true;
  }
  ~ProgressLine() {
    if (open_) std::fputs("\r\x1b[K", stderr);
  }

 private:
  bool terminal_ = is_terminal(STDERR_FILENO), open_ = false;
  std::chrono::steady_clock::time_point begun_ = std::chrono::steady_clock::now(), last_;
};

SourceSpec source_of(const Arguments& a) {
  SourceSpec from = a.from;
  if (from.format == "postgresql" || (from.format.empty() && is_connection(from.path))) {
    from.connection = std::move(from.path);
    from.path.clear();
  }
  if (!a.separator.empty()) {
    WN_CHECK(a.separator == "tab" || a.separator.size() == 1, ConfigError,
             "--separator {}: one character, or the word tab", winnow::quoted(a.separator));
    from.csv = format_options(from.format.empty() ? format_of(from.path) : from.format);
    from.csv->separator = a.separator == "tab" ? '\t' : a.separator[0];
  }
  return from;
}

int convert(const Arguments& a) {
  const SourceSpec from = source_of(a);
  ConvertReport report;
  {
    ProgressLine line;
    report = convert_rows(from, a.to, {.resume = a.resume, .on_progress = [&](int64_t rows, double progress) {
                                         line.show(rows, progress);
                                       }});
  }
  for (const std::string& note : report.notes) std::fputs((note + "\n").c_str(), stderr);
  if (report.resumed_after > 0)
    std::fputs(fmt::format("went on after {} rows\n", report.resumed_after).c_str(), stderr);
  else if (a.resume)
    std::fputs("nothing to resume was found: began at the first row\n", stderr);
  const std::string text =
      a.json ? nlohmann::json{{"path", a.to.path}, {"rows", report.rows}, {"columns", report.columns}}.dump() + "\n"
             : fmt::format("wrote {}: {} rows of {} columns\n", a.to.path, report.rows, report.columns);
  std::fputs(text.c_str(), stdout);
  return 0;
}

}  // namespace

void add_data_convert_command(CLI::App& data, Action& chosen) {
  CLI::App* command = data.add_subcommand("convert", "Rows of any source into a file of any format");
  auto a = std::make_shared<Arguments>();
  command
      ->add_option("source", a->from.path,
                   "a file, directory, pattern such as \"logs/part-*.csv.gz\", or PostgreSQL connection string")
      ->required();
  command->add_option("--out", a->to.path, "the file to write; .gz and .zst compress text formats")->required();
  std::string formats;
  for (const std::string& format : source_formats()) formats += (formats.empty() ? "" : ", ") + format;
  command->add_option("--to", a->to.format, "format to write: " + formats + "; default: by the ending of --out");
  command->add_option("--from", a->from.format, "format to read; default: by the ending of the source");
  command->add_option("--columns", a->from.columns, "these columns only, in this order")->delimiter(',');
  command->add_option("--separator", a->separator, "of a csv, tsv or recbole source: one character, or tab");
  command->add_option("--list-separator", a->from.list_separator, "between the elements of an array of a jsonl source")
      ->capture_default_str();
  command->add_option("--query", a->from.query, "of a database");
  command->add_option("--table", a->from.table, "of a database, instead of --query");
  command->add_option("--into", a->to.table, "name of the table in an SQLite database to write")->capture_default_str();
  command->add_option(
      "--key", a->from.key,
      "unique column of a database source: rows come in its order, and an interrupted run can be resumed");
  command->add_flag("--resume", a->resume, "go on with an interrupted run of the same command");
  command->add_option("--threads", a->from.threads, "that read and parse")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  command->add_flag("--json", a->json, "the result as JSON");
  command->footer(
      "Examples:\n"
      "  winnow data convert data_cache/synthetic/impressions.csv --out views.jsonl.gz\n"
      "  winnow data convert \"host=db dbname=shop user=reader\" --table clicks --key id --out clicks.csv.zst");
  command->callback([a, &chosen] { chosen = [a] { return convert(*a); }; });
}

}  // namespace winnow
