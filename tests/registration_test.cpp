// Operators and models that a program adds at its start.
#include <gtest/gtest.h>

#include "core/program.h"
#include "core/samples.h"
#include "models/parts.h"
#include "tests/data_files.h"
#include "train/run.h"

namespace winnow {
namespace {

void run_cube(const Call& c) {
  visit_float(c.in_spec(0).dtype, "cube", [&]<class T> {
    for (int64_t i = 0; i < c.in_numel(0); ++i) c.out<T>(0)[i] = c.in<T>(0)[i] * c.in<T>(0)[i] * c.in<T>(0)[i];
  });
}
OpDef cube(const char* name) {
  return {.name = name,
          .doc = "y = x^3",
          .infer = [](Infer& i) { i.expect_inputs(1), i.out(i.in(0)); },
          .no_grad = "a test",
          .samples = [](Samples& s) { s.add({.name = "vector", .in = {f32({3})}}); },
          .tolerance = {},
          .kernels = {{.name = "reference", .run = run_cube}}};
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& e) { return e.what(); }
  return "no error";
}

// One test: the registry of a process opens once.
TEST(Registration, OperatorsAreTakenUntilTheFirstCompileAndOnlyOnce) {
  register_operator(cube("cube_of_a_test"));
  EXPECT_EQ(message_of([] { register_operator(cube("cube_of_a_test")); }),
            "operator 'cube_of_a_test' is registered twice");
  EXPECT_EQ(message_of([] { register_operator(cube("matmul")); }), "operator 'matmul' is registered twice");
  OpDef incomplete = cube("without_samples");
  incomplete.samples = nullptr;
  EXPECT_NE(message_of([&] { register_operator(incomplete); }).find("needs a name, a doc line, infer and samples"),
            std::string::npos);
  const auto y = run_eager("cube_of_a_test", std::vector{Tensor::of<float>({1, 2, -3}, {3})});
  EXPECT_EQ(y[0].span<float>()[2], -27);
  EXPECT_NE(message_of([] { register_operator(cube("too_late")); }).find("at the start of the program"),
            std::string::npos);
  EXPECT_EQ(registry().find("too_late"), nullptr);
}

struct Steepness {
  double of = 1;
};

class Slope final : public CtrModel {
 public:
  Slope(const CtrSpec& spec, const CtrOptions& options)
      : wide_(&child<WidePart>("wide", spec, options)), steepness(std::any_cast<Steepness>(options.own).of) {}
  Value logits(const CtrInputs& in, const StepContext&) const override { return (*wide_)(in); }
  WidePart* wide_;
  double steepness;
};

TEST(Registration, AModelOfTheProgramHasANameAndKeysInConfigs) {
  register_model({"Slope", [](const CtrSpec& s, const CtrOptions& o) { return std::make_unique<Slope>(s, o); },
                  [](const ConfigNode& n) { return Steepness{n.get("steepness", 1.0, more_than(0))}; }});
  EXPECT_NE(message_of([] {
              register_model({"Slope", [](const CtrSpec&, const CtrOptions&) { return nullptr; }});
            }).find("there is a model 'Slope' already"),
            std::string::npos);
  EXPECT_NE(message_of([] {
              register_model({"DeepFM", [](const CtrSpec&, const CtrOptions&) { return nullptr; }});
            }).find("already"),
            std::string::npos);
  const CtrConfig config({"examples/ctr/synthetic.yaml", {"model.name=Slope", "model.steepness=3"}});
  EXPECT_NE(config.resolved.find("steepness: 3"), std::string::npos);
  const auto model = make_ctr_model({.fields = {{"user", 5}}}, config.model);
  EXPECT_EQ(dynamic_cast<const Slope&>(*model).steepness, 3);
  EXPECT_NE(message_of([] {
              CtrConfig({"examples/ctr/synthetic.yaml", {"model.steepness=3"}});
            }).find("unknown key 'model.steepness'"),
            std::string::npos);
  EXPECT_NE(message_of([] {
              CtrConfig({"examples/ctr/synthetic.yaml", {"model.name=Slopy"}});
            }).find("did you mean 'Slope'"),
            std::string::npos);
}

}  // namespace
}  // namespace winnow
