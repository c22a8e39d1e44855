// Sessions: uploads between the requests that they consist of. An upload is kept with its running hash, so that the
// next piece need not read the earlier ones again; what is not here any more (a restart, too many) is opened from the
// store by its id. Between requests any process of the store may go on with it.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "store/repositories.hpp"

namespace slipway::distribution {

class Sessions {
 public:
  /// `kept_ms`: a session that nobody used for so long is closed; it can be opened again.
  explicit Sessions(store::Repositories& repositories, std::int64_t kept_ms = 60'000);

  /// The right to one session; the next request for it waits.
  class Held {
   public:
    Held(Held&& other) noexcept
        : owner_(std::exchange(other.owner_, nullptr)),
          key_(std::move(other.key_)),
          upload_(std::move(other.upload_)) {}
    Held& operator=(Held&&) = delete;
    ~Held() {
      if (owner_ != nullptr) owner_->give_back(key_, std::move(upload_));
    }
    [[nodiscard]] store::Upload& upload() { return *upload_; }
    /// For commit() and drop(): the session is over.
    [[nodiscard]] store::Upload take() {
      store::Upload upload = std::move(*upload_);
      upload_.reset();
      return upload;
    }

   private:
    friend class Sessions;
    Held(Sessions& owner, std::string key, store::Upload upload)
        : owner_(&owner), key_(std::move(key)), upload_(std::move(upload)) {}
    Sessions* owner_;
    std::string key_;
    std::optional<store::Upload> upload_;
  };

  [[nodiscard]] Result<Held> begin(const std::string& repository);
  /// kNotFound for an unknown one, kAborted when another request, or another process, still has it after some
  /// seconds, kCancelled when `waiting` fired before; it is asked for only where there is something to wait for.
  [[nodiscard]] Result<Held> hold(const std::string& repository, const std::string& id,
                                  const std::function<Cancel()>& waiting);
  /// Ends one at once, whoever has it; false when there is none.
  [[nodiscard]] Result<bool> drop(const std::string& repository, const std::string& id);

 private:
  struct Entry {
    bool held = false;
    std::optional<store::Upload> upload;
    std::int64_t used = 0;
  };
  Status take(const std::string& repository, const std::string& id, std::optional<store::Upload>& upload);
  void give_back(const std::string& key, std::optional<store::Upload> upload);
  void trim();
  void trim_now_and_then(const std::stop_token& ended);

  store::Repositories& repositories_;
  const std::int64_t kept_ms_;
  std::mutex mutex_;
  std::condition_variable released_;
  std::map<std::string, Entry> entries_;  ///< by "repository\0id"
  std::condition_variable_any ending_;
  std::jthread trimmer_;  ///< closes what is idle where no request comes any more: its file may be over elsewhere
};

}  // namespace slipway::distribution
