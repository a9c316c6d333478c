// winnow synonyms: terms that an encoder puts near each other.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/parallel.h"
#include "core/text.h"
#include "data/string_index.h"
#include "train/commands.h"
#include "train/synonyms.h"

namespace winnow {
namespace {

struct SynonymArguments {
  std::string run, terms, device = "cpu";
  SynonymOptions options;
  bool one_way = false, json = false;
  int threads = 0;
};

constexpr size_t kLargestTerms = size_t{256} << 20;

// A saved run keeps its encoder in a folder of that name.
std::string encoder_of(const std::string& path) {
  return !file_exists(path + "/config.json") && !file_exists(path + "/modules.json") &&
                 directory_exists(path + "/encoder")
             ? path + "/encoder"
             : path;
}

// One a line; blank lines and terms that came before are left out.
std::vector<std::string> read_terms(const std::string& path) {
  const std::string text = read_text(path, kLargestTerms);
  std::vector<std::string> terms;
  StringIndex seen;
  int64_t line = 1;
  for (size_t at = 0; at < text.size(); ++line) {
    const size_t end = std::min(text.find('\n', at), text.size());
    std::string term = text.substr(at, end - at);
    at = end + 1;
    term.erase(term.find_last_not_of(" \t\r") + 1);
    term.erase(0, std::min(term.find_first_not_of(" \t"), term.size()));
    if (term.empty()) continue;
    WN_CHECK(is_utf8(term), DataError, "{}:{}: {} is not UTF-8", path, line, winnow::quoted(term));
    if (seen.add(term) == static_cast<int32_t>(terms.size())) terms.push_back(std::move(term));
  }
  return terms;
}

int run_synonyms(const SynonymArguments& a) {
  if (a.threads > 0) set_num_threads(a.threads);
  set_default_device(parse_device(a.device));
  const std::vector<std::string> terms = read_terms(a.terms);
  TextEncoder encoder(published_encoder_options(encoder_of(a.run)));
  encoder.initialize(0);
  SynonymOptions options = a.options;
  options.mutual = !a.one_way;
  const std::vector<Synonym> found = find_synonyms(encoder, terms, options);
  if (a.json) {
    nlohmann::json j{{"terms", terms.size()}, {"synonyms", nlohmann::json::array()}};
    for (const Synonym& s : found)
      j["synonyms"].push_back({{"term", terms[static_cast<size_t>(s.term)]},
                               {"synonym", terms[static_cast<size_t>(s.other)]},
                               {"cosine", s.cosine},
                               {"mutual", s.mutual}});
    std::puts(j.dump(2).c_str());
    return 0;
  }
  std::string text;
  for (size_t i = 0; i < found.size(); ++i) {
    const Synonym& s = found[i];
    const bool first = i == 0 || found[i - 1].term != s.term;
    if (first) text += fmt::format("{}{}:", i == 0 ? "" : "\n", terms[static_cast<size_t>(s.term)]);
    text += fmt::format("{} {} {:.3f}{}", first ? "" : ",", terms[static_cast<size_t>(s.other)], s.cosine,
                        s.mutual ? "" : " (one way)");
  }
  if (!text.empty()) text += "\n";
  std::fputs(text.c_str(), stdout);
  std::fputs(fmt::format("{} pairs among {} terms at a cosine of {:g} and more\n", found.size(), terms.size(),
                         options.threshold)
                 .c_str(),
             stderr);
  return 0;
}

}  // namespace

void add_synonyms_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("synonyms", "Terms that mean the same, by the vectors of a text encoder");
  command->footer(
      "Example:\n  winnow synonyms --run all-MiniLM-L6-v2 --terms terms.txt --k 10 --threshold 0.7\n"
      "A term a line. Near is not equal: colours, brands and sizes are near each other too. docs/rank.md");
  auto a = std::make_shared<SynonymArguments>();
  command
      ->add_option("--run", a->run,
                   "a directory in the layout of transformers or sentence-transformers, or a run with an encoder")
      ->required();
  command->add_option("--terms", a->terms, "text file, a term a line")->required();
  command->add_option("--k", a->options.k, "nearest terms that are looked at")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  command->add_option("--threshold", a->options.threshold, "least cosine")
      ->check(CLI::Range(-1.0, 1.0))
      ->capture_default_str();
  command->add_flag("--one-way", a->one_way, "also pairs of which only one is among the k nearest of the other");
  command->add_option("--threads", a->threads, "compute threads; default: all cores")->check(CLI::Range(1, 1024));
  command->add_option("--device", a->device, "cpu or cuda")->capture_default_str();
  command->add_flag("--json", a->json, "print JSON");
  command->callback([a, &chosen] { chosen = [a] { return run_synonyms(*a); }; });
}

}  // namespace winnow
