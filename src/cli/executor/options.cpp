#include "cli/executor/options.hpp"

#include <algorithm>

#include "base/text.hpp"
#include "dockerfile/duration.hpp"
#include "oci/platform.hpp"

namespace slipway::cli {
namespace {

constexpr std::int64_t kMostRetries = 100;
constexpr std::size_t kRegistryLimit = 1000;  ///< of one kind: what is named on a command line is not that much

Error usage(std::string text) { return {Code::kUsage, std::move(text)}; }

/// A whole number, as strconv reads it.
Result<std::int64_t> number(const Arguments& arguments, std::string_view name, std::int64_t otherwise,
                            std::int64_t least, std::int64_t most) {
  const auto text = arguments.value(name);
  if (!text) return otherwise;
  const bool negative = text->starts_with('-');
  const auto value = parse_size(std::string_view(*text).substr(negative ? 1 : 0));
  if (!value) return std::unexpected(usage(fmt::format("option --{} is a number, not {}", name, quoted(*text, 64))));
  const std::int64_t signed_value = negative ? -*value : *value;
  if (signed_value < least || signed_value > most)
    return std::unexpected(usage(fmt::format("option --{} is {} to {}, not {}", name, least, most, signed_value)));
  return signed_value;
}

/// strconv.ParseBool of an environment variable.
Result<std::optional<bool>> environment_bool(const registry::Environment& environment, const std::string& name) {
  const auto text = environment(name);
  if (!text) return std::nullopt;
  for (const auto* yes : {"1", "t", "T", "TRUE", "true", "True"})
    if (*text == yes) return true;
  for (const auto* no : {"0", "f", "F", "FALSE", "false", "False"})
    if (*text == no) return false;
  return std::unexpected(usage(fmt::format("{} is true or false, not {}", name, quoted(*text, 64))));
}

/// KEY=VALUE of a flag; a later value of a key counts.
Result<std::pair<std::string, std::string>> pair_of(std::string_view flag, std::string_view text) {
  const auto equals = text.find('=');
  if (equals == std::string_view::npos || equals == 0)
    return std::unexpected(
        usage(fmt::format("option --{}: invalid argument value. expect key=value, got {}", flag, quoted(text, 256))));
  return std::pair(std::string(text.substr(0, equals)), std::string(text.substr(equals + 1)));
}

/// What references call the registry that kaniko calls index.docker.io.
std::string registry_key(std::string_view name) {
  const std::string key = lower(trim(name));
  return key == "index.docker.io" || key == "registry-1.docker.io" ? "docker.io" : key;
}

void add_mirror(ExecutorRegistries& into, const std::string& registry, std::string_view mirror) {
  auto& list = into.mirrors[registry_key(registry)];
  const std::string text(trim(mirror));
  if (!text.empty() && std::find(list.begin(), list.end(), text) == list.end()) list.push_back(text);
}

/// "a=b;c=d"
Status add_map(ExecutorRegistries& into, std::string_view text) {
  for (const auto part : split(text, ';')) {
    if (trim(part).empty()) continue;
    const auto [registry, mirror] = TRY(pair_of("registry-map", trim(part)));
    add_mirror(into, registry, mirror);
  }
  return {};
}

Status set_mirrors(ExecutorRegistries& into, const Arguments& arguments, const registry::Environment& environment) {
  for (const auto& text : arguments.values("registry-map")) TRY(add_map(into, text));
  if (const auto map = environment("KANIKO_REGISTRY_MAP"))
    TRY(context(add_map(into, *map), "while reading KANIKO_REGISTRY_MAP"));
  for (const auto& text : arguments.values("registry-mirror"))
    for (const auto part : split(text, ',')) add_mirror(into, "docker.io", part);
  if (const auto list = environment("KANIKO_REGISTRY_MIRROR"))
    for (const auto part : split(*list, ',')) add_mirror(into, "docker.io", part);
  return {};
}

Status set_git(ExecutorOptions& options, const Arguments& arguments) {
  for (const auto& text : arguments.values("git")) {
    // a list is what some write; kaniko itself takes one key at a time
    for (const auto part : split(text, ',')) {
      const auto equals = part.find('=');
      if (equals == std::string_view::npos)
        return std::unexpected(usage("option --git: invalid git flag, must be in the key=value format"));
      const std::string_view key = part.substr(0, equals), value = part.substr(equals + 1);
      const auto truth = [&]() -> Result<bool> {
        for (const auto* yes : {"1", "t", "T", "TRUE", "true", "True"})
          if (value == yes) return true;
        for (const auto* no : {"0", "f", "F", "FALSE", "false", "False"})
          if (value == no) return false;
        return std::unexpected(usage(fmt::format("option --git: {} is true or false, not {}", key, quoted(value, 64))));
      };
      if (key == "branch") {
        options.git.branch = value;
      } else if (key == "recurse-submodules") {
        options.git.submodules = TRY(truth());
      } else if (key == "insecure-skip-tls") {
        options.git.any_certificate = TRY(truth());
      } else if (key == "single-branch") {
        (void)TRY(truth());  // one commit is what is fetched
      } else if (key == "depth") {
        if (!parse_size(value))
          return std::unexpected(usage(fmt::format("option --git: depth is a number, not {}", quoted(value, 64))));
      } else {
        return std::unexpected(
            usage(fmt::format("option --git does not know {}; there are branch, single-branch, depth, "
                              "recurse-submodules and insecure-skip-tls",
                              quoted(key, 64))));
      }
    }
  }
  return {};
}

Status set_format(ExecutorOptions& options, const Arguments& arguments) {
  if (const auto text = arguments.value("compression"); text && !text->empty()) {
    if (*text != "gzip" && *text != "zstd")
      return std::unexpected(
          usage(fmt::format("option --compression must be either \"gzip\" or \"zstd\", not {}", quoted(*text, 64))));
    options.compression = *text == "zstd" ? oci::Compression::kZstd : oci::Compression::kGzip;
  }
  const bool zstd = options.compression == oci::Compression::kZstd;
  const auto level = TRY(number(arguments, "compression-level", -1, -1, zstd ? 22 : 9));
  if (level >= (zstd ? 1 : 0)) options.compression_level = static_cast<int>(level);
  if (const auto text = arguments.value("image-format"); text && !text->empty()) {
    if (*text != "docker" && *text != "oci")
      return std::unexpected(
          usage(fmt::format("option --image-format must be either \"docker\" or \"oci\", not {}", quoted(*text, 64))));
    options.image_format = *text == "oci" ? oci::Family::kOci : oci::Family::kDocker;
  }
  if (zstd && options.image_format == oci::Family::kDocker)
    return std::unexpected(
        usage("--compression=zstd cannot be used with --image-format=docker, the Docker schema2 "
              "format has no zstd layer media type, use --image-format=oci"));
  return {};
}

/// The value of a flag that also has an old name.
std::optional<std::string> renamed(ExecutorOptions& options, const Arguments& arguments, std::string_view name,
                                   std::string_view old) {
  const auto value = arguments.value(old);
  if (!value) return arguments.value(name);
  options.notes.push_back(fmt::format("Flag --{} is deprecated. Use: --{}", old, name));
  return value;
}

Status set_deprecated(ExecutorOptions& options, const Arguments& arguments) {
  options.platform = renamed(options, arguments, "custom-platform", "customPlatform").value_or("");
  options.tar_path = renamed(options, arguments, "tar-path", "tarPath").value_or("");
  const std::string mode = renamed(options, arguments, "snapshot-mode", "snapshotMode").value_or("full");
  if (mode != "full" && mode != "redo" && mode != "time")
    return std::unexpected(usage(fmt::format("{} is not a valid snapshot mode", printable(mode, 64))));
  if (arguments.has("whitelist-var-run"))
    options.notes.emplace_back("Flag --whitelist-var-run has been deprecated, Please use ignore-var-run instead.");
  if (arguments.has("force-build-metadata"))
    options.notes.emplace_back("Flag --force-build-metadata is deprecated. This is the default behaviour");
  if (arguments.has("skip-unused-stages"))
    options.notes.emplace_back("Flag --skip-unused-stages is deprecated. This is the default behaviour");
  return {};
}

/// --bucket is an older way to say --context; gs is what it means without a scheme.
void set_context(ExecutorOptions& options, const Arguments& arguments) {
  options.context = arguments.value("context").value_or(options.context);
  if (const auto bucket = arguments.value("bucket"); bucket && !bucket->empty())
    options.context = bucket->contains("://") ? *bucket : "gs://" + *bucket;
  options.sub_path = arguments.value("context-sub-path").value_or("");
  options.dockerfile = arguments.value("dockerfile").value_or(options.dockerfile);
}

Status set_targets(ExecutorOptions& options, const Arguments& arguments) {
  for (const auto& list : arguments.values("target"))
    for (const auto part : split(list, ','))
      if (const std::string stage(trim(part));
          !stage.empty() && std::find(options.targets.begin(), options.targets.end(), stage) == options.targets.end())
        options.targets.push_back(stage);
  if (!options.platform.empty()) {
    const auto platform = oci::Platform::parse(options.platform);
    if (!platform) return std::unexpected(usage(fmt::format("option --custom-platform: {}", platform.error().what())));
  }
  return {};
}

Status check_together(const ExecutorOptions& options) {
  if (options.push && options.destinations.empty() && !options.dry_run)
    return std::unexpected(usage("you must provide --destination, or use --no-push"));
  if (options.cache && options.push_cache && options.cache_repository.empty() && options.destinations.empty())
    return std::unexpected(
        usage("cache flags invalid: if using cache with --no-push, specify cache repo with --cache-repo"));
  for (const auto& [file, flag] : {std::pair(options.name_file, "image-name-with-digest-file"),
                                   std::pair(options.name_tag_file, "image-name-tag-with-digest-file")})
    if (!file.empty() && options.destinations.empty())
      return std::unexpected(usage(fmt::format("you must provide --destination if setting --{}", flag)));
  if (options.context.empty())
    return std::unexpected(
        usage("error resolving source context: please specify a path to the build context with "
              "the --context flag or a bucket with the --bucket flag"));
  for (const auto& label : options.labels)
    if (!label.contains('='))
      return std::unexpected(usage(fmt::format("labels must be of the form key=value, got {}", quoted(label, 256))));
  return {};
}

Result<LogLevel> level_of(std::string_view text) {
  const std::string word = lower(text);
  constexpr std::pair<std::string_view, LogLevel> kWords[] = {
      {"panic", LogLevel::kPanic}, {"fatal", LogLevel::kFatal},  {"error", LogLevel::kError},
      {"warn", LogLevel::kWarn},   {"warning", LogLevel::kWarn}, {"info", LogLevel::kInfo},
      {"debug", LogLevel::kDebug}, {"trace", LogLevel::kTrace}};
  for (const auto& [known, level] : kWords)
    if (word == known) return level;
  return std::unexpected(usage(fmt::format("parsing log level: not a valid logrus Level: {}", quoted(text, 64))));
}

}  // namespace

Result<LogSettings> log_settings(const Arguments& arguments) {
  LogSettings settings;
  settings.level = TRY(level_of(arguments.value("verbosity").value_or("info")));
  const std::string format = arguments.value("log-format").value_or("color");
  if (format == "text") {
    settings.format = LogFormat::kText;
  } else if (format == "json") {
    settings.format = LogFormat::kJson;
  } else if (format != "color") {
    return std::unexpected(usage(
        fmt::format("not a valid log format: {}. Please specify one of (text, color, json)", quoted(format, 64))));
  }
  settings.timestamp = arguments.flag("log-timestamp");
  return settings;
}

Result<std::int64_t> cache_seconds(const Arguments& arguments) {
  const std::string text = arguments.value("cache-ttl").value_or("336h");
  const auto duration = dockerfile::parse_duration(text);
  if (!duration || *duration < 0)
    return std::unexpected(usage(fmt::format("option --cache-ttl is a duration such as 6h, not {}", quoted(text, 64))));
  return *duration / 1'000'000'000;
}

Result<ExecutorRegistries> executor_registries(const Arguments& arguments, const registry::Environment& environment) {
  ExecutorRegistries into;
  into.insecure_push = arguments.flag("insecure");
  into.insecure_pull = arguments.flag("insecure-pull");
  into.any_certificate = arguments.flag("skip-tls-verify");
  into.any_certificate_pull = arguments.flag("skip-tls-verify-pull");
  for (const auto& name : arguments.values("insecure-registry")) into.insecure.push_back(registry_key(name));
  for (const auto& name : arguments.values("skip-tls-verify-registry")) into.unverified.push_back(registry_key(name));
  for (const auto& text : arguments.values("registry-certificate")) {
    const auto [registry, file] = TRY(pair_of("registry-certificate", text));
    into.certificates[registry_key(registry)] = file;
  }
  for (const auto& text : arguments.values("registry-client-cert")) {
    const auto [registry, files] = TRY(pair_of("registry-client-cert", text));
    const auto comma = files.find(',');
    if (comma == std::string::npos)
      return std::unexpected(
          usage(fmt::format("option --registry-client-cert is REGISTRY=CERT,KEY, not {}", quoted(text, 256))));
    into.client_certificates[registry_key(registry)] = {files.substr(0, comma), files.substr(comma + 1)};
  }
  TRY(set_mirrors(into, arguments, environment));
  into.fallback = !arguments.flag("skip-default-registry-fallback");
  into.push_retry = static_cast<int>(TRY(number(arguments, "push-retry", 0, 0, kMostRetries)));
  (void)TRY(number(arguments, "image-download-retry", 0, 0, kMostRetries));
  into.ignore_immutable_tags = arguments.flag("push-ignore-immutable-tag-errors");
  into.skip_permission_check = arguments.flag("skip-push-permission-check");
  if (into.mirrors.size() > kRegistryLimit || into.insecure.size() > kRegistryLimit)
    return std::unexpected(usage(fmt::format("more than {} registries are named", kRegistryLimit)));
  return into;
}

Result<ExecutorOptions> parse_executor(const Arguments& arguments, const registry::Environment& environment) {
  ExecutorOptions options;
  options.log = TRY(log_settings(arguments));
  options.registries = TRY(executor_registries(arguments, environment));
  set_context(options, arguments);
  TRY(set_git(options, arguments));
  options.destinations = arguments.values("destination");
  options.push = !TRY(environment_bool(environment, "KANIKO_NO_PUSH")).value_or(arguments.flag("no-push"));
  options.push_cache = !arguments.flag("no-push-cache");
  options.layout_path = arguments.value("oci-layout-path").value_or("");
  options.digest_file = arguments.value("digest-file").value_or("");
  options.name_file = arguments.value("image-name-with-digest-file").value_or("");
  options.name_tag_file = arguments.value("image-name-tag-with-digest-file").value_or("");
  options.build_args = arguments.values("build-arg");
  options.labels = arguments.values("label");
  options.annotations = arguments.values("annotation");
  options.secrets = arguments.values("secret");
  TRY(set_deprecated(options, arguments));
  TRY(set_targets(options, arguments));
  TRY(set_format(options, arguments));
  options.single_snapshot = arguments.flag("single-snapshot");
  options.reproducible = arguments.flag("reproducible");
  options.ignored_paths = arguments.values("ignore-path");
  options.cache = arguments.flag("cache");
  options.cache_copy = arguments.flag("cache-copy-layers");
  options.cache_run = arguments.flag("cache-run-layers", true);
  options.cache_repository = arguments.value("cache-repo").value_or("");
  options.cache_directory = arguments.value("cache-dir").value_or(options.cache_directory);
  options.cache_seconds = TRY(cache_seconds(arguments));
  options.dry_run = arguments.flag("dryrun");
  (void)TRY(number(arguments, "image-fs-extract-retry", 0, 0, kMostRetries));
  TRY(check_together(options));
  return options;
}

}  // namespace slipway::cli
