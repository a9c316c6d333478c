// winnow fill-mask
#include <cstdio>
#include <nlohmann/json.hpp>

#include "models/fill_mask.h"
#include "train/commands.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

struct Arguments {
  std::string model, text, device = "cpu";
  int64_t k = 5;
  bool json = false;
};

int run(const Arguments& a) {
  set_default_device(parse_device(a.device));
  const auto model = open_masked_lm(a.model);
  const auto masks = fill_mask(*model, a.text, a.k);
  if (a.json) {
    Json all = Json::array();
    for (const auto& guesses : masks) {
      Json one = Json::array();
      for (const MaskGuess& g : guesses)
        one.push_back({{"token", g.token}, {"id", g.id}, {"probability", g.probability}, {"text", g.text}});
      all.push_back(std::move(one));
    }
    std::puts(Json{{"masks", all}}.dump(1, ' ', false, Json::error_handler_t::replace).c_str());
    return 0;
  }
  std::string out;
  for (size_t m = 0; m < masks.size(); ++m) {
    if (masks.size() > 1) out += fmt::format("mask {}\n", m + 1);
    for (const MaskGuess& g : masks[m]) out += fmt::format("{:.4f}  {}  {}\n", g.probability, g.token, g.text);
  }
  std::fputs(out.c_str(), stdout);
  return 0;
}

}  // namespace

void add_fill_mask_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("fill-mask", "The likeliest tokens for the [MASK]s of a text");
  auto a = std::make_shared<Arguments>();
  command->add_option("--model", a->model, "run of `winnow train mlm`, or a Hugging Face directory with an MLM head")
      ->required();
  command->add_option("--text", a->text, "a text with [MASK] in it")->required();
  command->add_option("--k", a->k, "tokens a mask")->check(CLI::Range(1, 1000))->capture_default_str();
  command->add_option("--device", a->device, "cpu or cuda")->capture_default_str();
  command->add_flag("--json", a->json, "print JSON");
  command->footer("Example:\n  winnow fill-mask --model runs/mlm --text 'a red cotton [MASK]' --k 5");
  command->callback([a, &chosen] { chosen = [a] { return run(*a); }; });
}

}  // namespace winnow
