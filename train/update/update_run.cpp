#include "train/update/update_run.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>

#include "core/file.h"
#include "train/run.h"

namespace winnow {
namespace {

int take(const std::string& directory) {
  make_directories(directory + "/updates");
  const std::string path = directory + "/updates/lock";
  const int descriptor = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  WN_CHECK(descriptor >= 0, IoError, "{}: {}", path, std::strerror(errno));
  if (::flock(descriptor, LOCK_EX | LOCK_NB) == 0) return descriptor;
  ::close(descriptor);
  raise<IoError>("{}: another `winnow update` has this run; stop it first", path);
}

const std::string& with_catalogue(const std::string& directory) {
  WN_CHECK(file_exists(directory + "/catalogue.safetensors"), IoError,
           "{}: has no catalogue.safetensors, which tells users and items apart; train the run again with this version",
           directory);
  return directory;
}

KnownIds known_ids(const Catalogue& catalogue) {
  return {[&](std::string_view key) { return catalogue.find_user(key); },
          [&](std::string_view key) { return catalogue.find_item(key); }, catalogue.users(), catalogue.items(),
          [&](int64_t user, int64_t item) {
            const auto taken = catalogue.taken_items(user);
            return std::ranges::find(taken, item) != taken.end();
          }};
}

}  // namespace

UpdateRun::UpdateRun(const std::string& directory, const UpdateSettings& settings)
    : directory_(with_catalogue(directory)),
      base_(run_fingerprint(directory)),
      saved_(directory),
      catalogue_(directory + "/catalogue.safetensors", saved_.map),
      options_(settings.options) {
  const CtrConfig config(CommonOptions{directory + "/config.yaml", {}});
  for (const std::string& text : settings.labels) rules_.push_back(parse_label_rule(text));
  if (rules_.empty()) rules_ = default_label_rules(config.schema);
  options_.optimizer = update_optimizer(config.loop.train.optimizer);
  options_.learning_rate = settings.learning_rate.value_or(config.loop.train.schedule.learning_rate);
  options_.negatives = settings.negatives.value_or(config.schema.negatives.per_positive);
  options_.seed = settings.seed.value_or(config.loop.train.seed);
  if (options_.distill > 0) before_ = std::make_unique<SavedClickModel>(directory);
  updater_ = std::make_unique<Updater>(
      UpdateModel{saved_.map, *saved_.model, before_ != nullptr ? before_->model.get() : nullptr,
                  [this](int64_t user, int64_t item, EncodedRow& row) { catalogue_.row(user, item, row); },
                  known_ids(catalogue_)},
      rules_, options_);
  lock_ = take(directory);
}

UpdateRun::~UpdateRun() {
  if (lock_ >= 0) ::close(lock_);
}

bool UpdateRun::start(std::string* position) {
  if (updater_->restore(state_path(), base_, position)) return true;
  for (int64_t user = 0; user < catalogue_.users(); ++user)
    for (int64_t n = 0; n < catalogue_.taken(user); ++n) {
      const TakenItem taken = catalogue_.taken(user, n);
      updater_->seed({user, taken.item, taken.label, 0});
    }
  return false;
}

void UpdateRun::forget() const {
  std::error_code error;
  std::filesystem::remove(state_path(), error);
  WN_CHECK(!error, IoError, "{}: {}", state_path(), error.message());
}

}  // namespace winnow
