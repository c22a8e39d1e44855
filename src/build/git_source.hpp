// Git source: one repository at one commit, brought here by the git program.
//
// git runs without the user's and the machine's configuration, without hooks, templates, filters, helpers and prompts,
// with the protocols http, https, git and ssh only, in a process group that ends with it. The token of GIT_AUTH_TOKEN
// (or the header of GIT_AUTH_HEADER, also with ".host" behind the name) goes to the repository's own origin and never
// through a redirect. What it takes on disk is bounded (GitSetup::disk_bytes). What was checked out is owned by root,
// 0644 or 0755, and as old as its commit: equal commits are equal trees.
#pragma once

#include <memory>
#include <string>

#include "build/git_reference.hpp"
#include "build/remote_source.hpp"

namespace slipway::build {

class GitRepository {
 public:
  GitRepository(GitReference reference, const GitSetup& setup) : git_(std::move(reference)), setup_(setup) {}

  /// The commit that the reference means now: asks the server (ls-remote), unless it is a commit itself and no
  /// credentials are shown. Errors: "X has no branch or tag Y", "expected checksum to match X, got Y".
  [[nodiscard]] Result<std::string> resolve(const Cancel& cancel);
  /// Brings the commit into the existing, empty `directory`; with submodules, without ".git" unless it is kept.
  [[nodiscard]] Status check_out(const std::string& commit, const std::string& directory, const Cancel& cancel);
  /// The same for the subdirectory that the reference names: links in its path are followed inside the checkout.
  [[nodiscard]] Status bring_into(const std::string& commit, const std::string& directory, const Cancel& cancel);
  [[nodiscard]] const GitReference& reference() const { return git_; }
  /// Whether the server is shown who asks: a secret for its origin, or ssh. What came so is for those who can ask
  /// again.
  [[nodiscard]] bool with_credentials() const;

 private:
  [[nodiscard]] Result<std::string> run(const std::string& directory, std::vector<std::string> arguments,
                                        const Cancel& cancel) const;
  [[nodiscard]] Result<std::vector<std::string>> environment() const;
  [[nodiscard]] Status bring(const std::string& commit, const std::string& directory, const Cancel& cancel) const;
  [[nodiscard]] Status bring_all(const std::string& commit, const std::string& directory, const Cancel& cancel) const;
  [[nodiscard]] Status bring_submodules(const std::string& directory, const Cancel& cancel) const;

  GitReference git_;
  const GitSetup& setup_;
  std::string full_ref_;  // "refs/heads/main", once resolved from a name
};

[[nodiscard]] std::shared_ptr<RemoteSource> git_source(GitReference reference, RemoteSources& sources);

}  // namespace slipway::build
