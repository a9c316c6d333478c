// winnow data describe
#include <cstdio>

#include "core/error.h"
#include "core/parallel.h"
#include "data/clean.h"
#include "data/describe.h"
#include "train/data_commands.h"
#include "train/run.h"

namespace winnow {
namespace {

struct Arguments {
  std::string file, format;
  CommonOptions common;
  int64_t top = 5;
  int threads = 0;
  bool clean = false, json = false;
};

int run_describe(const Arguments& a) {
  if (a.threads > 0) set_num_threads(a.threads);
  DescribeOptions options;
  std::unique_ptr<RowReader> reader;
  if (a.common.config.empty()) {
    SourceSpec source;
    source.path = a.file;
    source.format = a.format;
    reader = open_rows(source);
  } else {
    const CtrConfig config(a.common);
    options = describe_options(config.schema);
    const OpenRows open = [source = config.schema.interactions.source] { return open_rows(source); };
    reader = a.clean ? clean_rows(open, config.schema.clean, std::make_shared<CleanReport>()) : open();
  }
  options.top = a.top;
  const TableSummary summary = describe_rows(*reader, options);
  std::fputs((a.json ? summary.json() + "\n" : summary.str()).c_str(), stdout);
  return 0;
}

}  // namespace

void add_data_describe_command(CLI::App& data, Action& chosen) {
  CLI::App* command = data.add_subcommand("describe", "What a table holds: types, values, quantiles, missing cells");
  auto a = std::make_shared<Arguments>();
  CLI::Option* file = command->add_option("file", a->file, "a table");
  command->add_option("--format", a->format, "of the file; default: by the ending of its name")->needs(file);
  CLI::Option* config = command->add_option("--config", a->common.config, "describe the interactions of a config");
  config->excludes(file);
  command->add_option("--set", a->common.sets, "override a config key: a.b=c (repeatable)")
      ->allow_extra_args(false)
      ->needs(config);
  command->add_flag("--clean", a->clean, "after the steps of data.clean")->needs(config);
  command->add_option("--top", a->top, "values to show of each column")
      ->check(CLI::Range(0, 1000))
      ->capture_default_str();
  command->add_option("--threads", a->threads, "threads; default: all cores")->check(CLI::Range(1, 1024));
  command->add_flag("--json", a->json, "print JSON");
  command->footer(
      "Examples:\n"
      "  winnow data describe data_cache/synthetic/impressions.csv\n"
      "  winnow data describe --config examples/ctr/synthetic.yaml");
  command->callback([a, &chosen] {
    if (a->file.empty() && a->common.config.empty()) throw CLI::RequiredError("a file or --config");
    chosen = [a] { return run_describe(*a); };
  });
}

}  // namespace winnow
