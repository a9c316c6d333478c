// Inputs an operator declares for itself. One list feeds every mode of `optest` and `opbench`.
#pragma once
#include <string>
#include <vector>

#include "core/attrs.h"
#include "core/tensor.h"

namespace winnow {

// How one input is filled, deterministically from the sample's name.
struct Fill {
  enum Kind { Normal, Uniform, Integers, Bags, Values } kind = Normal;
  double low = 0, high = 1;    // Uniform [low, high); Integers low..high inclusive (also for integer dtypes)
  std::vector<double> avoid;   // values from which Normal / Uniform keep 0.05 away: kinks
  std::vector<double> values;  // Values: row-major elements
  static Fill normal(double scale = 1, std::vector<double> avoid = {}) {
    return {Normal, 0, scale, std::move(avoid), {}};
  }
  static Fill uniform(double low, double high, std::vector<double> avoid = {}) {
    return {Uniform, low, high, std::move(avoid), {}};
  }
  static Fill integers(double low, double high) { return {Integers, low, high, {}, {}}; }
  static Fill bags(double total) { return {Bags, 0, total, {}, {}}; }  // non-decreasing offsets 0 .. total
  static Fill of(std::vector<double> values) { return {Values, 0, 1, {}, std::move(values)}; }
};

struct Arg {
  TensorSpec spec;
  Fill fill;
  bool grad = true;  // differentiable inputs are checked in `optest grad`; integer inputs never are
};

struct Sample {
  std::string name = {};
  std::vector<Arg> in = {};
  Attrs attrs = {};
  std::string throws = {};   // recording must throw an Error whose text contains this
  bool grad = true;          // take part in `optest grad` (false for large cases)
  bool bench = false;        // take part in `opbench`
  bool integers = true;      // take part in `optest exact` where the operator's tolerance says so
  bool nonfinite = true;     // take part in `optest nan` (false where the contract lets NaN reach more elements)
  bool constant_ok = false;  // the output may be constant or mostly zero (an empty bag, a mask)
  bool cpu_only = false;     // about a layout that only CPUs have
  double rounding = 0;       // what kernels may round within, of the largest element: added to the operator's tolerance
};

class Samples {
 public:
  Samples& add(Sample sample) {
    list_.push_back(std::move(sample));
    return *this;
  }
  const std::vector<Sample>& list() const { return list_; }

 private:
  std::vector<Sample> list_;
};

inline Arg f32(const Shape& shape, Fill fill = Fill::normal()) { return {{DType::F32, shape}, std::move(fill), true}; }
inline Arg i64(const Shape& shape, Fill fill) { return {{DType::I64, shape}, std::move(fill), false}; }
inline Arg i32(const Shape& shape, Fill fill) { return {{DType::I32, shape}, std::move(fill), false}; }
inline Arg fixed(Arg arg) {
  arg.grad = false;
  return arg;
}  // a float input without a gradient

}  // namespace winnow
