#include "nn/saved_parameters.h"

#include <map>

namespace winnow {

std::vector<NamedTensor> tensors_of(const SafeTensors& file) {
  std::vector<NamedTensor> tensors;
  for (const std::string& name : file.names()) tensors.push_back({name, file.at(name)});
  return tensors;
}

void load_variables(const std::vector<NamedTensor>& tensors, const std::string& prefix,
                    const std::vector<VariablePtr>& variables, const std::string& source) {
  std::map<std::string, const Tensor*> found;
  for (const auto& [name, tensor] : tensors)
    if (name.starts_with(prefix)) found[name.substr(prefix.size())] = &tensor;
  std::vector<std::pair<const Variable*, const Tensor*>> matches;
  std::string missing, different;
  for (const VariablePtr& v : variables) {
    const auto at = found.find(v->name);
    if (at == found.end()) {
      missing += " " + v->name;
      continue;
    }
    if (at->second->spec() != v->value.spec())
      different += fmt::format(" {} ({} in the file, {} in the model)", v->name, at->second->spec().str(),
                               v->value.spec().str());
    matches.emplace_back(v.get(), at->second);
    found.erase(at);
  }
  if (!missing.empty() || !different.empty()) {
    std::string unexpected;
    for (const auto& [name, tensor] : found) unexpected += " " + name;
    raise<IoError>("{}: does not fit the model. Missing:{}. Unexpected:{}. Different:{}. Use the config that wrote it",
                   source, missing.empty() ? " none" : missing, unexpected.empty() ? " none" : unexpected,
                   different.empty() ? " none" : different);
  }
  WN_CHECK(found.empty(), IoError, "{}: holds '{}', which the model does not have; use the config that wrote it",
           source, found.begin()->first);
  for (const auto& [variable, tensor] : matches) variable->value.copy_from(*tensor);
}

std::vector<VariablePtr> variables_of(const std::vector<Parameter>& parameters) {
  std::vector<VariablePtr> list;
  for (const Parameter& p : parameters) list.push_back(p.variable);
  return list;
}

void save_parameters(const std::string& path, const std::vector<Parameter>& parameters, const std::string& model) {
  std::vector<NamedTensor> tensors;
  for (const Parameter& p : parameters) tensors.push_back({p.name(), p.value()});
  save_safetensors(path, tensors, {{"model", model}});
}

SafeTensors open_parameters(const std::string& path) {
  SafeTensors file = SafeTensors::open(path);
  file.verify();
  return file;
}

void load_parameters(const SafeTensors& file, const std::vector<Parameter>& parameters, const std::string& path) {
  load_variables(tensors_of(file), "", variables_of(parameters), path);
}

}  // namespace winnow
