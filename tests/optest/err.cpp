// Mode `err`: must-throw samples say what they promise, and hostile calls never do worse than throw a winnow::Error.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

#include "core/graph.h"
#include "tests/optest/hostile.h"
#include "tests/optest/runner.h"

namespace winnow::optest {
namespace {

void check_promised_text(const Operator& entry, const Sample& sample, Report& report) {
  Graph graph;
  std::vector<Value> in;
  for (size_t i = 0; i < sample.in.size(); ++i) in.push_back(graph.input(fmt::format("x{}", i), sample.in[i].spec));
  const auto complain = [&](const std::string& text) { report.fail(*entry.op, sample.name, "", text); };
  try {
    graph.apply_all(entry.op->name, in, sample.attrs);
    complain(fmt::format("recording succeeds; it must throw \"{}\"", sample.throws));
  } catch (const Error& error) {
    const std::string text = error.what();
    if (text.find(sample.throws) == std::string::npos)
      complain(fmt::format("threw \"{}\", which does not contain \"{}\"", text, sample.throws));
    if (text.find(entry.op->name) == std::string::npos)
      complain(fmt::format("the text does not name the operator: \"{}\"", text));
    if (text.find("tests/optest/err.cpp:") == std::string::npos)
      complain(fmt::format("the text does not name the source line: \"{}\"", text));
  } catch (const std::exception& error) {
    complain(fmt::format("threw something that is no winnow::Error: {}", error.what()));
  }
}

// In a process of its own: a crash ends the calls of this operator and is a failure like any other.
void check_hostile(const OpDef& op, const Options& options, Report& report) {
  const std::string command = fmt::format("'{}' err --hostile --op {} --seed {}{}", own_path(), op.name, options.seed,
                                          options.verbose ? " -v" : "");
  fflush(stdout);
  FILE* pipe = popen(command.c_str(), "r");
  WN_CHECK(pipe != nullptr, Error, "optest: cannot start {}", command);
  char line[4096];
  long long cases = 0, failures = 0;
  bool finished = false;
  while (fgets(line, sizeof line, pipe) != nullptr) {
    if (std::sscanf(line, "hostile %lld %lld", &cases, &failures) == 2)
      finished = true;
    else
      fmt::print("{}", line);
  }
  const int status = pclose(pipe);
  report.add(cases, failures);
  if (!finished)
    report.fail(
        op, "", "",
        fmt::format("hostile calls ended the process (status {})", WIFEXITED(status) ? WEXITSTATUS(status) : -1));
}

}  // namespace

int64_t check_err(const Suite& suite, const Options& options) {
  Report report("err", options);
  if (options.hostile) {
    for (const Operator& entry : suite.operators()) make_hostile_calls(entry, options, report);
    fmt::print("hostile {} {}\n", report.cases(), report.failures());
    return report.failures();
  }
  for (const Operator& entry : suite.operators()) {
    for (const Sample& sample : entry.samples) {
      if (sample.throws.empty() || (!options.sample.empty() && options.sample != sample.name)) continue;
      report.at(*entry.op, sample.name);
      check_promised_text(entry, sample, report);
      report.checked(*entry.op);
    }
    if (options.sample.empty()) check_hostile(*entry.op, options, report);
  }
  report.summary();
  return report.failures();
}

}  // namespace winnow::optest
