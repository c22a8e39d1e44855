// `slipway warmer`, and the program under the name `warmer`: brings base images into a directory that executors read
// (--cache-dir). Each is an OCI layout named by the digest of its manifest, as kaniko's warmer writes it.
#include <algorithm>

#include "base/text.hpp"
#include "base/time.hpp"
#include "build/variables.hpp"
#include "cli/commands.hpp"
#include "cli/executor/base_cache.hpp"
#include "cli/executor/failure.hpp"
#include "cli/executor/log.hpp"
#include "cli/executor/registry.hpp"
#include "cli/executor/results.hpp"
#include "cli/failure.hpp"
#include "cli/workplace.hpp"
#include "dockerfile/dockerfile.hpp"
#include "dockerfile/expand_instruction.hpp"
#include "sys/file.hpp"

namespace slipway::cli {
namespace {

namespace df = dockerfile;

/// The images that the stages of a Dockerfile are built from.
Result<std::vector<std::string>> base_images(const std::string& path, const std::vector<std::string>& build_args,
                                             const oci::Platform& platform) {
  const auto text = TRY(sys::read_file(path, df::kFileLimit));
  const df::File file = TRY(df::parse(text, "Dockerfile"));
  std::vector<std::pair<std::string, std::string>> args;
  for (const auto& arg : build_args) {
    const auto equals = arg.find('=');
    if (equals != std::string::npos) args.emplace_back(arg.substr(0, equals), arg.substr(equals + 1));
  }
  const auto globals = TRY(build::GlobalVariables::evaluate(file, args, platform, oci::Platform::host(), ""));
  std::vector<std::string> names;
  for (std::size_t i = 0; i < file.stages.size(); ++i) {
    const df::From from = TRY(df::expanded(file.stages[i].from, file.directives.escape,
                                           [&](std::string_view name) { return globals.find(name); }));
    if (from.image == "scratch" || df::find_stage(file, from.image, i)) continue;
    if (std::find(names.begin(), names.end(), from.image) == names.end()) names.push_back(from.image);
  }
  return names;
}

class Warming {
 public:
  Warming(Session& session, const Arguments& arguments, ExecutorLog& log)
      : session_(session), arguments_(arguments), log_(log) {}

  Result<int> run() {
    directory_ = arguments_.value("cache-dir").value_or("/cache");
    seconds_ = TRY(cache_seconds(arguments_));
    const auto text = arguments_.value(arguments_.has("customPlatform") ? "customPlatform" : "custom-platform");
    if (text && !text->empty()) platform_ = TRY(oci::Platform::parse(*text));
    auto names = arguments_.values("image");
    if (const auto file = arguments_.value("dockerfile"))
      for (auto& name : TRY(base_images(*file, arguments_.values("build-arg"), platform_))) names.push_back(name);
    if (names.empty())
      return fail(Code::kUsage, "you must select at least one image to cache or a dockerfilepath to parse");
    TRY(sys::make_directories(directory_, 0755));
    const auto registries = TRY(executor_registries(arguments_, session_.environment));
    client_ = TRY(registry::Client::make(TRY(executor_client(registries, session_, RegistryWay::kPull))));
    store_ = TRY(session_.open_store());
    lease_ = TRY(store_->lease("warm"));
    std::size_t failed = 0;
    for (const auto& name : names) {
      const Status warmed = warm(name);
      if (warmed) continue;
      if (warmed.error().code() == Code::kCancelled) return std::unexpected(warmed.error());
      log_.say(LogLevel::kWarn, fmt::format("Error while trying to warm image: {} {}", name, warmed.error().message()));
      ++failed;
    }
    if (failed == names.size())
      return fail(Code::kFailedPrecondition, "failed warming cache: failed to warm any of the given images");
    return 0;
  }

 private:
  Status warm(const std::string& text) {
    const oci::Reference name = TRY(oci::Reference::parse(text));
    const image::Images images{*store_, *lease_, *client_, session_.scope};
    const auto image = TRY(images.resolve(name, platform_, image::PullPolicy::kAlways, log_, 1, session_.cancel));
    const oci::Descriptor manifest = image.manifest.descriptor();
    if (!arguments_.flag("force") && !cached_base(directory_, manifest.digest, seconds_, now()).empty()) {
      log_.info(fmt::format("Image already in cache: {}", text));
      return {};
    }
    log_.info(fmt::format("Retrieving image {}", name.canonical()));
    TRY(images.fetch(image, log_, 1, session_.cancel));
    // whole or not at all: readers look at the name
    const auto holder = TRY(sys::TempDir::make(directory_, ".warming-"));
    TRY(write_layout(*store_, manifest, holder.path() + "/layout", session_.cancel));
    const sys::Fd from = TRY(sys::open(holder.path(), O_RDONLY | O_DIRECTORY));
    const sys::Fd to = TRY(sys::open(directory_, O_RDONLY | O_DIRECTORY));
    if (TRY(sys::lstat_at(to.get(), manifest.digest.text()))) TRY(sys::remove_tree(to.get(), manifest.digest.text()));
    TRY(sys::rename_at(from.get(), "layout", to.get(), manifest.digest.text()));
    return sys::sync_directory(directory_);
  }

  Session& session_;
  const Arguments& arguments_;
  ExecutorLog& log_;
  std::string directory_;
  std::int64_t seconds_ = 0;
  oci::Platform platform_ = oci::Platform::host();
  std::optional<registry::Client> client_;
  std::optional<store::Store> store_;
  std::optional<store::Lease> lease_;
};

Result<int> run(Session& session, const Arguments& arguments) {
  const auto warmed = [&]() -> Result<int> {
    ExecutorLog log({.settings = TRY(log_settings(arguments)),
                     .log = [say = session.say](std::string_view text) { say(text); },
                     .clock = [] { return monotonic_ms(); },
                     .wall_clock = [] { return now(); }});
    return Warming(session, arguments, log).run();
  }();
  if (warmed || warmed.error().code() == Code::kCancelled) return warmed;
  session.say(warmed.error().code() == Code::kUsage ? usage_text(warmed.error())
                                                    : executor_failure_text(warmed.error(), "", session.debug));
  return kExitFailed;
}

}  // namespace

const Command& warmer_command() {
  static const Command command = {
      .name = "warmer",
      .summary = "Bring base images into the directory that 'executor --cache-dir' reads, as kaniko's warmer",
      .examples = {{"slipway warmer --image debian:12 --cache-dir /cache", "one image"},
                   {"slipway warmer --dockerfile Dockerfile", "the base images of its stages, into /cache"},
                   {"slipway warmer -i app:1 --force", "again, though it is there"}},
      .options = warmer_options(),
      .run = run};
  return command;
}

}  // namespace slipway::cli
