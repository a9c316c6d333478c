#include <sentencepiece_processor.h>
#include <sentencepiece_trainer.h>

#include "core/error.h"
#include "core/file.h"
#include "tokenizer/sentencepiece.h"

namespace winnow {

void train_sentencepiece(const SentencePieceTraining& o) {
  WN_CHECK(!o.inputs.empty(), ConfigError, "no input files are given");
  WN_CHECK(!o.output.empty(), ConfigError, "no output file is given");
  WN_CHECK(o.vocab_size >= 8 && o.vocab_size <= (1 << 22), ConfigError, "vocab_size {} must be 8 to {}", o.vocab_size,
           1 << 22);
  WN_CHECK(o.character_coverage > 0 && o.character_coverage <= 1, ConfigError,
           "character_coverage {} must be above 0 and at most 1", o.character_coverage);
  for (const std::string& input : o.inputs) {
    WN_CHECK(input.find(',') == std::string::npos, ConfigError, "{}: a comma in a file name is not supported", input);
    const MappedFile readable(input);
  }
  std::string inputs;
  for (const std::string& input : o.inputs) inputs += (inputs.empty() ? "" : ",") + input;
  const std::string model_ending = ".model", working = o.output + ".training";
  std::unordered_map<std::string, std::string> arguments = {
      {"input", inputs},
      {"model_prefix", working},
      {"vocab_size", std::to_string(o.vocab_size)},
      {"model_type", o.bpe ? "bpe" : "unigram"},
      {"character_coverage", fmt::format("{}", o.character_coverage)},
      {"input_sentence_size", std::to_string(o.max_sentences)},
      {"shuffle_input_sentence", o.max_sentences > 0 ? "true" : "false"},
      {"byte_fallback", o.byte_fallback ? "true" : "false"},
      {"num_threads", std::to_string(o.threads)},
      {"max_sentence_length", "65536"},
      {"minloglevel", "2"},
      {"pad_id", "0"},
      {"unk_id", "1"},
      {"bos_id", "2"},
      {"eos_id", "3"},
      {"pad_piece", "[PAD]"},
      {"unk_piece", "[UNK]"},
      {"bos_piece", "[CLS]"},
      {"eos_piece", "[SEP]"},
      {"control_symbols", "[MASK]"}};
  sentencepiece::SetRandomGeneratorSeed(static_cast<unsigned>(o.seed));
  const auto status = sentencepiece::SentencePieceTrainer::Train(arguments);
  if (!status.ok()) {
    std::remove((working + ".model").c_str());
    std::remove((working + ".vocab").c_str());
    raise<DataError>("training on {} failed: {}", inputs, status.ToString());
  }
  constexpr size_t kMost = size_t{1} << 30;
  const std::string stem =
      o.output.ends_with(model_ending) ? o.output.substr(0, o.output.size() - model_ending.size()) : o.output;
  write_atomically(o.output, read_text(working + ".model", kMost));
  write_atomically(stem + ".vocab", read_text(working + ".vocab", kMost));
  std::remove((working + ".model").c_str());
  std::remove((working + ".vocab").c_str());
}

}  // namespace winnow
