#include "serve/delta/delta.h"

#include <charconv>
#include <cmath>
#include <cstring>
#include <map>

#include "core/checksum.h"

namespace winnow {
namespace {

constexpr const char* kFormat = "winnow-delta-1";
using Metadata = std::map<std::string, std::string>;

const std::string& text_of(const Metadata& metadata, const std::string& key, const std::string& source) {
  const auto at = metadata.find(key);
  WN_CHECK(at != metadata.end(), IoError, "{}: is not a delta: its metadata has no '{}'", source, key);
  return at->second;
}

int64_t count_of(const Metadata& metadata, const std::string& key, const std::string& source) {
  const std::string& text = text_of(metadata, key, source);
  int64_t value = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  WN_CHECK(error == std::errc() && end == text.data() + text.size() && value >= 0, IoError,
           "{}: metadata '{}' is no count", source, key);
  return value;
}

bool is_chain(const std::string& text) {
  return text.size() == 8 && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

DeltaHeader header_of(const Metadata& metadata, const std::string& source) {
  WN_CHECK(text_of(metadata, "format", source) == kFormat, IoError,
           "{}: is of another format than {}; publish it with the program that serves it", source, kFormat);
  DeltaHeader h;
  h.id = {count_of(metadata, "version", source), text_of(metadata, "chain", source)};
  h.builds_on = {count_of(metadata, "builds_on", source), text_of(metadata, "builds_on_chain", source)};
  const std::string& kind = text_of(metadata, "kind", source);
  WN_CHECK(kind == "delta" || kind == "snapshot", IoError, "{}: metadata 'kind' is neither delta nor snapshot", source);
  h.snapshot = kind == "snapshot";
  h.events = count_of(metadata, "events", source);
  h.time_us = count_of(metadata, "time_us", source);
  h.base = text_of(metadata, "base", source);
  WN_CHECK(h.id.version >= 1 && h.id.version - 1 == h.builds_on.version, IoError,
           "{}: version {} cannot build on version {}", source, h.id.version, h.builds_on.version);
  WN_CHECK(is_chain(h.id.chain) && (h.builds_on.version == 0 ? h.builds_on.chain.empty() : is_chain(h.builds_on.chain)),
           IoError, "{}: the chain of versions is not eight hex digits", source);
  return h;
}

void check_rows(const DeltaPart& part, const std::string& source) {
  const Shape& rows = part.rows.shape();
  const Shape& values = part.values.shape();
  WN_CHECK(part.rows.dtype() == DType::I64 && rows.rank() == 1 && values.rank() == 2 && rows[0] == values[0], IoError,
           "{}: rows of '{}' are {}, their values {}; expected i64 [n] and [n, dim]", source, part.parameter,
           part.rows.spec().str(), part.values.spec().str());
  int64_t before = -1;
  for (const int64_t row : part.rows.span<int64_t>()) {
    WN_CHECK(row > before, IoError, "{}: rows of '{}' do not ascend from 0: {} after {}", source, part.parameter, row,
             before);
    before = row;
  }
}

void check_finite(const DeltaPart& part, const std::string& source) {
  if (part.values.dtype() != DType::F32) return;
  for (const float x : part.values.span<float>())
    WN_CHECK(std::isfinite(x), IoError, "{}: '{}' holds NaN or infinity", source, part.parameter);
}

size_t row_bytes(const Tensor& tensor) {
  const int64_t rows = tensor.shape()[0];
  return rows == 0 ? 0 : tensor.bytes() / static_cast<size_t>(rows);
}

std::vector<int64_t> rows_that_differ(const Tensor& before, const Tensor& after) {
  const size_t bytes = row_bytes(after);
  const char *a = static_cast<const char*>(before.raw()), *b = static_cast<const char*>(after.raw());
  std::vector<int64_t> rows;
  for (int64_t r = 0; r < after.shape()[0]; ++r)
    if (std::memcmp(a + static_cast<size_t>(r) * bytes, b + static_cast<size_t>(r) * bytes, bytes) != 0)
      rows.push_back(r);
  return rows;
}

Tensor gathered(const Tensor& table, const std::vector<int64_t>& rows) {
  Tensor out(TensorSpec{table.dtype(), {static_cast<int64_t>(rows.size()), table.shape()[1]}});
  const size_t bytes = row_bytes(table);
  for (size_t i = 0; i < rows.size(); ++i)
    std::memcpy(static_cast<char*>(out.raw()) + i * bytes,
                static_cast<const char*>(table.raw()) + static_cast<size_t>(rows[i]) * bytes, bytes);
  return out;
}

}  // namespace

int64_t Delta::rows() const {
  int64_t n = 0;
  for (const DeltaPart& part : parts)
    if (part.rows.defined()) n += part.rows.numel();
  return n;
}

std::string delta_chain(const Delta& delta) {
  const DeltaHeader& h = delta.header;
  const std::string about =
      fmt::format("{} {} {} {} {}", h.base, h.builds_on.chain, h.id.version, h.snapshot, h.events);
  uint32_t sum = crc32c(about.data(), about.size());
  for (const DeltaPart& part : delta.parts) {
    sum = crc32c(part.parameter.data(), part.parameter.size(), sum);
    if (part.rows.defined()) sum = crc32c(part.rows.raw(), part.rows.bytes(), sum);
    sum = crc32c(part.values.raw(), part.values.bytes(), sum);
  }
  return fmt::format("{:08x}", sum);
}

Delta parse_delta(const SafeTensors& file, const std::string& source) {
  Delta delta;
  delta.header = header_of(file.metadata(), source);
  const auto names = file.names();
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string& name = names[i];
    DeltaPart& part = delta.parts.emplace_back();
    if (name.starts_with("whole/")) {
      part = {name.substr(6), {}, file.at(name)};
      continue;
    }
    WN_CHECK(name.starts_with("rows/") && i + 1 < names.size() && names[i + 1] == "values/" + name.substr(5), IoError,
             "{}: '{}' is neither whole/P nor rows/P followed by values/P", source, name);
    part = {name.substr(5), file.at(name), file.at(names[++i])};
    check_rows(part, source);
  }
  return delta;
}

Delta read_delta(const std::string& path) {
  const SafeTensors file = SafeTensors::open(path);
  file.verify();
  Delta delta = parse_delta(file, path);
  const std::string chain = delta_chain(delta);
  WN_CHECK(chain == delta.header.id.chain, IoError, "{}: its content belongs to chain {}, its header says {}", path,
           chain, delta.header.id.chain);
  return delta;
}

void write_delta(const std::string& path, const Delta& delta) {
  const DeltaHeader& h = delta.header;
  std::vector<NamedTensor> tensors;
  for (const DeltaPart& part : delta.parts) {
    if (part.rows.defined()) tensors.push_back({"rows/" + part.parameter, part.rows});
    tensors.push_back({(part.rows.defined() ? "values/" : "whole/") + part.parameter, part.values});
  }
  save_safetensors(path, tensors,
                   {{"format", kFormat},
                    {"version", std::to_string(h.id.version)},
                    {"chain", h.id.chain},
                    {"builds_on", std::to_string(h.builds_on.version)},
                    {"builds_on_chain", h.builds_on.chain},
                    {"kind", h.snapshot ? "snapshot" : "delta"},
                    {"events", std::to_string(h.events)},
                    {"time_us", std::to_string(h.time_us)},
                    {"base", h.base}});
}

void check_delta(const Delta& delta, const std::vector<Parameter>& parameters, const std::string& source) {
  std::map<std::string, const Parameter*> left;
  for (const Parameter& p : parameters) left[p.name()] = &p;
  for (const DeltaPart& part : delta.parts) {
    const auto at = left.find(part.parameter);
    WN_CHECK(at != left.end(), IoError, "{}: '{}' is no parameter of the model, or there twice", source,
             part.parameter);
    const TensorSpec& own = at->second->value().spec();
    const TensorSpec& given = part.values.spec();
    if (part.rows.defined()) {
      WN_CHECK(own.shape.rank() == 2 && own.dtype == given.dtype && own.shape[1] == given.shape[1], IoError,
               "{}: rows of '{}' are {}, the model's table is {}", source, part.parameter, given.str(), own.str());
      const auto rows = part.rows.span<int64_t>();
      WN_CHECK(rows.empty() || rows.back() < own.shape[0], IoError, "{}: row {} of '{}', which has {}", source,
               rows.empty() ? 0 : rows.back(), part.parameter, own.shape[0]);
    } else {
      WN_CHECK(own == given, IoError, "{}: '{}' is {}, the model's is {}", source, part.parameter, given.str(),
               own.str());
    }
    check_finite(part, source);
    left.erase(at);
  }
  WN_CHECK(!delta.header.snapshot || left.empty(), IoError, "{}: a snapshot without '{}'", source,
           left.empty() ? "" : left.begin()->first);
}

void apply_delta(const Delta& delta, const std::vector<Parameter>& parameters, const std::string& source) {
  check_delta(delta, parameters, source);
  std::map<std::string, const Parameter*> by_name;
  for (const Parameter& p : parameters) by_name[p.name()] = &p;
  for (const DeltaPart& part : delta.parts) {
    const Tensor& own = by_name.at(part.parameter)->value();
    if (!part.rows.defined()) {
      own.copy_from(part.values);
      continue;
    }
    const auto rows = part.rows.span<int64_t>();
    const size_t bytes = row_bytes(own);
    for (size_t i = 0; i < rows.size(); ++i)
      std::memcpy(static_cast<char*>(own.raw()) + static_cast<size_t>(rows[i]) * bytes,
                  static_cast<const char*>(part.values.raw()) + i * bytes, bytes);
  }
}

std::vector<DeltaPart> difference(const std::vector<Parameter>& before, const std::vector<Parameter>& after) {
  std::vector<DeltaPart> parts;
  for (size_t i = 0; i < after.size(); ++i) {
    const Tensor &a = before[i].value(), &b = after[i].value();
    WN_CHECK(before[i].name() == after[i].name() && a.spec() == b.spec(), Error, "'{}' is not of the model of '{}'",
             after[i].name(), before[i].name());
    if (a.bytes() == 0 || std::memcmp(a.raw(), b.raw(), a.bytes()) == 0) continue;
    if (after[i].group == Group::Table && b.shape().rank() == 2) {
      const auto rows = rows_that_differ(a, b);
      if (rows.size() * (row_bytes(b) + sizeof(int64_t)) < b.bytes()) {
        parts.push_back({after[i].name(), Tensor::of(rows, {static_cast<int64_t>(rows.size())}), gathered(b, rows)});
        continue;
      }
    }
    parts.push_back({after[i].name(), {}, b});
  }
  return parts;
}

std::vector<Parameter> copy_parameters(const std::vector<Parameter>& parameters) {
  std::vector<Parameter> copies = parameters;
  for (Parameter& p : copies) {
    p.variable = std::make_shared<Variable>(*p.variable);
    const Tensor host = p.variable->value.on({});
    p.variable->value = Tensor(host.spec());
    p.variable->value.copy_from(host);
    p.cache = nullptr;
  }
  return copies;
}

}  // namespace winnow
