// HashedTarget: bytes on their way to a target, hashed beside it in a thread of its own. A stream that fits one buffer
// (most layers of a build) starts no thread at all.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <thread>

#include "base/error.hpp"
#include "layer/fanout.hpp"
#include "layer/layer.hpp"
#include "oci/digest.hpp"

namespace slipway::layer {

class HashedTarget {
 public:
  /// `target` is called from one other thread at a time.
  explicit HashedTarget(Target target) : target_(std::move(target)) {}
  ~HashedTarget() { stop(); }
  HashedTarget(const HashedTarget&) = delete;
  HashedTarget& operator=(const HashedTarget&) = delete;

  /// The target's error may be told by a later call, at the latest by finish().
  [[nodiscard]] Status write(std::string_view bytes);
  /// Returns when the target has everything. Once.
  [[nodiscard]] Result<oci::DiffId> finish();
  [[nodiscard]] std::int64_t bytes() const { return bytes_; }

 private:
  [[nodiscard]] Status start();
  void stop();
  void run_target();
  [[nodiscard]] Status failure();

  Target target_;
  Fanout fanout_;
  Fanout::Buffer* buffer_ = nullptr;
  std::int64_t bytes_ = 0;
  oci::Hasher hasher_;
  Status target_status_;  ///< of the target's thread while it runs
  std::thread hash_thread_, target_thread_;
};

}  // namespace slipway::layer
