// Publishes the parameters of a model that goes on learning, version by version.
#pragma once
#include <optional>

#include "serve/delta/versions.h"

namespace winnow {

struct PublisherOptions {
  // Every so many versions a snapshot; the files before the snapshot before it are removed, so that at least as many
  // versions can be gone back to, and a server that fell behind catches up from the snapshot.
  int64_t snapshot_every = 50;
};

struct Published {
  int64_t version = 0, events = 0, rows = 0, bytes = 0;  // rows of tables that were given in part; size of the file
  bool snapshot = false;
};

// One at a time for a run. What was published is read back at the start, so that a process that was killed at any point
// goes on with the next version.
class DeltaPublisher {
 public:
  // parameters: of the run's model, any values. IoError: deltas of another run, or damaged.
  DeltaPublisher(const std::string& run_directory, const std::vector<Parameter>& parameters,
                 const PublisherOptions& options = {});
  const VersionId& id() const { return published_.id(); }
  int64_t events() const { return published_.events(); }
  // The next version, when a bit differs from the last one or a snapshot is asked for. Error: a parameter that is not
  // finite; IoError.
  std::optional<Published> publish(const std::vector<Parameter>& parameters, int64_t events, bool snapshot = false);
  // The parameters of an earlier version into `parameters`, which may lie on a device. Nothing is published. IoError.
  void read_version(int64_t version, const std::vector<Parameter>& parameters) const;

 private:
  void remove_old(int64_t snapshot) const;
  std::string run_directory_;
  PublisherOptions options_;
  ModelVersion published_;
};

}  // namespace winnow
