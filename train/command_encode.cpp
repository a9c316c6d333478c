// winnow encode: the vectors of texts.
#include <cstdio>
#include <deque>
#include <nlohmann/json.hpp>

#include "core/file.h"
#include "core/parallel.h"
#include "core/safetensors.h"
#include "data/rows.h"
#include "models/text_vectors.h"
#include "train/commands.h"
#include "train/console.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

struct EncodeTexts {
  std::string model, column, out, device = "cpu";
  SourceSpec data;
  std::vector<std::string> texts;
  int64_t max_len = 0, batch_tokens = 0;
  int threads = 0;
  bool quiet = false, json = false;
};

// A saved run keeps its encoder in a folder of that name.
std::string encoder_directory(const std::string& path) {
  const std::string within = path + "/encoder";
  return !file_exists(path + "/config.json") && !file_exists(path + "/modules.json") && directory_exists(within)
             ? within
             : path;
}

std::deque<std::string> read_column(const EncodeTexts& a) {
  SourceSpec source = a.data;
  source.columns = {a.column};
  const auto reader = open_rows(source);
  std::deque<std::string> texts;  // whose strings stay where they are
  Progress progress("reading", 0, Progress::Unit::Rows, a.quiet);
  for (RowBlock block; reader->next(block) && !interrupted();) {
    for (int64_t r = 0; r < block.rows; ++r) texts.emplace_back(block.cell(r, 0));
    progress.update(static_cast<int64_t>(texts.size()));
  }
  return texts;
}

Tensor vectors_of(const EncodeTexts& a, TextVectors& encode, const JaggedIds& rows) {
  Progress progress("encoding", rows.rows(), Progress::Unit::Rows, a.quiet || a.data.path.empty());
  const Tensor vectors = encode(rows, [&](int64_t done) {
    progress.update(done);
    return !interrupted();
  });
  if (vectors.defined() && !a.data.path.empty()) progress.finish();
  return vectors;
}

void print_vectors(const EncodeTexts& a, const Tensor& vectors) {
  const int64_t width = vectors.shape()[1];
  Json rows = Json::array();
  std::string lines;
  for (int64_t r = 0; r < vectors.shape()[0]; ++r) {
    const std::span row(vectors.data<float>() + r * width, static_cast<size_t>(width));
    if (a.json)
      rows.push_back(row);
    else
      lines += fmt::format("{:.6g}\n", fmt::join(row, " "));
  }
  if (a.json) lines = Json{{"width", width}, {"vectors", rows}}.dump() + "\n";
  std::fwrite(lines.data(), 1, lines.size(), stdout);
}

int encode_texts(const EncodeTexts& a) {
  WN_CHECK(a.max_len == 0 || a.max_len >= 3, ConfigError, "--max-len {} leaves no room beside the special tokens",
           a.max_len);
  if (a.threads > 0) set_num_threads(a.threads);
  set_default_device(parse_device(a.device));
  handle_interrupts();
  TextEncoderOptions options = published_encoder_options(encoder_directory(a.model));
  if (a.max_len > 0) options.max_len = a.max_len;
  TextEncoder encoder(options);
  encoder.initialize(0);
  TextVectors encode(encoder, a.batch_tokens, std::make_shared<FrozenWeights>());
  const std::deque<std::string> read = a.data.path.empty() ? std::deque<std::string>() : read_column(a);
  std::vector<std::string_view> texts(a.texts.begin(), a.texts.end());
  texts.insert(texts.end(), read.begin(), read.end());
  const Tensor vectors = interrupted() ? Tensor() : vectors_of(a, encode, encoder.encode(texts));
  if (!vectors.defined()) {
    std::fputs("stopped; nothing was written\n", stderr);
    return 1;
  }
  if (!a.out.empty())
    save_safetensors(a.out, {{"vectors", vectors}},
                     {{"model", a.model}, {"normalized", options.normalize ? "true" : "false"}});
  if (a.data.path.empty() && (a.json || a.out.empty())) {
    print_vectors(a, vectors);
    return 0;
  }
  const std::string text = a.json ? Json{{"path", a.out}, {"rows", texts.size()}, {"width", encoder.width()}}.dump()
                                  : fmt::format("wrote {}: {} vectors of {}", a.out, texts.size(), encoder.width());
  std::puts(text.c_str());
  return 0;
}

}  // namespace

void add_encode_command(CLI::App& app, Action& chosen) {
  CLI::App* command = app.add_subcommand("encode", "Vectors of texts, from a text encoder");
  auto a = std::make_shared<EncodeTexts>();
  command
      ->add_option("--model", a->model,
                   "a directory in the layout of transformers or sentence-transformers, or a run with an encoder")
      ->required();
  command->add_option("--text", a->texts, "a text; may be given several times");
  command->add_option("--data", a->data.path, "a table: a file, directory or pattern such as \"items/part-*.csv.gz\"");
  command->add_option("--format", a->data.format, "of --data; default: by the ending of its name");
  command->add_option("--column", a->column, "of --data: the column with the texts");
  command->add_option("--out", a->out,
                      "safetensors file for the tensor vectors f32 [rows, width], in the order of rows");
  command->add_option("--max-len", a->max_len, "tokens of a text; default: what the model says");
  command->add_option("--batch-tokens", a->batch_tokens, "most tokens of a batch; default: 1024")
      ->check(CLI::NonNegativeNumber);
  command->add_option("--threads", a->threads, "default: all cores")->check(CLI::Range(0, 1024));
  command->add_option("--device", a->device, "cpu or cuda")->capture_default_str();
  command->add_flag("--quiet", a->quiet, "no progress");
  command->add_flag("--json", a->json, "print JSON: the vectors of --text, or what was written");
  command->footer(
      "Examples:\n  winnow encode --model all-MiniLM-L6-v2 --text \"red cotton bag\" --json\n"
      "  winnow encode --model runs/match --data items.csv --column title --out vectors.safetensors");
  command->callback([a, &chosen] {
    if (a->texts.empty() == a->data.path.empty()) throw CLI::RequiredError("either --text or --data");
    if (!a->data.path.empty() && a->column.empty())
      throw CLI::RequiredError("--column, which column of --data is the text,");
    if (!a->data.path.empty() && a->out.empty()) throw CLI::RequiredError("--out, where the vectors go,");
    chosen = [a] { return encode_texts(*a); };
  });
}

}  // namespace winnow
