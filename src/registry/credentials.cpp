#include "registry/credentials.hpp"

#include <map>
#include <nlohmann/json.hpp>

#include "base/text.hpp"
#include "oci/json.hpp"
#include "registry/base64.hpp"
#include "registry/config_file.hpp"
#include "registry/credential_helper.hpp"
#include "sys/file.hpp"

namespace slipway::registry {
namespace {

constexpr std::int64_t kConfigFileLimit = 1 << 20;
constexpr const char* kVariable = "DOCKER_AUTH_CONFIG";
constexpr std::string_view kDockerIo = "docker.io";
constexpr std::string_view kDockerIoKey = "https://index.docker.io/v1/";

using Entries = std::map<std::string, Credential>;

/// The registry that a key of `auths` speaks of: "https://host:5000/v2/" → "host:5000", docker.io's many names → one.
/// Empty for keys with another path (podman's namespaces): such a credential is not the whole host's.
std::string registry_of_key(std::string_view key) {
  for (const std::string_view scheme : {"https://", "http://"})
    if (key.starts_with(scheme)) key.remove_prefix(scheme.size());
  const auto slash = std::min(key.find('/'), key.size());
  const std::string_view path = key.substr(slash);
  if (!(path.empty() || path == "/" || path == "/v1/" || path == "/v2/" || path == "/v1" || path == "/v2")) return {};
  std::string host = lower(key.substr(0, slash));
  if (host == "index.docker.io" || host == "registry-1.docker.io") return std::string(kDockerIo);
  return host;
}

std::string key_of_registry(const std::string& registry) {
  return registry == kDockerIo ? std::string(kDockerIoKey) : registry;
}

Result<Credential> read_entry(const oci::Json& entry) {
  TRY(entry.require_object());
  Credential credential;
  credential.username = TRY(entry.string("username"));
  credential.password = TRY(entry.string("password"));
  credential.identity_token = TRY(entry.string("identitytoken"));
  const std::string auth = TRY(entry.string("auth"));
  if (!auth.empty()) {
    const std::string plain = TRY(base64_decode(auth));
    const auto colon = plain.find(':');
    if (colon == std::string::npos) return fail(Code::kInvalidArgument, "auth is not user:password");
    credential.username = plain.substr(0, colon);
    credential.password = plain.substr(colon + 1);
    while (credential.password.ends_with('\0')) credential.password.pop_back();  // docker does so too
  }
  return credential;
}

/// What one configuration says.
struct Document {
  std::string source;  ///< as Credential::kept_in has it
  Entries entries;
  std::map<std::string, std::string> helpers;  ///< credHelpers: names by registry
  std::string store;                           ///< credsStore

  /// The name of the helper that keeps a registry's credentials; empty: none.
  [[nodiscard]] std::string helper_for(const std::string& registry) const {
    const auto found = helpers.find(registry);
    return found == helpers.end() ? store : found->second;
  }
};

Result<Document> parse_document(std::string_view text) {
  const oci::Json json = TRY(oci::Json::parse(text));
  Document document;
  for (const oci::Json entry : TRY(json.map("auths"))) {
    const std::string key(entry.key());
    Credential credential =
        TRY(context(read_entry(entry), "while reading the credentials of {}", slipway::quoted(key)));
    const bool empty = credential.username.empty() && credential.identity_token.empty();
    if (const std::string registry = registry_of_key(key); !registry.empty() && !empty)
      document.entries.insert({registry, std::move(credential)});
  }
  for (const oci::Json entry : TRY(json.map("credHelpers"))) {
    const std::string registry = registry_of_key(entry.key());
    const std::string name(TRY(entry.as_string()));
    if (!registry.empty()) document.helpers.insert({registry, name});  // an empty one: none, whatever credsStore says
  }
  document.store = TRY(json.string("credsStore"));
  return document;
}

/// Nothing when there is no text.
Result<std::optional<Document>> read_document(std::string_view text, const std::string& source) {
  if (trim(text).empty()) return std::nullopt;
  return TRY(context(parse_document(text), "while reading {}", source));
}

Result<std::optional<Document>> read_user_document(const Environment& environment) {
  const std::string path = config_path(environment);
  if (path.empty()) return std::nullopt;
  return TRY(read_document(TRY(read_config(path)).value_or(""), printable(path)));
}

/// The helper that the user's file names for a registry, ready to be called.
Result<std::optional<CredentialHelper>> users_helper(const Environment& environment, const std::string& registry,
                                                     const Variables& variables) {
  const auto document = TRY(read_user_document(environment));
  const std::string name = document ? document->helper_for(registry_of_key(registry)) : "";
  if (name.empty()) return std::nullopt;
  return TRY(CredentialHelper::find(name, environment("PATH").value_or(""), variables));
}

/// Reads, edits and replaces the user's file; everything that `edit` does not touch stays, in its order.
Result<std::string> edit_config(const Environment& environment,
                                const std::function<bool(nlohmann::ordered_json& root)>& edit, bool& changed) {
  std::string path = config_path(environment);
  if (path.empty())
    return fail(Code::kFailedPrecondition, "no place for credentials: neither DOCKER_CONFIG nor HOME is set");
  // People link this file into their dotfiles: the link stays, its target is replaced.
  if (char* real = ::realpath(path.c_str(), nullptr)) {
    path = real;
    ::free(real);
  }
  const auto text = TRY(read_config(path));
  const auto broken = [&](std::string_view why) {
    return fail(Code::kInvalidArgument, "cannot read {}: {}", printable(path), printable(why, 256));
  };
  if (text && !oci::Json::parse(*text)) return broken("it is not valid JSON");  // also limits the depth
  auto root = text ? nlohmann::ordered_json::parse(*text, nullptr, false) : nlohmann::ordered_json::object();
  if (!root.is_object()) return broken("it is not a JSON object");
  if (root.contains("auths") && !root["auths"].is_object()) return broken("auths is not an object");
  changed = edit(root);
  if (!changed) return path;
  TRY(sys::make_directories(path.substr(0, path.rfind('/')), 0700));
  TRY(sys::replace_file(path, root.dump(1, '\t', false, nlohmann::json::error_handler_t::replace) + "\n", 0600));
  return path;
}

}  // namespace

struct CredentialStore::State {
  std::vector<Document> documents;  ///< the first that knows counts
  std::string path;                 ///< PATH, for helpers
  Variables variables;
};

Result<CredentialStore> CredentialStore::load(const Environment& environment, Variables variables) {
  auto state = std::make_shared<State>();
  state->path = environment("PATH").value_or("");
  state->variables = std::move(variables);
  const std::string text = environment(kVariable).value_or("");
  if (std::ssize(text) > kConfigFileLimit) return fail(Code::kOutOfRange, "{} is too long", kVariable);
  if (auto document = TRY(read_document(text, kVariable))) {
    document->source = kVariable;
    state->documents.push_back(*std::move(document));
  }
  if (auto document = TRY(read_user_document(environment))) state->documents.push_back(*std::move(document));
  CredentialStore store;
  store.state_ = std::move(state);
  return store;
}

Result<std::optional<Credential>> CredentialStore::find(const std::string& registry, const Cancel& cancel) const {
  if (!state_) return std::nullopt;
  const std::string name = registry_of_key(registry);
  for (const Document& document : state_->documents) {
    std::optional<Credential> credential;
    if (const std::string helper_name = document.helper_for(name); !helper_name.empty()) {
      const auto helper = TRY(CredentialHelper::find(helper_name, state_->path, state_->variables));
      credential = TRY(helper.get(key_of_registry(registry), cancel));
    }
    if (const auto found = document.entries.find(name); !credential && found != document.entries.end())
      credential = found->second;
    if (!credential) continue;
    credential->kept_in = document.source;
    return credential;
  }
  return std::nullopt;
}

Result<SavedLogin> save_login(const Environment& environment, const std::string& registry, const Credential& credential,
                              const Variables& variables, const Cancel& cancel) {
  const auto helper = TRY(users_helper(environment, registry, variables));
  if (helper) TRY(helper->store(key_of_registry(registry), credential, cancel));
  bool changed = false;
  const auto edit = [&](nlohmann::ordered_json& root) {
    auto entry = nlohmann::ordered_json::object();  // empty beside a helper, as docker writes it
    if (!helper) {
      entry["auth"] = base64_encode(credential.username + ":" + credential.password);
      if (!credential.identity_token.empty()) entry["identitytoken"] = credential.identity_token;
    }
    root["auths"][key_of_registry(registry)] = std::move(entry);
    return true;
  };
  return SavedLogin{TRY(edit_config(environment, edit, changed)), helper ? helper->program() : ""};
}

Result<bool> remove_login(const Environment& environment, const std::string& registry, const Variables& variables,
                          const Cancel& cancel) {
  const auto helper = TRY(users_helper(environment, registry, variables));
  const bool erased = helper && TRY(helper->erase(key_of_registry(registry), cancel));
  bool changed = false;
  const auto edit = [&](nlohmann::ordered_json& root) {
    const auto auths = root.find("auths");
    if (auths == root.end()) return false;
    std::vector<std::string> doomed;
    for (const auto& [key, entry] : auths->items())
      if (registry_of_key(key) == registry_of_key(registry)) doomed.push_back(key);
    for (const auto& key : doomed) auths->erase(key);
    return !doomed.empty();
  };
  TRY(edit_config(environment, edit, changed));
  return changed || erased;
}

}  // namespace slipway::registry
