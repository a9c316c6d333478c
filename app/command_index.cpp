#include <chrono>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "app/commands.h"
#include "core/error.h"
#include "core/file.h"
#include "core/parallel.h"
#include "serve/retrieval/exact.h"
#include "serve/retrieval/hnsw.h"
#include "serve/retrieval/vector_file.h"
#include "train/console.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

struct IndexArguments {
  std::string vectors, id, out, index, queries, type = "hnsw", similarity = "cosine";
  HnswOptions hnsw;
  int64_t k = 10, ef_search = 0;
  int threads = 0;
  bool quiet = false, json = false;
};

std::string file_in(const std::string& directory) { return directory + "/index.safetensors"; }

std::unique_ptr<VectorIndex> new_index(const IndexArguments& a, int64_t width) {
  const Similarity similarity = similarity_named(a.similarity);
  if (a.type == "exact") return std::make_unique<ExactIndex>(width, similarity);
  return std::make_unique<HnswIndex>(width, similarity, a.hnsw);
}

// A fact that is a number is one in JSON too.
Json json_of(const VectorIndex& index) {
  Json j{{"type", index.type()},
         {"similarity", name_of(index.similarity())},
         {"vectors", index.size()},
         {"width", index.width()}};
  for (const auto& [key, value] : index.facts()) j[key] = Json::parse(value);
  return j;
}
void print_facts(const Json& facts) {
  for (const auto& [key, value] : facts.items()) {
    const std::string text = value.is_string() ? value.get<std::string>() : value.dump();
    fmt::print("{:<16} {}\n", key, text);
  }
}

int build(const IndexArguments& a) {
  constexpr int64_t kStep = 8192;
  if (a.threads > 0) set_num_threads(a.threads);
  handle_interrupts();
  const VectorFile file = read_vectors(a.vectors, a.id);
  const int64_t rows = file.vectors.shape()[0], width = file.vectors.shape()[1];
  const auto index = new_index(a, width);
  const auto start = std::chrono::steady_clock::now();
  Progress progress("indexing", rows, Progress::Unit::Rows, a.quiet);
  for (int64_t r = 0; r < rows && !interrupted(); r += kStep) {
    const int64_t n = std::min(kStep, rows - r);
    index->add(std::span(file.ids).subspan(static_cast<size_t>(r), static_cast<size_t>(n)),
               {file.vectors.data<float>() + r * width, static_cast<size_t>(n * width)});
    progress.update(r + n);
  }
  progress.clear();
  if (interrupted()) {
    std::fputs("stopped; nothing was written\n", stderr);
    return 1;
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  make_directories(a.out);
  index->save(file_in(a.out));
  Json facts = json_of(*index);
  if (a.json) {
    facts["path"] = file_in(a.out);
    facts["seconds"] = seconds;
    std::puts(facts.dump().c_str());
  } else {
    fmt::print("wrote {}: {} vectors of {}, {}, in {:.1f} s\n", file_in(a.out), index->size(), width, index->type(),
               seconds);
  }
  return 0;
}

int search(const IndexArguments& a) {
  if (a.threads > 0) set_num_threads(a.threads);
  const auto index = open_index(file_in(a.index));
  if (a.ef_search > 0) {
    auto* hnsw = dynamic_cast<HnswIndex*>(index.get());
    WN_CHECK(hnsw != nullptr, ConfigError, "--ef-search is for hnsw; {} is of type {}", a.index, index->type());
    hnsw->set_ef_search(a.ef_search);
  }
  const VectorFile queries = read_vectors(a.queries, a.id);
  WN_CHECK(queries.vectors.shape()[1] == index->width(), ShapeError, "{}: vectors of {} elements, those of {} have {}",
           a.queries, queries.vectors.shape()[1], a.index, index->width());
  const auto k = static_cast<size_t>(std::min(a.k, std::max<int64_t>(index->size(), 1)));
  std::vector<Found> found(queries.ids.size() * k);
  const auto start = std::chrono::steady_clock::now();
  index->search(queries.vectors.span<float>(), static_cast<int64_t>(k), {}, found);
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  Json all = Json::array();
  std::string lines;
  for (size_t q = 0; q < queries.ids.size(); ++q) {
    Json items = Json::array();
    for (size_t i = q * k; i < (q + 1) * k && found[i].id >= 0; ++i)
      if (a.json)
        items.push_back({{"id", found[i].id}, {"score", found[i].score}});
      else
        lines += fmt::format("{}\t{}\t{:.6g}\n", queries.ids[q], found[i].id, found[i].score);
    if (a.json) all.push_back({{"query", queries.ids[q]}, {"found", std::move(items)}});
  }
  if (a.json) lines = Json{{"k", k}, {"seconds", seconds}, {"queries", std::move(all)}}.dump() + "\n";
  std::fwrite(lines.data(), 1, lines.size(), stdout);
  return 0;
}

int stats(const IndexArguments& a) {
  const Json facts = json_of(*open_index(file_in(a.index)));
  if (a.json)
    std::puts(facts.dump().c_str());
  else
    print_facts(facts);
  return 0;
}

void add_build(CLI::App& index, const std::shared_ptr<IndexArguments>& a, Action& chosen) {
  CLI::App* command = index.add_subcommand("build", "An index of the vectors of a file");
  command
      ->add_option(
          "--vectors", a->vectors,
          ".npy [rows, width]; .safetensors with \"vectors\" (as winnow encode writes it) and maybe \"ids\"; or "
          "a table of numbers")
      ->required();
  command->add_option("--id", a->id, "of a table: the column with the ids; default: ids are row numbers from 0");
  command->add_option("--out", a->out, "directory for index.safetensors")->required();
  command->add_option("--type", a->type, "exact or hnsw; default: hnsw")->check(CLI::IsMember({"exact", "hnsw"}));
  command->add_option("--similarity", a->similarity, "cosine or inner_product; default: cosine")
      ->check(CLI::IsMember({"cosine", "inner_product"}));
  command->add_option("--m", a->hnsw.m, "hnsw: links of a vector, twice as many in the lowest layer; default: 16");
  command->add_option("--ef-construction", a->hnsw.ef_construction, "hnsw: candidates at insertion; default: 200");
  command->add_option("--ef-search", a->hnsw.ef_search, "hnsw: candidates of a search; default: 64");
  command->add_option("--seed", a->hnsw.seed, "hnsw: of the layers; default: 0");
  command->add_option("--threads", a->threads, "default: all cores")->check(CLI::Range(1, 1024));
  command->add_flag("--quiet", a->quiet, "no progress");
  command->add_flag("--json", a->json, "print JSON");
  command->footer(
      "Examples:\n  winnow index build --vectors vectors.safetensors --out items.index\n"
      "  winnow index build --vectors items.csv --id item --type exact --similarity inner_product --out items.index");
  command->callback([a, &chosen] { chosen = [a] { return build(*a); }; });
}

void add_search(CLI::App& index, const std::shared_ptr<IndexArguments>& a, Action& chosen) {
  CLI::App* command = index.add_subcommand("search", "The nearest vectors of an index to those of a file");
  command->add_option("--index", a->index, "a directory of winnow index build")->required();
  command->add_option("--queries", a->queries, "vectors, in a file as of build --vectors")->required();
  command->add_option("--id", a->id, "of a table: the column with the queries' ids");
  command->add_option("--k", a->k, "results of a query; default: 10")->check(CLI::Range(1, 1000000));
  command->add_option("--ef-search", a->ef_search, "hnsw: candidates; more find more and take longer")
      ->check(CLI::Range(1, 100000));
  command->add_option("--threads", a->threads, "default: all cores")->check(CLI::Range(1, 1024));
  command->add_flag("--json", a->json, "print JSON");
  command->footer(
      "Prints query, id and score, separated by tabs.\nExamples:\n"
      "  winnow index search --index items.index --queries queries.npy --k 10\n"
      "  winnow index search --index items.index --queries queries.safetensors --ef-search 200 --json");
  command->callback([a, &chosen] { chosen = [a] { return search(*a); }; });
}

}  // namespace

void add_index_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("index", "Search among vectors: exact, or by a graph (docs/retrieval.md)");
  command->require_subcommand(1);
  auto a = std::make_shared<IndexArguments>();
  add_build(*command, a, chosen);
  add_search(*command, a, chosen);
  CLI::App* facts = command->add_subcommand("stats", "What an index holds");
  facts->add_option("--index", a->index, "a directory of winnow index build")->required();
  facts->add_flag("--json", a->json, "print JSON");
  facts->footer("Example: winnow index stats --index items.index");
  facts->callback([a, &chosen] { chosen = [a] { return stats(*a); }; });
}

}  // namespace winnow
