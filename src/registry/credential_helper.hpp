// Credential helpers: programs called docker-credential-NAME that keep credentials elsewhere than in config.json.
// Protocol: https://github.com/docker/docker-credential-helpers (get, store, erase; a server's URL or JSON on standard
// input, JSON on standard output).
//
//   const auto helper = TRY(CredentialHelper::find("ecr-login", environment("PATH").value_or(""), variables));
//   if (const auto credential = TRY(helper.get("123.dkr.ecr.eu-west-1.amazonaws.com", cancel))) …
//
// A NAME comes from a file and becomes part of a program's name: it is [A-Za-z0-9][A-Za-z0-9._-]{0,63}, so never a
// path, and only absolute folders of PATH are searched. A helper gets 30 s and says at most 64 KiB; what it writes is
// shown only when it failed and only where it can not be a credential.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/cancel.hpp"
#include "base/error.hpp"
#include "registry/credential.hpp"

namespace slipway::registry {

class CredentialHelper {
 public:
  /// `path` is PATH, `variables` ("K=V") are the helper's environment. kInvalidArgument for a name that is none,
  /// kNotFound when there is no such program.
  static Result<CredentialHelper> find(const std::string& name, const std::string& path,
                                       std::vector<std::string> variables);
  /// Nothing when the helper knows none for `server`. The user name "<token>" means an identity token.
  [[nodiscard]] Result<std::optional<Credential>> get(const std::string& server, const Cancel& cancel) const;
  [[nodiscard]] Status store(const std::string& server, const Credential& credential, const Cancel& cancel) const;
  /// False when there was nothing to erase.
  [[nodiscard]] Result<bool> erase(const std::string& server, const Cancel& cancel) const;
  [[nodiscard]] const std::string& program() const { return program_; }  ///< "docker-credential-NAME"

 private:
  CredentialHelper(std::string program, std::string file, std::vector<std::string> variables)
      : program_(std::move(program)), file_(std::move(file)), variables_(std::move(variables)) {}
  /// What it said; nothing when it said that there are no such credentials.
  [[nodiscard]] Result<std::optional<std::string>> call(const char* action, const std::string& input,
                                                        const std::string& what, const Cancel& cancel) const;

  std::string program_, file_;
  std::vector<std::string> variables_;
};

}  // namespace slipway::registry
