// vocab.txt and tokenizer_config.json.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "tokenizer/wordpiece.h"

namespace winnow {
namespace {

using Json = nlohmann::json;
constexpr size_t kMaxBytes = size_t{256} << 20;

// A special token is a text, or an object whose "content" is the text.
void read_token(const Json& j, const char* key, std::string& token) {
  if (!j.contains(key) || j.at(key).is_null()) return;
  const Json& value = j.at(key);
  token = (value.is_object() ? value.at("content") : value).get<std::string>();
}

void read_flag(const Json& j, const char* key, bool& flag) {
  if (j.contains(key) && !j.at(key).is_null()) flag = j.at(key).get<bool>();
}

}  // namespace

std::vector<std::string> WordPiece::parse_vocabulary(std::string_view text) {
  std::vector<std::string> tokens;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find('\n', begin), text.size());
    std::string_view line = text.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    tokens.emplace_back(line);
    begin = end + 1;
  }
  return tokens;
}

std::vector<std::string> WordPiece::read_vocabulary(const std::string& path) {
  return parse_vocabulary(read_text(path, kMaxBytes));
}

WordPieceOptions WordPiece::parse_options(std::string_view text, const std::string& name) {
  WordPieceOptions o;
  try {
    const Json j = Json::parse(text);
    WN_CHECK(j.is_object(), DataError, "{}: an object is expected", name);
    read_flag(j, "do_lower_case", o.lower_case);
    o.strip_accents = o.lower_case;
    read_flag(j, "strip_accents", o.strip_accents);
    read_flag(j, "tokenize_chinese_chars", o.split_cjk);
    read_token(j, "unk_token", o.unk);
    read_token(j, "pad_token", o.pad);
    read_token(j, "cls_token", o.cls);
    read_token(j, "sep_token", o.sep);
    read_token(j, "mask_token", o.mask);
  } catch (const Json::exception& e) { raise<DataError>("{}: {}", name, e.what()); }
  return o;
}

void WordPiece::save(const std::string& directory, bool token_types) const {
  std::string lines;
  for (const std::string& token : vocabulary_) (lines += token) += '\n';
  write_atomically(directory + "/vocab.txt", lines);
  nlohmann::ordered_json j{{"tokenizer_class", "BertTokenizer"},
                           {"do_lower_case", options_.lower_case},
                           {"strip_accents", options_.strip_accents},
                           {"tokenize_chinese_chars", options_.split_cjk},
                           {"unk_token", options_.unk}};
  const auto set = [&](const char* key, const std::string& token) {
    if (find(token) >= 0) j[key] = token;
  };
  set("pad_token", options_.pad), set("cls_token", options_.cls), set("sep_token", options_.sep);
  set("mask_token", options_.mask);
  if (!token_types) j["model_input_names"] = {"input_ids", "attention_mask"};
  write_atomically(directory + "/tokenizer_config.json", j.dump(2) + "\n");
}

}  // namespace winnow
