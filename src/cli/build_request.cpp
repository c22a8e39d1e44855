#include "cli/build_request.hpp"

#include <arpa/inet.h>

#include <algorithm>

#include "base/csv.hpp"
#include "base/text.hpp"
#include "cli/session.hpp"
#include "cli/workplace.hpp"
#include "sys/file.hpp"

namespace slipway::cli {
namespace {

using Pair = std::pair<std::string, std::string>;

Result<std::vector<std::string>> option_fields(std::string_view text) {
  auto fields = csv_fields(text);
  if (!fields) return fail(Code::kUsage, "{}", fields.error().what());
  return fields;
}

/// K=V, or K with its value from the environment; a name that is not set there is dropped, as docker does.
std::vector<Pair> build_args(const std::vector<std::string>& given, const registry::Environment& environment) {
  std::vector<Pair> out;
  for (const auto& text : given) {
    const auto equals = text.find('=');
    if (equals != std::string::npos) {
      out.emplace_back(text.substr(0, equals), text.substr(equals + 1));
    } else if (const auto value = environment(text)) {
      out.emplace_back(text, *value);
    }
  }
  return out;
}

std::vector<Pair> proxies(const registry::Environment& environment) {
  std::vector<Pair> out;
  for (const std::string_view name : {"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"}) {
    for (const std::string& spelling : {std::string(name), lower(name)})
      if (const auto value = environment(spelling); value && !value->empty()) out.emplace_back(spelling, *value);
  }
  return out;
}

Result<sandbox::NetworkMode> network_mode(const std::string& text) {
  if (text.empty() || text == "default" || text == "bridge") return sandbox::NetworkMode::kDefault;
  if (text == "none") return sandbox::NetworkMode::kNone;
  if (text == "host") return sandbox::NetworkMode::kHost;
  return fail(Code::kUsage, "option --network is default, none or host, not {}", quoted(text, 64));
}

Result<std::int64_t> epoch(std::string_view text) {
  auto seconds = parse_size(text);
  if (!seconds)
    return fail(Code::kUsage, "SOURCE_DATE_EPOCH is {}; it must be seconds since 1970 in digits", quoted(text, 64));
  return seconds;
}

/// SOURCE_DATE_EPOCH of the environment is a build argument like any other, and one on the command line counts more.
Status set_epoch(build::Request& request, const registry::Environment& environment) {
  const auto given = std::find_if(request.build_args.rbegin(), request.build_args.rend(),
                                  [](const Pair& arg) { return arg.first == "SOURCE_DATE_EPOCH"; });
  if (given != request.build_args.rend()) {
    if (!given->second.empty()) request.source_date_epoch = TRY(epoch(given->second));
    return {};
  }
  const auto value = environment("SOURCE_DATE_EPOCH");
  if (!value || value->empty()) return {};
  request.source_date_epoch = TRY(epoch(*value));
  request.build_args.emplace_back("SOURCE_DATE_EPOCH", *value);
  return {};
}

Status set_outputs(build::Request& request, const Arguments& arguments) {
  int to_stdout = 0;
  for (const auto& text : arguments.values("output")) {
    auto output = TRY(parse_output(text, request.push));
    if (!output) continue;
    if (output->destination == "-") ++to_stdout;
    request.outputs.push_back(std::move(*output));
  }
  if (to_stdout > 1) return fail(Code::kUsage, "only one --output can go to standard output");
  return {};
}

Status set_context(build::Request& request, const Arguments& arguments) {
  request.context = arguments.positional().at(0);
  if (request.context.empty()) {
    return std::unexpected(Error(Code::kUsage, "the build context is empty")
                               .with_hint("slipway build [OPTIONS] . builds the directory you are in"));
  }
  request.dockerfile = arguments.value("file").value_or("");
  if (request.context == "-" && request.dockerfile == "-")
    return fail(Code::kUsage, "can't use stdin for both build context and dockerfile");
  for (const auto& text : arguments.values("build-context"))
    request.contexts.push_back(TRY(build::NamedContext::parse(text)));
  request.target = arguments.value("target").value_or("");
  return {};
}

}  // namespace

const std::vector<Option>& build_options() {
  static const std::vector<Option> options = {
      {.name = "add-host", .takes = Takes::kValues, .value = "NAME:IP", .help = "a line of /etc/hosts for RUN steps"},
      {.name = "build-arg",
       .takes = Takes::kValues,
       .value = "NAME[=VALUE]",
       .help = "a value for ARG; without a value: from the environment"},
      {.name = "call",
       .takes = Takes::kValue,
       .value = "METHOD",
       .help = "look without building: check (as --check), outline (arguments, secrets, ssh) or targets (stages); "
               "METHOD,format=json for programs",
       .completes = Completes::kWords,
       .words = "build check outline targets"},
      {.name = "check",
       .help = "look for mistakes in the Dockerfile, build nothing; 1 is the exit code when there are"},
      {.name = "build-context",
       .takes = Takes::kValues,
       .value = "NAME=CONTEXT",
       .help = "what FROM NAME and --from=NAME mean: a directory, URL, docker-image://REF, "
               "oci-layout://DIR[:TAG|@DIGEST] or "
               "target:STAGE",
       .completes = Completes::kDirectory},
      {.name = "file",
       .letter = 'f',
       .takes = Takes::kValue,
       .value = "FILE",
       .help =
           "the Dockerfile (default: PATH/Dockerfile; - is standard input; inside of a context that is no directory)",
       .completes = Completes::kFile},
      {.name = "iidfile",
       .takes = Takes::kValue,
       .value = "FILE",
       .help = "write the image's digest to a file",
       .completes = Completes::kFile},
      {.name = "label", .takes = Takes::kValues, .value = "NAME=VALUE", .help = "a label of the image"},
      {.name = "network",
       .takes = Takes::kValue,
       .value = "MODE",
       .help = "network of RUN steps: default (outbound only), none or host",
       .completes = Completes::kWords,
       .words = "default none host"},
      {.name = "no-cache", .help = "run every step again"},
      {.name = "output",
       .letter = 'o',
       .takes = Takes::kValues,
       .value = "OUTPUT",
       .help =
           "write the result: type=local|tar|oci|docker,dest=PATH; a bare path is local; - is a tar to standard output",
       .completes = Completes::kFile},
      {.name = "platform",
       .takes = Takes::kValue,
       .value = "OS/ARCH",
       .help = "the platform to build for (one, that of this machine)"},
      kProgressOption,
      {.name = "pull", .help = "ask the registry for newer base images"},
      {.name = "push", .help = "push the image under all its names"},
      {.name = "quiet", .letter = 'q', .help = "show nothing but the image's digest"},
      {.name = "secret",
       .takes = Takes::kValues,
       .value = "id=ID[,src=FILE|env=NAME]",
       .help = "a secret for RUN --mount=type=secret; without src and env: the variable ID, else the file ID"},
      {.name = "shm-size", .takes = Takes::kValue, .value = "SIZE", .help = "size of /dev/shm (default 64MB)"},
      {.name = "tag", .letter = 't', .takes = Takes::kValues, .value = "NAME[:TAG]", .help = "a name for the image"},
      {.name = "target", .takes = Takes::kValue, .value = "STAGE", .help = "the stage to build (default: the last)"},
      {.name = "ulimit",
       .takes = Takes::kValues,
       .value = "NAME=SOFT[:HARD]",
       .help = "a limit for RUN steps, as nofile=1024:2048"},
  };
  return options;
}

Result<std::optional<build::Output>> parse_output(std::string_view text, bool& push) {
  if (text == "-") return build::Output{build::Output::Type::kTar, "-"};
  const auto fields = TRY(option_fields(text));
  if (fields.size() == 1 && !fields[0].contains('=')) {
    if (fields[0].empty()) return fail(Code::kUsage, "option --output is empty");
    return build::Output{build::Output::Type::kLocal, fields[0]};
  }
  std::string type, destination;
  bool to_push = false;
  for (const auto& field : fields) {
    const auto equals = field.find('=');
    const std::string key = lower(trim(std::string_view(field).substr(0, equals)));
    const std::string value = equals == std::string::npos ? "" : field.substr(equals + 1);
    if (key == "type") {
      type = value;
    } else if (key == "dest") {
      destination = value;
    } else if (key == "push") {
      to_push = value.empty() || value == "true" || value == "1";
    } else {
      return fail(Code::kUsage, "option --output does not know {}; there are type and dest", quoted(key, 64));
    }
  }
  if (type.empty()) return fail(Code::kUsage, "option --output {} has no type", quoted(text, 256));
  if (type == "image" || type == "registry") {
    push = push || to_push || type == "registry";
    return std::nullopt;
  }
  using Type = build::Output::Type;
  if (type == "docker" && destination.empty()) return std::nullopt;
  if (type == "local" && (destination.empty() || destination == "-"))
    return fail(Code::kUsage, "option --output type=local needs dest=DIRECTORY");
  if (destination.empty()) destination = "-";
  if (type == "local") return build::Output{Type::kLocal, destination};
  if (type == "tar") return build::Output{Type::kTar, destination};
  if (type == "oci") return build::Output{Type::kOci, destination};
  if (type == "docker") return build::Output{Type::kDocker, destination};
  return fail(Code::kUsage, "option --output does not know the type {}; there are local, tar, oci and docker",
              quoted(type, 64));
}

constexpr std::int64_t kSecretLimit = 500 * 1024;  // BuildKit's

Result<build::Secret> parse_secret(std::string_view text, const registry::Environment& environment) {
  std::string id, file, variable, type;
  for (const auto& field : TRY(option_fields(text))) {
    const auto equals = field.find('=');
    if (equals == std::string::npos)
      return fail(Code::kUsage, "option --secret: {} is no KEY=VALUE", quoted(field, 128));
    const std::string key = lower(field.substr(0, equals)), value = field.substr(equals + 1);
    if (key == "id") {
      id = value;
    } else if (key == "src" || key == "source") {
      file = value;
    } else if (key == "env") {
      variable = value;
    } else if (key == "type" && (value == "file" || value == "env")) {
      type = value;
    } else {
      return fail(Code::kUsage, "option --secret does not know {}; there are id, src, env and type=file|env",
                  quoted(field, 128));
    }
  }
  if (id.empty()) return fail(Code::kUsage, "option --secret needs id=ID");
  if (type == "env" && variable.empty()) variable = file.empty() ? id : std::exchange(file, "");
  if (file.empty() && variable.empty()) (environment(id) && type != "file" ? variable : file) = id;
  if (!variable.empty()) {
    auto value = environment(variable);
    if (!value)
      return fail(Code::kUsage, "option --secret id={}: the variable {} is not set", printable(id),
                  quoted(variable, 128));
    return build::Secret{id, *std::move(value)};
  }
  auto content = sys::read_file(file, kSecretLimit);
  if (!content)
    return std::unexpected(
        std::move(content).error().add_context(fmt::format("while reading the secret {}", printable(id))));
  return build::Secret{id, *std::move(content)};
}

Result<sandbox::Ulimit> parse_ulimit(std::string_view text) {
  static const std::vector<std::string_view> names = {"core",    "cpu",      "data",   "fsize",      "locks",
                                                      "memlock", "msgqueue", "nice",   "nofile",     "nproc",
                                                      "rss",     "rtprio",   "rttime", "sigpending", "stack"};
  const auto equals = text.find('=');
  if (equals == std::string_view::npos)
    return fail(Code::kUsage, "option --ulimit is NAME=SOFT[:HARD], not {}", quoted(text, 128));
  sandbox::Ulimit limit;
  limit.name = text.substr(0, equals);
  if (std::find(names.begin(), names.end(), limit.name) == names.end()) {
    const std::string near = nearest(limit.name, names);
    return fail(Code::kUsage, "option --ulimit does not know {}{}", quoted(limit.name, 64),
                near.empty() ? "" : fmt::format("; did you mean {}?", near));
  }
  const auto values = split(text.substr(equals + 1), ':');
  const auto number = [&](std::string_view word) -> Result<std::int64_t> {
    if (word == "-1" || word == "unlimited") return -1;
    auto value = parse_size(word);
    if (!value) return fail(Code::kUsage, "option --ulimit {}: {} is no number", quoted(text, 128), quoted(word, 64));
    return value;
  };
  if (values.size() > 2) return fail(Code::kUsage, "option --ulimit {} has too many limits", quoted(text, 128));
  limit.soft = TRY(number(values[0]));
  limit.hard = values.size() == 2 ? TRY(number(values[1])) : limit.soft;
  if (limit.hard >= 0 && (limit.soft < 0 || limit.soft > limit.hard))
    return fail(Code::kUsage, "option --ulimit {}: the soft limit is above the hard one", quoted(text, 128));
  return limit;
}

Result<Pair> parse_host(std::string_view text) {
  auto at = text.find('=');
  if (at == std::string_view::npos) at = text.find(':');
  if (at == std::string_view::npos || at == 0)
    return fail(Code::kUsage, "option --add-host is NAME:IP, not {}", quoted(text, 256));
  const std::string name(text.substr(0, at));
  std::string address(text.substr(at + 1));
  const bool fine = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
           c == '_';
  });
  if (!fine || name.size() > 253) return fail(Code::kUsage, "option --add-host: {} is no host name", quoted(name, 256));
  if (address.starts_with('[') && address.ends_with(']')) address = address.substr(1, address.size() - 2);
  unsigned char raw[16];
  if (inet_pton(AF_INET, address.c_str(), raw) != 1 && inet_pton(AF_INET6, address.c_str(), raw) != 1)
    return fail(Code::kUsage, "option --add-host {}: {} is no IP address", quoted(text, 256), quoted(address, 64));
  return Pair{name, address};
}

/// SSL_CERT_FILE where it names more than the distribution's own bundle: the CA of a proxy or a private registry, which
/// steps need too. The distribution's bundle is the host's matter; an image brings its own.
std::string corporate_ca(const registry::Environment& environment) {
  const std::string file = environment("SSL_CERT_FILE").value_or("");
  for (const auto* own : {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem",
                          "/etc/ssl/ca-bundle.pem"})
    if (file == own) return "";
  return file;
}

Result<build::Request> build_request(const Arguments& arguments, const registry::Environment& environment) {
  build::Request request;
  TRY(set_context(request, arguments));
  request.build_args = build_args(arguments.values("build-arg"), environment);
  request.proxies = proxies(environment);
  for (const auto& text : arguments.values("label")) {
    const auto equals = text.find('=');
    if (equals == 0) return fail(Code::kUsage, "option --label {} has no name", quoted(text, 256));
    request.labels.emplace_back(text.substr(0, equals), equals == std::string::npos ? "" : text.substr(equals + 1));
  }
  for (const auto& text : arguments.values("tag")) {
    auto name = parse_tag(text);
    if (!name) return std::unexpected(std::move(name).error().with_code(Code::kUsage));
    if (std::find(request.tags.begin(), request.tags.end(), *name) == request.tags.end())
      request.tags.push_back(std::move(*name));
  }
  for (const auto& text : arguments.values("secret")) request.secrets.push_back(TRY(parse_secret(text, environment)));
  for (const auto& text : arguments.values("add-host")) request.extra_hosts.push_back(TRY(parse_host(text)));
  for (const auto& text : arguments.values("ulimit")) request.ulimits.push_back(TRY(parse_ulimit(text)));
  if (const auto size = arguments.value("shm-size")) {
    auto bytes = parse_human_size(*size);
    if (!bytes)
      return std::unexpected(std::move(bytes).error().add_context("while reading --shm-size").with_code(Code::kUsage));
    request.shm_bytes = *bytes;
  }
  request.network = TRY(network_mode(arguments.value("network").value_or("")));
  request.platform = TRY(platform_of(arguments));
  if (!oci::Platform::host().accepts(request.platform)) {
    return fail(Code::kUsage, "option --platform {}: this machine builds for {} only, for now", request.platform.text(),
                oci::Platform::host().text());
  }
  request.push = arguments.flag("push");
  request.no_cache = arguments.flag("no-cache");
  request.pull = arguments.flag("pull");
  TRY(set_outputs(request, arguments));
  TRY(set_epoch(request, environment));
  request.ca_bundle = corporate_ca(environment);
  if (request.push && request.tags.empty()) {
    return std::unexpected(
        Error(Code::kUsage, "there is no name to push under").with_hint("add -t REGISTRY/REPOSITORY[:TAG]"));
  }
  return request;
}

}  // namespace slipway::cli
