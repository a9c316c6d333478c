// winnow doctor
#include <cstdio>

#include "train/commands.h"
#include "train/doctor.h"

namespace winnow {

void add_doctor_command(CLI::App& app, Action& chosen) {
  CLI::App* command =
      app.add_subcommand("doctor", "What this machine and this program offer, what is missing, and a small self test");
  struct Arguments {
    std::string device = "cpu";
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  command->add_option("--device", a->device, "cpu or cuda: exit code 1 when it cannot be used")->capture_default_str();
  command->add_flag("--json", a->json, "print JSON");
  command->footer("Example:\n  winnow doctor --device cuda");
  command->callback([a, &chosen] {
    chosen = [a] {
      const Diagnosis d = diagnose(parse_device(a->device));
      std::fputs((a->json ? d.json() + "\n" : d.str()).c_str(), stdout);
      return d.problems.empty() ? 0 : 1;
    };
  });
}

}  // namespace winnow
