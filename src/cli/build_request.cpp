#include "cli/build_request.hpp"

#include <algorithm>

#include "base/csv.hpp"
#include "base/text.hpp"
#include "cli/annotation_option.hpp"
#include "cli/cache_option.hpp"
#include "cli/compatibility.hpp"
#include "cli/output_option.hpp"
#include "cli/registry_options.hpp"
#include "cli/session.hpp"
#include "cli/step_options.hpp"
#include "cli/workplace.hpp"
#include "registry/config_file.hpp"
#include "sys/file.hpp"

namespace slipway::cli {
namespace {

constexpr std::size_t kPlatformLimit = 64;

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

/// Proxies for RUN steps: those of docker's config.json before those of the environment, as the first of a name counts.
Result<std::vector<Pair>> proxies(const registry::Environment& environment) {
  std::vector<Pair> out = TRY(registry::configured_proxies(environment));
  for (const std::string_view name : {"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"}) {
    for (const std::string& spelling : {std::string(name), lower(name)})
      if (const auto value = environment(spelling); value && !value->empty()) out.emplace_back(spelling, *value);
  }
  return out;
}

/// --platform, a list that may be given many times, or DOCKER_DEFAULT_PLATFORM.
Result<std::vector<oci::Platform>> platforms(std::vector<std::string> lists, const registry::Environment& environment) {
  const bool given = !lists.empty();
  if (const auto usual = environment("DOCKER_DEFAULT_PLATFORM"); usual && !given) lists.push_back(*usual);
  std::vector<oci::Platform> out;
  for (const auto& list : lists) {
    for (const auto word : split(list, ',')) {
      if (trim(word).empty() && !list.contains(',')) continue;  // "--platform=": this machine's
      const auto platform = trim(word) == "local" ? oci::Platform::host() : oci::Platform::parse(trim(word));
      if (!platform)
        return fail(Code::kUsage, "{}: {}", given ? "option --platform" : "DOCKER_DEFAULT_PLATFORM",
                    platform.error().what());
      if (std::ranges::find(out, *platform) == out.end()) out.push_back(*platform);
    }
  }
  if (out.size() > kPlatformLimit)
    return fail(Code::kUsage, "option --platform names {} platforms; at most {} are built at once", out.size(),
                kPlatformLimit);
  return out;
}

Result<sandbox::NetworkMode> network_mode(const std::string& text) {
  if (text.empty() || text == "default" || text == "bridge") return sandbox::NetworkMode::kDefault;
  if (text == "none") return sandbox::NetworkMode::kNone;
  if (text == "host") return sandbox::NetworkMode::kHost;
  return fail(Code::kUsage, "option --network is default, none or host, not {}", quoted(text, 64));
}

Result<std::int64_t> epoch(std::string_view text) {
  constexpr std::int64_t kEndOfYear9999 = 253'402'300'799;  // RFC 3339 has no later time
  auto seconds = parse_size(text);
  if (!seconds || *seconds > kEndOfYear9999)
    return fail(Code::kUsage, "SOURCE_DATE_EPOCH is {}; it must be seconds since 1970 in digits, before the year 10000",
                quoted(text, 64));
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

/// What an output can not be written as is told, and written as it can be (BuildKit does so).
void settle_family(build::Output& output, const build::Request& request, std::vector<std::string>& notes) {
  if (output.format.family == oci::Family::kOci) return;
  const bool annotated = !output.format.annotations.empty() || !request.annotations.empty();
  if (output.format.compression != oci::Compression::kZstd && !annotated) return;
  output.format.family = oci::Family::kOci;
  notes.push_back(fmt::format("oci-mediatypes=false is not kept: {} needs OCI media types",
                              annotated ? "an annotation" : "compression=zstd"));
}

Status set_clamping(build::Request& request) {
  bool yes = false, no = false;
  for (const auto& output : request.outputs) {
    yes = yes || output.clamp_times.value_or(false);
    no = no || !output.clamp_times.value_or(true);
  }
  if (yes && no)
    return fail(Code::kUsage,
                "option --output: rewrite-timestamp is true for one output and false for another; one "
                "build has one answer");
  request.clamp_times = !no;
  if (yes && !request.source_date_epoch)
    request.notes.emplace_back("rewrite-timestamp=true changes nothing: SOURCE_DATE_EPOCH is not set");
  return {};
}

/// --push is for the outputs that are images, or one more; --load keeps the image in the store.
void add_image(build::Request& request, bool push, bool load) {
  using Type = build::Output::Type;
  bool found = false;
  for (auto& output : request.outputs) {
    if (output.type != Type::kImage) continue;
    found = true;
    output.push = output.push || push;
  }
  if (found || (!push && !load)) return;
  request.outputs.push_back({.type = Type::kImage, .destination = "", .push = push});
}

Status check_names(const build::Request& request, const Arguments& arguments) {
  for (const auto& output : request.outputs) {
    if (output.push && request.tags.empty() && output.names.empty())
      return std::unexpected(
          Error(Code::kUsage, "there is no name to push under").with_hint("add -t REGISTRY/REPOSITORY[:TAG]"));
    if (!output.by_digest) continue;
    for (const auto& text : arguments.values("tag"))
      if (!tag_was_added(TRY(parse_tag(text)), text))
        return fail(Code::kUsage, "option --tag {} has a tag and can not be pushed by digest", quoted(text, 300));
  }
  return {};
}

Status set_outputs(build::Request& request, const Arguments& arguments) {
  for (const auto& text : arguments.values("annotation"))
    for (auto& annotation : TRY(parse_annotation(text))) request.annotations.push_back(std::move(annotation));
  int to_stdout = 0;
  for (const auto& text : arguments.values("output")) {
    auto output = TRY(parse_output(text));
    if (output.destination == "-") ++to_stdout;
    settle_family(output, request, request.notes);
    request.outputs.push_back(std::move(output));
  }
  if (to_stdout > 1) return fail(Code::kUsage, "only one --output can go to standard output");
  add_image(request, arguments.flag("push"), arguments.flag("load"));
  TRY(set_clamping(request));
  return check_names(request, arguments);
}

Status set_caches(build::Request& request, const Arguments& arguments, const registry::Environment& environment) {
  if (request.no_cache && arguments.has("no-cache-filter"))
    return fail(Code::kUsage, "options --no-cache and --no-cache-filter exclude each other");
  for (const auto& text : arguments.values("no-cache-filter"))
    for (const auto& stage : TRY(option_fields(text)))
      if (!stage.empty()) request.no_cache_stages.push_back(stage);
  Caches caches;
  for (const auto& [way, option] : {std::pair(CacheWay::kFrom, "cache-from"), std::pair(CacheWay::kTo, "cache-to")})
    for (const auto& text : arguments.values(option)) TRY(parse_cache(way, text, environment, caches));
  // buildx's older spelling of --cache-to type=inline
  for (const auto& [name, value] : request.build_args)
    if (name == "BUILDKIT_INLINE_CACHE" && parse_bool(value, name).value_or(false))
      caches.targets.push_back({.in_image = true, .place = {}, .format = {}});
  request.cache_from = std::move(caches.sources);
  request.cache_to = std::move(caches.targets);
  for (auto& note : caches.notes) request.notes.push_back(std::move(note));
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

namespace {

const std::vector<Option>& own_options() {
  static const std::vector<Option> options = {
      {.name = "add-host",
       .takes = Takes::kValues,
       .value = "NAME:IP",
       .help = "a line of /etc/hosts for RUN steps; host-gateway as IP is this machine"},
      {.name = "allow",
       .takes = Takes::kValues,
       .value = "ENTITLEMENT",
       .help = "what RUN may ask for: network.host, security.insecure, device[=NAME[,alias=NAME]]",
       .completes = Completes::kWords,
       .words = "network.host security.insecure device"},
      {.name = "annotation",
       .takes = Takes::kValues,
       .value = "[PLACE:]KEY=VALUE",
       .help = "an annotation of the image; PLACE is manifest (default), index, manifest-descriptor or "
               "index-descriptor, with [PLATFORM], and may be a list"},
      {.name = "attest",
       .takes = Takes::kValues,
       .value = "type=TYPE,disabled=true",
       .help = "no attestation of that type; there are none in this version, asking for one is refused"},
      {.name = "build-arg",
       .takes = Takes::kValues,
       .value = "NAME[=VALUE]",
       .help = "a value for ARG; without a value: from the environment"},
      {.name = "cache-from",
       .takes = Takes::kValues,
       .value = "CACHE",
       .help = "use a cache made elsewhere: an image's name, or type=registry,ref=NAME, type=local,src=DIRECTORY"},
      {.name = "cache-to",
       .takes = Takes::kValues,
       .value = "CACHE",
       .help = "write the results of the steps: type=registry,ref=NAME, type=local,dest=DIRECTORY, type=inline (in the "
               "image); mode=max for all steps"},
      {.name = "call",
       .takes = Takes::kValue,
       .value = "METHOD",
       .help = "look without building: check (as --check), outline (arguments, secrets, ssh) or targets (stages); "
               "METHOD,format=json for programs",
       .completes = Completes::kWords,
       .words = "build check outline targets"},
      {.name = "cdi-spec-dir",
       .takes = Takes::kValues,
       .value = "DIR",
       .help = "where the devices of RUN --device are specified (default: /etc/cdi and /var/run/cdi)",
       .completes = Completes::kDirectory},
      {.name = "cgroup-parent",
       .takes = Takes::kValue,
       .value = "GROUP",
       .help = "an existing control group below which RUN steps get theirs"},
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
      {.name = "load",
       .help = "keep the image in the store, as -o type=docker; it is kept anyway unless -o says cacheonly"},
      {.name = "metadata-file",
       .takes = Takes::kValue,
       .value = "FILE",
       .help = "write digests and names of the result to a file, as JSON",
       .completes = Completes::kFile},
      {.name = "network",
       .takes = Takes::kValue,
       .value = "MODE",
       .help = "network of RUN steps: default (outbound only), none or host",
       .completes = Completes::kWords,
       .words = "default none host"},
      {.name = "no-cache", .help = "run every step again"},
      {.name = "no-cache-filter",
       .takes = Takes::kValues,
       .value = "STAGE",
       .help = "run every step of these stages again (a list, or many times)"},
      {.name = "output",
       .letter = 'o',
       .takes = Takes::kValues,
       .value = "OUTPUT",
       .help =
           "write the result: type=local|tar|oci|docker|image|registry|cacheonly,KEY=VALUE,… (keys below); a bare path "
           "is local; - is a tar to standard output",
       .completes = Completes::kFile},
      {.name = "platform",
       .takes = Takes::kValues,
       .value = "OS/ARCH[/VARIANT],...",
       .help = "the platforms to build for (default: DOCKER_DEFAULT_PLATFORM, else this machine's); several make an "
               "image index"},
      kProgressOption,
      kRegistryMirrorOption,
      kInsecureRegistryOption,
      {.name = "provenance",
       .takes = Takes::kValue,
       .value = "false",
       .help = "no record of provenance: what is made anyway; asking for one is refused",
       .completes = Completes::kWords,
       .words = "false"},
      {.name = "pull", .help = "ask the registry for newer base images"},
      {.name = "push", .help = "push the image under all its names, as -o type=registry"},
      {.name = "quiet", .letter = 'q', .help = "show nothing but the image's digest"},
      {.name = "sbom",
       .takes = Takes::kValue,
       .value = "false",
       .help = "no bill of materials, likewise",
       .completes = Completes::kWords,
       .words = "false"},
      {.name = "secret",
       .takes = Takes::kValues,
       .value = "id=ID[,src=FILE|env=NAME]",
       .help = "a secret for RUN --mount=type=secret; without src and env: the variable ID, else the file ID"},
      {.name = "shm-size", .takes = Takes::kValue, .value = "SIZE", .help = "size of /dev/shm (default 64MB)"},
      {.name = "ssh",
       .takes = Takes::kValues,
       .value = "ID[=SOCKET|KEY,…]",
       .help = "an agent or private keys for RUN --mount=type=ssh and for git; default alone is the agent of "
               "SSH_AUTH_SOCK",
       .completes = Completes::kFile},
      {.name = "step-log-limit",
       .takes = Takes::kValue,
       .value = "SIZE",
       .help = "how much output of a RUN step is shown (default 2MiB; 0: all)"},
      {.name = "step-timeout",
       .takes = Takes::kValue,
       .value = "DURATION",
       .help = "how long a RUN step may take, as 90s or 1h30m (default 0: no limit)"},
      {.name = "tag", .letter = 't', .takes = Takes::kValues, .value = "NAME[:TAG]", .help = "a name for the image"},
      {.name = "target", .takes = Takes::kValue, .value = "STAGE", .help = "the stage to build (default: the last)"},
      {.name = "ulimit",
       .takes = Takes::kValues,
       .value = "NAME=SOFT[:HARD]",
       .help = "a limit for RUN steps, as nofile=1024:2048"},
  };
  return options;
}

}  // namespace

const std::vector<Option>& build_options() {
  static const std::vector<Option> options = [] {
    std::vector<Option> all = own_options();
    all.insert(all.end(), compatibility_options().begin(), compatibility_options().end());
    return all;
  }();
  return options;
}

constexpr std::int64_t kSecretLimit = 500 * 1024;  // BuildKit's

Result<std::optional<build::Secret>> parse_secret(std::string_view text, const registry::Environment& environment) {
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
    // As docker buildx: then it is missing only where a step requires it.
    if (!value) return std::nullopt;
    return build::Secret{id, *std::move(value)};
  }
  auto content = sys::read_file(file, kSecretLimit);
  if (!content)
    return std::unexpected(
        std::move(content).error().add_context(fmt::format("while reading the secret {}", printable(id))));
  return build::Secret{id, *std::move(content)};
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
  request.proxies = TRY(proxies(environment));
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
  for (const auto& text : arguments.values("secret"))
    if (auto secret = TRY(parse_secret(text, environment))) request.secrets.push_back(*std::move(secret));
  request.network = TRY(network_mode(arguments.value("network").value_or("")));
  request.platforms = TRY(platforms(arguments.values("platform"), environment));
  TRY(set_step_options(request, arguments, environment));
  TRY(check_attestations(arguments, environment));
  request.notes = TRY(compatibility_notes(arguments));
  request.no_cache = arguments.flag("no-cache");
  request.pull = arguments.flag("pull");
  TRY(set_caches(request, arguments, environment));
  TRY(set_epoch(request, environment));
  TRY(set_outputs(request, arguments));
  request.ca_bundle = corporate_ca(environment);
  return request;
}

}  // namespace slipway::cli
