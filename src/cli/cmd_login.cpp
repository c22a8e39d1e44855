#include "base/text.hpp"
#include "cli/commands.hpp"
#include "cli/password.hpp"
#include "cli/registry_name.hpp"
#include "cli/registry_options.hpp"
#include "cli/session.hpp"

namespace slipway::cli {
namespace {

Result<registry::Credential> credential(Session& session, const Arguments& arguments) {
  registry::Credential made;
  made.username = arguments.value("username").value_or("");
  const auto password = arguments.value("password");
  if (arguments.flag("password-stdin")) {
    if (password) return fail(Code::kUsage, "--password and --password-stdin are mutually exclusive");
    if (made.username.empty()) return fail(Code::kUsage, "must provide --username with --password-stdin");
    made.password = TRY(password_from_stdin(session.cancel));
  } else if (password) {
    session.say("WARNING! Using --password via the CLI is insecure. Use --password-stdin.\n");
    made.password = *password;
  }
  if (made.username.empty()) made.username = TRY(ask("Username: ", Echo::kOn, session.cancel));
  if (made.username.empty()) return fail(Code::kUsage, "username is empty");
  if (made.password.empty() && !arguments.flag("password-stdin"))
    made.password = TRY(ask("Password: ", Echo::kOff, session.cancel));
  if (made.password.empty()) return fail(Code::kUsage, "password is empty");
  return made;
}

Result<int> run(Session& session, const Arguments& arguments) {
  const auto registry =
      TRY(registry_name(arguments.positional().empty() ? "" : std::string_view(arguments.positional()[0])));
  auto made = credential(session, arguments);
  if (!made && made.error().code() == Code::kFailedPrecondition) {
    return std::unexpected(Error(Code::kUsage, "can not ask for a user name and a password: there is no terminal")
                               .with_hint("echo PASSWORD | slipway login -u USER --password-stdin REGISTRY"));
  }
  const auto who = TRY(std::move(made));
  const auto client = TRY(session.registry_client(arguments));
  TRY(context(client.check_login(registry, who, session.cancel), "while logging in to {}", registry));
  const auto saved = TRY(registry::save_login(session.environment, registry, who, session.variables, session.cancel));
  if (saved.helper.empty())
    session.say(fmt::format("WARNING! Your password will be stored unencrypted in {}.\n", printable(saved.path)));
  const auto used = TRY(TRY(registry::CredentialStore::load(session.environment, session.variables)).find(registry));
  if (used && !used->kept_in.empty() && (used->username != who.username || used->password != who.password))
    session.say(
        fmt::format("WARNING! {} has other credentials for {} and goes before these.\n", used->kept_in, registry));
  TRY(session.out.write("Login Succeeded\n"));
  return 0;
}

}  // namespace

const Command& login_command() {
  static const Command command = {
      .name = "login",
      .summary = "Check credentials for a registry and keep them as docker does",
      .arguments = "[SERVER]",
      .examples = {{"echo \"$TOKEN\" | slipway login -u ci --password-stdin registry.example", "in CI"},
                   {"slipway login registry.example:5000", "asks on the terminal"},
                   {"slipway login", "Docker Hub"}},
      .options = {kInsecureRegistryOption,
                  {.name = "password",
                   .letter = 'p',
                   .takes = Takes::kValue,
                   .value = "TEXT",
                   .help = "password or token (others on the machine can see it: better --password-stdin)"},
                  {.name = "password-stdin", .help = "take the password from standard input"},
                  {.name = "username", .letter = 'u', .takes = Takes::kValue, .value = "NAME", .help = "user name"}},
      .most = 1,
      .needs = Needs::kNothing,
      .run = run};
  return command;
}

}  // namespace slipway::cli
