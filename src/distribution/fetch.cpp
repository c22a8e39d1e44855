#include "distribution/fetch.hpp"

#include <algorithm>
#include <chrono>

#include "base/time.hpp"
#include "sys/lock.hpp"

namespace slipway::distribution {
namespace {

/// Followers are woken for so much at once: each sends it with one call.
constexpr std::int64_t kPiece = 256 * 1024;
constexpr auto kLook = std::chrono::milliseconds(200);  ///< for a follower that left

constexpr std::int64_t kAbandonedMs = 10'000;  ///< a client that comes back so soon finds its download

}  // namespace

std::shared_ptr<Fetch::Follower> Fetch::follow(const std::shared_ptr<Fetch>& fetch) {
  {
    const std::lock_guard lock(fetch->mutex_);
    if (fetch->given_up_ || fetch->failed_ || (fetch->over_ && !fetch->file_)) return nullptr;
    ++fetch->followers_;
  }
  return std::shared_ptr<Follower>(new Follower(fetch));
}

void Fetch::leave() {
  const std::lock_guard lock(mutex_);
  if (--followers_ > 0) return;
  left_alone_ = monotonic_ms();
  if (over_) file_.reset();
}

void Fetch::give_up_if_abandoned() {
  const std::lock_guard lock(mutex_);
  if (over_ || given_up_ || followers_ > 0 || left_alone_ == 0 || monotonic_ms() - left_alone_ < kAbandonedMs) return;
  given_up_ = true;
  source_.fire("nobody waits for the blob any more");
}

bool Fetch::over() const {
  const std::lock_guard lock(mutex_);
  return over_;
}

std::optional<Error> Fetch::failure() const {
  const std::lock_guard lock(mutex_);
  return failed_;
}

void Fetch::show(sys::Fd file, std::int64_t available) {
  (void)sys::share_lock(file.get());  // gc leaves it alone until it is sent
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
  // A HEAD says that it has the blob; that it is its own to give was seen when the bytes came from there once.
  const bool came = word_ == registry::Word::kFirm && TRY(repositories.find_blob_anywhere(digest_)).has_value();
  const auto known = came ? TRY(store.acquire_blob(lease, digest_)) : std::nullopt;
  if (known) {
    if (known->size != size_)
      return fail(Code::kDataLoss, "{} has {} bytes and not {}, as was told", digest_.text(), known->size, size_);
    sys::Fd file = TRY(store.open_blob(digest_));
    TRY(repositories.link_blob(repository, digest_));
    show(std::move(file), size_);
    return {};
  }
  TRY(repositories.make_room(lease, size_));
  store::BlobWriter writer = TRY(store.write_blob(lease));
  show(TRY(writer.reader()), 0);
  const layer::Target sink = [&](std::string_view bytes) -> Status {
    TRY(writer.write(bytes));
    more(writer.written());
    give_up_if_abandoned();
    return cancel.check();
  };
  const auto word =
      TRY(upstream.blob({.media_type = "application/octet-stream", .digest = digest_, .size = size_}, sink, cancel));
  TRY(writer.commit({.digest = digest_, .size = size_}));
  if (word == registry::Word::kFirm) return repositories.link_blob(repository, digest_);
  if (word_ == registry::Word::kStale) return {};
  return fail(Code::kAborted, "the upstream could be asked for {}, and then could not", digest_.text());
}

void Fetch::run(store::Store& store, store::Repositories& repositories, const std::string& repository,
                const registry::Repository& upstream) {
  const Status done = download(store, repositories, repository, upstream, source_.cancel());
  const std::lock_guard lock(mutex_);
  over_ = true;
  if (!done) failed_ = done.error();
  if (followers_ == 0) file_.reset();
  changed_.notify_all();
}

Status Fetch::wait_for_room(const Cancel& waiting) {
  std::unique_lock lock(mutex_);
  while (!changed_.wait_for(lock, kLook, [&] { return over_ || file_; })) TRY(waiting.check());
  if (failed_) return std::unexpected(*failed_);
  return {};
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
