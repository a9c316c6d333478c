#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/clean.h"

namespace winnow {

std::string CleanReport::str() const {
  std::string text = fmt::format("{:<12} {:<24} {:>12} {:>10} {:>10} {:>8}  {}\n", "step", "column", "rows in",
                                 "dropped", "changed", "share", "what");
  const auto share = [](int64_t part, int64_t whole) {
    return whole > 0 ? 100 * static_cast<double>(part) / static_cast<double>(whole) : 0;
  };
  for (const Step& s : steps) {
    text +=
        fmt::format("{:<12} {:<24} {:>12} {:>10} {:>10} {:>7.3f}%  {}\n", s.step, s.column.empty() ? "(all)" : s.column,
                    s.rows_in, s.dropped, s.changed, share(s.dropped, s.rows_in), s.what);
  }
  text += fmt::format("{:<12} {:<24} {:>12} {:>10} {:>10} {:>7.3f}%  {} rows kept\n", "all", "", rows_read,
                      rows_read - kept, "", share(rows_read - kept, rows_read), kept);
  return text;
}

std::string CleanReport::json() const {
  nlohmann::ordered_json j{{"rows_read", rows_read}, {"kept", kept}, {"steps", nlohmann::ordered_json::array()}};
  for (const Step& s : steps) {
    nlohmann::ordered_json step{{"step", s.step},       {"column", s.column},   {"what", s.what},
                                {"rows_in", s.rows_in}, {"dropped", s.dropped}, {"changed", s.changed}};
    step["examples"] = nlohmann::ordered_json::array();
    for (const Example& e : s.examples) step["examples"].push_back({{"where", e.where}, {"row", e.text}});
    j["steps"].push_back(std::move(step));
  }
  return j.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

}  // namespace winnow
