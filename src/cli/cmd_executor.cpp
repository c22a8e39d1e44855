// `slipway executor`, and the program under the name `executor`: kaniko's command line (docs/migrating-from-kaniko.md).
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "base/time.hpp"
#include "build/oci_layout.hpp"
#include "cli/build_call.hpp"
#include "cli/build_tools.hpp"
#include "cli/commands.hpp"
#include "cli/executor/base_cache.hpp"
#include "cli/executor/cache.hpp"
#include "cli/executor/context.hpp"
#include "cli/executor/failure.hpp"
#include "cli/executor/log.hpp"
#include "cli/executor/registry.hpp"
#include "cli/executor/request.hpp"
#include "cli/executor/results.hpp"
#include "cli/executor/trust.hpp"
#include "cli/failure.hpp"
#include "cli/password.hpp"
#include "cli/registry_name.hpp"
#include "cli/workplace.hpp"
#include "image/proofs.hpp"
#include "sys/file.hpp"

namespace slipway::cli {
namespace {

using Type = build::Output::Type;

/// kaniko's name of an archive that nobody named.
constexpr const char* kNamelessArchive = "docker.io/unset-repo/unset-image-name";

ExecutorLogSetup log_setup(Session& session, const LogSettings& settings) {
  return {.settings = settings,
          .log = [say = session.say](std::string_view text) { say(text); },
          .output =
              [&out = session.out](std::string_view text) {
                (void)out.write(text);  // what could not be written is told when the program ends
                (void)out.flush();
              },
          .clock = [] { return monotonic_ms(); },
          .wall_clock = [] { return now(); }};
}

/// The one image of an archive, or of the directory of a layout.
Result<oci::Descriptor> load_one(const image::Images& images, const std::string& path, const oci::Reference& name,
                                 progress::Sink& sink, const Cancel& cancel) {
  struct stat info{};
  if (::stat(path.c_str(), &info) < 0) return fail_errno("path {} not readable", quoted(path, 300));
  if (S_ISDIR(info.st_mode)) {
    const build::Workshop shop{images.store, images.lease, images, sink, images.scope};
    const auto image = TRY(build::take_layout({.directory = path}, name, oci::Platform::host(), shop, cancel));
    TRY(image::note_own_blobs(store::Origins(images.store), image.manifest));
    return image.manifest.descriptor();
  }
  const auto input = TRY(open_input(path, cancel));
  const auto loaded = TRY(image::load(images.store, images.lease, input.source, cancel));
  if (loaded.size() != 1)
    return fail(Code::kInvalidArgument, "{} holds {} images; one is pushed at a time", quoted(path, 300),
                loaded.size());
  const auto bytes = TRY(images.store.read_blob(loaded[0].target, oci::kManifestLimit));
  return oci::Descriptor{.media_type = loaded[0].media_type, .digest = loaded[0].target, .size = std::ssize(bytes)};
}

/// One run of the builder as kaniko does it.
class Execution {
 public:
  Execution(Session& session, ExecutorOptions options)
      : session_(session), options_(std::move(options)), log_(log_setup(session, options_.log)) {}

  Result<int> run() {
    for (const auto& note : options_.notes) log_.say(LogLevel::kWarn, note);
    bundle_ = TRY(CertificateBundle::gather(session_.environment));
    if (bundle_) session_.environment = with_bundle(session_.environment, bundle_->file());
    destinations_ = TRY(executor_destinations(options_.destinations));
    context_ = TRY(executor_context(options_, session_.environment, now()));
    if (!context_.note.empty()) log_.say(LogLevel::kWarn, context_.note);
    pull_ = TRY(client(RegistryWay::kPull));
    push_ = TRY(client(RegistryWay::kPush));
    if (options_.cache && !options_.dry_run) {
      const std::string repository = TRY(cache_repository(options_, destinations_));
      if (!repository.empty()) cache_.emplace(options_, repository, *push_, log_);
    }
    if (!options_.dry_run && !options_.registries.skip_permission_check)
      TRY(check_push_permissions(*push_, TRY(written_to()), session_.cancel));
    const std::string target = options_.targets.empty() ? "" : options_.targets[0];
    auto request = TRY(executor_request(options_, context_, target, destinations_, session_.environment));
    for (const auto& note : request.notes) log_.say(LogLevel::kWarn, note);
    request.notes.clear();
    // What the secrets of a build are is in no core dump, and no process of this user reads it out of this one.
    if (!request.secrets.empty() || !request.git.authorization.empty()) (void)prctl(PR_SET_DUMPABLE, 0);
    if (options_.dry_run) return dry_run(request);
    where_ = "error building image";
    for (std::size_t i = 1; i < options_.targets.size(); ++i) TRY(build_only(request, options_.targets[i]));
    TRY(build_and_push(request));
    return 0;
  }

  [[nodiscard]] const std::string& where() const { return where_; }

 private:
  /// Where something is going to be pushed: as kaniko, the cache's repository is asked only when nothing else is.
  Result<std::vector<oci::Reference>> written_to() const {
    if (options_.push) return destinations_;
    std::vector<oci::Reference> out;
    const std::string repository = TRY(cache_repository(options_, destinations_));
    if (options_.cache && options_.push_cache && !repository.empty() && !repository.starts_with("oci:"))
      out.push_back(TRY(oci::Reference::parse(repository)));
    return out;
  }

  Result<std::optional<registry::Client>> client(RegistryWay way) {
    auto made = TRY(registry::Client::make(TRY(executor_client(options_.registries, session_, way))));
    made.on_wait([this](const std::string& line) { log_.say(LogLevel::kWarn, line); });
    return std::optional(std::move(made));
  }

  /// The tools of a build; tar:// is read as standard input is.
  template <class Answer>
  Result<Answer> with_tools(const build::Request& request, const std::function<Result<Answer>(build::Tools&)>& use) {
    sys::Fd archive;
    if (!context_.archive.empty())
      archive = TRY(context(sys::open(context_.archive, O_RDONLY), "error resolving source context"));
    return with_build_tools<Answer>(session_, request, *pull_, [&](build::Tools& tools) {
      if (archive) tools.standard_input = source_of(archive.get(), quoted(context_.archive, 300), session_.cancel);
      http_ = tools.http;
      tools.step_cache = cache_ ? &*cache_ : nullptr;
      if (options_.cache)
        tools.resolved = [&](const build::Workshop& shop, const image::Resolved& image) -> Status {
          const std::string place =
              cached_base(options_.cache_directory, image.manifest.digest(), options_.cache_seconds, now());
          return place.empty() ? Status() : take_cached_base(shop, image, place, log_, session_.cancel);
        };
      return use(tools);
    });
  }

  Result<int> dry_run(const build::Request& request) {
    return with_tools<int>(request, [&](build::Tools& tools) {
      return answer_call(session_, request, tools, {.method = Call::Method::kOutline});
    });
  }

  /// A further target of the list: it is built, and nothing is left of it but what the store remembers.
  Status build_only(const build::Request& request, const std::string& target) {
    if (context_.context == "-" && context_.archive.empty())
      return fail(Code::kUsage, "a context from standard input can be built for one --target only");
    build::Request other = request;
    other.target = target;
    other.outputs = {{.type = Type::kCacheOnly, .destination = ""}};
    return built(other, nullptr);
  }

  Status build_and_push(build::Request& request) {
    if (!options_.tar_path.empty()) {
      auto names = destinations_;
      if (names.empty()) names.push_back(TRY(oci::Reference::parse(kNamelessArchive)));
      request.outputs.push_back({.type = Type::kDocker,
                                 .destination = options_.tar_path,
                                 .names = std::move(names),
                                 .format = request.outputs[0].format});
    }
    return built(request,
                 [&](const image::Images& images, const oci::Descriptor& manifest) { return leave(images, manifest); });
  }

  Status built(const build::Request& request,
               const std::function<Status(const image::Images&, const oci::Descriptor&)>& exported) {
    (void)TRY(with_tools<int>(request, [&](build::Tools& tools) -> Result<int> {
      tools.exported = exported;
      (void)TRY(build::build(request, tools, log_, session_.cancel));
      return 0;
    }));
    return {};
  }

  /// What is left of the image, in kaniko's order: digests, a layout, pushes.
  Status leave(const image::Images& images, const oci::Descriptor& manifest) {
    where_ = "error pushing image";
    TRY(write_digest_files(options_, destinations_, manifest.digest, http_, session_.cancel));
    if (!options_.layout_path.empty()) TRY(write_layout(images.store, manifest, options_.layout_path, session_.cancel));
    if (!options_.push) {
      log_.info("Skipping push to container registry due to --no-push flag");
      return {};
    }
    const image::Images pushing{images.store, images.lease, *push_, images.scope};
    TRY(push_to_all(pushing, manifest, destinations_, options_.registries, log_, session_.cancel));
    return write_builder_output(session_.variable("BUILDER_OUTPUT"), destinations_, manifest.digest);
  }

  Session& session_;
  const ExecutorOptions options_;
  ExecutorLog log_;
  std::optional<CertificateBundle> bundle_;
  std::optional<ExecutorCache> cache_;
  std::string where_;
  std::vector<oci::Reference> destinations_;
  ExecutorContext context_;
  std::optional<registry::Client> pull_, push_;
  http::ClientOptions http_;
};

Result<int> execute(Session& session, const Arguments& arguments) {
  auto options = parse_executor(arguments, session.environment);
  if (!options) {
    session.say(usage_text(options.error()));
    return kExitFailed;
  }
  Execution execution(session, *std::move(options));
  auto done = execution.run();
  if (done) return done;
  if (done.error().code() == Code::kCancelled) return done;
  session.say(executor_failure_text(done.error(), execution.where(), session.debug));
  return executor_exit_code(done.error());
}

/// `executor push ARCHIVE -d NAME`: an archive of `docker save`, or the directory of an OCI layout.
Result<int> push_archive(Session& session, const Arguments& arguments) {
  ExecutorLog log(log_setup(session, TRY(log_settings(arguments))));
  const auto registries = TRY(executor_registries(arguments, session.environment));
  const auto destinations = TRY(executor_destinations(arguments.values("destination")));
  if (destinations.empty()) return fail(Code::kUsage, "at least one --destination is required");
  auto client = TRY(registry::Client::make(TRY(executor_client(registries, session, RegistryWay::kPush))));
  if (!registries.skip_permission_check) TRY(check_push_permissions(client, destinations, session.cancel));
  auto store = TRY(session.open_store());
  const auto lease = TRY(store.lease("push"));
  const image::Images images{store, lease, client, session.scope};
  const auto image =
      TRY(context(load_one(images, arguments.positional()[1], destinations[0], log, session.cancel), "loading image"));
  TRY(context(push_to_all(images, image, destinations, registries, log, session.cancel), "pushing image"));
  return 0;
}

/// `executor login REGISTRY -u NAME`: kept in config.json; the registry is not asked, as kaniko does not.
Result<int> log_in(Session& session, const Arguments& arguments) {
  registry::Credential who{.username = arguments.value("username").value_or("")};
  const auto password = arguments.value("password");
  if (who.username.empty()) return fail(Code::kUsage, "username required");
  if (!password && !arguments.flag("password-stdin"))
    return fail(Code::kUsage, "a password must be supplied via --password or --password-stdin");
  if (password && arguments.flag("password-stdin"))
    return fail(Code::kUsage, "only one of --password or --password-stdin may be specified");
  who.password = password ? *password : TRY(password_from_stdin(session.cancel));
  if (who.password.empty()) return fail(Code::kUsage, "password is blank");
  const auto registry = TRY(registry_name(arguments.positional()[1]));
  const auto saved = TRY(registry::save_login(session.environment, registry, who, session.variables, session.cancel));
  if (saved.helper.empty())
    session.say(fmt::format("WARNING! Your password will be stored unencrypted in {}.\n", printable(saved.path)));
  return 0;
}

/// The failure of a sub-command, as cobra tells it.
Result<int> told(Session& session, Result<int> done) {
  if (done || done.error().code() == Code::kCancelled) return done;
  session.say(done.error().code() == Code::kUsage ? usage_text(done.error())
                                                  : executor_failure_text(done.error(), "Error", session.debug));
  return kExitFailed;
}

Result<int> run(Session& session, const Arguments& arguments) {
  if (arguments.positional().empty()) return execute(session, arguments);
  const std::string& word = arguments.positional()[0];
  if ((word == "push" || word == "login") && arguments.positional().size() != 2)
    return told(session, fail(Code::kUsage, "accepts 1 arg(s), received {}", arguments.positional().size() - 1));
  if (word == "push") return told(session, push_archive(session, arguments));
  if (word == "login") return told(session, log_in(session, arguments));
  if (word == "version") {
    TRY(session.out.write("Kaniko version :  slipway " SLIPWAY_VERSION "\n"));
    return 0;
  }
  session.say(usage_text(Error(Code::kUsage, fmt::format("unknown command {} for \"executor\"", quoted(word, 64)))));
  return kExitFailed;
}

}  // namespace

const Command& executor_command() {
  static const Command command = {
      .name = "executor",
      .summary = "Build and push as kaniko's executor does, with its command line",
      .arguments = "[push ARCHIVE | login REGISTRY | version]",
      .examples = {{"slipway executor --context . --destination registry.example/app:1",
                    "build the Dockerfile here, push"},
                   {"slipway executor -c dir:///src -f app/Dockerfile --no-push --tar-path app.tar", "an archive"},
                   {"slipway executor --cache --cache-repo registry.example/cache -d registry.example/app:1",
                    "with a cache"}},
      .options = executor_options(),
      .most = 2,
      .completes = Completes::kWords,
      .words = "push login version",
      .run = run,
      .notes =
          "Also what the program does when it is called executor (a link, as /kaniko/executor). The log goes to "
          "standard\n"
          "error as kaniko writes it. Exit codes: 0 done, 1 it failed, the code of a RUN step that failed.\n"
          "docs/migrating-from-kaniko.md has every flag."};
  return command;
}

}  // namespace slipway::cli
