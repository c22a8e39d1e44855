#include "cli/executor/request.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/text.hpp"
#include "cli/build_request.hpp"
#include "cli/workplace.hpp"
#include "sys/file.hpp"

namespace slipway::cli {
namespace {

constexpr std::int64_t kDockerfileLimit = 16 << 20;

bool is_file(const std::string& path) {
  struct stat info{};
  return ::stat(path.c_str(), &info) == 0 && !S_ISDIR(info.st_mode);
}

bool is_url(const std::string& text) { return text.starts_with("https://") || text.starts_with("http://"); }

/// The arguments of `slipway build` that say the same.
Arguments as_build_arguments(const ExecutorOptions& options, const std::string& context, const std::string& target,
                             const registry::Environment& environment) {
  Arguments out;
  out.give_positional(context);
  for (const auto& text : options.build_args)
    out.give("build-arg", text.contains('=') ? text : text + "=" + environment(text).value_or(""));
  for (const auto& text : options.labels) out.give("label", text);
  for (const auto& text : options.annotations) out.give("annotation", "manifest:" + text);
  for (const auto& text : options.secrets) out.give("secret", text);
  if (!target.empty()) out.give("target", target);
  if (!options.platform.empty()) out.give("platform", options.platform);
  return out;
}

/// As kaniko looks for it: as seen from here, else inside the context.
Status set_dockerfile(build::Request& request, const ExecutorOptions& options, const ExecutorContext& context) {
  if (is_url(options.dockerfile)) {
    request.dockerfile = options.dockerfile;
    return {};
  }
  const bool folder = !context.git.always && context.context != "-" && !is_url(context.context);
  if (is_file(options.dockerfile)) {
    request.dockerfile = options.dockerfile;
    if (folder) return {};
    request.dockerfile_text =
        TRY(slipway::context(sys::read_file(options.dockerfile, kDockerfileLimit), "while reading the Dockerfile"));
    return {};
  }
  if (!folder) {
    request.dockerfile = options.dockerfile;
    return {};
  }
  std::string inside = context.context;
  if (!context.directory.empty()) inside += "/" + context.directory;
  inside += "/" + options.dockerfile;
  if (!is_file(inside))
    return std::unexpected(
        Error(Code::kUsage,
              "error resolving dockerfile path: please provide a valid path to a Dockerfile within the build context "
              "with --dockerfile")
            .with_hint(fmt::format("{} is neither here nor in {}", quoted(options.dockerfile, 300),
                                   quoted(context.context, 300))));
  request.dockerfile = inside;
  return {};
}

build::ImageFormat format_of(const ExecutorOptions& options) {
  build::ImageFormat format;
  format.compression = options.compression;
  format.level = options.compression_level;
  if (format.level && !format.compression) format.compression = oci::Compression::kGzip;
  const bool needs_oci = format.compression == oci::Compression::kZstd || !options.annotations.empty();
  format.family = options.image_format.value_or(oci::Family::kOci);
  format.family_of_base = !options.image_format && !needs_oci;
  if (needs_oci) format.family = oci::Family::kOci;
  return format;
}

}  // namespace

Result<std::vector<oci::Reference>> executor_destinations(const std::vector<std::string>& texts) {
  std::vector<oci::Reference> out;
  for (const auto& text : texts) {
    auto name = parse_tag(text);
    if (!name)
      return std::unexpected(
          Error(Code::kUsage, fmt::format("getting tag for destination: {}", name.error().message())));
    if (std::find(out.begin(), out.end(), *name) == out.end()) out.push_back(*std::move(name));
  }
  return out;
}

Result<build::Request> executor_request(const ExecutorOptions& options, const ExecutorContext& context,
                                        const std::string& target, const std::vector<oci::Reference>& destinations,
                                        const registry::Environment& environment) {
  auto request = TRY(build_request(as_build_arguments(options, context.context, target, environment), environment));
  request.context_directory = context.directory;
  request.git = context.git;
  TRY(set_dockerfile(request, options, context));
  request.ca_bundle.clear();  // steps see what their image has, as in kaniko
  request.no_cache = !options.cache;
  request.pull = true;  // kaniko has no images of its own: a name means what the registry says
  if (options.reproducible && !request.source_date_epoch) request.source_date_epoch = 0;
  request.cut = {.one_layer = options.single_snapshot, .ignored = options.ignored_paths};
  request.outputs = {
      {.type = build::Output::Type::kImage, .destination = "", .names = destinations, .format = format_of(options)}};
  return request;
}

}  // namespace slipway::cli
