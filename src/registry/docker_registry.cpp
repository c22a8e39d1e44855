#include "registry/docker_registry.hpp"

#include "base/cancel.hpp"
#include "base/text.hpp"

namespace slipway::registry::testing {
namespace {

constexpr std::int64_t kLogLimit = 16 << 20;
constexpr int kStartTries = 3000;  // of 10 ms
// htpasswd -nbB joe s3cret
constexpr std::string_view kPasswordLine = "joe:$2y$05$c27U/MTz.vLafOe/7Mh3zu.IIPq4JB66hsY5CaC1a5d9z3jOMO7Xi\n";

const std::vector<std::string> kEnvironment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};

/// Starts a server whose log goes to a file, and waits for the line that names its port.
struct Started {
  sys::Child child;
  int port = 0;
};
Result<Started> start_server(const std::vector<std::string>& argv, const std::string& log_path,
                             const std::string& mark) {
  const auto log = TRY(sys::open(log_path, O_WRONLY | O_CREAT | O_APPEND, 0600));
  auto child = TRY(sys::Child::start(
      {.argv = argv, .environment = kEnvironment, .descriptors = {{log.get(), 1}, {log.get(), 2}}, .directory = "/"}));
  for (int i = 0; i < kStartTries; ++i) {
    const std::string text = TRY(sys::read_file(log_path, kLogLimit));
    const auto at = text.find(mark);
    if (at != std::string::npos) {
      const auto digits = text.substr(at + mark.size());
      const auto end = digits.find_first_not_of("0123456789");
      if (end != std::string::npos && end > 0) return Started{std::move(child), std::stoi(digits.substr(0, end))};
    }
    if (child.wait({}, 0)) return fail(Code::kUnavailable, "{} ended at its start: {}", argv[0], text);
    (void)Cancel().wait_for(10);
  }
  return fail(Code::kDeadlineExceeded, "{} did not start", argv[0]);
}

/// The program's path: the system's own, whatever else stands in PATH.
Result<std::string> need(const std::string& program) {
  for (const char* directory : {"/usr/bin/", "/bin/", "/usr/sbin/"})
    if (::access((directory + program).c_str(), X_OK) == 0) return directory + program;
  return fail(Code::kNotFound, "{} is not installed", program);
}

}  // namespace

Result<KeyPair> KeyPair::make(const std::string& directory) {
  const std::string openssl = TRY(need("openssl"));
  KeyPair keys{directory + "/cert.pem", directory + "/key.pem"};
  const auto made =
      TRY(sys::run({.argv = {openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj",
                             "/CN=slipway test", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout",
                             keys.key_file, "-out", keys.certificate_file},
                    .environment = kEnvironment},
                   "", {}, 60'000));
  if (!made.status.ok()) return fail(Code::kUnavailable, "openssl made no certificate: {}", made.err);
  return keys;
}

TokenServer::TokenServer(sys::TempDir directory, KeyPair keys, sys::Child child, int port)
    : directory_(std::move(directory)), keys_(std::move(keys)), child_(std::move(child)), port_(port) {}

Result<TokenServer> TokenServer::start(int lifetime) {
  const std::string python = TRY(need("python3"));
  auto directory = TRY(sys::TempDir::make("/tmp", "slipway-token-server-"));
  auto keys = TRY(KeyPair::make(directory.path()));
  auto started =
      TRY(start_server({python, SLIPWAY_TEST_SUPPORT "/token_server.py", "--key", keys.key_file, "--cert",
                        keys.certificate_file, "--user", fmt::format("{}:{}", kUser, kPassword), "--refresh",
                        kRefreshToken, "--lifetime", std::to_string(lifetime), "--log", directory.path() + "/requests"},
                       directory.path() + "/log", "listening "));
  return TokenServer(std::move(directory), std::move(keys), std::move(started.child), started.port);
}

std::string TokenServer::realm() const { return fmt::format("http://127.0.0.1:{}/token", port_); }

std::vector<std::string> TokenServer::log() const {
  std::vector<std::string> lines;
  const auto text = sys::read_file(directory_.path() + "/requests", kLogLimit);
  if (!text) return lines;
  for (const auto line : split(*text, '\n'))
    if (!line.empty()) lines.emplace_back(line);
  return lines;
}

DockerRegistry::DockerRegistry(sys::TempDir directory, sys::Child child, int port)
    : directory_(std::move(directory)), child_(std::move(child)), port_(port) {}

Result<DockerRegistry> DockerRegistry::start(const RegistryOptions& options) {
  const std::string program = TRY(need("docker-registry"));
  auto directory = TRY(sys::TempDir::make("/tmp", "slipway-registry-"));
  const std::string& root = directory.path();
  std::string config = fmt::format(
      "version: 0.1\nlog: {{level: info, accesslog: {{disabled: false}}}}\n"
      "storage:\n  filesystem: {{rootdirectory: {}/data}}\n  delete: {{enabled: true}}\n"
      "http:\n  addr: 127.0.0.1:0\n  secret: test\n",
      root);
  if (options.tls != nullptr) {
    const std::string clients =
        options.clients == nullptr ? "" : fmt::format(", clientcas: [{}]", options.clients->certificate_file);
    config += fmt::format("  tls: {{certificate: {}, key: {}{}}}\n", options.tls->certificate_file,
                          options.tls->key_file, clients);
  }
  if (options.basic) {
    TRY(sys::replace_file(root + "/htpasswd", kPasswordLine, 0600));
    config += fmt::format("auth: {{htpasswd: {{realm: test, path: {}/htpasswd}}}}\n", root);
  }
  if (options.tokens != nullptr)
    config += fmt::format(
        "auth: {{token: {{realm: \"{}\", service: test-service, issuer: test-issuer, rootcertbundle: {}}}}}\n",
        options.tokens->realm(), options.tokens->certificate_file());
  TRY(sys::replace_file(root + "/config.yml", config, 0600));
  auto started = TRY(start_server({program, "serve", root + "/config.yml"}, root + "/log", "listening on 127.0.0.1:"));
  return DockerRegistry(std::move(directory), std::move(started.child), started.port);
}

std::string DockerRegistry::authority() const { return fmt::format("127.0.0.1:{}", port_); }
std::string DockerRegistry::log() const {
  return sys::read_file(directory_.path() + "/log", kLogLimit).value_or(std::string());
}
std::string DockerRegistry::blob_file(const std::string& digest_hex) const {
  return fmt::format("{}/data/docker/registry/v2/blobs/sha256/{}/{}/data", directory_.path(), digest_hex.substr(0, 2),
                     digest_hex);
}

}  // namespace slipway::registry::testing
