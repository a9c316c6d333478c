// One line of JSONL: an object of scalars and of arrays of scalars (RFC 8259), keys and cells as texts.
#pragma once
#include <cstdint>
#include <string>
#include <string_view>

namespace winnow::detail {

// Reads a line in place: escapes are resolved and arrays joined where they stand, which never needs more room. At least
// one readable byte must follow the line.
//   JsonLine line(begin, size, "x.jsonl", 7, ' ');
//   std::string_view key, cell;
//   while (line.next(key, cell)) ...
// A cell is the text of a string or number as written; true and false are 1 and 0, null is empty, an array is its
// elements joined by the separator (null elements left out). After next() returned false the whole line was read.
// DataError "file:line:column: what": not an object, a value nested deeper, a NUL, an element that holds the separator
// or is empty, anything that is not JSON. Keys given twice are the caller's to find.
class JsonLine {
 public:
  JsonLine(char* begin, size_t size, std::string_view file, int64_t line, char list_separator);
  bool next(std::string_view& key, std::string_view& cell);
  [[noreturn]] void fail_at_key(const std::string& what) const { fail(key_, what); }

 private:
  void skip_blanks();
  std::string_view read_string();
  char* read_escape(char* out);
  uint32_t read_hex4();
  std::string_view read_scalar();
  std::string_view read_number();
  std::string_view read_list();
  bool accept(std::string_view word);
  [[noreturn]] void fail(const char* at, const std::string& what) const;
  [[noreturn]] void expected(const char* what) const;

  char *begin_, *at_, *end_;
  const char* key_ = nullptr;  // where the current key begins
  std::string_view file_;
  int64_t line_;
  char separator_;
  bool started_ = false;
};

}  // namespace winnow::detail
