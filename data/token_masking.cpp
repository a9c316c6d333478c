#include "data/token_masking.h"

#include <algorithm>
#include <cmath>

#include "core/error.h"
#include "core/rng.h"
#include "core/utf8.h"
#include "tokenizer/detail/bert_characters.h"
#include "tokenizer/wordpiece.h"

namespace winnow {
namespace {

constexpr uint64_t kStream = 0x6d61736b;             // of the random numbers
constexpr std::string_view kBlank = "\xE2\x96\x81";  // U+2581, SentencePiece's mark of a word's beginning

}  // namespace

// The random numbers of one row of one epoch, in the order in which they are needed.
class TokenMasker::Draws {
 public:
  Draws(uint64_t seed, int64_t epoch, int64_t row)
      : philox_{seed, kStream + static_cast<uint64_t>(epoch)}, row_(static_cast<uint64_t>(row)) {}
  double uniform() { return to_unit(bits()); }
  size_t below(size_t n) { return static_cast<size_t>((uint64_t{bits()} * n) >> 32); }  // n < 2^32

 private:
  uint32_t bits() {
    if (used_ == 4) {
      block_ = philox_(counter_++, row_);
      used_ = 0;
    }
    return block_[used_++];
  }
  Philox philox_;
  uint64_t row_, counter_ = 0;
  std::array<uint32_t, 4> block_{};
  size_t used_ = 4;
};

MaskingOptions read_masking_options(const ConfigNode& n) {
  MaskingOptions o;
  o.probability = n.get("probability", o.probability, {.least = 0, .most = 0.9, .above_least = true});
  o.mask = n.get("mask", o.mask, between(0, 1));
  o.random = n.get("random", o.random, between(0, 1));
  if (o.mask + o.random > 1) n.fail("random", "mask + random is more than 1");
  o.whole_words = n.get("whole_words", o.whole_words);
  if (!o.whole_words) return o;
  const bool geometric = n.choice("spans", "geometric", {"geometric", "uniform"}) == "geometric";
  o.spans = geometric ? MaskingOptions::Spans::Geometric : MaskingOptions::Spans::Uniform;
  if (geometric) o.span_p = n.get("span_p", o.span_p, {.least = 0, .most = 1, .above_least = true, .below_most = true});
  o.span_max = n.get("span_max", o.span_max, between(1, 100));
  return o;
}

TokenMasker::Kind TokenMasker::kind_of(const Tokenizer& tokenizer, int32_t id) {
  const SpecialTokens& s = tokenizer.special();
  Kind kind;
  kind.special = id == s.pad || id == s.unk || id == s.cls || id == s.sep || id == s.mask;
  const bool wordpiece = dynamic_cast<const WordPiece*>(&tokenizer) != nullptr;
  std::string_view token = tokenizer.token(id);
  if (wordpiece) {
    kind.begins = !(token.size() > 2 && token.starts_with("##"));
    if (!kind.begins) token.remove_prefix(2);
  } else {
    kind.begins = token.starts_with(kBlank);
    if (kind.begins) token.remove_prefix(kBlank.size());
  }
  const auto& characters = detail::bert_characters({false, false, true});
  bool ideographs = !token.empty(), punctuation = !token.empty();
  size_t count = 0;
  for (const auto *p = reinterpret_cast<const uint8_t*>(token.data()), *end = p + token.size(); p < end; ++count) {
    uint32_t c = 0;
    p += decode_utf8(p, end, c);
    const auto of = characters[c].kind;
    ideographs = ideographs && of == detail::BertKind::Cjk;
    punctuation = punctuation && of == detail::BertKind::Punctuation;
  }
  kind.ideographs = ideographs;
  kind.characters = static_cast<uint8_t>(std::clamp<size_t>(count, 1, 255));
  kind.begins = kind.begins || ideographs || punctuation;
  return kind;
}

TokenMasker::TokenMasker(const Tokenizer& tokenizer, const MaskingOptions& options, uint64_t seed)
    : options_(options), seed_(seed), mask_(tokenizer.special().mask) {
  WN_CHECK(mask_ >= 0, ConfigError, "the tokenizer has no mask token; masked training needs one such as [MASK]");
  for (int32_t id = 0; id < tokenizer.size(); ++id) {
    kinds_.push_back(kind_of(tokenizer, id));
    if (!kinds_.back().special) ordinary_.push_back(id);
  }
  WN_CHECK(!ordinary_.empty(), ConfigError, "the tokenizer has nothing but special tokens");
  double total = 0;
  const bool geometric = options.spans == MaskingOptions::Spans::Geometric;
  for (int l = 1; l <= options.span_max; ++l)
    lengths_.push_back(total += geometric ? std::pow(1 - options.span_p, l - 1) : 1);
  for (double& share : lengths_) share /= total;
}

int TokenMasker::span_length(double u) const {
  return static_cast<int>(std::ranges::lower_bound(lengths_, u) - lengths_.begin()) + 1;
}

double TokenMasker::expected(std::span<const int32_t> ids) const {
  const auto n = std::ranges::count_if(ids, [&](int32_t id) { return !is_special(id); });
  return n == 0 ? 0 : std::max(1.0, options_.probability * static_cast<double>(n));
}

void TokenMasker::find_units(std::span<const int32_t> ids, Draws& draws) {
  units_.clear();
  int left = 0;            // characters that the open span still takes
  bool joins = false;      // the token before is ordinary, so that a continuation belongs to it
  bool ideograph = false;  // the token before was one
  for (size_t i = 0; i < ids.size(); ++i) {
    const Kind& kind = kinds_[static_cast<size_t>(ids[i])];
    if (kind.special) {
      joins = false;
      continue;
    }
    bool opens = !options_.whole_words || !joins || kind.begins || ideograph;
    if (options_.whole_words && kind.ideographs) {
      opens = !(joins && ideograph && left > 0);
      if (opens) left = span_length(draws.uniform());
      left -= kind.characters;
    }
    if (opens) units_.push_back({static_cast<int32_t>(i), 0});
    ++units_.back().size;
    joins = true;
    ideograph = kind.ideographs;
  }
}

void TokenMasker::append(std::span<const int32_t> ids, int64_t epoch, int64_t row, int64_t first_place,
                         std::vector<MaskedToken>& out) {
  const double wanted = expected(ids);
  if (wanted == 0) return;
  Draws draws(seed_, epoch, row);
  find_units(ids, draws);
  auto left = static_cast<int64_t>(std::floor(wanted + draws.uniform()));
  chosen_.assign(ids.size(), 0);
  for (size_t drawn = 0; left > 0 && drawn < units_.size(); ++drawn) {
    std::swap(units_[drawn], units_[drawn + draws.below(units_.size() - drawn)]);
    const Unit unit = units_[drawn];
    if (unit.size > left && draws.uniform() * unit.size >= static_cast<double>(left)) break;
    std::fill_n(chosen_.begin() + unit.begin, unit.size, uint8_t{1});
    left -= unit.size;
  }
  for (size_t i = 0; i < ids.size(); ++i) {
    if (chosen_[i] == 0) continue;
    const double u = draws.uniform();
    const int32_t input = u < options_.mask                     ? mask_
                          : u < options_.mask + options_.random ? ordinary_[draws.below(ordinary_.size())]
                                                                : ids[i];
    out.push_back({first_place + static_cast<int64_t>(i), ids[i], input});
  }
}

}  // namespace winnow
