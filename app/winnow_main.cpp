#include "app/commands.h"
#include "core/gpu.h"
#include "train/program.h"

int main(int argc, char** argv) {
  winnow::register_gpu();
  return winnow::run_program(
      argc, argv,
      {winnow::add_index_command, winnow::add_bandit_command, winnow::add_ope_command, winnow::add_candidates_command,
       winnow::add_update_command, winnow::add_serve_command, winnow::add_verify_command, winnow::add_events_command});
}
