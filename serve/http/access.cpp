#include "serve/http/access.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <algorithm>
#include <set>

#include "core/error.h"

namespace winnow {
namespace {
constexpr size_t kShortestKey = 16, kLongestKey = 256;
bool is_visible(char c) { return c > 0x20 && c < 0x7f; }
}  // namespace

HttpKeys::HttpKeys(const std::vector<std::string>& keys) {
  for (size_t i = 0; i < keys.size(); ++i) {
    const std::string& key = keys[i];
    WN_CHECK(key.size() >= kShortestKey && key.size() <= kLongestKey && std::all_of(key.begin(), key.end(), is_visible),
             ConfigError, "HttpServer: API key {} is not {} to {} visible ASCII characters without blanks", i + 1,
             kShortestKey, kLongestKey);
    digests_.push_back(digest(key));
  }
  WN_CHECK(std::set<Digest>(digests_.begin(), digests_.end()).size() == digests_.size(), ConfigError,
           "HttpServer: two of the API keys are the same");
}

HttpKeys::Digest HttpKeys::digest(std::string_view key) {
  Digest out;
  SHA256(reinterpret_cast<const unsigned char*>(key.data()), key.size(), out.data());
  return out;
}

int HttpKeys::find(std::string_view key) const {
  if (key.size() > kLongestKey) return -1;  // the bound is no secret
  const Digest given = digest(key);
  int found = -1;
  for (size_t i = 0; i < digests_.size(); ++i)
    if (CRYPTO_memcmp(given.data(), digests_[i].data(), given.size()) == 0) found = static_cast<int>(i);
  return found;
}

RateLimits::RateLimits(double per_second, double burst, size_t max_clients)
    : per_second_(per_second), burst_(burst > 0 ? burst : std::max(per_second, 1.0)), max_clients_(max_clients) {}

double RateLimits::take(const std::string& client, Clock::time_point now) {
  if (per_second_ <= 0) return 0;
  const std::lock_guard lock(mutex_);
  const auto known = by_client_.find(client);
  if (known == by_client_.end()) {
    if (buckets_.size() >= max_clients_) {
      by_client_.erase(buckets_.back().client);
      buckets_.pop_back();
    }
    buckets_.push_front({client, burst_, now});
    by_client_.emplace(buckets_.front().client, buckets_.begin());
  } else {
    buckets_.splice(buckets_.begin(), buckets_, known->second);
  }
  Bucket& bucket = buckets_.front();
  const double seconds = std::max(0.0, std::chrono::duration<double>(now - bucket.filled).count());
  bucket.tokens = std::min(burst_, bucket.tokens + seconds * per_second_);
  bucket.filled = std::max(bucket.filled, now);
  if (bucket.tokens < 1) return (1 - bucket.tokens) / per_second_;
  bucket.tokens -= 1;
  return 0;
}

size_t RateLimits::clients() const {
  const std::lock_guard lock(mutex_);
  return buckets_.size();
}

}  // namespace winnow
