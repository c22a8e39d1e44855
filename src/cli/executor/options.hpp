// Executor options: kaniko's command line as values (spec/dockerfile.md section 14), and what its environment adds.
// Opens nothing. The syntax is that of all our commands (option.hpp), which is pflag's as kaniko has it.
//
//   executor --context DIR --dockerfile FILE --destination NAME …
//   executor push ARCHIVE --destination NAME      executor login REGISTRY -u USER --password-stdin      executor
//   version
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "cli/option.hpp"
#include "oci/image.hpp"
#include "registry/credentials.hpp"

namespace slipway::cli {

/// How much is logged, most important first; numbers ascend to the chatty end.
enum class LogLevel : unsigned char { kPanic, kFatal, kError, kWarn, kInfo, kDebug, kTrace };
enum class LogFormat : unsigned char { kText, kColor, kJson };
struct LogSettings {
  LogLevel level = LogLevel::kInfo;
  LogFormat format = LogFormat::kColor;
  bool timestamp = false;  ///< the time of day instead of seconds since the start
  friend bool operator==(const LogSettings&, const LogSettings&) = default;
};

/// What registries are like, for `executor`, `executor push` and `warmer`.
struct ExecutorRegistries {
  bool insecure_push = false, insecure_pull = false;  ///< --insecure, --insecure-pull: plain HTTP, any certificate
  bool any_certificate = false;                       ///< --skip-tls-verify: of whom is pushed to and pulled from
  bool any_certificate_pull = false;                  ///< --skip-tls-verify-pull
  std::vector<std::string> insecure, unverified;      ///< --insecure-registry, --skip-tls-verify-registry
  std::map<std::string, std::string> certificates;    ///< --registry-certificate: PEM roots by registry
  /// --registry-client-cert: certificate and key by registry.
  std::map<std::string, std::pair<std::string, std::string>> client_certificates;
  std::map<std::string, std::vector<std::string>> mirrors;  ///< --registry-map and --registry-mirror ("docker.io")
  bool fallback = true;                                     ///< false: --skip-default-registry-fallback
  int push_retry = 0;
  bool ignore_immutable_tags = false;
  bool skip_permission_check = false;
};

/// --git
struct ExecutorGit {
  std::string branch;
  bool submodules = false;
  bool any_certificate = false;
};

struct ExecutorOptions {
  LogSettings log;
  ExecutorRegistries registries;
  std::string context = "/workspace/", sub_path, dockerfile = "Dockerfile";
  ExecutorGit git;
  std::vector<std::string> destinations;
  bool push = true, push_cache = true;
  std::string tar_path, layout_path;                  ///< empty: none
  std::string digest_file, name_file, name_tag_file;  ///< likewise; a path or https://…
  std::vector<std::string> build_args, labels, annotations, secrets;
  std::vector<std::string> targets;  ///< the first is what is pushed; none: the last stage
  std::string platform;              ///< empty: this machine's
  std::optional<oci::Compression> compression;
  std::optional<int> compression_level;
  std::optional<oci::Family> image_format;  ///< nothing: the base image's
  bool single_snapshot = false, reproducible = false;
  std::vector<std::string> ignored_paths;
  bool cache = false, cache_copy = false, cache_run = true;
  std::string cache_repository;  ///< as given: a repository, "oci:PATH" or empty
  std::string cache_directory = "/cache";
  std::int64_t cache_seconds = 14 * 24 * 3600;
  bool dry_run = false;
  std::vector<std::string> notes;  ///< to be told as warnings
};

/// Every flag that kaniko's executor has or had.
[[nodiscard]] const std::vector<Option>& executor_options();
/// Those of `warmer`.
[[nodiscard]] const std::vector<Option>& warmer_options();

/// Errors are kUsage, in kaniko's words where it has some.
[[nodiscard]] Result<LogSettings> log_settings(const Arguments& arguments);
[[nodiscard]] Result<ExecutorRegistries> executor_registries(const Arguments& arguments,
                                                             const registry::Environment& environment);
[[nodiscard]] Result<ExecutorOptions> parse_executor(const Arguments& arguments,
                                                     const registry::Environment& environment);

/// --cache-ttl, as Go's durations; in seconds.
[[nodiscard]] Result<std::int64_t> cache_seconds(const Arguments& arguments);

}  // namespace slipway::cli
