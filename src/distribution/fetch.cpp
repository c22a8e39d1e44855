#include "distribution/fetch.hpp"

#include <algorithm>
#include <chrono>

namespace slipway::distribution {
namespace {

/// Followers are woken for so much at once: each sends it with one call.
constexpr std::int64_t kPiece = 256 * 1024;
constexpr auto kLook = std::chrono::milliseconds(200);  ///< for a follower that left

}  // namespace

bool Fetch::over() const {
  const std::lock_guard lock(mutex_);
  return over_;
}

std::optional<Error> Fetch::failure() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

void Fetch::show(sys::Fd file, std::int64_t available) {
  const std::lock_guard lock(mutex_);
  file_ = std::move(file);
  available_ = available;
  changed_.notify_all();
}

void Fetch::more(std::int64_t available) {
  const std::lock_guard lock(mutex_);
  const bool tell = available / kPiece != available_ / kPiece;
  available_ = available;
  if (tell) changed_.notify_all();
}

Status Fetch::download(store::Store& store, store::Repositories& repositories, const std::string& repository,
                       const registry::Repository& upstream, const Cancel& cancel) {
  const store::Lease lease = TRY(store.lease("mirror"));
  // Another process may be at it: a pull, or a second mirror.
  const sys::FileLock one_at_a_time = TRY(store.lock_key(digest_, cancel));
  if (TRY(store.acquire_blob(lease, digest_))) {
    sys::Fd file = TRY(store.open_blob(digest_));
    TRY(repositories.link_blob(repository, digest_));
    show(std::move(file), size_);
    return {};
  }
  store::BlobWriter writer = TRY(store.write_blob(lease));
  show(TRY(writer.reader()), 0);
  const layer::Target sink = [&](std::string_view bytes) -> Status {
    TRY(writer.write(bytes));
    more(writer.written());
    return {};
  };
  TRY(upstream.blob({.media_type = "application/octet-stream", .digest = digest_, .size = size_}, sink, cancel));
  TRY(writer.commit({.digest = digest_, .size = size_}));
  return repositories.link_blob(repository, digest_);
}

void Fetch::run(store::Store& store, store::Repositories& repositories, const std::string& repository,
                const registry::Repository& upstream, const Cancel& cancel) {
  const Status done = download(store, repositories, repository, upstream, cancel);
  const std::lock_guard lock(mutex_);
  over_ = true;
  if (!done) failed_ = done.error();
  changed_.notify_all();
}

Result<std::int64_t> Fetch::wait(std::int64_t at, bool verified_only, const Cancel& waiting) {
  std::unique_lock lock(mutex_);
  const auto sendable = [&] { return verified_only ? 0 : std::min(available_, size_ - 1); };
  const auto enough = [&] { return over_ || sendable() >= std::min(at + kPiece, size_ - 1); };
  // What is there already goes out while more comes.
  if (!verified_only && sendable() > at && !over_) return sendable();
  while (!changed_.wait_for(lock, kLook, [&] { return enough() && (over_ || sendable() > at); })) {
    TRY(waiting.check());
    if (!verified_only && sendable() > at) return sendable();  // it comes slowly
  }
  if (failed_) return std::unexpected(*failed_);
  return over_ ? size_ : sendable();
}

Status Fetch::send(httpd::Answer& answer, std::int64_t offset, std::int64_t length, const Cancel& waiting) {
  const bool whole = offset == 0 && length == size_;
  for (std::int64_t at = offset; at < offset + length;) {
    const std::int64_t until = std::min(TRY(wait(at, !whole, waiting)), offset + length);
    TRY(answer.write_file(file_.get(), at, until - at));
    at = until;
  }
  return {};
}

}  // namespace slipway::distribution
