// Parameters by name, out of files and into them.
#pragma once
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "nn/module.h"

namespace winnow {

std::vector<NamedTensor> tensors_of(const SafeTensors& file);  // all of them

// Copies tensors "<prefix><name>" into the variables of the same names. IoError lists what is missing, what is
// unexpected under the prefix, and shapes or types that differ; nothing is copied unless all match.
void load_variables(const std::vector<NamedTensor>& tensors, const std::string& prefix,
                    const std::vector<VariablePtr>& variables, const std::string& source);

std::vector<VariablePtr> variables_of(const std::vector<Parameter>& parameters);

// A finished model's parameters in a file of their own, such as <run>/model.safetensors. model: its name, in the file.
void save_parameters(const std::string& path, const std::vector<Parameter>& parameters, const std::string& model);
SafeTensors open_parameters(const std::string& path);  // every checksum holds. IoError
// Into parameters of exactly these names. IoError as load_variables().
void load_parameters(const SafeTensors& file, const std::vector<Parameter>& parameters, const std::string& path);

}  // namespace winnow
