// Module: a named tree of parameters. Composing modules is plain C++; forward passes record graph nodes.
#pragma once
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "core/graph.h"

namespace winnow {

// How a parameter starts. Each draws from Philox keyed by (seed, full name), so values depend on nothing else.
struct Init {
  enum Kind : uint8_t { Zeros, Ones, Normal, XavierNormal, XavierUniform, KaimingUniform } kind = Zeros;
  double std = 1;  // Normal
  static Init zeros() { return {Zeros, 0}; }
  static Init ones() { return {Ones, 0}; }
  static Init normal(double std) { return {Normal, std}; }
  // Glorot and Bengio 2010: variance 2 / (fan_in + fan_out); fans are the two extents of a matrix.
  static Init xavier_normal() { return {XavierNormal, 1}; }
  static Init xavier_uniform() { return {XavierUniform, 1}; }
  static Init kaiming_uniform() { return {KaimingUniform, 1}; }  // He et al. 2015 with a = sqrt(5): U(+-1/sqrt(fan_in))
};

// What optimizers and regularisation distinguish.
enum class Group : uint8_t { Weight, Bias, Norm, Table, Statistic };  // Statistic: kept and saved, never trained

class RowCache;  // nn/row_cache.h

struct Parameter {
  VariablePtr variable;
  Group group = Group::Weight;
  Init init;
  std::shared_ptr<RowCache> cache = {};  // of a table whose rows stay in host memory; null: graphs read the whole value
  VariablePtr recorded() const;          // what graphs read: the rows that the cache holds, or the variable
  const std::string& name() const { return variable->name; }
  Tensor& value() const { return variable->value; }
};

class Module {
 public:
  Module() = default;
  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  virtual ~Module() = default;

  // Depth first, in order of registration, with dotted names: "deep.0.weight".
  std::vector<Parameter> parameters() const;
  // Names every parameter and fills it, then calls initialized() of every module, children first.
  void initialize(uint64_t seed);
  // The same for parameters that are loaded next, all of them: their values are not filled.
  void initialize_for_loading();

 protected:
  // A module that starts from values of its own, such as published weights, copies them here.
  virtual void initialized() {}
  Parameter& parameter(const std::string& name, const Shape& shape, Group group, Init init, DType dtype = DType::F32);
  template <class M, class... A>
  M& child(const std::string& name, A&&... args) {
    auto module = std::make_unique<M>(std::forward<A>(args)...);
    M& ref = *module;
    children_.emplace_back(name, std::move(module));
    return ref;
  }
  // The same for a module that a factory made.
  template <class M>
  M& adopt(const std::string& name, std::unique_ptr<M> module) {
    M& ref = *module;
    children_.emplace_back(name, std::move(module));
    return ref;
  }

 private:
  void collect(const std::string& prefix, std::vector<Parameter>& out) const;
  void finish_initialization();
  std::vector<std::pair<std::string, std::unique_ptr<Parameter>>> own_;
  std::vector<std::pair<std::string, std::unique_ptr<Module>>> children_;
};

void fill(Tensor& tensor, const Init& init, uint64_t seed, const std::string& name);

}  // namespace winnow
