// `slipway registry`: serves the store as an OCI registry, or as a mirror of one, until it is told to stop.
#include "base/text.hpp"
#include "base/time.hpp"
#include "cli/commands.hpp"
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

Result<int> run(Session& session, const Arguments& arguments) {
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

}  // namespace

const Command& registry_command() {
  static const Command command = {
      .name = "registry",
      .summary = "Serve images to other programs: a registry on this store, or a mirror of another one",
      .examples = {{"slipway registry", "on 127.0.0.1:5000, for this machine"},
                   {"slipway registry --listen :5000 --htpasswd users --tls-cert c.pem --tls-key k.pem", "for others"},
                   {"slipway registry --mirror-of https://registry-1.docker.io", "fetch once, serve many times"},
                   {"slipway registry --mirror-of docker.io --offline", "only what is here, loaded images too"}},
      .options = {{.name = "listen",
                   .takes = Takes::kValue,
                   .value = "HOST:PORT",
                   .help =
                       "where to listen (default: 127.0.0.1:5000); port 0 is any free one, no host is every address"},
                  {.name = "mirror-of",
                   .takes = Takes::kValue,
                   .value = "URL",
                   .help = "serve what this registry has, and keep it; pushes are refused"},
                  {.name = "offline",
                   .help = "with --mirror-of: never ask it; images of this store under its name count too"},
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
      .run = run,
      .notes =
          "The address is printed on standard output, a line for each request on standard error. SIGTERM ends it "
          "in order.\nAddresses that other machines reach need --htpasswd, --read-only or --mirror-of. What was "
          "pushed is kept until it is\ndeleted; blobs that no manifest names go with `slipway gc` after a day."};
  return command;
}

}  // namespace slipway::cli
