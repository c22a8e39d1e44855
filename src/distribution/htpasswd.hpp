// Htpasswd: users and passwords of a file as `htpasswd -B` writes it, with bcrypt only.
//
//   const auto users = TRY(Htpasswd::load("/etc/slipway/htpasswd"));
//   if (const auto user = TRY(users->user_of(header, request.peer(), log))) …
//
// A bcrypt check takes a twentieth of a second and more, on purpose; so one that succeeded is remembered for some
// minutes after its last use, as a keyed hash in memory (proven.hpp), also when the file changes and this user's line
// does not. At most two run at the same time, and few wait for it (places.hpp). A user who is not there costs as much
// as a wrong password of the slowest. The file is read again when it changes; a change that can not be read leaves the
// old users in place.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"
#include "distribution/places.hpp"
#include "distribution/proven.hpp"

namespace slipway::distribution {

inline constexpr std::int64_t kHtpasswdLimit = 1 << 20;  ///< bytes of the file

/// User → hash ("$2y$05$…"). Empty lines and those that begin with '#' are skipped; anything that is not
/// USER:BCRYPT-HASH, a user given twice and a cost above 16 are errors that name the line.
[[nodiscard]] Result<std::map<std::string, std::string>> parse_htpasswd(std::string_view text);

/// A hash of nobody's password that takes as long as the slowest of `users`: who is not there can not be told by time.
[[nodiscard]] std::string hash_of_nobody(const std::map<std::string, std::string>& users);

struct Credentials {
  std::string user, password;
};
/// Of an Authorization header: "Basic " and base64 of "user:password"; nothing when it is not that.
[[nodiscard]] std::optional<Credentials> parse_basic(std::string_view header);

class Htpasswd {
 public:
  /// Errors name the file.
  static Result<std::unique_ptr<Htpasswd>> load(const std::string& path);
  /// Who the header proves to be; nothing when it proves nobody. Safe in any thread. `peer`: the address that it came
  /// from. `trouble` is told of a changed file that can not be read. kResourceExhausted when too many wait to be
  /// checked.
  [[nodiscard]] Result<std::optional<std::string>> user_of(std::string_view header, std::string_view peer,
                                                           const std::function<void(const std::string&)>& trouble);

 private:
  explicit Htpasswd(std::string path);
  void look_at_file(const std::function<void(const std::string&)>& trouble);
  [[nodiscard]] std::string remembered_as(const Credentials& credentials, const std::string& hash) const;
  [[nodiscard]] bool is_proven(const std::string& memory);

  const std::string path_;
  std::string key_;  ///< of the remembered hashes
  std::mutex mutex_;
  std::map<std::string, std::string> users_;
  std::string nobody_;  ///< the hash that stands for users who are not there
  std::string stamp_;
  std::int64_t looked_at_ = 0;
  Proven proven_;
  Places places_{Places::Limits{}};
};

}  // namespace slipway::distribution
