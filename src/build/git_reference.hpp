// Git references: how a Dockerfile or a command line names a repository, a ref in it and a folder below (spec section
// 4, "Git").
//
//   https://host/team/app.git#v1:docs     git@host:team/app.git     git://…     ssh://…
//   https://host/team/app.git?ref=main&subdir=docs&submodules=false&keep-git-dir=true&checksum=1a2b3c4
//
// Everything that later becomes an argument of the git program is checked here: it can not be taken for an option, a
// refspec or another protocol.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/error.hpp"

namespace slipway::build {

struct GitReference {
  std::string remote;    ///< for the git program: URL or user@host:path
  std::string scheme;    ///< http, https, git or ssh
  std::string origin;    ///< "https://host:port" of http(s), else empty
  std::string ref;       ///< branch, tag, "refs/…" or commit; empty: HEAD
  std::string subdir;    ///< as written; empty: all
  std::string checksum;  ///< the start of the commit's id in hexadecimal; empty: any
  std::optional<bool> keep_git_dir, submodules;

  /// Whether `text` names a repository: scheme git or ssh, user@host:path, or http(s) with a path that ends in ".git".
  static bool names_one(std::string_view text);
  /// Errors (kInvalidArgument) in BuildKit's words: `query "x" has multiple values`, `unexpected query "x"`, `ref
  /// conflicts: "a" vs "b"`, `branch conflicts with tag`, …
  static Result<GitReference> parse(const std::string& text);
};

/// Whether `text` is a whole commit id: 40 or 64 hexadecimal digits.
[[nodiscard]] bool is_commit(std::string_view text);

/// 7 to 64 lower-case hexadecimal digits, or an error that says so.
[[nodiscard]] Status check_git_checksum(std::string_view text);

}  // namespace slipway::build
