// winnow tokenizer: train, encode, decode.
#include <charconv>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"
#include "tokenizer/sentencepiece.h"
#include "train/commands.h"

namespace winnow {
namespace {

using Json = nlohmann::json;

struct EncodeArguments {
  std::string model, input = "-";
  std::vector<std::string> texts;
  int64_t max_len = 0;
  bool special = false, pieces = false, pair = false, json = false;
  std::optional<double> alpha;
  int nbest = 64, threads = 1;
  uint64_t seed = 42;
};

// The texts given on the command line, or the lines of the input, a large number at a time.
class Lines {
 public:
  explicit Lines(const EncodeArguments& a) : given_(a.texts) {
    if (!given_.empty()) return;
    if (a.input == "-")
      stream_ = &std::cin;
    else
      file_ = std::make_unique<MappedFile>(a.input);
  }
  // Views hold until the next call.
  bool next(std::vector<std::string_view>& lines) {
    constexpr size_t kMost = 65536;
    lines.clear();
    if (!given_.empty()) {
      if (at_ == 0) lines.assign(given_.begin(), given_.end());
      at_ = 1;
    } else if (file_) {
      const std::string_view text = file_->text();
      while (at_ < text.size() && lines.size() < kMost) {
        const size_t end = std::min(text.find('\n', at_), text.size());
        lines.push_back(text.substr(at_, end - at_));
        at_ = end + 1;
      }
    } else {
      read_.clear();
      for (std::string line; read_.size() < kMost && std::getline(*stream_, line);) read_.push_back(std::move(line));
      lines.assign(read_.begin(), read_.end());
    }
    return !lines.empty();
  }

 private:
  std::vector<std::string> given_, read_;
  std::unique_ptr<MappedFile> file_;
  std::istream* stream_ = nullptr;
  size_t at_ = 0;
};

void print_row(const Tokenizer& tokenizer, std::span<const int32_t> ids, std::span<const int8_t> types,
               const EncodeArguments& a) {
  std::string line;
  if (a.json) {
    Json j{{"ids", ids}};
    if (a.pair) j["types"] = types;
    if (a.pieces)
      for (const int32_t id : ids) j["pieces"].push_back(tokenizer.token(id));
    line = j.dump(-1, ' ', false, Json::error_handler_t::replace);
  } else {
    for (const int32_t id : ids) {
      if (!line.empty()) line += ' ';
      if (a.pieces)
        line += tokenizer.token(id);
      else
        line += fmt::format_int(id).c_str();
    }
  }
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stdout);
}

int encode(const EncodeArguments& a) {
  const auto tokenizer = load_tokenizer(a.model);
  const auto* sampler = dynamic_cast<const SentencePiece*>(tokenizer.get());
  WN_CHECK(!a.alpha || sampler != nullptr, ConfigError, "--alpha: only SentencePiece models can be sampled from");
  WN_CHECK(!a.alpha || !(a.special || a.pair || a.max_len > 0), ConfigError,
           "--alpha gives bare ids; leave out --special, --pair and --max-len");
  const EncodeOptions options{a.max_len, a.special || a.pair};
  std::vector<std::string_view> lines, first, second;
  std::vector<int32_t> ids;
  uint64_t number = 0;
  for (Lines input(a); input.next(lines);) {
    if (a.alpha) {
      for (const std::string_view line : lines) {
        ids.clear();
        sampler->sample(line, {*a.alpha, a.nbest, a.seed}, number++, ids);
        print_row(*tokenizer, ids, {}, a);
      }
      continue;
    }
    first = lines;
    second.clear();
    for (size_t i = 0; a.pair && i < lines.size(); ++i) {
      ++number;
      const size_t tab = lines[i].find('\t');
      WN_CHECK(tab != std::string_view::npos, DataError, "{}:{}: --pair needs two texts with a tab between",
               a.texts.empty() ? a.input : "argument", number);
      first[i] = lines[i].substr(0, tab);
      second.push_back(lines[i].substr(tab + 1));
    }
    const JaggedIds rows = encode_batch(*tokenizer, first, second, options, a.threads);
    for (size_t r = 0; r < lines.size(); ++r) {
      const auto begin = static_cast<size_t>(rows.offsets[r]), n = static_cast<size_t>(rows.offsets[r + 1]) - begin;
      print_row(*tokenizer, std::span(rows.ids).subspan(begin, n), std::span(rows.types).subspan(begin, n), a);
    }
  }
  return 0;
}

int decode(const EncodeArguments& a) {
  const auto tokenizer = load_tokenizer(a.model);
  std::vector<std::string_view> lines;
  int64_t number = 0;
  for (Lines input(a); input.next(lines);)
    for (const std::string_view line : lines) {
      ++number;
      std::vector<int32_t> ids;
      for (size_t begin = 0; begin < line.size();) {
        const size_t end = std::min(line.find_first_of(" ,\t\r", begin), line.size());
        int32_t id = -1;
        const auto [stop, error] = std::from_chars(line.data() + begin, line.data() + end, id);
        WN_CHECK(end == begin || (error == std::errc{} && stop == line.data() + end), DataError, "{}:{}: {} is no id",
                 a.texts.empty() ? a.input : "argument", number, quoted(line.substr(begin, end - begin)));
        if (end > begin) ids.push_back(id);
        begin = end + 1;
      }
      const std::string text = tokenizer->decode(ids);
      std::puts(a.json ? Json{{"text", text}}.dump(-1, ' ', false, Json::error_handler_t::replace).c_str()
                       : text.c_str());
    }
  return 0;
}

void add_train(CLI::App& group, Action& chosen) {
  CLI::App* command = group.add_subcommand("train", "Learn a SentencePiece vocabulary from text files");
  struct Arguments {
    SentencePieceTraining training;
    std::string type = "unigram";
    bool json = false;
  };
  auto a = std::make_shared<Arguments>();
  SentencePieceTraining& t = a->training;
  command->add_option("input", t.inputs, "text files, a sentence a line")->required();
  command->add_option("--out", t.output, "the model file, such as spiece.model")->required();
  command->add_option("--vocab-size", t.vocab_size, "pieces, special ones included")->capture_default_str();
  command->add_option("--type", a->type)->check(CLI::IsMember({"unigram", "bpe"}))->capture_default_str();
  command
      ->add_option("--coverage", t.character_coverage, "share of the characters that get a piece; 0.9995 for Chinese")
      ->capture_default_str();
  command->add_option("--max-sentences", t.max_sentences, "learn from a sample of so many lines; 0: all")
      ->capture_default_str();
  command->add_flag("--byte-fallback", t.byte_fallback, "unknown characters become bytes instead of [UNK]");
  command->add_option("--threads", t.threads)->check(CLI::Range(1, 1024))->capture_default_str();
  command->add_option("--seed", t.seed, "of the sample")->capture_default_str();
  command->add_flag("--json", a->json, "print JSON");
  command->footer("Example:\n  winnow tokenizer train titles.txt --vocab-size 8000 --out spiece.model");
  command->callback([a, &chosen] {
    chosen = [a] {
      a->training.bpe = a->type == "bpe";
      train_sentencepiece(a->training);
      const auto model = SentencePiece::load(a->training.output);
      const std::string text = a->json ? Json{{"model", a->training.output}, {"pieces", model->size()}}.dump()
                                       : fmt::format("wrote {}: {} pieces", a->training.output, model->size());
      std::puts(text.c_str());
      return 0;
    };
  });
}

void add_input(CLI::App& command, EncodeArguments& a, const char* what) {
  command.add_option("--model", a.model, "vocab.txt, a .model file, or a folder with one")->required();
  command.add_option("--input", a.input, "a file; -: standard input")->capture_default_str();
  command.add_option("text", a.texts, what);
  command.add_flag("--json", a.json, "print a JSON object a line");
}

}  // namespace

void add_tokenizer_command(CLI::App& app, Action& chosen) {
  CLI::App* group = app.add_subcommand("tokenizer", "Train tokenizers, turn text into ids and back");
  group->require_subcommand(1);
  add_train(*group, chosen);
  auto a = std::make_shared<EncodeArguments>();
  CLI::App* enc = group->add_subcommand("encode", "Ids of texts, a line each");
  add_input(*enc, *a, "texts; default: the lines of --input");
  enc->add_flag("--special", a->special, "with [CLS] and [SEP]");
  enc->add_flag("--pair", a->pair, "a line holds two texts with a tab between; implies --special");
  enc->add_flag("--pieces", a->pieces, "print the pieces instead of ids");
  enc->add_option("--max-len", a->max_len, "cut rows to so many ids; 0: never")->check(CLI::NonNegativeNumber);
  enc->add_option("--alpha", a->alpha, "SentencePiece: draw a segmentation (unigram: likelihood^alpha, BPE: dropout)");
  enc->add_option("--nbest", a->nbest, "unigram sampling: among so many")->capture_default_str();
  enc->add_option("--seed", a->seed, "of --alpha")->capture_default_str();
  enc->add_option("--threads", a->threads)->check(CLI::Range(1, 1024))->capture_default_str();
  enc->footer(
      "Examples:\n  winnow tokenizer encode --model vocab.txt --pieces 'red cotton bag'\n"
      "  winnow tokenizer encode --model spiece.model --input titles.txt --special --max-len 32");
  enc->callback([a, &chosen] { chosen = [a] { return encode(*a); }; });
  auto d = std::make_shared<EncodeArguments>();
  CLI::App* dec = group->add_subcommand("decode", "Texts of ids, a line each");
  add_input(*dec, *d, "ids; default: the lines of --input");
  dec->footer("Example:\n  winnow tokenizer decode --model vocab.txt '101 2769 102'");
  dec->callback([d, &chosen] { chosen = [d] { return decode(*d); }; });
}

}  // namespace winnow
