#include "serve/api/model_set.h"

#include <sys/stat.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <condition_variable>

#include "core/error.h"
#include "core/file.h"
#include "core/parallel.h"
#include "core/scheduling.h"
#include "core/text.h"
#include "data/hash.h"

namespace winnow {
namespace {

// Which file a path leads to: another after every training, as files are replaced and never rewritten.
struct FileIdentity {
  dev_t device = 0;
  ino_t inode = 0;
  timespec changed{};
  bool operator==(const FileIdentity& o) const {
    return device == o.device && inode == o.inode && changed.tv_sec == o.changed.tv_sec &&
           changed.tv_nsec == o.changed.tv_nsec;
  }
};
FileIdentity identity_of(const std::string& path) {
  struct stat s {};
  if (stat(path.c_str(), &s) != 0) return {};
  return {s.st_dev, s.st_ino, s.st_mtim};
}

// Of what a model is built from, but for the values of its parameters.
uint64_t structure_of(const std::string& directory) {
  return xxh64(MappedFile(directory + "/feature_map.json").text(),
               xxh64(MappedFile(directory + "/config.yaml").text()));
}

// The number in <run>/deltas/pin, -1 without one.
int64_t pinned_version(const std::string& directory) {
  const std::string path = directory + "/deltas/pin";
  if (!file_exists(path)) return -1;
  std::string text = read_text(path, 64);
  text.resize(size_without_line_ends(text));
  int64_t n = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  WN_CHECK(error == std::errc() && end == text.data() + text.size() && n >= 0, DataError,
           "{}: expected the number of a version, found {}", path, quoted(text));
  return n;
}

}  // namespace

// Two copies of the parameters: one answers, the other is taken to the next version.
struct ModelSet::Slot {
  struct Copy {
    std::shared_ptr<ServedModel> model;
    std::unique_ptr<ModelVersion> version;
  };
  Slot(NamedRun its_run, const ModelSetOptions& of_all) : run(std::move(its_run)), options(of_all) {}
  NamedRun run;
  const ModelSetOptions& options;
  std::atomic<std::shared_ptr<const ServedModel>> current;
  Copy serving, spare;  // of the thread that looks
  FileIdentity file;
  uint64_t structure = 0;
  mutable std::mutex facts_mutex;
  ModelFacts facts;
  std::chrono::steady_clock::time_point loaded;

  Copy load(std::shared_ptr<const Catalogue> catalogue) const {
    Copy c;
    if (catalogue == nullptr) {
      c.model = std::make_shared<ServedModel>(run.directory, run.name, 0, options.predictor, options.scorers);
    } else {
      auto saved = std::make_unique<SavedClickModel>(run.directory);
      c.model = std::make_shared<ServedModel>(std::move(saved), std::move(catalogue), run.name, 0, options.predictor,
                                              options.scorers);
    }
    c.version = std::make_unique<ModelVersion>(run.directory, c.model->saved->model->parameters());
    return c;
  }
  static void take_to(Copy& copy, int64_t version) {
    if (copy.version->id().version == version) return;
    copy.version->go_to(version);
    copy.model->version = version;
    copy.model->refresh();
  }
  static void load_again(Copy& copy) {
    copy.version->load_again();
    copy.model->version = 0;
    copy.model->refresh();
  }
  int64_t pinned_or(int64_t newest) const {
    if (!options.deltas) return 0;
    const int64_t pin = pinned_version(run.directory);
    return pin >= 0 ? pin : newest;
  }
  int64_t wanted() const { return pinned_or(serving.version->folder().newest()); }
  void publish() {
    current.store(serving.model);
    const std::lock_guard lock(facts_mutex);
    loaded = std::chrono::steady_clock::now();
    const SavedClickModel& saved = *serving.model->saved;
    facts.name = run.name, facts.model = saved.name, facts.share = run.share;
    facts.features = static_cast<int64_t>(saved.map.features.size());
    facts.parameters = 0;
    for (const Parameter& p : saved.model->parameters()) facts.parameters += p.value().numel();
    facts.version = serving.version->id().version;
    facts.events = serving.version->events();
    facts.problem.clear();
    ++facts.loads;
  }
  FileIdentity model_file() const { return identity_of(run.directory + "/model.safetensors"); }
  void start() {
    file = model_file();
    structure = structure_of(run.directory);
    serving = load(nullptr);
    take_to(serving, wanted());
    if (options.prepare) options.prepare(*serving.model);
    if (options.every.count() > 0) spare = load(serving.model->catalogue);  // the memory is taken now, not one day
    publish();
  }
  // Loading gives way to answering: one thread that runs when the others do not, however long it takes.
  void look() {
    const FileIdentity now = model_file();
    const bool replaced = !(now == file);
    if (!replaced && wanted() == serving.version->id().version) return;
    bool ready = false, anew = false;
    run_when_idle([&] {
      set_num_threads(1);
      ready = replaced ? load_replaced(anew) : follow_deltas();
    });
    if (!ready) return;
    if (replaced) file = now;
    std::swap(serving, spare);
    if (anew) spare = {};
    publish();
  }

 private:
  // Whether there is a copy of the same model that nobody reads: else at the next look.
  bool has_free_spare() {
    if (spare.model == nullptr) spare = load(serving.model->catalogue);
    if (spare.model.use_count() > 1) return false;        // requests of two versions ago
    std::atomic_thread_fence(std::memory_order_acquire);  // behind what they read before they let it go
    return true;
  }
  // The spare at the version that is wanted. False: not yet.
  bool follow_deltas() {
    if (!has_free_spare()) return false;
    if (spare.version->base() != serving.version->base()) {
      spare.model->catalogue = serving.model->catalogue;
      load_again(spare);
    }
    take_to(spare, wanted());
    return true;
  }
  // The run's new files in the spare: in place where they are of the same model, so that nothing is compiled and no
  // memory taken. False: not yet. anew: of another, and so is the copy that serves no longer a spare of it.
  bool load_replaced(bool& anew) {
    const uint64_t now = structure_of(run.directory);
    anew = now != structure;
    Copy fresh;
    if (anew) {
      fresh = load(nullptr);
    } else {
      if (!has_free_spare()) return false;
      load_again(spare);
      spare.model->load_catalogue(run.directory);  // another object: what is known of its items is learnt anew
    }
    Copy& copy = anew ? fresh : spare;
    take_to(copy, pinned_or(copy.version->folder().newest()));
    if (options.prepare) options.prepare(*copy.model);
    if (anew) spare = std::move(fresh);  // only now: what failed above leaves a spare of the model that serves
    structure = now;
    return true;
  }
};

ModelSet::ModelSet(const std::vector<NamedRun>& runs, const ModelSetOptions& options) : options_(options) {
  WN_CHECK(!runs.empty(), ConfigError, "no run to serve");
  double shares = 0;
  for (const NamedRun& run : runs) {
    WN_CHECK(is_plain_name(run.name), ConfigError, "'{}' is no name for a model: 1 to 64 of letters, digits, _ . -",
             run.name);
    WN_CHECK(std::ranges::count(runs, run.name, &NamedRun::name) == 1, ConfigError, "two models are called '{}'",
             run.name);
    WN_CHECK(run.share >= 0 && std::isfinite(run.share), ConfigError, "'{}' has the share {}", run.name, run.share);
    shares += run.share;
    auto slot = std::make_unique<Slot>(run, options_);
    slot->start();
    slots_.push_back(std::move(slot));
  }
  WN_CHECK(shares == 0 || std::abs(shares - 1) < 1e-9, ConfigError, "the shares of the models sum to {}, not to 1",
           shares);
  if (shares == 0) slots_.front()->run.share = slots_.front()->facts.share = 1;
  if (options_.every.count() > 0) watcher_ = std::jthread([this](const std::stop_token& stop) { watch(stop); });
}
ModelSet::~ModelSet() = default;

void ModelSet::watch(const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any wake;
  while (!stop.stop_requested()) {
    std::unique_lock lock(mutex);
    wake.wait_for(lock, stop, options_.every, [] { return false; });
    if (!stop.stop_requested()) look();
  }
}

void ModelSet::look() {
  const std::lock_guard one(looking_);
  for (const auto& slot : slots_) {
    try {
      slot->look();
    } catch (const std::exception& e) {
      const std::lock_guard lock(slot->facts_mutex);
      slot->facts.problem = e.what();
    }
  }
}

std::vector<std::string> ModelSet::names() const {
  std::vector<std::string> names;
  for (const auto& slot : slots_) names.push_back(slot->run.name);
  return names;
}

std::shared_ptr<const ServedModel> ModelSet::of(std::string_view name) const {
  for (const auto& slot : slots_)
    if (name.empty() || slot->run.name == name) return slot->current.load();
  raise<DataError>("there is no model '{}'{}; there are {}", name, did_you_mean(std::string(name), names()),
                   fmt::join(names(), ", "));
}

std::shared_ptr<const ServedModel> ModelSet::for_user(std::string_view user) const {
  double place = static_cast<double>(xxh64(user, options_.split_seed) >> 11) * 0x1p-53;
  for (const auto& slot : slots_) {
    if (place < slot->run.share) return slot->current.load();
    place -= slot->run.share;
  }
  return slots_.back()->current.load();
}

std::vector<ModelFacts> ModelSet::facts() const {
  std::vector<ModelFacts> all;
  for (const auto& slot : slots_) {
    const std::lock_guard lock(slot->facts_mutex);
    all.push_back(slot->facts);
    all.back().loaded_seconds_ago =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - slot->loaded).count();
  }
  return all;
}

}  // namespace winnow
