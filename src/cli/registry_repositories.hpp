// `slipway registry ls` and `rm`: what the registry's repositories hold, for people. They work on the store, beside a
// server that runs or without one.
#pragma once

#include <string>
#include <string_view>

#include "base/error.hpp"
#include "cli/option.hpp"

namespace slipway::cli {

class Session;

/// [REPOSITORY] behind "ls".
[[nodiscard]] Result<int> list_repositories(Session& session, const Arguments& arguments);
/// NAME [NAME...] behind "rm": REPOSITORY, REPOSITORY:TAG or REPOSITORY@DIGEST.
[[nodiscard]] Result<int> remove_from_repositories(Session& session, const Arguments& arguments);

/// What a name on the command line names: "127.0.0.1:5000/app:1" has the tag 1, "localhost:5000/app" none.
struct RepositoryName {
  std::string repository;
  std::string tag, digest;  ///< one of them, or none
};
[[nodiscard]] RepositoryName split_repository_name(std::string_view text);

}  // namespace slipway::cli
