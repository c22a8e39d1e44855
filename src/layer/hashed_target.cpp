#include "layer/hashed_target.hpp"

#include <algorithm>
#include <cstring>
#include <exception>
#include <system_error>

namespace slipway::layer {
namespace {

constexpr int kHashReader = 0;
constexpr int kTargetReader = 1;

}  // namespace

Status HashedTarget::write(std::string_view bytes) {
  bytes_ += static_cast<std::int64_t>(bytes.size());
  while (!bytes.empty()) {
    if (buffer_ == nullptr) buffer_ = fanout_.empty();
    if (buffer_ == nullptr) return failure();
    const auto take = std::min(bytes.size(), buffer_->room());
    std::memcpy(buffer_->bytes.get() + buffer_->size, bytes.data(), take);
    buffer_->size += take;
    bytes.remove_prefix(take);
    if (buffer_->room() > 0) continue;
    if (!target_thread_.joinable()) TRY(start());
    fanout_.publish(std::exchange(buffer_, nullptr));
  }
  return {};
}

Result<oci::DiffId> HashedTarget::finish() {
  if (!target_thread_.joinable()) {
    if (buffer_ != nullptr) {
      hasher_.update(buffer_->view());
      TRY(target_(buffer_->view()));
    }
    return oci::DiffId{hasher_.finish()};
  }
  if (buffer_ != nullptr) fanout_.publish(std::exchange(buffer_, nullptr));
  fanout_.end();
  target_thread_.join();
  hash_thread_.join();
  TRY(std::move(target_status_));
  return oci::DiffId{hasher_.finish()};
}

Status HashedTarget::start() {
  try {
    target_thread_ = std::thread([this] { run_target(); });
    hash_thread_ = std::thread([this] {
      while (auto* buffer = fanout_.next(kHashReader)) {
        hasher_.update(buffer->view());
        fanout_.release(buffer);
      }
    });
  } catch (const std::system_error& error) {
    return fail(Code::kResourceExhausted, "cannot start a thread: {}", error.what());
  }
  return {};
}

void HashedTarget::run_target() {
  while (auto* buffer = fanout_.next(kTargetReader)) {
    try {
      target_status_ = target_(buffer->view());
    } catch (const std::exception& error) {
      target_status_ = fail(Code::kInternal, "writing failed: {}", error.what());
    }
    fanout_.release(buffer);
    if (!target_status_) return fanout_.stop();
  }
}

Status HashedTarget::failure() {
  stop();
  if (!target_status_) return target_status_;
  return fail(Code::kInternal, "the layer's target stopped without an error");
}

void HashedTarget::stop() {
  fanout_.stop();
  if (target_thread_.joinable()) target_thread_.join();
  if (hash_thread_.joinable()) hash_thread_.join();
}

}  // namespace slipway::layer
