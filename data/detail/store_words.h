// The words of the synthetic store, Chinese and English: tables, and nothing else.
#pragma once
#include <array>
#include <cstddef>
#include <string_view>

namespace winnow::store {

struct Word {
  const char *en, *zh;
  const char* in(bool chinese) const { return chinese ? zh : en; }
};

struct LeafWords {
  const char* department;  // of the category path "department/name"
  const char* name;
  double log_price;  // typical
  std::array<Word, 3> nouns;
  const char* unit;  // what a size is given in
  int smallest, step;
};

constexpr size_t kDepartments = 8, kLeaves = 32, kBrands = 24, kTags = 16, kCities = 12, kDimensions = 4, kIntents = 10,
                 kAspects = 6;
extern const std::array<Word, kDepartments> kDepartmentWords;
extern const std::array<LeafWords, kLeaves> kLeafWords;  // four a department, in order
extern const std::array<Word, kBrands> kBrandWords;
extern const std::array<Word, kTags> kTagWords;
extern const std::array<const char*, kCities> kCityNames;
// Adjectives for a low and a high value of each dimension of an item's own style.
extern const std::array<std::array<std::array<Word, 4>, 2>, kDimensions> kStyleWords;
// Of an item of bad, middling and good quality, as a seller puts it.
extern const std::array<std::array<Word, 4>, 3> kQualityWords;
extern const std::array<Word, 16> kUseWords;  // what for, for whom

// Reviews: an opening, remarks on aspects, a closing, each for bad, middling and good ({} is the noun).
extern const std::array<std::array<Word, 4>, 3> kOpenings, kClosings;
extern const std::array<std::array<std::array<Word, 2>, 3>, kAspects> kRemarks;

// Questions before buying: the intent, how it is asked and answered ({0} noun, {1} tag or brand, {2} size, {3} price).
struct IntentWords {
  const char* name;
  std::array<Word, 3> questions;
  std::array<Word, 2> answers;
};
extern const std::array<IntentWords, kIntents> kIntentWords;

inline size_t department_of(size_t leaf) { return leaf / (kLeaves / kDepartments); }

}  // namespace winnow::store
