#include "nn/module.h"

#include <cmath>
#include <numbers>

#include "core/parallel.h"
#include "core/rng.h"
#include "nn/row_cache.h"

namespace winnow {
namespace {

uint64_t hash_name(const std::string& name) {  // FNV-1a
  uint64_t h = 0xcbf29ce484222325ull;
  for (const char c : name) h = (h ^ static_cast<unsigned char>(c)) * 0x100000001b3ull;
  return h;
}

// Element i of a fill is a function of (seed, name, i): four per Philox block.
template <class F>
void fill_blocks(float* out, int64_t n, const Philox& philox, F&& make) {
  parallel_for((n + 3) / 4, 4096, [&](int64_t begin, int64_t end) {
    for (int64_t b = begin; b < end; ++b) {
      const auto values = make(philox(static_cast<uint64_t>(b)));
      for (int64_t i = b * 4; i < std::min(n, b * 4 + 4); ++i) out[i] = values[static_cast<size_t>(i - b * 4)];
    }
  });
}

std::array<float, 4> to_normal(const std::array<uint32_t, 4>& bits, float std) {  // Box-Muller, two pairs
  std::array<float, 4> out{};
  for (size_t p = 0; p < 4; p += 2) {
    const float u = (static_cast<float>(bits[p] >> 8) + 0.5f) * 0x1p-24f,
                v = static_cast<float>(bits[p + 1] >> 8) * 0x1p-24f;
    const float radius = std * std::sqrt(-2 * std::log(u)), angle = 2 * std::numbers::pi_v<float> * v;
    out[p] = radius * std::cos(angle);
    out[p + 1] = radius * std::sin(angle);
  }
  return out;
}

}  // namespace

VariablePtr Parameter::recorded() const { return cache != nullptr ? cache->resident(variable) : variable; }

void fill(Tensor& tensor, const Init& init, uint64_t seed, const std::string& name) {
  const Shape& shape = tensor.shape();
  const double fan_in = static_cast<double>(shape.rank() >= 2 ? shape[0] : shape.numel());
  const double fan_out = static_cast<double>(shape.rank() >= 2 ? shape[1] : shape.numel());
  Tensor values = tensor.dtype() == DType::F32 ? tensor : Tensor(TensorSpec{DType::F32, shape});
  auto* out = values.data<float>();
  const Philox philox{seed, hash_name(name)};
  const auto normal = [&](double std) {
    fill_blocks(out, tensor.numel(), philox,
                [&](const auto& bits) { return to_normal(bits, static_cast<float>(std)); });
  };
  const auto uniform = [&](double bound) {
    fill_blocks(out, tensor.numel(), philox, [&](const auto& bits) {
      std::array<float, 4> v{};
      for (size_t i = 0; i < 4; ++i) v[i] = static_cast<float>((2 * to_unit(bits[i]) - 1) * bound);
      return v;
    });
  };
  switch (init.kind) {
    case Init::Zeros: std::fill_n(out, tensor.numel(), 0.f); break;
    case Init::Ones: std::fill_n(out, tensor.numel(), 1.f); break;
    case Init::Normal: normal(init.std); break;
    case Init::XavierNormal: normal(std::sqrt(2 / (fan_in + fan_out))); break;
    case Init::XavierUniform: uniform(std::sqrt(6 / (fan_in + fan_out))); break;
    case Init::KaimingUniform: uniform(1 / std::sqrt(fan_in)); break;
  }
  if (tensor.dtype() != DType::F32) tensor.copy_from(values.to(tensor.dtype()));
}

Parameter& Module::parameter(const std::string& name, const Shape& shape, Group group, Init init, DType dtype) {
  auto variable = std::make_shared<Variable>();
  variable->name = name;
  variable->value = Tensor(TensorSpec{dtype, shape});
  variable->trainable = group != Group::Statistic;
  variable->row_sparse = group == Group::Table;
  own_.emplace_back(name, std::make_unique<Parameter>(Parameter{std::move(variable), group, init}));
  return *own_.back().second;
}

void Module::collect(const std::string& prefix, std::vector<Parameter>& out) const {
  for (const auto& [name, p] : own_) {
    p->variable->name = prefix + name;
    out.push_back(*p);
  }
  for (const auto& [name, module] : children_) module->collect(prefix + name + ".", out);
}

std::vector<Parameter> Module::parameters() const {
  std::vector<Parameter> out;
  collect("", out);
  return out;
}

void Module::initialize(uint64_t seed) {
  for (Parameter& p : parameters()) fill(p.value(), p.init, seed, p.name());
  initialize_for_loading();
}

void Module::initialize_for_loading() {
  finish_initialization();
  (void)parameters();  // the names from this module's point of view, whatever initialized() asked for
}

void Module::finish_initialization() {
  for (const auto& [name, module] : children_) module->finish_initialization();
  initialized();
}

}  // namespace winnow
