// What loading found, for people and for data_report.json.
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "data/dataset.h"
#include "data/timestamp.h"

namespace winnow {
namespace {

using Json = nlohmann::ordered_json;
constexpr std::array kSplits = {Split::Train, Split::Valid, Split::Test};

}  // namespace

const char* name_of(Split split) { return split == Split::Train ? "train" : split == Split::Valid ? "valid" : "test"; }

std::string LoadReport::str() const {
  std::string text = reused ? fmt::format("{} rows, encoded by an earlier run, opened in {:.2f} s", rows_read, seconds)
                            : fmt::format("{} rows read in {:.2f} s", rows_read, seconds);
  for (const CleanReport::Step& s : clean.steps) {
    const std::string of = s.column.empty() ? s.step : s.step + " " + s.column;
    const std::string what = s.what.empty() ? of : fmt::format("{} ({})", of, s.what);
    if (s.changed > 0 || s.dropped == 0) text += fmt::format("\n  {} cells changed: {}", s.changed, what);
    if (s.dropped > 0 || s.changed == 0) text += fmt::format("\n  {} dropped: {}", s.dropped, what);
  }
  if (!clean.steps.empty()) text += fmt::format("\n  {} kept", clean.kept);
  if (users_without_row > 0) text += fmt::format("\n  {} with a user that the user table lacks", users_without_row);
  if (items_without_row > 0) text += fmt::format("\n  {} with an item that the item table lacks", items_without_row);
  if (negatives > 0) text += fmt::format("\n  {} negatives sampled", negatives);
  if (negatives_short > 0) text += fmt::format("\n  {} negatives not sampled: no item was left", negatives_short);
  return text;
}

std::string LoadReport::json() const {
  Json j{{"rows_read", rows_read}, {"clean", Json::array()}, {"kept", clean.kept}, {"negatives", negatives}};
  for (const CleanReport::Step& s : clean.steps) {
    Json step{{"step", s.step}};
    if (!s.column.empty()) step["column"] = s.column;
    step["what"] = s.what;
    step["dropped"] = s.dropped;
    step["changed"] = s.changed;
    j["clean"].push_back(step);
  }
  j["negatives_short"] = negatives_short;
  j["users_without_row"] = users_without_row;
  j["items_without_row"] = items_without_row;
  for (const Split s : kSplits) {
    const SplitCount& c = splits[static_cast<size_t>(s)];
    Json& split = j["splits"][name_of(s)] = Json{{"rows", c.rows}, {"positives", c.positives}, {"labels", c.labels}};
    if (timestamps && c.rows > 0) split["from"] = c.from, split["to"] = c.to;
  }
  j["features"] = Json::array();
  for (const Feature& f : features) {
    Json feature{{"name", f.name}, {"type", f.type}, {"vocabulary", f.vocabulary}};
    if (f.oov_rate_test) feature["oov_rate_test"] = *f.oov_rate_test;
    j["features"].push_back(feature);
  }
  j["leaks"] = Json::array();
  for (const Leak& l : leaks) j["leaks"].push_back({{"kind", l.kind}, {"feature", l.feature}, {"text", l.text}});
  j["seconds"] = seconds;
  return j.dump(2, ' ', false, Json::error_handler_t::replace);
}

LoadReport LoadReport::from_json(const std::string& text, const std::string& name) {
  try {
    const Json j = Json::parse(text);
    LoadReport r;
    r.rows_read = j.at("rows_read");
    r.clean.rows_read = r.rows_read;
    r.clean.kept = j.at("kept");
    for (const Json& s : j.at("clean")) {
      CleanReport::Step step;
      step.step = s.at("step");
      step.column = s.value("column", "");
      step.what = s.at("what");
      step.dropped = s.at("dropped");
      step.changed = s.at("changed");
      r.clean.steps.push_back(std::move(step));
    }
    r.seconds = j.at("seconds");
    r.negatives = j.at("negatives");
    r.negatives_short = j.at("negatives_short");
    r.users_without_row = j.at("users_without_row");
    r.items_without_row = j.at("items_without_row");
    for (const Split s : kSplits) {
      const Json& split = j.at("splits").at(name_of(s));
      SplitCount& c = r.splits[static_cast<size_t>(s)];
      c = {.rows = split.at("rows"), .positives = split.at("positives"), .labels = split.at("labels")};
      if (!split.contains("from")) continue;
      r.timestamps = true;
      c.from = split.at("from");
      c.to = split.at("to");
    }
    for (const Json& f : j.at("features")) {
      r.features.push_back({f.at("name"), f.at("type"), f.at("vocabulary"), std::nullopt});
      if (f.contains("oov_rate_test")) r.features.back().oov_rate_test = f.at("oov_rate_test").get<double>();
    }
    return r;
  } catch (const nlohmann::json::exception& e) { raise<DataError>("{}: its report is damaged: {}", name, e.what()); }
}

void LoadReport::SplitCount::add(float label, int64_t time) {
  from = rows == 0 ? time : std::min(from, time);
  to = rows == 0 ? time : std::max(to, time);
  ++rows;
  positives += label > 0.5f;
  labels += label;
}

void LoadReport::describe(const FeatureMap& map, const std::vector<IdCount>& test_ids) {
  features.clear();
  for (const FittedFeature& f : map.features)
    features.push_back({f.spec.name, name_of(f.spec.type),
                        f.spec.hash_bucket_size > 0 ? f.spec.hash_bucket_size : f.vocabulary.size(), std::nullopt});
  for (size_t f = 0; f < test_ids.size(); ++f)
    if (map.field(f).oov() >= 0 && test_ids[f].ids > 0)
      features[static_cast<size_t>(map.fields()[f])].oov_rate_test =
          static_cast<double>(test_ids[f].oov) / static_cast<double>(test_ids[f].ids);
}

}  // namespace winnow
