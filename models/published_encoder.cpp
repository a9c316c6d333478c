#include "models/published_encoder.h"

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/file.h"
#include "core/text.h"

namespace winnow {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kMaxBytes = size_t{16} << 20;
constexpr int64_t kMaxLength = 1 << 20;

Json parse(std::string_view text, const std::string& name) {
  try {
    return Json::parse(text);
  } catch (const Json::exception& e) { raise<DataError>("{}: {}", name, e.what()); }
}

std::string text_of(const Json& object, const char* key, const std::string& name) {
  const auto at = object.find(key);
  WN_CHECK(at != object.end() && at->is_string(), DataError, "{}: {}: a text is expected", name, key);
  return at->get<std::string>();
}

bool flag_of(const Json& object, const char* key, const std::string& name) {
  const auto at = object.find(key);
  if (at == object.end() || at->is_null()) return false;
  WN_CHECK(at->is_boolean(), DataError, "{}: {}: true or false is expected", name, key);
  return at->get<bool>();
}

// A folder that stays inside the directory.
std::string inner_folder(const Json& module, const std::string& name) {
  std::string path = text_of(module, "path", name);
  WN_CHECK(path.empty() || is_plain_name(path), DataError, "{}: path: {} is not the name of a folder", name,
           winnow::quoted(path));
  return path;
}

}  // namespace

SentenceModules parse_sentence_modules(std::string_view text, const std::string& name) {
  const Json j = parse(text, name);
  WN_CHECK(j.is_array(), DataError, "{}: a list of modules is expected", name);
  SentenceModules found;
  std::string order;
  for (const Json& module : j) {
    WN_CHECK(module.is_object(), DataError, "{}: a module is not an object", name);
    const std::string type = text_of(module, "type", name);
    const std::string kind = type.substr(type.rfind('.') + 1);  // sentence_transformers.models.Pooling
    if (kind == "Transformer")
      found.transformer = inner_folder(module, name);
    else if (kind == "Pooling")
      found.pooling = inner_folder(module, name);
    else if (kind == "Normalize")
      found.normalize = true;
    else
      raise<DataError>("{}: a module of type {} is not supported; Transformer, Pooling and Normalize are", name,
                       winnow::quoted(type));
    order += kind[0];
  }
  WN_CHECK(order == "TP" || order == "TPN", DataError,
           "{}: the modules must be a Transformer, a Pooling and at most a Normalize, in this order", name);
  return found;
}

TokenPooling parse_sentence_pooling(std::string_view text, const std::string& name, int64_t width) {
  const Json j = parse(text, name);
  WN_CHECK(j.is_object(), DataError, "{}: an object is expected", name);
  for (const char* key : {"word_embedding_dimension", "embedding_dimension"})
    if (const auto at = j.find(key); at != j.end())
      WN_CHECK(at->is_number_integer() && at->get<int64_t>() == width, DataError,
               "{}: {}: the transformer's width is {}", name, key, width);
  std::string modes;
  int count = 0;
  const auto add = [&](std::string_view mode) { modes += fmt::format("{}{}", count++ == 0 ? "" : " + ", mode); };
  for (const auto& [key, value] : j.items())
    if (key.starts_with("pooling_mode_") && flag_of(j, key.c_str(), name)) add(key.substr(13));
  if (const auto at = j.find("pooling_mode"); at != j.end()) {
    if (at->is_string())
      add(at->get<std::string>());
    else if (at->is_array())
      for (const Json& mode : *at) add(mode.is_string() ? mode.get<std::string>() : mode.dump());
  }
  if (modes == "cls_token" || modes == "cls") return TokenPooling::Cls;
  if (modes == "mean_tokens" || modes == "mean") return TokenPooling::Mean;
  if (modes == "max_tokens" || modes == "max") return TokenPooling::Max;
  raise<DataError>("{}: the pooling {} is not supported; one of cls, mean and max is", name, winnow::quoted(modes));
}

SentenceLength parse_sentence_length(std::string_view text, const std::string& name) {
  const Json j = parse(text, name);
  WN_CHECK(j.is_object(), DataError, "{}: an object is expected", name);
  SentenceLength length;
  length.lower_case = flag_of(j, "do_lower_case", name);
  if (const auto at = j.find("max_seq_length"); at != j.end() && !at->is_null()) {
    WN_CHECK(at->is_number_integer() && at->get<int64_t>() >= 1 && at->get<int64_t>() <= kMaxLength, DataError,
             "{}: max_seq_length: {} is not an integer of 1 to {}", name, winnow::quoted(at->dump()), kMaxLength);
    length.max_len = at->get<int64_t>();
  }
  return length;
}

void check_sentence_prompts(std::string_view text, const std::string& name) {
  const Json j = parse(text, name);
  WN_CHECK(j.is_object(), DataError, "{}: an object is expected", name);
  const auto at = j.find("default_prompt_name");
  WN_CHECK(at == j.end() || at->is_null(), DataError,
           "{}: default_prompt_name: a prompt before every text is not supported; put it before the texts and remove "
           "the key",
           name);
}

PublishedEncoder read_published_encoder(const std::string& directory) {
  PublishedEncoder e;
  e.directory = directory;
  const std::string modules = directory + "/modules.json";
  if (!file_exists(modules)) {
    e.config = read_pretrained_config(directory);
    return e;
  }
  e.sentence_transformers = true;
  const SentenceModules m = parse_sentence_modules(read_text(modules, kMaxBytes), modules);
  if (!m.transformer.empty()) e.directory += "/" + m.transformer;
  e.config = read_pretrained_config(e.directory);
  e.normalize = m.normalize;
  const std::string pooling = fmt::format("{}/{}{}config.json", directory, m.pooling, m.pooling.empty() ? "" : "/");
  e.pooling = parse_sentence_pooling(read_text(pooling, kMaxBytes), pooling, e.config.transformer.hidden_size);
  const std::string length = e.directory + "/sentence_bert_config.json";
  if (file_exists(length)) {
    const SentenceLength said = parse_sentence_length(read_text(length, kMaxBytes), length);
    WN_CHECK(!said.lower_case, DataError,
             "{}: do_lower_case is not supported here; set it in tokenizer_config.json and remove it here", length);
    e.max_len = said.max_len;
  }
  const std::string prompts = directory + "/config_sentence_transformers.json";
  if (file_exists(prompts)) check_sentence_prompts(read_text(prompts, kMaxBytes), prompts);
  return e;
}

void save_sentence_files(const std::string& directory, TokenPooling pooling, bool normalize, int64_t max_len,
                         int64_t width) {
  const auto write = [&](const std::string& name, const Json& json) {
    write_atomically(directory + "/" + name, json.dump(2) + "\n");
  };
  Json modules = Json::array();
  const auto add = [&](const char* path, const char* kind) {
    modules.push_back({{"idx", modules.size()},
                       {"name", std::to_string(modules.size())},
                       {"path", path},
                       {"type", std::string("sentence_transformers.models.") + kind}});
  };
  add("", "Transformer");
  add("1_Pooling", "Pooling");
  if (normalize) add("2_Normalize", "Normalize");
  make_directories(directory + "/1_Pooling");
  if (normalize) make_directories(directory + "/2_Normalize");
  write("1_Pooling/config.json", {{"word_embedding_dimension", width},
                                  {"pooling_mode_cls_token", pooling == TokenPooling::Cls},
                                  {"pooling_mode_mean_tokens", pooling == TokenPooling::Mean},
                                  {"pooling_mode_max_tokens", pooling == TokenPooling::Max},
                                  {"pooling_mode_mean_sqrt_len_tokens", false}});
  write("sentence_bert_config.json", {{"max_seq_length", max_len}, {"do_lower_case", false}});
  write("modules.json", modules);
}

}  // namespace winnow
