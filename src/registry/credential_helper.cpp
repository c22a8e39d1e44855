#include "registry/credential_helper.hpp"

#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "oci/canonical_json.hpp"
#include "oci/json.hpp"
#include "sys/child.hpp"

namespace slipway::registry {
namespace {

constexpr int kTimeoutMs = 30'000;
constexpr std::size_t kOutputLimit = 64 * 1024;
constexpr std::size_t kNameLimit = 64;
constexpr std::size_t kMessageLimit = 200;
constexpr std::string_view kTokenUser = "<token>";
constexpr std::string_view kNotFound = "credentials not found in native keychain";

bool is_name(std::string_view name) {
  const auto alnum = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  return !name.empty() && name.size() <= kNameLimit && alnum(name.front()) &&
         std::all_of(name.begin(), name.end(), [&](char c) { return alnum(c) || c == '.' || c == '_' || c == '-'; });
}

/// The first line of what a failed helper wrote; nothing when it looks like an answer, which may hold a secret.
std::string complaint(const sys::Output& output) {
  for (const std::string& text : {output.out, output.err}) {
    const auto line = trim(std::string_view(text).substr(0, text.find('\n')));
    if (!line.empty() && !line.starts_with('{')) return printable(line, kMessageLimit);
  }
  return output.status.text();
}

}  // namespace

Result<CredentialHelper> CredentialHelper::find(const std::string& name, const std::string& path,
                                                std::vector<std::string> variables) {
  if (!is_name(name))
    return fail(Code::kInvalidArgument, "{} is no name of a credential helper (letters, digits, '.', '_', '-')",
                quoted(name, 100));
  std::string program = "docker-credential-" + name;
  for (const auto folder : split(path, ':')) {
    if (!folder.starts_with('/')) continue;  // a folder below the working directory may be anybody's
    std::string file = fmt::format("{}/{}", folder, program);
    if (::access(file.c_str(), X_OK) == 0)
      return CredentialHelper(std::move(program), std::move(file), std::move(variables));
  }
  return std::unexpected(Error(Code::kNotFound, fmt::format("the credential helper {} is not in PATH", program))
                             .with_hint("install it, or remove credsStore or credHelpers from docker's config.json"));
}

Result<std::optional<std::string>> CredentialHelper::call(const char* action, const std::string& input,
                                                          const std::string& what, const Cancel& cancel) const {
  const sys::ChildOptions options{.argv = {file_, action}, .environment = variables_, .own_group = true};
  auto output = sys::run(options, input, cancel, kTimeoutMs, kOutputLimit + 1);
  if (!output) {
    if (output.error().code() == Code::kDeadlineExceeded)
      return fail(Code::kDeadlineExceeded, "{} did not {} {} within {} s", program_, action, what, kTimeoutMs / 1000);
    return std::unexpected(std::move(output).error());
  }
  if (output->out.size() > kOutputLimit)
    return fail(Code::kOutOfRange, "{} says more than {} bytes", program_, kOutputLimit);
  if (output->status.ok()) return std::move(output->out);
  if (trim(output->out) == kNotFound || trim(output->err) == kNotFound) return std::nullopt;
  return fail(Code::kUnauthenticated, "{} did not {} {}: {}", program_, action, what, complaint(*output));
}

Result<std::optional<Credential>> CredentialHelper::get(const std::string& server, const Cancel& cancel) const {
  const std::string what = "the credentials of " + printable(server, 300);
  const auto answer = TRY(call("get", server, what, cancel));
  if (!answer) return std::nullopt;
  const auto read = [&]() -> Result<Credential> {
    const auto document = oci::Json::parse(*answer, {.bytes = kOutputLimit, .depth = 4});
    if (!document || !document->is_object()) return fail(Code::kDataLoss, "it is not JSON");  // the text is a secret
    Credential credential;
    credential.username = TRY(document->string("Username"));
    credential.password = TRY(document->string("Secret"));
    if (credential.username == kTokenUser) credential.identity_token = std::exchange(credential.password, "");
    return credential;
  };
  auto credential = TRY(context(read(), "while reading what {} says of {}", program_, printable(server, 300)));
  if (credential.username.empty() || (credential.password.empty() && credential.identity_token.empty()))
    return std::nullopt;
  return credential;
}

Status CredentialHelper::store(const std::string& server, const Credential& credential, const Cancel& cancel) const {
  const bool token = !credential.identity_token.empty();
  oci::JsonWriter json;
  json.begin_object();
  json.member("ServerURL", server);
  json.member("Username", token ? std::string(kTokenUser) : credential.username);
  json.member("Secret", token ? credential.identity_token : credential.password);
  json.end_object();
  (void)TRY(call("store", json.take() + "\n", "the credentials of " + printable(server, 300), cancel));
  return {};
}

Result<bool> CredentialHelper::erase(const std::string& server, const Cancel& cancel) const {
  return TRY(call("erase", server, "the credentials of " + printable(server, 300), cancel)).has_value();
}

}  // namespace slipway::registry
