// Who may ask, and how often.
#pragma once
#include <array>
#include <chrono>
#include <cstdint>
#include <list>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace winnow {

class HttpKeys {
 public:
  explicit HttpKeys(const std::vector<std::string>& keys);  // ConfigError names the place of a key that is none
  bool empty() const { return digests_.empty(); }
  // The index of the key, -1: none. The SHA-256 digests of all keys are compared in full, so that the time tells
  // neither which bytes agree nor how long a key is.
  int find(std::string_view key) const;

 private:
  using Digest = std::array<unsigned char, 32>;
  static Digest digest(std::string_view key);
  std::vector<Digest> digests_;
};

// A token bucket a client: `burst` at once, then per_second. The longest unused of over max_clients buckets goes, which
// gives its client a full one.
class RateLimits {
 public:
  using Clock = std::chrono::steady_clock;
  RateLimits(double per_second, double burst, size_t max_clients = 16384);  // per_second 0: no limit
  // Takes a token: 0; or the seconds until there will be one.
  double take(const std::string& client, Clock::time_point now);
  size_t clients() const;

 private:
  struct Bucket {
    std::string client;
    double tokens;
    Clock::time_point filled;
  };
  const double per_second_, burst_;
  const size_t max_clients_;
  mutable std::mutex mutex_;
  std::list<Bucket> buckets_;                                                    // the last used first
  std::unordered_map<std::string_view, std::list<Bucket>::iterator> by_client_;  // keys lie in the buckets
};

}  // namespace winnow
