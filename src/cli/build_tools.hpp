// BuildTools: what a build works with, opened for as long as one command builds.
#pragma once

#include <functional>

#include "build/build.hpp"
#include "cli/session.hpp"

namespace slipway::cli {

/// Opens the store and hands it to `use` with all else that build() takes; the sandbox is made by the first step that
/// runs.
[[nodiscard]] Status lend_build_tools(Session& session, const build::Request& request, registry::Client& client,
                                      const std::function<Status(build::Tools&)>& use);

/// The same for work that answers.
template <class Answer>
[[nodiscard]] Result<Answer> with_build_tools(Session& session, const build::Request& request, registry::Client& client,
                                              const std::function<Result<Answer>(build::Tools&)>& use) {
  std::optional<Answer> answer;
  TRY(lend_build_tools(session, request, client, [&](build::Tools& tools) -> Status {
    answer = TRY(use(tools));
    return {};
  }));
  return *std::move(answer);
}

}  // namespace slipway::cli
