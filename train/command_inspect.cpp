// winnow inspect
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/safetensors.h"
#include "train/commands.h"
#include "train/inspect_encoder.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

// A text encoder's directory: what it is. A run directory, a checkpoint or any safetensors file: its tensors.
int inspect(const std::string& path, bool json) {
  if (is_encoder_directory(path)) {
    std::fputs(inspect_encoder(path, json).c_str(), stdout);
    return 0;
  }
  const std::string file_path = directory_exists(path) ? path + "/model.safetensors" : path;
  const SafeTensors file = SafeTensors::open(file_path);
  if (file.has_checksums()) file.verify();
  int64_t parameters = 0;
  Json tensors = Json::array();
  std::string text;
  for (const auto& e : file.entries()) {
    parameters += e.spec.shape.numel();
    tensors.push_back({{"name", e.name}, {"dtype", name_of(e.spec.dtype)}, {"shape", e.spec.shape.dims()}});
    text += fmt::format("{:<44} {}\n", e.name, e.spec.str());
  }
  const std::string checksums = file.has_checksums() ? "hold" : "none";
  if (json) {
    Json metadata = file.metadata();
    std::puts(Json{{"file", file_path},
                   {"tensors", tensors},
                   {"parameters", parameters},
                   {"metadata", metadata},
                   {"checksums", checksums}}
                  .dump(2)
                  .c_str());
    return 0;
  }
  for (const auto& [key, value] : file.metadata())
    text += fmt::format("{}: {}\n", key, value.size() > 200 ? value.substr(0, 200) + "..." : value);
  std::fputs(
      fmt::format("{}{} tensors, {} elements, checksums: {}\n", text, file.entries().size(), parameters, checksums)
          .c_str(),
      stdout);
  return 0;
}

}  // namespace

void add_inspect_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("inspect",
                                         "Tensors, sizes and checksums of a run, a checkpoint or a safetensors file; "
                                         "what a text encoder's directory holds");
  struct Arguments {
    std::string path;
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  command->add_option("path", a->path, "run directory, directory of a text encoder, or file")->required();
  command->add_flag("--json", a->json, "print JSON");
  command->footer("Examples:\n  winnow inspect runs/ml\n  winnow inspect all-MiniLM-L6-v2");
  command->callback([a, &chosen] { chosen = [a] { return inspect(a->path, a->json); }; });
}

}  // namespace winnow
