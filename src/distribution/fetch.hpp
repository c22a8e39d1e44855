// Fetch: one download of a blob that any number of clients follow while it comes.
//
// The bytes go to the store and are verified there; followers read them from the same file. The last byte of a body is
// kept back until the digest is known to be right: nobody gets a whole body of wrong bytes.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "httpd/server.hpp"
#include "oci/digest.hpp"
#include "registry/client.hpp"
#include "store/repositories.hpp"
#include "store/store.hpp"

namespace slipway::distribution {

class Fetch {
 public:
  /// `there`: what the upstream's HEAD told. `ending` ends it, as does being followed by nobody for some seconds.
  Fetch(const oci::Digest& digest, const registry::Sized& there, const Cancel& ending)
      : digest_(digest), size_(there.size), word_(there.word), source_(ending) {}

  /// One who waits for it. The download does not end for want of interest while there is any.
  class Follower {
   public:
    Follower(const Follower&) = delete;
    Follower& operator=(const Follower&) = delete;
    ~Follower() { fetch_->leave(); }
    [[nodiscard]] Fetch& fetch() const { return *fetch_; }

   private:
    friend class Fetch;
    explicit Follower(std::shared_ptr<Fetch> fetch) : fetch_(std::move(fetch)) {}
    std::shared_ptr<Fetch> fetch_;
  };
  /// Nothing when the download has failed, was given up, or is over and was sent: then the blob is in the store.
  [[nodiscard]] static std::shared_ptr<Follower> follow(const std::shared_ptr<Fetch>& fetch);
  /// Gives it up when nobody has followed for some seconds.
  void give_up_if_abandoned();
  /// Waits until there is room for it and bytes may come; the error when not.
  [[nodiscard]] Status wait_for_room(const Cancel& waiting);

  [[nodiscard]] std::int64_t size() const { return size_; }
  [[nodiscard]] registry::Word word() const { return word_; }
  [[nodiscard]] bool over() const;

  /// Downloads, stores, verifies and links (a stale answer proves nothing: then it does not); in the thread of whoever
  /// began it. Wakes the followers on the way.
  void run(store::Store& store, store::Repositories& repositories, const std::string& repository,
           const registry::Repository& upstream);
  /// Why it failed; nothing while it runs, or when it went well.
  [[nodiscard]] std::optional<Error> failure() const;

  /// Sends a part of the blob as it comes. A part that does not begin at 0 and end at the end is sent when all is
  /// verified. An error means that the answer must be cut. `waiting`: of this follower.
  [[nodiscard]] Status send(httpd::Answer& answer, std::int64_t offset, std::int64_t length, const Cancel& waiting);

 private:
  Status download(store::Store& store, store::Repositories& repositories, const std::string& repository,
                  const registry::Repository& upstream, const Cancel& cancel);
  void leave();
  void show(sys::Fd file, std::int64_t available);
  void more(std::int64_t available);
  /// Waits until there is something to send beyond `at`; gives how far one may send.
  Result<std::int64_t> wait(std::int64_t at, bool verified_only, const Cancel& waiting);

  const oci::Digest digest_;
  const std::int64_t size_;
  const registry::Word word_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  sys::Fd file_;  ///< set once; closed when it is over and sent: gc leaves it alone so long
  std::int64_t available_ = 0;
  bool over_ = false;
  bool given_up_ = false;
  int followers_ = 0;
  std::int64_t left_alone_ = 0;  ///< monotonic ms: when the last follower left
  CancelSource source_;
  std::optional<Error> failed_;
};

}  // namespace slipway::distribution
