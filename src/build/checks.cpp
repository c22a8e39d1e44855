#include "build/checks.hpp"

#include <algorithm>
#include <memory>

#include "base/text.hpp"
#include "build/frontend.hpp"
#include "dockerfile/ignore.hpp"
#include "image/image.hpp"
#include "oci/platform.hpp"
#include "oci/reference.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

namespace df = dockerfile;

df::PlatformName name_of(const oci::Platform& platform) {
  const oci::Platform usual = platform.normalized();
  return {usual.os, usual.architecture, usual.text()};
}

df::CheckFacts::Pairs platform_args(const Request& request, const oci::Platform& target) {
  df::CheckFacts::Pairs args;
  for (const auto& [prefix, platform] : {std::pair("BUILD", oci::Platform::host()), std::pair("TARGET", target)}) {
    const std::string p = prefix;
    args.emplace_back(p + "PLATFORM", platform.full_text());
    args.emplace_back(p + "OS", platform.os);
    args.emplace_back(p + "OSVERSION", platform.os_version);
    args.emplace_back(p + "ARCH", platform.architecture);
    args.emplace_back(p + "VARIANT", platform.variant);
  }
  args.emplace_back("TARGETSTAGE", request.target.empty() ? "default" : request.target);
  return args;
}

std::optional<df::BaseImage> stored_image(store::Store& store, std::string_view scope, const std::string& image,
                                          const oci::Platform& platform) {
  const auto reference = oci::Reference::parse(image);
  if (!reference) return std::nullopt;
  const auto name = store.find_name(scope, *reference);
  if (!name || !*name) return std::nullopt;
  const auto details =
      image::details(store, image::Holder({*reference}), (*name)->target, (*name)->media_type, platform);
  if (!details) return std::nullopt;
  const oci::ImageConfigView& view = details->config.view();
  return df::BaseImage{.env = view.config.env,
                       .on_build = view.config.on_build,
                       .has_shell = !view.config.shell.empty(),
                       .platform = name_of(view.platform)};
}

/// The text of the ignore file that holds for a folder of this machine; nothing when there is none or it can not be
/// read: the build itself says so.
std::optional<std::string> ignore_text(const Request& request, const ContextFolder& folder) {
  if (folder.remote) return std::nullopt;
  std::vector<std::string> paths{folder.directory + "/.dockerignore"};
  if (!request.dockerfile_text && !folder.dockerfile) {
    const std::string file = request.dockerfile.empty() ? folder.directory + "/Dockerfile" : request.dockerfile;
    paths.insert(paths.begin(), file + ".dockerignore");
  }
  for (const auto& path : paths) {
    auto text = sys::read_file(path, df::kIgnoreLimit);
    if (text) return *std::move(text);
    if (text.error().sys_errno() != ENOENT && text.error().sys_errno() != ENOTDIR) return std::nullopt;
  }
  return std::nullopt;
}

bool has_exceptions(std::string_view text) {
  for (const auto line : split(text, '\n'))
    if (trim(line).starts_with('!')) return true;
  return false;
}

/// Reads the ignore file when the first COPY asks.
class Ignored {
 public:
  Ignored(const Request& request, const ContextFolder& folder) : request_(request), folder_(folder) {}

  bool operator()(const std::string& path) {
    if (!asked_) load();
    asked_ = true;
    if (!matcher_) return false;
    // the context itself is only left out when everything in it is
    return path == "." || path == "/" ? matcher_->excluded("a name that no pattern but a general one has")
                                      : matcher_->excluded(path);
  }

 private:
  void load() {
    const auto text = ignore_text(request_, folder_);
    if (!text || has_exceptions(*text)) return;
    if (auto matcher = df::Matcher::parse(*text)) matcher_ = std::make_shared<df::Matcher>(*std::move(matcher));
  }
  const Request& request_;
  const ContextFolder& folder_;
  bool asked_ = false;
  std::shared_ptr<const df::Matcher> matcher_;
};

}  // namespace

df::CheckFacts check_facts(const Request& request, const ContextFolder& folder, const Tools& tools) {
  // of several platforms the first is looked at: most findings are the same for all
  const oci::Platform target = request.platforms.empty() ? oci::Platform::host() : request.platforms[0];
  df::CheckFacts facts{.build_args = request.build_args,
                       .platform_args = platform_args(request, target),
                       .target_platform = name_of(target),
                       .target = request.target};
  facts.base_image = [target, &tools](const std::string& image,
                                      const std::string& platform) -> std::optional<df::BaseImage> {
    const auto wanted = platform.empty() ? Result<oci::Platform>(target) : oci::Platform::parse(platform);
    if (!wanted) return std::nullopt;
    return stored_image(tools.store, tools.scope, image, *wanted);
  };
  facts.parse_platform = [](std::string_view text) -> std::optional<df::PlatformName> {
    const auto platform = oci::Platform::parse(text);
    if (!platform) return std::nullopt;
    return name_of(*platform);
  };
  facts.is_image_name = [](std::string_view text) { return oci::Reference::parse(text).has_value(); };
  facts.is_named_context = [&request](std::string_view name) {
    if (request.contexts.empty()) return false;
    const std::string wanted = canonical_context_name(name);
    return std::ranges::any_of(request.contexts, [&](const NamedContext& one) { return one.name == wanted; });
  };
  facts.ignored = Ignored(request, folder);
  return facts;
}

Status run_checks(const df::File& file, const Request& request, const ContextFolder& folder, const Tools& tools) {
  const df::CheckOptions options = TRY(df::check_options(file, request.build_args));
  if (options.skip_all && !options.experimental_all && options.experimental.empty()) return {};
  const df::Checked checked = df::check(file, check_facts(request, folder, tools), options);
  if (tools.checked) tools.checked(file, checked);
  if (auto error = df::violation(checked, options)) return std::unexpected(*std::move(error));
  return {};
}

Status inspect(const Request& request, const Tools& tools, progress::Sink& sink, const Cancel& cancel,
               const std::function<Status(const df::File&, const df::CheckFacts&)>& use) {
  const store::Lease lease = TRY(tools.store.lease("check"));
  const Workshop shop{tools.store, lease, image::Images{tools.store, lease, tools.client, tools.scope}, sink,
                      tools.scope};
  VertexIds ids;
  RemoteSources remotes(shop, request, tools, ids);
  const ContextFolder folder = TRY(get_context(request, tools, remotes, cancel));
  const df::File file = TRY(read_dockerfile(request, folder, remotes, cancel));
  return use(file, check_facts(request, folder, tools));
}

}  // namespace slipway::build
