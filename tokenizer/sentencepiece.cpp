#include "tokenizer/sentencepiece.h"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <queue>

#include "core/error.h"
#include "core/file.h"
#include "core/rng.h"
#include "core/text.h"
#include "core/utf8.h"

namespace winnow {
namespace {

constexpr size_t kMaxModel = size_t{256} << 20;
constexpr int kMaxNbest = 512;

void check(const sentencepiece::util::Status& status, const std::string& name) {
  WN_CHECK(status.ok(), DataError, "{}: {}", name, status.ToString());
}

}  // namespace

SentencePiece::SentencePiece(std::string_view model, const std::string& name)
    : name_(name), processor_(std::make_unique<sentencepiece::SentencePieceProcessor>()) {
  const SentencePieceModelInfo info = check_sentencepiece_model(model, name);
  bpe_ = info.bpe;
  byte_fallback_ = info.byte_fallback;
  check(processor_->LoadFromSerializedProto({model.data(), model.size()}), name);
  const auto named = [&](std::initializer_list<const char*> names) {
    for (const char* token : names)
      if (const int32_t id = find(token); id >= 0) return id;
    return -1;
  };
  special_ = {named({"[PAD]", "<pad>"}), processor_->unk_id(), named({"[CLS]", "<s>"}), named({"[SEP]", "</s>"}),
              named({"[MASK]", "<mask>"})};
}

SentencePiece::~SentencePiece() = default;

std::unique_ptr<SentencePiece> SentencePiece::load(const std::string& path) {
  return std::make_unique<SentencePiece>(read_text(path, kMaxModel), path);
}

void SentencePiece::encode(std::string_view text, std::vector<int32_t>& ids) const {
  std::vector<int> out;
  check(processor_->Encode({text.data(), text.size()}, &out), name_);
  ids.insert(ids.end(), out.begin(), out.end());
}

std::string SentencePiece::decode(std::span<const int32_t> ids) const {
  check_ids(ids);
  std::string text;
  check(processor_->Decode(std::vector<int>(ids.begin(), ids.end()), &text), name_);
  return text;
}

int32_t SentencePiece::size() const { return processor_->GetPieceSize(); }

std::string_view SentencePiece::token(int32_t id) const {
  check_ids({&id, 1});
  return processor_->IdToPiece(id);
}

int32_t SentencePiece::find(std::string_view token) const {
  const int32_t id = processor_->PieceToId({token.data(), token.size()});
  return id >= 0 && id < size() && processor_->IdToPiece(id) == token ? id : -1;
}

// transformers reads a unigram model with these files as the tokenizer of ALBERT.
void SentencePiece::save(const std::string& directory, bool token_types) const {
  write_atomically(directory + "/spiece.model", processor_->serialized_model_proto());
  nlohmann::ordered_json j{{"tokenizer_class", "AlbertTokenizer"},
                           {"do_lower_case", false},
                           {"keep_accents", true},
                           {"remove_space", false}};
  const auto set = [&](const char* key, int32_t id) {
    if (id >= 0) j[key] = token(id);
  };
  set("unk_token", special_.unk), set("pad_token", special_.pad), set("cls_token", special_.cls);
  set("sep_token", special_.sep), set("mask_token", special_.mask);
  set("bos_token", special_.cls), set("eos_token", special_.sep);
  if (!token_types) j["model_input_names"] = {"input_ids", "attention_mask"};
  write_atomically(directory + "/tokenizer_config.json", j.dump(2) + "\n");
}

void SentencePiece::sample(std::string_view text, const Sampling& sampling, uint64_t stream,
                           std::vector<int32_t>& ids) const {
  WN_CHECK(std::isfinite(sampling.alpha) && sampling.alpha >= 0 && (!bpe_ || sampling.alpha <= 1), ConfigError,
           "alpha {} must be {}", sampling.alpha, bpe_ ? "0 to 1" : "at least 0");
  if (bpe_) return sample_bpe(text, sampling, stream, ids);
  WN_CHECK(sampling.nbest >= 1 && sampling.nbest <= kMaxNbest, ConfigError, "nbest {} must be 1 to {}", sampling.nbest,
           kMaxNbest);
  const auto best = processor_->NBestEncodeAsImmutableProto({text.data(), text.size()}, sampling.nbest);
  const size_t n = best.nbests_size();
  if (n == 0) return;
  std::vector<double> cumulative(n);
  double sum = 0;
  const double top = best.nbests(0).score();
  for (size_t i = 0; i < n; ++i) {
    sum += std::exp(sampling.alpha * (static_cast<double>(best.nbests(static_cast<int>(i)).score()) - top));
    cumulative[i] = sum;
  }
  Rng rng(sampling.seed, stream);
  const auto at = std::ranges::upper_bound(cumulative, rng.uniform() * sum) - cumulative.begin();
  const auto chosen = best.nbests(static_cast<int>(std::min<int64_t>(at, static_cast<int64_t>(n) - 1)));
  for (size_t i = 0; i < chosen.pieces_size(); ++i)
    ids.push_back(static_cast<int32_t>(chosen.pieces(static_cast<int>(i)).id()));
}

namespace {

// Symbols of a text as a linked list, merged by the model's ranking.
struct Symbols {
  struct Symbol {
    size_t begin, size;
    int32_t previous, next;
  };
  explicit Symbols(std::string_view text) {
    const auto* p = reinterpret_cast<const uint8_t*>(text.data());
    for (size_t at = 0; at < text.size();) {
      uint32_t c = 0;
      const auto size = static_cast<size_t>(decode_utf8(p + at, p + text.size(), c));
      const auto n = static_cast<int32_t>(list.size());
      list.push_back({at, size, n - 1, n + 1});
      at += size;
    }
    if (!list.empty()) list.back().next = -1;
  }
  std::vector<Symbol> list;
};

struct Merge {
  float score;
  int32_t left, right;
  size_t size;  // of both; a merge is out of date when they have changed
  bool operator<(const Merge& o) const { return score != o.score ? score < o.score : left > o.left; }
};

}  // namespace

void SentencePiece::sample_bpe(std::string_view text, const Sampling& sampling, uint64_t stream,
                               std::vector<int32_t>& ids) const {
  std::string normalised;
  for (const std::string& piece : processor_->EncodeAsPieces({text.data(), text.size()})) normalised += piece;
  if (byte_fallback_ && normalised.find("<0x") != std::string::npos) return encode(text, ids);
  Symbols symbols(normalised);
  std::priority_queue<Merge> queue;
  const auto offer = [&](int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const auto& a = symbols.list[static_cast<size_t>(left)];
    const auto& b = symbols.list[static_cast<size_t>(right)];
    const int32_t id = find(std::string_view(normalised).substr(a.begin, a.size + b.size));
    if (id >= 0) queue.push({processor_->GetScore(id), left, right, a.size + b.size});
  };
  for (size_t i = 1; i < symbols.list.size(); ++i) offer(static_cast<int32_t>(i) - 1, static_cast<int32_t>(i));
  Rng rng(sampling.seed, stream);
  while (!queue.empty()) {
    const Merge m = queue.top();
    queue.pop();
    auto& a = symbols.list[static_cast<size_t>(m.left)];
    auto& b = symbols.list[static_cast<size_t>(m.right)];
    if (a.size == 0 || b.size == 0 || a.size + b.size != m.size || a.next != m.right) continue;
    if (rng.uniform() < sampling.alpha) continue;
    a.size += b.size;
    b.size = 0;
    a.next = b.next;
    if (a.next >= 0) symbols.list[static_cast<size_t>(a.next)].previous = m.left;
    offer(a.previous, m.left);
    offer(m.left, a.next);
  }
  for (int32_t i = symbols.list.empty() ? -1 : 0; i >= 0; i = symbols.list[static_cast<size_t>(i)].next) {
    const auto& s = symbols.list[static_cast<size_t>(i)];
    const int32_t id = find(std::string_view(normalised).substr(s.begin, s.size));
    ids.push_back(id >= 0 ? id : special_.unk);
  }
}

}  // namespace winnow
