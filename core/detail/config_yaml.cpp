#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/mark.h>
#include <yaml-cpp/parser.h>

#include <algorithm>
#include <istream>
#include <streambuf>
#include <utility>

#include "core/detail/config_tree.h"
#include "core/error.h"
#include "core/text.h"

namespace winnow::detail {
namespace {

constexpr size_t kLongestKey = 256;

// Gives the parser its text in small pieces, and ends it early when more would be held in the parser's queue than the
// size of the text allows. yaml-cpp queues all tokens of a flow collection that may turn out to be a key, some 240
// bytes each; every token needs one of the characters counted here, or stands between two of them.
class BoundedInput final : public std::streambuf {
 public:
  BoundedInput(std::string text, const std::string& source)
      : text_(std::move(text)), source_(source), most_(768 + text_.size() / 128) {}
  // The parser has handled everything before the mark.
  void passed(const YAML::Mark& mark) {
    passed_ = static_cast<size_t>(std::max(mark.pos, 0));
    line_ = mark.line + 1;
  }

  void check() const {
    WN_CHECK(!overfull_, ConfigError, "{}:{}: a flow collection or text of more than {} parts; write it as a block",
             source_, line_, most_);
  }

 protected:
  int_type underflow() override {
    if (given_ == text_.size() || overfull_) return traits_type::eof();
    const size_t n = std::min(kPiece, text_.size() - given_);
    char* const piece = text_.data() + given_;
    size_t count = count_.empty() ? 0 : count_.back();
    for (size_t i = given_; i < given_ + n; ++i) count += begins_token(i);
    count_.push_back(count);
    const size_t handled = passed_ / kPiece == 0 ? 0 : count_[std::min(passed_ / kPiece, count_.size()) - 1];
    if (count - handled > most_) {
      overfull_ = true;
      return traits_type::eof();
    }
    given_ += n;
    setg(piece, piece, piece + n);
    return traits_type::to_int_type(*piece);
  }

 private:
  // Where it may; lines of hyphens or stars, as comments have them, do not count.
  bool begins_token(size_t i) const {
    const char c = text_[i], next = i + 1 < text_.size() ? text_[i + 1] : '\n';
    if (c == '-' || c == '?') return next == ' ' || next == '\t' || next == '\n' || next == '\r';
    if (c == '*' || c == '&') return next != c;
    return std::string_view("[]{},:!|>'\"%@`").find(c) != std::string_view::npos;
  }

  static constexpr size_t kPiece = 256;
  std::string text_;
  const std::string& source_;
  size_t most_, given_ = 0, passed_ = 0;
  int line_ = 1;
  bool overfull_ = false;
  std::vector<size_t> count_;  // up to the end of each piece given
};

// Builds the tree from the parser's events, so that yaml-cpp's own graph of nodes (shared by aliases, which makes small
// texts huge) never exists, and its recursion ends where ours does.
class Builder final : public YAML::EventHandler {
 public:
  Builder(const std::string& source, BoundedInput& input, ConfigValue& root, size_t most_values)
      : source_(source), input_(input), root_(root), values_left_(most_values) {}

  void OnDocumentStart(const YAML::Mark& mark) override {
    if (std::exchange(started_, true)) fail(mark, "a second document; one is allowed");
  }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override {
    begin(mark, anchor);
    if (wants_key()) fail(mark, "a key is empty");
    add(mark);
  }
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t) override { fail(mark, kNoAnchors); }
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                const std::string& value) override {
    begin(mark, anchor);
    check_tag(mark, tag);
    if (!is_utf8(value)) fail(mark, "a value that is not UTF-8");
    if (wants_key()) return set_key(mark, value);
    ConfigValue& scalar = add(mark);
    scalar.kind = ConfigValue::Kind::Scalar;
    scalar.quoted = tag == "!";
    scalar.text = value;
  }
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                       YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, ConfigValue::Kind::List);
  }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor,
                  YAML::EmitterStyle::value) override {
    open(mark, tag, anchor, ConfigValue::Kind::Map);
  }
  void OnSequenceEnd() override { open_.pop_back(); }
  void OnMapEnd() override {
    check_duplicates();
    open_.pop_back();
  }

 private:
  static constexpr const char* kNoAnchors = "anchors and aliases are not supported; write the value out";
  struct Open {
    ConfigValue* value = nullptr;
    bool has_key = false;  // of a map: the key was given, its value comes next
    std::string key{};
    uint32_t key_line = 0;
  };

  static uint32_t line_of(const YAML::Mark& mark) { return mark.line < 0 ? 0 : static_cast<uint32_t>(mark.line) + 1; }
  [[noreturn]] void fail(const YAML::Mark& mark, const std::string& text) const { fail(line_of(mark), text); }
  [[noreturn]] void fail(uint32_t line, const std::string& text) const {
    raise<ConfigError>("{}:{}: {}", source_, line, text);
  }

  bool wants_key() const {
    return !open_.empty() && open_.back().value->kind == ConfigValue::Kind::Map && !open_.back().has_key;
  }
  void begin(const YAML::Mark& mark, YAML::anchor_t anchor) {
    input_.passed(mark);
    if (anchor != 0) fail(mark, kNoAnchors);
  }
  void check_tag(const YAML::Mark& mark, const std::string& tag) const {
    if (!tag.empty() && tag != "?" && tag != "!")
      fail(mark, fmt::format("the tag {}; tags are not supported", quoted(tag)));
  }

  void set_key(const YAML::Mark& mark, const std::string& key) {
    if (key.empty()) fail(mark, "a key is empty");
    if (key.size() > kLongestKey) fail(mark, fmt::format("a key of {} bytes; {} are allowed", key.size(), kLongestKey));
    open_.back().has_key = true;
    open_.back().key = key;
    open_.back().key_line = line_of(mark);
  }

  ConfigValue& add(const YAML::Mark& mark) {
    if (values_left_-- == 0) fail(mark, "too many values");
    if (open_.empty()) {
      root_.line = line_of(mark);
      return root_;
    }
    Open& parent = open_.back();
    auto value = std::make_unique<ConfigValue>();
    value->line = line_of(mark);
    if (parent.has_key) {
      value->key = std::move(parent.key);
      value->line = parent.key_line;
      parent.has_key = false;
    }
    return *parent.value->children.emplace_back(std::move(value));
  }

  void open(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, ConfigValue::Kind kind) {
    begin(mark, anchor);
    check_tag(mark, tag);
    if (wants_key()) fail(mark, "a key must be a scalar");
    if (open_.size() == kConfigDepth) fail(mark, fmt::format("nested more than {} levels deep", kConfigDepth));
    ConfigValue& value = add(mark);
    value.kind = kind;
    open_.push_back({.value = &value});
  }

  void check_duplicates() const {
    std::vector<const ConfigValue*> sorted;
    for (const auto& child : open_.back().value->children) sorted.push_back(child.get());
    std::stable_sort(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->key < b->key; });
    const auto at = std::adjacent_find(sorted.begin(), sorted.end(), [](auto* a, auto* b) { return a->key == b->key; });
    if (at == sorted.end()) return;
    std::string path;
    for (const Open& o : open_) {
      if (o.value == &root_) continue;
      path = o.value->key.empty() ? path + "[]" : config_path(path, o.value->key);
    }
    fail(at[1]->line, fmt::format("key {} is given twice, first on line {}", quoted(config_path(path, at[0]->key), 200),
                                  at[0]->line));
  }

  const std::string& source_;
  BoundedInput& input_;
  ConfigValue& root_;
  size_t values_left_;
  bool started_ = false;
  std::vector<Open> open_;
};

// The line of the first tab that indents something, 0 when there is none.
size_t line_of_tab(std::string_view text) {
  size_t line = 1;
  bool indenting = true, tab = false;
  for (const char c : text) {
    if (c == '\n') {
      ++line;
      indenting = true;
      tab = false;
    } else if (indenting) {
      if (c == '\t')
        tab = true;
      else if (c != ' ' && c != '\r' && tab)
        return line;
      else if (c != ' ')
        indenting = false;
    }
  }
  return 0;
}

// yaml-cpp guesses UTF-16 and UTF-32 from zero bytes, takes other control characters as text, and reads an indentation
// by tabs, which YAML forbids, in its own way.
void check_characters(std::string_view text, const std::string& source) {
  WN_CHECK(text.size() <= kConfigBytes, ConfigError, "{}: {} bytes; a configuration has at most {}", source,
           text.size(), kConfigBytes);
  WN_CHECK(is_utf8(text), ConfigError, "{}: not valid UTF-8", source);
  const auto at = std::find_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f;
  });
  WN_CHECK(at == text.end(), ConfigError, "{}:{}: a control character (0x{:02x})", source,
           1 + std::count(text.begin(), at, '\n'), static_cast<int>(*at));
  const size_t line = line_of_tab(text);
  WN_CHECK(line == 0, ConfigError, "{}:{}: a tab in the indentation; use spaces", source, line);
}

}  // namespace

void parse_yaml(std::string_view text, const std::string& source, ConfigValue& root) {
  check_characters(text, source);
  // yaml-cpp lets the end of the text close a quoted scalar; it refuses the mark of the document's end inside one.
  BoundedInput input(fmt::format("{}{}...\n", text, text.ends_with('\n') ? "" : "\n"), source);
  // A value takes some 130 bytes here and as little as two in the text.
  Builder builder(source, input, root, 6144 + text.size() / 12);
  try {
    std::istream stream(&input);
    YAML::Parser parser(stream);
    while (parser.HandleNextDocument(builder)) {}
    input.check();
  } catch (const ConfigError&) {
    input.check();  // if the text was ended early, the complaint is about that
    throw;
  } catch (const YAML::Exception& e) {
    input.check();
    if (e.mark.line < 0) raise<ConfigError>("{}: {}", source, e.msg);
    raise<ConfigError>("{}:{}: {}", source, e.mark.line + 1, e.msg);
  }
}

}  // namespace winnow::detail
