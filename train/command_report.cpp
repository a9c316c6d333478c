// winnow report: the HTML page of a run, from its files.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "train/commands.h"
#include "train/report/report.h"

namespace winnow {

void add_report_command(CLI::App& app, Action& chosen) {
  CLI::App* command =
      app.add_subcommand("report", "One self-contained HTML page about a run: metrics, curves, data, memory");
  struct Arguments {
    std::string run, out;
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  command->add_option("run", a->run, "run directory")->required();
  command->add_option("--out", a->out, "the page; default: report.html in the run directory");
  command->add_flag("--json", a->json, "print the page's path, size and what is missing as JSON");
  command->footer("Example:\n  winnow report runs/ml --out ml.html");
  command->callback([a, &chosen] {
    chosen = [a] {
      const RunFiles files = read_run_files(a->run);
      const std::string page = render_report(files), path = a->out.empty() ? a->run + "/report.html" : a->out;
      write_atomically(path, page);
      const nlohmann::json report{{"page", path}, {"bytes", page.size()}, {"missing", files.notes}};
      if (!a->json)
        for (const std::string& note : files.notes) std::fputs(("note: " + note + "\n").c_str(), stderr);
      std::puts(a->json ? report.dump(2).c_str() : fmt::format("wrote {} ({} KiB)", path, page.size() / 1024).c_str());
      return 0;
    };
  });
}

}  // namespace winnow
