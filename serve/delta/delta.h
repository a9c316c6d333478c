// A version of a run's parameters as its difference from the version before: what `winnow update` publishes and a
// running server loads. One safetensors file, written atomically, with checksums:
//
//   <run>/deltas/000012.safetensors
//     rows/<table> i64 [n], values/<table> [n, dim]   rows of a table that differ, ascending
//     whole/<parameter>                               a parameter that differs, in full
//     metadata: what DeltaHeader holds
//
// A snapshot holds every parameter in full and builds on nothing but the run. Version 0 is the run itself.
// docs/update.md
#pragma once
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "core/safetensors.h"
#include "nn/module.h"

namespace winnow {

// A version and all that led to it: equal ids have bit-equal parameters.
struct VersionId {
  int64_t version = 0;
  std::string chain;  // 8 hex digits: CRC-32C of the chain before it and of this file's content; "" of version 0
  friend bool operator==(const VersionId&, const VersionId&) = default;
};

struct DeltaHeader {
  VersionId id, builds_on;  // of a snapshot builds_on tells what it was made after
  bool snapshot = false;
  int64_t events = 0;   // the sequence of the last event that was learnt
  int64_t time_us = 0;  // when it was published, microseconds since 1970
  std::string base;     // run_fingerprint() of the run
};

struct DeltaPart {
  std::string parameter;
  Tensor rows;    // i64 [n]; undefined: the values are the whole parameter
  Tensor values;  // of a file that was read: views of it, read-only
};

struct Delta {
  DeltaHeader header;
  std::vector<DeltaPart> parts;
  int64_t rows() const;  // of tables, those given in part
};

// IoError names the file and the part: a checksum, a header or an index that does not hold. Every index is checked
// against the others here and against the model by check_delta().
Delta read_delta(const std::string& path);
// The structure alone, without the checksums and the chain.
Delta parse_delta(const SafeTensors& file, const std::string& source);
void write_delta(const std::string& path, const Delta& delta);
// What header.id.chain must be.
std::string delta_chain(const Delta& delta);

// IoError: a parameter that the model does not have or that has another type or shape, a row beyond the table, a number
// that is not finite, a snapshot without some parameter. `source` names the delta.
void check_delta(const Delta& delta, const std::vector<Parameter>& parameters, const std::string& source);
// check_delta(), then copies. Nothing is changed on an error.
void apply_delta(const Delta& delta, const std::vector<Parameter>& parameters, const std::string& source);
// What takes `before` to `after`, parameters of one model in host memory: compared bit by bit. Rows of a table alone
// where that is smaller. The tensors of the parts may be views of `after`.
std::vector<DeltaPart> difference(const std::vector<Parameter>& before, const std::vector<Parameter>& after);

// Parameters of the same names with values of their own, on the host.
std::vector<Parameter> copy_parameters(const std::vector<Parameter>& parameters);

}  // namespace winnow
