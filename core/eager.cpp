// One operator at a time, through the same definitions and kernels as a Program.
#include "core/program.h"

namespace winnow {

std::vector<Tensor> run_eager(const std::string& op_name, std::span<const Tensor> in, const Attrs& attrs,
                              const std::string& kernel, Allocator& allocator) {
  close_registry();
  const OpDef& op = registry().at(op_name);
  NodeSpec spec{&op, {}, {}, attrs};
  for (const Tensor& t : in) {
    WN_CHECK(t.defined(), Error, "{}(): input {} is an empty tensor handle", op.name, spec.in.size());
    spec.in.push_back(t.spec());
  }
  spec.out = infer_outputs(op, spec.attrs, spec.in, Loc::current());
  if (op.alias) return {in[0].reshaped(spec.out[0].shape)};

  const Device where = in.empty() ? Device{} : in[0].device();
  for (const Tensor& t : in)
    WN_CHECK(t.device() == where, DeviceError, "{}(): inputs lie on {} and {}", op.name, where.str(), t.device().str());
  const DeviceInfo device = device_info(where);
  Allocator& memory = where.kind == Device::CPU ? allocator : device_allocator(where);
  const KernelDef& chosen = choose_kernel(spec, device, kernel);
  WN_CHECK(kernel.empty() || kernel == chosen.name, DeviceError, "{}(): kernel '{}' cannot run this, '{}' would",
           op.name, kernel, chosen.name);
  Prepare prepare(device);
  if (chosen.prepare != nullptr) chosen.prepare(spec, prepare);
  const auto state = prepare.take_state();
  const Tensor scratch(TensorSpec{DType::U8, Shape{static_cast<int64_t>(prepare.scratch_bytes())}}, memory);

  std::vector<Tensor> out;
  std::vector<void*> in_data, out_data;
  for (const Tensor& t : in) in_data.push_back(t.raw());
  for (const TensorSpec& s : spec.out) out_data.push_back(out.emplace_back(s, memory).raw());
  const auto stream = make_stream(where);
  chosen.run({&spec, in_data.data(), out_data.data(), scratch.raw(), state.get(), stream.get()});
  stream->synchronize();
  return out;
}

}  // namespace winnow
