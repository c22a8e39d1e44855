// Accounts: users and groups of an image, read from its /etc/passwd and /etc/group as text. The host's NSS is never
// asked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/error.hpp"
#include "build/tree.hpp"

namespace slipway::build {

struct Account {
  std::uint32_t uid = 0, gid = 0;
  std::vector<std::uint32_t> groups;  ///< supplementary ones; none when a group was named
  std::string home = "/";
};

/// `USER name|uid[:group|gid]` as runc resolves it: a number's passwd entry gives gid, groups and home; an unknown
/// number has gid 0; an unknown name is "unable to find user x: no matching entries in passwd file".
[[nodiscard]] Result<Account> resolve_user(const std::string& spec, const Tree& root);

struct Owner {
  std::uint32_t uid = 0, gid = 0;
  friend bool operator==(const Owner&, const Owner&) = default;
};

/// `--chown=user[:group]` as BuildKit resolves it: a name's group comes from passwd, a number's is the same number.
/// Unknown names are refused (BuildKit takes 0 silently).
[[nodiscard]] Result<Owner> resolve_owner(const std::string& spec, const Tree& root);

}  // namespace slipway::build
