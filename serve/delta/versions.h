// The versions of a run on disk, and a model in memory at one of them.
//
//   SavedClickModel saved(run);
//   ModelVersion at(run, saved.model->parameters());   // version 0: as it was loaded
//   at.go_to(at.folder().newest());                    // forward by deltas, or by the newest snapshot
//   at.go_to(7);                                       // back: what it takes is loaded again
//
// To change a model while it answers, go_to() another copy of it and exchange the two (docs/update.md).
#pragma once
#include <string>
#include <vector>

#include "serve/delta/delta.h"

namespace winnow {

class VersionFolder {
 public:
  explicit VersionFolder(const std::string& run_directory) : directory_(run_directory + "/deltas") {}
  const std::string& directory() const { return directory_; }
  std::string path(int64_t version) const;
  std::vector<int64_t> versions() const;  // that are there, ascending; none without the folder
  int64_t newest() const;                 // 0: none
  // The deltas that lead from `from` to `to`, in order. from_run: the first of them applies to the run's own parameters
  // (version 0), or to any when it is a snapshot. to 0: from_run and none. IoError: a version that is not there or is
  // damaged, with those that can be reached; of another run or chain, with what to do.
  struct Way {
    bool from_run = false;
    std::vector<Delta> deltas;
  };
  Way way(const VersionId& from, int64_t to, const std::string& base) const;

 private:
  std::string directory_;
};

class ModelVersion {
 public:
  // parameters: those of <run>/model.safetensors, in host memory; they must stay where they are. IoError.
  ModelVersion(std::string run_directory, std::vector<Parameter> parameters);
  const VersionId& id() const { return id_; }
  int64_t events() const { return events_; }  // the last event learnt, 0 of version 0
  const std::string& base() const { return base_; }
  const VersionFolder& folder() const { return folder_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  // IoError, and then nothing has changed.
  void go_to(int64_t version);
  // Version 0 of the run as it is now: its files were replaced by those of another training of the same model. IoError,
  // and then nothing has changed.
  void load_again();

 private:
  friend class DeltaPublisher;
  std::string run_directory_, base_;
  std::vector<Parameter> parameters_;
  VersionFolder folder_;
  VersionId id_;
  int64_t events_ = 0;
};

}  // namespace winnow
