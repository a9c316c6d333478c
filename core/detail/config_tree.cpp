#include "core/detail/config_tree.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "core/text.h"

namespace winnow::detail {
namespace {

using Kind = ConfigValue::Kind;

// Text that reads back as the same text without quotes, and can be no number, boolean or null.
bool is_word(std::string_view text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '/'; };
  const auto inner = [&](char c) { return letter(c) || (c >= '0' && c <= '9') || c == '.' || c == '-'; };
  if (text.empty() || text.size() > 200 || !letter(text[0]) || !std::all_of(text.begin(), text.end(), inner))
    return false;
  std::string lower(text);
  for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  for (const char* special : {"true", "false", "null", "yes", "no", "on", "off", "y", "n", "inf", "nan"})
    if (lower == special) return false;
  return true;
}

bool is_plain_number(std::string_view text) {
  return !text.empty() && text.size() <= 64 && text.find_first_not_of("0123456789+-.eE") == std::string_view::npos &&
         text != "-" && text != "---" && text != "..." && text.find_first_of("0123456789") != std::string_view::npos;
}

void append_quoted(std::string& out, std::string_view text) {
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\')
      (out += '\\') += c;
    else if (c == '\n')
      out += "\\n";
    else if (c == '\t')
      out += "\\t";
    else if (byte < 0x20 || byte == 0x7f)
      out += fmt::format("\\x{:02x}", byte);
    else
      out += c;
  }
  out += '"';
}

void append_scalar(std::string& out, const ConfigValue& v) {
  if (v.kind == Kind::Null) {
    out += "null";
  } else if (is_word(v.text) || (!v.quoted && (is_plain_number(v.text) || v.text == "true" || v.text == "false" ||
                                               v.text == ".inf" || v.text == "-.inf"))) {
    out += v.text;
  } else {
    append_quoted(out, v.text);
  }
}

bool is_leaf(const ConfigValue& v) { return v.kind == Kind::Null || v.kind == Kind::Scalar || v.children.empty(); }

void append_leaf(std::string& out, const ConfigValue& v) {
  if (v.kind == Kind::Map)
    out += "{}";
  else if (v.kind == Kind::List)
    out += "[]";
  else
    append_scalar(out, v);
}

// A list of leaves stands on one line, a long one does not: a reader may not take long flow collections.
bool is_row(const ConfigValue& v) {
  return v.kind == Kind::List && v.children.size() <= 100 &&
         std::all_of(v.children.begin(), v.children.end(), [](const auto& c) { return is_leaf(*c); });
}

void append_value(std::string& out, const ConfigValue& v, size_t indent);

// The children of a map or list, each on lines of its own. The caller has written the indentation of the first one.
void append_block(std::string& out, const ConfigValue& v, size_t indent) {
  bool first = true;
  for (const auto& child : v.children) {
    if (!std::exchange(first, false)) out.append(indent, ' ');
    if (v.kind == Kind::List) {
      out += "- ";
      if (is_leaf(*child) || is_row(*child))
        append_value(out, *child, indent);
      else
        append_block(out, *child, indent + 2);
      continue;
    }
    if (is_word(child->key))
      out += child->key;
    else
      append_quoted(out, child->key);
    out += ':';
    if (is_leaf(*child) || is_row(*child)) {
      out += ' ';
      append_value(out, *child, indent);
    } else {
      out += '\n';
      out.append(indent + 2, ' ');
      append_block(out, *child, indent + 2);
    }
  }
}

void append_value(std::string& out, const ConfigValue& v, size_t indent) {
  if (is_leaf(v)) {
    append_leaf(out, v);
  } else if (is_row(v)) {
    const char* separator = "[";
    for (const auto& child : v.children) {
      out += std::exchange(separator, ", ");
      append_leaf(out, *child);
    }
    out += ']';
  } else {
    return append_block(out, v, indent);
  }
  out += '\n';
}

}  // namespace

ConfigValue* ConfigValue::find(std::string_view wanted) const {
  const auto at = std::find_if(children.begin(), children.end(), [&](const auto& c) { return c->key == wanted; });
  return at == children.end() ? nullptr : at->get();
}

void ConfigTree::add_known(const ConfigValue& map, std::string_view key) {
  auto& keys = known[&map];
  if (std::find(keys.begin(), keys.end(), key) == keys.end()) keys.emplace_back(key);
}

std::string config_path(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : fmt::format("{}.{}", path, key);
}
std::string config_path(const std::string& path, size_t index) { return fmt::format("{}[{}]", path, index); }

std::string config_place(const ConfigTree& tree, const ConfigValue& value) {
  if (value.origin == ConfigValue::Origin::Override) return "--set";
  return value.line == 0 ? tree.source : fmt::format("{}:{}", tree.source, value.line);
}

std::string emit_yaml(const ConfigValue& root) {
  std::string out;
  append_value(out, root, 0);
  return out;
}

}  // namespace winnow::detail
