#include "tests/optest/fill.h"

#include <cmath>
#include <cstring>

#include "core/rng.h"
#include "tests/optest/runner.h"

namespace winnow::optest {
namespace {

constexpr double kAway = 0.05;     // the distance kept from a kink
constexpr size_t kPeriod = 65521;  // larger inputs repeat; a prime, so that no row length divides it

// Calls f.template operator()<T>() with the C++ type of dtype.
template <class F>
void visit(DType dtype, F&& f) {
  switch (dtype) {
    case DType::F32: return f.template operator()<float>();
    case DType::BF16: return f.template operator()<bf16>();
    case DType::F64: return f.template operator()<double>();
    case DType::I8: return f.template operator()<int8_t>();
    case DType::U8: return f.template operator()<uint8_t>();
    case DType::I32: return f.template operator()<int32_t>();
    case DType::I64: return f.template operator()<int64_t>();
  }
}

bool near_a_kink(double x, const Fill& fill) {
  for (const double kink : fill.avoid)
    if (std::abs(x - kink) < kAway) return true;
  return false;
}

double integer_between(Rng& rng, double low, double high) {
  return low + static_cast<double>(rng.below(static_cast<uint64_t>(high - low) + 1));
}

double drawn(Rng& rng, const Fill& fill, DType dtype) {
  if (fill.kind == Fill::Integers) return integer_between(rng, fill.low, fill.high);
  for (int tries = 0; tries < 1000; ++tries) {
    const double x =
        fill.kind == Fill::Normal ? fill.high * rng.normal() : fill.low + (fill.high - fill.low) * rng.uniform();
    if (!near_a_kink(x, fill)) return is_float(dtype) ? x : std::floor(x);
  }
  raise<Error>("optest: a fill avoids all of its own range");
}

// Offsets 0 .. total over the last axis; about one bag in five is empty.
void fill_bags(Rng& rng, std::vector<double>& x, int64_t row, double total) {
  for (size_t first = 0; first < x.size(); first += static_cast<size_t>(row)) {
    std::vector<double> weight(static_cast<size_t>(row));
    double sum = 0;
    for (int64_t b = 1; b < row; ++b) sum += weight[static_cast<size_t>(b)] = rng.below(5) == 0 ? 0 : rng.uniform();
    double seen = 0;
    for (int64_t b = 1; b < row; ++b) {
      seen += weight[static_cast<size_t>(b)];
      x[first + static_cast<size_t>(b)] = sum == 0 ? total : std::floor(total * (seen / sum) + 1e-9);
    }
    if (row > 1) x[first + static_cast<size_t>(row) - 1] = total;
  }
}

// The elements, or the first kPeriod of them where they repeat.
std::vector<double> contents(const Arg& arg, Rng& rng) {
  const auto n = static_cast<size_t>(arg.spec.shape.numel());
  if (arg.fill.kind == Fill::Values) {
    WN_CHECK(arg.fill.values.size() == n, Error, "optest: {} values are given for {}", arg.fill.values.size(),
             arg.spec.str());
    return arg.fill.values;
  }
  if (arg.fill.kind == Fill::Bags) {
    std::vector<double> x(n);
    if (n > 0) fill_bags(rng, x, arg.spec.shape.back(), arg.fill.high);
    return x;
  }
  std::vector<double> x(std::min(n, kPeriod));
  for (double& e : x) e = drawn(rng, arg.fill, arg.spec.dtype);
  return x;
}

Tensor tensor_of(const std::vector<double>& x, const TensorSpec& spec) {
  Tensor t(spec);
  visit(spec.dtype, [&]<class T>() {
    T* to = t.data<T>();
    for (size_t i = 0; i < x.size(); ++i) {
      if constexpr (std::is_same_v<T, bf16>)
        to[i] = bf16(static_cast<float>(x[i]));
      else
        to[i] = static_cast<T>(x[i]);
    }
    const auto n = static_cast<size_t>(t.numel());
    for (size_t first = x.size(); first < n; first += x.size())
      std::copy_n(to, std::min(x.size(), n - first), to + first);
  });
  return t;
}

Rng generator(const Case& c, int i) {
  return Rng(hash_of(fmt::format("{}/{}/{}", c.op->name, c.sample->name, i)), c.seed);
}

}  // namespace

uint64_t hash_of(const std::string& text) {
  uint64_t h = 0xcbf29ce484222325u;
  for (const char byte : text) h = (h ^ static_cast<unsigned char>(byte)) * 0x100000001b3u;
  return h;
}

Tensor filled(const Case& c, int i) {
  Rng rng = generator(c, i);
  const Arg& arg = c.sample->in[static_cast<size_t>(i)];
  return tensor_of(contents(arg, rng), arg.spec);
}

std::vector<Tensor> filled(const Case& c) {
  std::vector<Tensor> in;
  for (size_t i = 0; i < c.sample->in.size(); ++i) in.push_back(filled(c, static_cast<int>(i)));
  return in;
}

std::vector<Tensor> filled_with_integers(const Case& c) {
  std::vector<Tensor> in = filled(c);
  for (size_t i = 0; i < in.size(); ++i) {
    const Arg& arg = c.sample->in[i];
    if (!is_float(arg.spec.dtype)) continue;
    Rng rng = generator(c, static_cast<int>(i));
    std::vector<double> x = contents(arg, rng);
    for (double& e : x) e = arg.fill.kind == Fill::Values ? std::round(e) : integer_between(rng, -3, 3);
    in[i] = tensor_of(x, arg.spec);
  }
  return in;
}

Tensor converted(const Tensor& t, DType dtype, Allocator& allocator) {
  Tensor copy({dtype, t.shape()}, allocator);
  if (dtype == t.dtype()) {
    if (t.bytes() > 0) std::memcpy(copy.raw(), t.raw(), t.bytes());
    return copy;
  }
  visit(t.dtype(), [&]<class From>() {
    visit(dtype, [&]<class To>() {
      const From* from = t.data<From>();
      To* to = copy.data<To>();
      for (int64_t i = 0; i < t.numel(); ++i) {
        if constexpr (std::is_same_v<To, bf16>)
          to[i] = bf16(static_cast<float>(from[i]));
        else if constexpr (std::is_same_v<From, bf16>)
          to[i] = static_cast<To>(static_cast<float>(from[i]));
        else
          to[i] = static_cast<To>(from[i]);
      }
    });
  });
  return copy;
}

std::vector<double> as_doubles(const Tensor& t) {
  std::vector<double> x(static_cast<size_t>(t.numel()));
  visit(t.dtype(), [&]<class T>() {
    for (size_t i = 0; i < x.size(); ++i) {
      if constexpr (std::is_same_v<T, bf16>)
        x[i] = static_cast<float>(t.data<T>()[i]);
      else
        x[i] = static_cast<double>(t.data<T>()[i]);
    }
  });
  return x;
}

int64_t check_fill(const Suite& suite, const Options& options) {
  Report report("fill", options);
  for (const Case& c : suite.cases()) {
    if (is_large(*c.sample)) continue;
    report.at(*c.op, c.sample->name);
    for (size_t i = 0; i < c.sample->in.size(); ++i) {
      const Arg& arg = c.sample->in[i];
      const auto complain = [&](const std::string& what) {
        report.fail(*c.op, c.sample->name, "", fmt::format("input {} {}: {}", i, arg.spec.str(), what));
      };
      try {
        const auto x = as_doubles(filled(c, static_cast<int>(i)));
        if (!same_bits(filled(c, static_cast<int>(i)), filled(c, static_cast<int>(i)))) complain("two fillings differ");
        for (size_t e = 0; e < x.size(); ++e) {
          if (arg.fill.kind == Fill::Integers &&
              (x[e] < arg.fill.low || x[e] > arg.fill.high || x[e] != std::floor(x[e])))
            complain(fmt::format("element {} is {}, outside {}..{}", e, x[e], arg.fill.low, arg.fill.high));
          if (arg.fill.kind == Fill::Bags && e > 0 && e % static_cast<size_t>(arg.spec.shape.back()) != 0 &&
              x[e] < x[e - 1])
            complain(fmt::format("offset {} decreases", e));
        }
        if (arg.fill.kind == Fill::Bags && x.size() > 1 && x.back() != arg.fill.high)
          complain("the last offset is not the total");
      } catch (const Error& error) { complain(error.what()); }
    }
    report.checked(*c.op);
  }
  report.summary();
  return report.failures();
}

}  // namespace winnow::optest
