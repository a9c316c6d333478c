#include "train/predictions.h"

#include "core/safetensors.h"
#include "data/row_facts.h"

namespace winnow {
namespace {

template <class T>
Tensor tensor_of(const std::vector<T>& values) {
  return Tensor::of<T>(values, Shape{static_cast<int64_t>(values.size())});
}

template <class T>
std::vector<T> column(const SafeTensors& file, const std::string& path, const char* name, DType dtype, size_t rows) {
  const Tensor t = file.at(name);
  WN_CHECK(t.dtype() == dtype && t.shape().rank() == 1 && (rows == 0 || static_cast<size_t>(t.numel()) == rows),
           DataError, "{}: {} is {} {}, expected one {} a row; is it a predictions file of winnow?", path, name,
           name_of(t.dtype()), t.shape().str(), name_of(dtype));
  const auto values = t.span<T>();
  return {values.begin(), values.end()};
}

class Fnv1a {
 public:
  void add(const void* data, size_t bytes) {
    for (const auto* p = static_cast<const unsigned char*>(data); bytes > 0; ++p, --bytes)
      hash_ = (hash_ ^ *p) * 0x100000001b3u;
  }
  void add(const std::string& key) { add(key.c_str(), key.size() + 1); }  // with its NUL: "ab" "c" is not "a" "bc"
  uint64_t value() const { return hash_; }

 private:
  uint64_t hash_ = 0xcbf29ce484222325u;
};

}  // namespace

std::string fingerprint_of(const Dataset& dataset, Split split) {
  Fnv1a hash;
  for_each_facts(dataset, split, [&](const RowFacts& f) {
    for (size_t r = 0; r < f.label.size(); ++r) {
      hash.add(&f.label[r], sizeof(float));
      hash.add(dataset.user_keys[static_cast<size_t>(f.user[r])]);
      hash.add(dataset.item_keys[static_cast<size_t>(f.item[r])]);
    }
  });
  return fmt::format("n={} h={:016x}", dataset.split_rows(split), hash.value());
}

void save_predictions(const std::string& path, const Predictions& p) {
  save_safetensors(path,
                   {{"logits", tensor_of(p.logits)},
                    {"labels", tensor_of(p.labels)},
                    {"weights", tensor_of(p.weights)},
                    {"users", tensor_of(p.users)},
                    {"items", tensor_of(p.items)}},
                   {{"split", p.split}, {"model", p.model}, {"data", p.data}});
}

Predictions load_predictions(const std::string& path) {
  const SafeTensors file = SafeTensors::open(path);
  file.verify();
  Predictions p;
  p.logits = column<float>(file, path, "logits", DType::F32, 0);
  p.labels = column<float>(file, path, "labels", DType::F32, p.logits.size());
  p.weights = column<float>(file, path, "weights", DType::F32, p.logits.size());
  p.users = column<int64_t>(file, path, "users", DType::I64, p.logits.size());
  p.items = column<int64_t>(file, path, "items", DType::I64, p.logits.size());
  for (auto [name, text] : {std::pair{"split", &p.split}, {"model", &p.model}, {"data", &p.data}}) {
    const auto entry = file.metadata().find(name);
    WN_CHECK(entry != file.metadata().end(), DataError, "{}: there is no metadata '{}'", path, name);
    *text = entry->second;
  }
  return p;
}

}  // namespace winnow
