// The tables of kaniko's flags; what they mean is executor/options.cpp.
#include "cli/executor/options.hpp"

namespace slipway::cli {
namespace {

constexpr Option kVerbosity = {.name = "verbosity",
                               .letter = 'v',
                               .takes = Takes::kValue,
                               .value = "LEVEL",
                               .help = "trace, debug, info (default), warn, error, fatal or panic",
                               .completes = Completes::kWords,
                               .words = "trace debug info warn error fatal panic"};
constexpr Option kLogFormat = {.name = "log-format",
                               .takes = Takes::kValue,
                               .value = "FORMAT",
                               .help = "color (default), text or json",
                               .completes = Completes::kWords,
                               .words = "color text json"};
constexpr Option kLogTimestamp = {.name = "log-timestamp", .help = "the time of day in each line"};
constexpr Option kDestination = {.name = "destination",
                                 .letter = 'd',
                                 .takes = Takes::kValues,
                                 .value = "NAME",
                                 .help = "where the image is pushed (many times)"};

constexpr Option path_option(std::string_view name, std::string_view help) {
  return {.name = name, .takes = Takes::kValue, .value = "FILE", .help = help, .completes = Completes::kFile};
}
/// Accepted; its help says why there is nothing to do.
constexpr Option idle(std::string_view name) {
  return {.name = name,
          .help = "accepted: docs/migrating-from-kaniko.md says why there is nothing to do",
          .compatibility = true};
}
constexpr Option idle_value(std::string_view name, std::string_view value) {
  return {.name = name,
          .takes = Takes::kValue,
          .value = value,
          .help = "accepted: docs/migrating-from-kaniko.md says why there is nothing to do",
          .compatibility = true};
}
constexpr Option old_name(std::string_view name, std::string_view value, std::string_view help) {
  return {.name = name, .takes = Takes::kValue, .value = value, .help = help, .compatibility = true};
}

std::vector<Option> push_flags() {
  return {
      {.name = "insecure", .help = "push by plain HTTP, or to whoever answers"},
      {.name = "skip-tls-verify", .help = "believe any certificate"},
      {.name = "push-retry", .takes = Takes::kValue, .value = "N", .help = "further tries of a push that failed"},
      {.name = "push-ignore-immutable-tag-errors", .help = "a tag that can not be overwritten is no error"},
      {.name = "skip-push-permission-check", .help = "do not ask before the build whether the push is allowed"},
  };
}

std::vector<Option> registry_flags() {
  return {
      {.name = "insecure-pull", .help = "pull by plain HTTP, or from whoever answers"},
      {.name = "insecure-registry",
       .takes = Takes::kValues,
       .value = "REGISTRY",
       .help = "the same for one registry, both ways"},
      {.name = "skip-tls-verify-pull", .help = "believe any certificate of whom is pulled from"},
      {.name = "skip-tls-verify-registry",
       .takes = Takes::kValues,
       .value = "REGISTRY",
       .help = "the same for one registry, both ways"},
      {.name = "registry-certificate",
       .takes = Takes::kValues,
       .value = "REGISTRY=FILE",
       .help = "roots (PEM) for one registry, besides the usual ones",
       .completes = Completes::kFile},
      {.name = "registry-client-cert",
       .takes = Takes::kValues,
       .value = "REGISTRY=CERT,KEY",
       .help = "who we are to one registry (mutual TLS)",
       .completes = Completes::kFile},
      {.name = "registry-map",
       .takes = Takes::kValues,
       .value = "FROM=TO[;FROM=TO]",
       .help = "pull from TO what is of FROM (KANIKO_REGISTRY_MAP); TO may hold a path"},
      {.name = "registry-mirror",
       .takes = Takes::kValues,
       .value = "REGISTRY",
       .help = "the same for Docker Hub (KANIKO_REGISTRY_MIRROR)"},
      {.name = "skip-default-registry-fallback", .help = "what the mirrors do not have is not there"},
      {.name = "image-download-retry",
       .takes = Takes::kValue,
       .value = "N",
       .help = "accepted: every download is tried again and resumed anyway",
       .compatibility = true},
      {.name = "credential-helpers",
       .takes = Takes::kValues,
       .value = "NAME",
       .help = "accepted: credentials are those of config.json",
       .compatibility = true},
  };
}

std::vector<Option> context_flags() {
  return {
      {.name = "context",
       .letter = 'c',
       .takes = Takes::kValue,
       .value = "CONTEXT",
       .help = "a directory, dir://, tar://FILE, tar://stdin, git://, https:// or s3:// (default /workspace/)",
       .completes = Completes::kDirectory},
      {.name = "context-sub-path",
       .takes = Takes::kValue,
       .value = "PATH",
       .help = "the directory inside of a context that has a prefix"},
      {.name = "dockerfile",
       .letter = 'f',
       .takes = Takes::kValue,
       .value = "FILE",
       .help = "the Dockerfile, as seen from here or inside the context; or a URL (default Dockerfile)",
       .completes = Completes::kFile},
      {.name = "git",
       .takes = Takes::kValues,
       .value = "KEY=VALUE",
       .help = "of a git context: branch, recurse-submodules, insecure-skip-tls; single-branch and depth change "
               "nothing, as one commit is fetched anyway"},
      {.name = "bucket",
       .letter = 'b',
       .takes = Takes::kValue,
       .value = "BUCKET",
       .help = "a context in a bucket, as --context s3://BUCKET/FILE",
       .compatibility = true},
      {.name = "build-arg", .takes = Takes::kValues, .value = "NAME[=VALUE]", .help = "a value for ARG"},
      {.name = "secret",
       .takes = Takes::kValues,
       .value = "id=ID[,src=FILE|,env=NAME]",
       .help = "for RUN --mount=type=secret"},
      {.name = "target",
       .takes = Takes::kValues,
       .value = "STAGE",
       .help = "the stages to build (a list); the first is what is pushed (default: the last)"},
      {.name = "custom-platform",
       .takes = Takes::kValue,
       .value = "OS/ARCH[/VARIANT]",
       .help = "what to build for (default: this machine)"},
      {.name = "customPlatform",
       .takes = Takes::kValue,
       .value = "PLATFORM",
       .help = "the old name of --custom-platform",
       .compatibility = true},
  };
}

std::vector<Option> result_flags() {
  return {
      kDestination,
      {.name = "no-push", .help = "only build (KANIKO_NO_PUSH)"},
      path_option("tar-path", "also write an archive that docker loads"),
      old_name("tarPath", "FILE", "the old name of --tar-path"),
      {.name = "oci-layout-path",
       .takes = Takes::kValue,
       .value = "DIR",
       .help = "also write an OCI layout",
       .completes = Completes::kDirectory},
      path_option("digest-file", "write the image's digest to a file, or to an https:// address"),
      path_option("image-name-with-digest-file", "write NAME@DIGEST, a line for each destination"),
      path_option("image-name-tag-with-digest-file", "write NAME:TAG@DIGEST, a line for each destination"),
      {.name = "label", .takes = Takes::kValues, .value = "NAME=VALUE", .help = "a label of the image"},
      {.name = "annotation", .takes = Takes::kValues, .value = "KEY=VALUE", .help = "an annotation of the image"},
      {.name = "compression",
       .takes = Takes::kValue,
       .value = "gzip|zstd",
       .help = "of the layers that are made here (default gzip)",
       .completes = Completes::kWords,
       .words = "gzip zstd"},
      {.name = "compression-level", .takes = Takes::kValue, .value = "N", .help = "gzip 0 to 9, zstd 1 to 22"},
      {.name = "image-format",
       .takes = Takes::kValue,
       .value = "docker|oci",
       .help = "media types of the image (default: those of the base image)",
       .completes = Completes::kWords,
       .words = "docker oci"},
      {.name = "reproducible", .help = "no times in what is made here: all are 1970-01-01, as SOURCE_DATE_EPOCH=0"},
      {.name = "single-snapshot", .help = "one layer for all steps of the image's stage"},
      {.name = "ignore-path",
       .takes = Takes::kValues,
       .value = "PATH",
       .help = "what steps leave below it is in no layer",
       .completes = Completes::kNothing},
  };
}

std::vector<Option> cache_flags() {
  return {
      {.name = "cache", .help = "use steps that were built before, of the store and of the cache repository"},
      {.name = "cache-repo",
       .takes = Takes::kValue,
       .value = "REPOSITORY|oci:DIR",
       .help = "where cached layers lie (default: DESTINATION/cache)"},
      {.name = "cache-dir",
       .takes = Takes::kValue,
       .value = "DIR",
       .help = "base images that `warmer` brought (default /cache)",
       .completes = Completes::kDirectory},
      {.name = "cache-ttl",
       .takes = Takes::kValue,
       .value = "DURATION",
       .help = "older layers of the repository are not used (default 336h)"},
      {.name = "cache-copy-layers", .help = "layers of COPY are cached in the repository too"},
      {.name = "cache-run-layers", .help = "layers of RUN are (default true)"},
      {.name = "no-push-cache", .help = "read the cache repository, write nothing to it"},
  };
}

std::vector<Option> idle_flags() {
  return {
      idle("compressed-caching"),
      idle_value("snapshot-mode", "full|redo|time"),
      old_name("snapshotMode", "MODE", "the old name of --snapshot-mode"),
      idle("use-new-run"),
      idle("ignore-var-run"),
      idle("whitelist-var-run"),
      idle("cleanup"),
      idle("pre-cleanup"),
      idle("preserve-context"),
      idle("materialize"),
      idle("force"),
      idle_value("kaniko-dir", "DIR"),
      idle_value("image-fs-extract-retry", "N"),
      idle("force-build-metadata"),
      idle("skip-unused-stages"),
  };
}

std::vector<Option> own_flags() {
  return {
      {.name = "dryrun", .help = "say what would be built, build nothing"},
      kVerbosity,
      kLogFormat,
      kLogTimestamp,
      {.name = "username", .letter = 'u', .takes = Takes::kValue, .value = "NAME", .help = "of login: user name"},
      {.name = "password", .letter = 'p', .takes = Takes::kValue, .value = "TEXT", .help = "of login: password"},
      {.name = "password-stdin", .help = "of login: take the password from standard input"},
  };
}

std::vector<Option> joined(std::initializer_list<std::vector<Option>> parts) {
  std::vector<Option> all;
  for (const auto& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

}  // namespace

const std::vector<Option>& executor_options() {
  static const std::vector<Option> options = joined(
      {context_flags(), result_flags(), cache_flags(), push_flags(), registry_flags(), own_flags(), idle_flags()});
  return options;
}

const std::vector<Option>& warmer_options() {
  static const std::vector<Option> options =
      joined({{{.name = "image",
                .letter = 'i',
                .takes = Takes::kValues,
                .value = "NAME",
                .help = "an image to bring (many times)"},
               {.name = "dockerfile",
                .letter = 'd',
                .takes = Takes::kValue,
                .value = "FILE",
                .help = "bring the base images of all its stages",
                .completes = Completes::kFile},
               {.name = "build-arg",
                .takes = Takes::kValues,
                .value = "NAME[=VALUE]",
                .help = "a value for an ARG before FROM"},
               {.name = "cache-dir",
                .letter = 'c',
                .takes = Takes::kValue,
                .value = "DIR",
                .help = "where they are put (default /cache)",
                .completes = Completes::kDirectory},
               {.name = "cache-ttl",
                .takes = Takes::kValue,
                .value = "DURATION",
                .help = "what is older is brought again (default 336h)"},
               {.name = "force", .letter = 'f', .help = "bring again what is there"},
               {.name = "custom-platform",
                .takes = Takes::kValue,
                .value = "OS/ARCH[/VARIANT]",
                .help = "of which platform (default: this machine)"},
               {.name = "customPlatform",
                .takes = Takes::kValue,
                .value = "PLATFORM",
                .help = "the same",
                .compatibility = true},
               kVerbosity,
               kLogFormat,
               kLogTimestamp},
              registry_flags()});
  return options;
}

}  // namespace slipway::cli
