// `slipway registry`: serves the store as an OCI registry, or as a mirror of one, until it is told to stop; with `ls`
// and `rm`, shows and removes what its repositories hold.
#include <algorithm>

#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/commands.hpp"
#include "cli/registry_repositories.hpp"
#include "cli/session.hpp"
#include "distribution/registry.hpp"
#include "httpd/server.hpp"

namespace slipway::cli {
namespace {

constexpr std::string_view kDefaultAddress = "127.0.0.1:5000";

struct Setup {
  httpd::Options server;
  distribution::Options registry;
};

Error usage(Error error) { return std::move(error).with_code(Code::kUsage); }

/// Whoever reaches a registry without a password file may push, delete and fill the disk. That is for this machine
/// only.
Status judge_reach(const httpd::Address& address, const Setup& setup) {
  if (address.loopback() || setup.registry.users || setup.registry.read_only || setup.registry.upstream) return {};
  return std::unexpected(
      Error(Code::kUsage, fmt::format("{} is reachable from other machines, where anybody could push and delete",
                                      printable(address.text())))
          .with_hint("give --htpasswd FILE, or --read-only; or --listen 127.0.0.1:5000"));
}

Result<httpd::TlsFiles> tls_files(const Arguments& arguments) {
  httpd::TlsFiles files{arguments.value("tls-cert").value_or(""), arguments.value("tls-key").value_or("")};
  if (files.certificate.empty() || files.key.empty())
    return fail(Code::kUsage, "TLS needs both --tls-cert FILE and --tls-key FILE");
  return files;
}

Result<std::optional<distribution::Upstream>> upstream_of(const Session& session, const Arguments& arguments) {
  const auto url = arguments.value("mirror-of");
  if (arguments.flag("offline") && !url) return fail(Code::kUsage, "--offline is for a mirror: give --mirror-of too");
  if (!url) return std::nullopt;
  auto upstream = TRY(distribution::Upstream::parse(*url));
  if (arguments.flag("offline")) upstream.image_scope = session.scope;
  return upstream;
}

Result<Setup> setup_of(const Session& session, const Arguments& arguments) {
  Setup setup;
  auto address = httpd::Address::parse(arguments.value("listen").value_or(std::string(kDefaultAddress)));
  if (!address) return std::unexpected(usage(std::move(address).error()));
  setup.server.addresses = {*address};
  if (arguments.has("tls-cert") || arguments.has("tls-key")) setup.server.tls = TRY(tls_files(arguments));
  setup.registry.read_only = arguments.flag("read-only");
  setup.registry.upstream = TRY(upstream_of(session, arguments));
  if (const auto file = arguments.value("htpasswd")) setup.registry.users = TRY(distribution::Htpasswd::load(*file));
  TRY(judge_reach(*address, setup));
  return setup;
}

/// "2026-11-30T15:47:36Z 127.0.0.1 alice GET /v2/app/manifests/1 200 1234 3ms"; "-" for what is not known.
std::string access_line(const httpd::Served& served) {
  const auto word = [](const std::string& text, std::size_t limit) {
    std::string shown = printable(text, limit);
    for (char& c : shown)
      if (c == ' ') c = '_';
    return shown.empty() ? "-" : shown;
  };
  const std::int64_t bytes = served.method == "GET" || served.method == "HEAD" ? served.sent : served.received;
  std::string line =
      fmt::format("{} {} {} {} {} {} {} {}ms", rfc3339({now().seconds, 0}), served.peer, word(served.user, 100),
                  word(served.method, 20), word(served.target, 1000), served.status, bytes, served.milliseconds);
  if (!served.whole) line += " broke-off";
  if (!served.note.empty()) line += " " + quoted(served.note, 500);
  return line + "\n";
}

Result<int> serve(Session& session, const Arguments& arguments) {
  Setup setup = TRY(setup_of(session, arguments));
  auto store = TRY(session.open_store());
  const auto say = [&](const std::string& what) {
    session.say(fmt::format("{} {}\n", rfc3339({now().seconds, 0}), what));
  };
  setup.registry.log = say;
  setup.server.trouble = say;
  setup.server.served = [&](const httpd::Served& served) { session.say(access_line(served)); };
  std::optional<registry::Client> client;
  if (setup.registry.upstream && !arguments.flag("offline")) {
    client = TRY(session.registry_client(arguments));
    setup.registry.upstream->client = &*client;
  }
  const bool clear_passwords = setup.registry.users && !setup.server.tls && !setup.server.addresses.front().loopback();
  auto server = TRY(httpd::Server::listen(std::move(setup.server)));
  if (setup.registry.upstream)
    for (const auto& url : server.urls())
      if (url.ends_with("//" + setup.registry.upstream->name))
        return fail(Code::kUsage, "--mirror-of {} is this registry itself", printable(setup.registry.upstream->name));
  if (clear_passwords)
    say("warning: passwords cross the network in clear text; give --tls-cert and --tls-key, or put TLS in front");
  for (const auto& url : server.urls()) TRY(session.out.write(fmt::format("listening on {}\n", url)));
  TRY(session.out.flush());
  setup.registry.most_waiting = server.requests() * 3 / 4;
  distribution::Registry registry(store, std::move(setup.registry));
  TRY(server.run([&](httpd::Request& request, httpd::Answer& answer) { registry.handle(request, answer); },
                 session.cancel));
  return 0;
}

/// What stands behind `slipway registry`; the empty name serves.
struct Action {
  std::string_view name;
  std::string_view arguments;
  std::size_t least, most;  ///< arguments, with the action's name
  std::vector<std::string_view> options;
  Result<int> (*run)(Session& session, const Arguments& arguments);
};

const std::vector<Action>& actions() {
  static const std::vector<Action> all = {
      {"", "", 0, 0, {"listen", "mirror-of", "offline", "read-only", "htpasswd", "tls-cert", "tls-key"}, serve},
      {"ls", "[REPOSITORY]", 1, 2, {"format", "mirrored", "pushed"}, list_repositories},
      {"rm", "NAME [NAME...]", 2, SIZE_MAX, {"mirrored", "pushed"}, remove_from_repositories}};
  return all;
}

Result<const Action*> action_of(const Arguments& arguments) {
  const auto& words = arguments.positional();
  const std::string name = words.empty() ? "" : words[0];
  const auto found = std::ranges::find(actions(), name, &Action::name);
  if (found == actions().end() || (name.empty() && !words.empty())) {
    const std::string near = nearest(name, {"ls", "rm"});
    return std::unexpected(
        Error(Code::kUsage, fmt::format("there is no 'slipway registry {}'{}", printable(name, 64),
                                        near.empty() ? "" : fmt::format("; did you mean {}?", near)))
            .with_hint("'slipway registry' serves; it has 'ls [REPOSITORY]' and 'rm NAME [NAME...]'"));
  }
  const std::string spelled = name.empty() ? "slipway registry" : "slipway registry " + name;
  for (const auto& action : actions())
    for (const auto option : action.options)
      if (arguments.has(option) && std::ranges::find(found->options, option) == found->options.end())
        return fail(Code::kUsage, "'{}' has no option --{}", spelled, option);
  if (words.size() < found->least || words.size() > found->most)
    return fail(Code::kUsage, "'{0}' takes other arguments: {0} {1}", spelled, found->arguments);
  return &*found;
}

Result<int> run(Session& session, const Arguments& arguments) {
  return TRY(action_of(arguments))->run(session, arguments);
}

}  // namespace

const Command& registry_command() {
  static const Command command = {
      .name = "registry",
      .summary = "Serve images to other programs: a registry on this store, or a mirror of another one",
      .arguments = "[ls [REPOSITORY] | rm NAME [NAME...]]",
      .examples = {{"slipway registry", "on 127.0.0.1:5000, for this machine"},
                   {"slipway registry --listen :5000 --htpasswd users --tls-cert c.pem --tls-key k.pem", "for others"},
                   {"slipway registry --mirror-of https://registry-1.docker.io", "fetch once, serve many times"},
                   {"slipway registry ls team/app", "its tags; without a name: all repositories"},
                   {"slipway registry rm team/app:1", "a tag, and the image with its last one; gc frees it"}},
      .options = {{.name = "listen",
                   .takes = Takes::kValue,
                   .value = "HOST:PORT",
                   .help =
                       "where to listen (default: 127.0.0.1:5000); port 0 is any free one, no host is every address"},
                  {.name = "format",
                   .takes = Takes::kValue,
                   .value = "FORMAT",
                   .help = "ls: text, json (an object per line), 'table TEMPLATE' or a Go template"},
                  {.name = "mirror-of",
                   .takes = Takes::kValue,
                   .value = "URL",
                   .help = "serve what this registry has, and keep it; pushes are refused"},
                  {.name = "mirrored", .help = "ls, rm: only what mirrors have"},
                  {.name = "offline",
                   .help = "with --mirror-of: never ask it; images of this store under its name count too"},
                  {.name = "pushed", .help = "ls, rm: only what was pushed here"},
                  {.name = "read-only", .help = "refuse pushes and deletes"},
                  {.name = "htpasswd",
                   .takes = Takes::kValue,
                   .value = "FILE",
                   .help = "users and passwords, made with `htpasswd -B`; read again when it changes",
                   .completes = Completes::kFile},
                  {.name = "tls-cert",
                   .takes = Takes::kValue,
                   .value = "FILE",
                   .help = "certificate chain (PEM); read again when it changes",
                   .completes = Completes::kFile},
                  {.name = "tls-key",
                   .takes = Takes::kValue,
                   .value = "FILE",
                   .help = "its private key (PEM)",
                   .completes = Completes::kFile}},
      .most = -1,
      .completes = Completes::kWords,
      .words = "ls rm",
      .run = run,
      .notes =
          "The address is printed on standard output, a line for each request on standard error. SIGTERM ends it "
          "in order.\nAddresses that other machines reach need --htpasswd, --read-only or --mirror-of. What was "
          "pushed is kept until it is\ndeleted; blobs that no manifest names go with `slipway gc` after a day. What a "
          "mirror has goes with\n`slipway gc --max-size` or `--all`. NAME is REPOSITORY (all of it), REPOSITORY:TAG or "
          "REPOSITORY@DIGEST; `ls` and\n`rm` work beside a server that runs."};
  return command;
}

}  // namespace slipway::cli
