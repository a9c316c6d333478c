#include "train/match/catalogue.h"

#include "core/file.h"
#include "core/safetensors.h"
#include "data/hash.h"
#include "data/string_index.h"
#include "train/match/vectors.h"

namespace winnow {
namespace {

std::vector<size_t> text_columns(const RowReader& reader, const CatalogueSpec& spec) {
  std::vector<size_t> columns;
  for (const std::string& name : spec.columns) columns.push_back(reader.column(name));
  if (!columns.empty()) return columns;
  WN_CHECK(reader.columns().size() == 1, ConfigError,
           "{} has several columns ({}): name that of the text with --column", reader.name(),
           fmt::join(reader.columns(), ", "));
  return {0};
}

}  // namespace

MatchCatalogue::MatchCatalogue(const CatalogueSpec& spec, const OpenedMatcher& matcher) : matcher_(matcher) {
  read(spec);
  uint64_t hash = matcher.item_fingerprint();
  for (size_t i = 0; i < texts_.size(); ++i) hash = xxh64(texts_[i], xxh64(ids_[i], hash));
  fingerprint_ = fmt::format("{:016x}", hash);
  cache_path_ = fmt::format("{}.{}.vectors.safetensors", spec.path, fingerprint_);
  reused_ = spec.cache && read_cache();
  if (reused_) return;
  const std::vector<std::string_view> views(texts_.begin(), texts_.end());
  vectors_ = item_vectors(matcher.model())(matcher.model().item_encoder().encode(views));
  if (spec.cache) write_cache();
}

void MatchCatalogue::read(const CatalogueSpec& spec) {
  SourceSpec source;
  source.path = spec.path;
  const auto reader = open_rows(source);
  const std::vector<size_t> columns = text_columns(*reader, spec);
  const bool has_id = !spec.id.empty();
  const size_t id = has_id ? reader->column(spec.id) : 0;
  StringIndex known;
  std::string text;
  for (RowBlock block; reader->next(block);)
    for (int64_t r = 0; r < block.rows; ++r) {
      text.clear();
      for (const size_t c : columns)
        if (const std::string_view cell = block.cell(r, c); !cell.empty())
          text.append(text.empty() ? "" : ", ").append(cell);
      if (text.empty()) continue;
      const std::string_view key = has_id ? block.cell(r, id) : std::string_view(text);
      if (known.add(key) < static_cast<int32_t>(texts_.size())) continue;
      ids_.emplace_back(key);
      texts_.push_back(text);
    }
  WN_CHECK(!texts_.empty(), DataError, "{}: no row has a text", spec.path);
}

// A file that is damaged, or not ours, is written anew.
bool MatchCatalogue::read_cache() {
  if (!file_exists(cache_path_)) return false;
  try {
    const SafeTensors file = SafeTensors::open(cache_path_);
    file.verify();
    const TensorSpec wanted{DType::F32, {size(), matcher_.model().width()}};
    const auto fingerprint = file.metadata().find("fingerprint");
    const TensorSpec* spec = file.spec("vectors");
    if (fingerprint == file.metadata().end() || fingerprint->second != fingerprint_ || spec == nullptr ||
        !(*spec == wanted))
      return false;
    vectors_ = file.at("vectors");
    return true;
  } catch (const IoError&) { return false; }
}

void MatchCatalogue::write_cache() {
  try {
    save_safetensors(cache_path_, {{"vectors", vectors_}}, {{"fingerprint", fingerprint_}});
  } catch (const IoError& error) { cache_error_ = error.what(); }
}

std::vector<std::vector<Neighbour>> MatchCatalogue::search(std::span<const std::string> queries, const MatchRule& rule,
                                                           int64_t dims) const {
  if (queries.empty()) return {};
  const std::vector<std::string_view> views(queries.begin(), queries.end());
  Tensor asked = query_vectors(matcher_.model())(matcher_.model().query_encoder().encode(views));
  Tensor items = vectors_;
  if (dims > 0) {
    asked = prefix_vectors(asked, dims);
    items = prefix_vectors(items, dims);
  }
  auto found = nearest(asked, items, std::min(rule.k.value_or(size()), size()));
  if (rule.threshold)
    for (auto& list : found)
      std::erase_if(list, [&](const Neighbour& n) { return static_cast<double>(n.cosine) < *rule.threshold; });
  return found;
}

}  // namespace winnow
