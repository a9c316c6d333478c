// serve/delta/delta.h: any bytes as a delta, the checksums passed over: IoError and no parameter changed, or one that
// is applied, whose every row and value is then in the parameters and reads back as a difference.
#include <cmath>
#include <cstring>
#include <memory>
#include <vector>

#include "core/error.h"
#include "serve/delta/delta.h"
#include "tests/fuzz/memory_bound.h"

namespace winnow {
namespace {

Parameter parameter(const std::string& name, const Shape& shape, Group group) {
  Parameter p;
  p.variable = std::make_shared<Variable>();
  p.variable->name = name;
  p.variable->value = Tensor::zeros({DType::F32, shape});
  p.group = group;
  return p;
}

bool untouched(const std::vector<Parameter>& parameters) {
  for (const Parameter& p : parameters)
    for (const float x : p.value().span<float>())
      if (x != 0) return false;
  return true;
}

void check_applied(const DeltaPart& part, const Tensor& table) {
  if (!part.rows.defined()) {
    expect(std::memcmp(part.values.raw(), table.raw(), table.bytes()) == 0, "the whole parameter is there");
    return;
  }
  const auto rows = part.rows.span<int64_t>();
  for (size_t i = 0; i < rows.size(); ++i) {
    const auto at = static_cast<int64_t>(i);
    const Tensor from = part.values.rows(at, at + 1), to = table.rows(rows[i], rows[i] + 1);
    expect(std::memcmp(from.raw(), to.raw(), to.bytes()) == 0, "each row is there");
  }
}

}  // namespace
}  // namespace winnow

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace winnow;
  const auto owner = std::shared_ptr<std::byte[]>(new std::byte[size]);
  if (size > 0) std::memcpy(owner.get(), data, size);
  const std::vector<Parameter> parameters = {parameter("table", {8, 2}, Group::Table),
                                             parameter("bias", {3}, Group::Bias)};
  try {
    Delta delta;
    {
      const MemoryBound bound(size);
      delta = parse_delta(SafeTensors::parse({owner.get(), size}, owner, "fuzzed"), "fuzzed");
    }
    apply_delta(delta, parameters, "fuzzed");
    for (const DeltaPart& part : delta.parts)
      check_applied(part, parameters[part.parameter == "table" ? 0 : 1].value());
    delta_chain(delta);
  } catch (const IoError&) { expect(untouched(parameters), "what is refused changes nothing"); }
  return 0;
}
