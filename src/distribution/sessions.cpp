#include "distribution/sessions.hpp"

#include <algorithm>
#include <chrono>
#include <utility>

#include "base/time.hpp"

namespace slipway::distribution {
namespace {

constexpr std::size_t kKeptOpen = 64;
constexpr std::int64_t kPatienceMs = 10'000;
constexpr int kFirstLookMs = 20, kLastLookMs = 500;
constexpr std::chrono::milliseconds kLocalLook(200);  ///< whether the peer that waits is still there

std::string key_of(const std::string& repository, const std::string& id) { return repository + '\0' + id; }

}  // namespace

Sessions::Sessions(store::Repositories& repositories, std::int64_t kept_ms)
    : repositories_(repositories),
      kept_ms_(kept_ms),
      trimmer_([this](const std::stop_token& ended) { trim_now_and_then(ended); }) {}

Result<Sessions::Held> Sessions::begin(const std::string& repository) {
  store::Upload upload = TRY(repositories_.begin_upload(repository));
  std::string key = key_of(repository, upload.id());
  const std::lock_guard lock(mutex_);
  entries_[key].held = true;
  return Held(*this, std::move(key), std::move(upload));
}

Result<Sessions::Held> Sessions::hold(const std::string& repository, const std::string& id,
                                      const std::function<Cancel()>& waiting) {
  const std::string key = key_of(repository, id);
  const std::int64_t until = monotonic_ms() + kPatienceMs;
  std::unique_lock lock(mutex_);
  const auto free = [&] {
    const auto entry = entries_.find(key);
    return entry == entries_.end() || !entry->second.held;
  };
  while (!released_.wait_for(lock, kLocalLook, free)) {
    if (monotonic_ms() >= until) return fail(Code::kAborted, "another request writes this upload");
    TRY(waiting().check());
  }
  Entry& entry = entries_[key];
  entry.held = true;
  std::optional<store::Upload> upload = std::exchange(entry.upload, std::nullopt);
  lock.unlock();
  Status taken = take(repository, id, upload);
  // Another process writes it; its lock does not tell when it ends.
  for (int look = kFirstLookMs; !taken && taken.error().code() == Code::kAborted && monotonic_ms() < until;
       look = std::min(look * 2, kLastLookMs)) {
    if (waiting().wait_for(look)) break;
    taken = take(repository, id, upload);
  }
  if (taken) return Held(*this, key, *std::move(upload));
  if (taken.error().code() != Code::kAborted) upload.reset();
  give_back(key, std::move(upload));
  return std::unexpected(taken.error());
}

Result<bool> Sessions::drop(const std::string& repository, const std::string& id) {
  std::optional<store::Upload> idle;  // closed when the lock is free again
  {
    const std::lock_guard lock(mutex_);
    const auto entry = entries_.find(key_of(repository, id));
    if (entry != entries_.end() && !entry->second.held) {
      idle = std::move(entry->second.upload);
      entries_.erase(entry);
    }
  }
  return repositories_.drop_upload(repository, id);
}

/// The upload as it was left here, or opened from the store.
Status Sessions::take(const std::string& repository, const std::string& id, std::optional<store::Upload>& upload) {
  if (upload) return upload->resume();
  upload.emplace(TRY(repositories_.open_upload(repository, id)));
  return {};
}

void Sessions::give_back(const std::string& key, std::optional<store::Upload> upload) {
  if (upload) upload->rest();
  const std::lock_guard lock(mutex_);
  if (upload) {
    Entry& entry = entries_[key];
    entry.held = false;
    entry.upload = std::move(upload);
    entry.used = monotonic_ms();
    trim();
  } else {
    entries_.erase(key);
  }
  released_.notify_all();
}

void Sessions::trim_now_and_then(const std::stop_token& ended) {
  std::unique_lock lock(mutex_);
  while (!ended.stop_requested()) {
    ending_.wait_for(lock, ended, std::chrono::milliseconds(kept_ms_ / 2), [] { return false; });
    trim();
  }
}

/// Closes what nobody has used for long, and the oldest of too many. They can be opened again.
void Sessions::trim() {
  const std::int64_t now = monotonic_ms();
  std::erase_if(entries_, [&](const auto& one) { return !one.second.held && now - one.second.used > kept_ms_; });
  while (true) {
    std::size_t idle = 0;
    auto oldest = entries_.end();
    for (auto at = entries_.begin(); at != entries_.end(); ++at) {
      if (at->second.held) continue;
      ++idle;
      if (oldest == entries_.end() || at->second.used < oldest->second.used) oldest = at;
    }
    if (idle <= kKeptOpen) return;
    entries_.erase(oldest);
  }
}

}  // namespace slipway::distribution
