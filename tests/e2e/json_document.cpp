// Exit code 0 when stdin is exactly one JSON document, else 1 with the reason on stderr.
#include <cstdio>
#include <iostream>
#include <iterator>
#include <nlohmann/json.hpp>

int main() {
  const std::string text{std::istreambuf_iterator<char>(std::cin), {}};
  try {
    return nlohmann::json::parse(text).is_discarded() ? 1 : 0;
  } catch (const nlohmann::json::exception& e) { std::fputs(e.what(), stderr); }
  return 1;
}
