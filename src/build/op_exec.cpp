#include <algorithm>
#include <map>

#include "base/text.hpp"
#include "build/buildkit_step.hpp"
#include "build/foreign_steps.hpp"
#include "build/layer_op.hpp"
#include "build/listing.hpp"
#include "build/ssh_agents.hpp"
#include "build/step_output.hpp"
#include "buildcache/keys.hpp"
#include "dockerfile/duration.hpp"
#include "sandbox/elf.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

constexpr std::string_view kDefaultPath = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

bool has(const std::vector<std::string>& environment, std::string_view name) {
  return std::any_of(environment.begin(), environment.end(), [&](const std::string& entry) {
    return entry.size() > name.size() && entry.starts_with(name) && entry[name.size()] == '=';
  });
}

class ExecOp final : public LayerOp {
 public:
  ExecOp(const OpContext& op_context, Place place, ExecSpec spec)
      : LayerOp(op_context, std::move(place)), spec_(std::move(spec)) {}

  std::string_view kind() const override { return "exec"; }
  std::string via(std::size_t input) const override {
    for (const auto& mount : spec_.mounts)
      if (mount.input == input) return title(mount);
    return {};
  }
  std::string listing(const oci::Digest& content, const Cancel&) override {
    const auto found = listings_.find(content);
    return found == listings_.end() ? std::string() : found->second;
  }

  Result<solver::Key> content(std::size_t input, const solver::Output& output, const Cancel& cancel) override {
    for (const auto& mount : spec_.mounts) {
      if (mount.input != input) continue;
      ListingWriter files;
      auto digest = content_of(mount, context().shop, output, place().id, files, cancel);
      if (!digest) return std::unexpected(place().locate(std::move(digest).error()));
      listings_.insert_or_assign(*digest, files.take());
      return digest;
    }
    return fail(Code::kInternal, "a step was asked for an input that it does not have");
  }

  Status may_run() const override {
    if (context().foreign == nullptr || !ForeignPlatforms::is_foreign(spec_.platform)) return {};
    if (auto refused = context().foreign->refusal(spec_.platform, place().name))
      return std::unexpected(place().locate(*std::move(refused)));
    return {};
  }

  Result<std::optional<BuildkitStep>> buildkit_step(const BuildkitAsk& ask, const Cancel&) override {
    // What it mounts of stages and contexts, and scripts, are vertices of BuildKit's that we do not have.
    constexpr std::int64_t kUsualShm = 64 << 20;
    if (ask.nothing[0] || ask.inputs.size() != 1) return std::nullopt;
    const bool owned_cache = std::ranges::any_of(spec_.mounts, [](const RunMount& mount) {
      return mount.cache && (mount.cache->mode != 0755 || mount.cache->uid != 0 || mount.cache->gid != 0);
    });
    if (owned_cache || !spec_.files.empty() || !spec_.devices.empty() || spec_.shm_bytes != kUsualShm)
      return std::nullopt;
    return BuildkitStep{.digests = {buildcache::output_key(buildcache::exec_digest(as_buildkit()))},
                        .inputs = {{.input = 0, .selector = buildcache::mount_selector("/"), .roots = {}}}};
  }

  void prepare() override {
    const auto box = context().sandbox();
    if (box && spec_.network == sandbox::NetworkMode::kDefault) (*box)->warm_network();
  }

 protected:
  Status describe(Definition& definition, const Cancel&) override {
    describe_command(definition);
    definition.no_part().add("env", std::to_string(spec_.environment.size()));
    for (const auto& entry : spec_.environment) {
      const std::string name = entry.substr(0, entry.find('='));
      definition.part(spec_.arguments.contains(name) ? What::kArgument : What::kVariable, name).add("env", entry);
    }
    definition.part(What::kWorkdir).add("cwd", spec_.working_directory);
    definition.part(What::kUser).add("user", spec_.user);
    definition.part(What::kFlag, "platform").add("platform", spec_.platform.full_text());
    definition.part(What::kNetwork).add("network", std::to_string(static_cast<int>(spec_.network)));
    for (const auto& [name, address] : spec_.extra_hosts)
      definition.part(What::kHost, name).add("host", name).add("address", address);
    for (const auto& limit : spec_.ulimits)
      definition.part(What::kUlimit, limit.name)
          .add("ulimit", fmt::format("{}={}:{}", limit.name, limit.soft, limit.hard));
    definition.part(What::kShm).add("shm", std::to_string(spec_.shm_bytes));
    if (!spec_.hostname.empty()) definition.part(What::kFlag, "hostname").add("hostname", spec_.hostname);
    for (const auto& file : spec_.files)
      definition.part(What::kCommand).add("file", file.target).add("content", file.content);
    for (const auto& mount : spec_.mounts) build::describe(mount, definition);
    // What is absent adds nothing, so that keys of old records hold.
    if (spec_.security == sandbox::Security::kInsecure)
      definition.part(What::kFlag, "security").add("security", "insecure");
    if (!spec_.devices.empty()) definition.part(What::kFlag, "device").add("devices", spec_.devices);
    return {};
  }

  Status fill(const store::SnapshotDraft& draft, const std::vector<std::string>& lowers,
              const std::vector<solver::OutputPtr>& inputs, const Cancel& cancel) override {
    sandbox::Sandbox* box = TRY(context().sandbox());
    Destination root = TRY(Destination::open(draft.fs(), lowers));
    TRY(root.make_directory(spec_.working_directory, {}));
    const Account account = TRY(resolve_user(spec_.user, TRY(root.view())));

    sandbox::Spec run;
    run.lowers = lowers;
    run.upper = draft.fs();
    run.work = draft.work();
    run.argv = spec_.argv;
    run.environment = environment(account);
    run.working_directory = spec_.working_directory;
    run.uid = account.uid;
    run.gid = account.gid;
    run.groups = account.groups;
    run.network = spec_.network;
    run.extra_hosts = spec_.extra_hosts;
    run.ulimits = spec_.ulimits;
    run.shm_bytes = spec_.shm_bytes;
    if (!spec_.hostname.empty()) run.hostname = spec_.hostname;
    run.files = spec_.files;
    run.files.insert(run.files.end(), spec_.hidden_files.begin(), spec_.hidden_files.end());
    run.security = spec_.security;
    run.host_mounts = spec_.host_mounts;
    run.cgroup_parent = spec_.cgroup_parent;
    run.timeout_ms = spec_.limits.timeout_ms;
    SshLoans loans;
    TRY(loans.add(spec_.mounts, context().ssh, run));
    CacheMounts caches(context().shop);
    TRY(apply(spec_.mounts, context().shop, inputs, place().id, run, caches, cancel));

    std::vector<std::string> secrets;
    for (const auto& mount : spec_.mounts)
      if (mount.value) secrets.push_back(*mount.value);
    StepOutput log(context().shop.sink, place().id, spec_.limits.log_bytes, secrets);
    const bool foreign = context().foreign != nullptr && ForeignPlatforms::is_foreign(spec_.platform);
    if (foreign) context().foreign->begins(spec_.platform, context().shop.sink);
    const auto ran = box->run(run, [&](int stream, std::string_view bytes) { log.write(stream, bytes); }, cancel);
    log.end();
    tell_network(*box);
    if (ran && ran->ok() && foreign)
      TRY(ForeignPlatforms::ran(TRY(definition(cancel)), spec_.platform, context().shop.store));
    if (ran && ran->ok()) return caches.keep(cancel);
    TRY(cancel.check());
    log.show_tail();
    const std::string command = go_quoted(join(spec_.argv, " "));
    if (!ran && ran.error().code() == Code::kDeadlineExceeded && spec_.limits.timeout_ms > 0)
      return std::unexpected(
          Error(Code::kDeadlineExceeded, fmt::format("process {} did not end within {} and was killed", command,
                                                     dockerfile::duration_text(spec_.limits.timeout_ms * 1'000'000)))
              .with_hint("give it more with --step-timeout DURATION; 0 is no limit"));
    const sys::ExitStatus status = TRY(ran);
    Error error(Code::kFailedPrecondition,
                fmt::format("process {} did not complete successfully: {}", command,
                            status.signal != 0 ? fmt::format("exit code: {}", 128 + status.signal) : status.text()));
    if (const std::string knob = sandbox::one_id_knob(); !knob.empty()) error = Error(error).with_hint(knob);
    if (status.exit_code == 126 || status.exit_code == 127) explain_not_started(TRY(root.view()), error);
    return std::unexpected(std::move(error));
  }

 private:
  [[nodiscard]] buildcache::Exec as_buildkit() const {
    buildcache::Exec exec;
    exec.arguments = spec_.argv;
    for (const std::uint32_t place : spec_.environment_order) exec.environment.push_back(spec_.environment[place]);
    for (std::size_t i = spec_.environment_order.size(); i < spec_.environment.size(); ++i)
      exec.environment.push_back(spec_.environment[i]);
    exec.directory = spec_.working_directory;
    exec.user = spec_.user;
    exec.hostname = spec_.hostname;
    exec.cgroup_parent = spec_.cgroup_parent;
    for (const auto& [name, address] : spec_.extra_hosts) exec.extra_hosts.push_back(name);
    for (const auto& limit : spec_.ulimits) exec.ulimits.push_back({limit.name, limit.soft, limit.hard});
    exec.network = spec_.network == sandbox::NetworkMode::kHost   ? 1
                   : spec_.network == sandbox::NetworkMode::kNone ? 2
                                                                  : 0;
    exec.insecure = spec_.security == sandbox::Security::kInsecure;
    exec.platform = spec_.platform.normalized();
    add_mounts(exec);
    return exec;
  }

  /// Caches and tmpfs by target, then secrets, then agents.
  void add_mounts(buildcache::Exec& exec) const {
    using Type = dockerfile::Mount::Type;
    using Mount = buildcache::ExecMount;
    for (const auto& mount : spec_.mounts) {
      if (mount.type == Type::kTmpfs)
        exec.mounts.push_back({.type = Mount::Type::kTmpfs, .target = mount.target, .size = mount.size, .id = {}});
      if (mount.type == Type::kCache)
        exec.mounts.push_back({.type = Mount::Type::kCache,
                               .target = mount.target,
                               .read_only = mount.cache->read_only,
                               .id = mount.cache->buildkit_id,
                               .sharing = static_cast<int>(mount.cache->sharing)});
    }
    std::ranges::sort(exec.mounts, {}, [](const auto& mount) { return mount.target; });
    for (const auto& mount : spec_.mounts) {
      if (mount.type != Type::kSecret) continue;
      if (!mount.env.empty()) exec.secrets.push_back({mount.id, mount.env, !mount.required});
      if (mount.file) exec.mounts.push_back(lent(mount, Mount::Type::kSecret));
    }
    for (const auto& mount : spec_.mounts)
      if (mount.type == Type::kSsh) exec.mounts.push_back(lent(mount, Mount::Type::kSsh));
  }

  static buildcache::ExecMount lent(const RunMount& mount, buildcache::ExecMount::Type type) {
    return {.type = type,
            .target = mount.target,
            .output = 0,
            .id = mount.id,
            .uid = mount.uid,
            .gid = mount.gid,
            .mode = mount.mode,
            .optional = !mount.required};
  }

  /// "exec format error" of a program for another machine says little: what an image is called may not be what is in
  /// it.
  void explain_not_started(const Tree& root, Error& error) const {
    const auto head = [&]() -> Result<std::string> {
      const Tree::Resolved at = TRY(root.resolve(spec_.argv[0], FollowLast::kYes));
      if (!at.found || !S_ISREG(at.found->info.st_mode)) return std::string();
      const sys::Fd file = TRY(at.parent->dir.open_child(at.name(), *at.found));
      std::string bytes(sandbox::kElfHead, '\0');
      bytes.resize(TRY(sys::read_some(file.get(), bytes.data(), bytes.size())));
      return bytes;
    }();
    const auto architecture = head ? sandbox::architecture_of(*head) : std::nullopt;
    if (!architecture || *architecture == oci::Platform::host().architecture) return;
    error.with_hint(fmt::format(
        "{} is a program for {}, and this machine is {}: the base image is not for the platform of this step, {}, or "
        "there is no emulator",
        printable(spec_.argv[0], 200), *architecture, oci::Platform::host().text(), spec_.platform.text()));
  }

  void describe_command(Definition& definition) const {
    definition.add("argv", std::to_string(spec_.argv.size()));
    definition.part(What::kShell);
    for (std::size_t i = 0; i < spec_.argv.size(); ++i) {
      if (i == spec_.shell_words) definition.part(What::kCommand);
      definition.add("argv", spec_.argv[i]);
    }
  }

  /// A step without the network it asked for is a warning, once: the command itself only says that a host is unknown.
  void tell_network(const sandbox::Sandbox& box) const {
    if (spec_.network != sandbox::NetworkMode::kDefault) return;
    std::string note = box.network_note();
    if (note.empty()) return;
    std::call_once(context().network_told, [&] { context().shop.sink.on(progress::Warning{std::move(note)}); });
  }

  std::vector<std::string> environment(const Account& account) const {
    std::vector<std::string> out = spec_.environment;
    if (!has(out, "PATH")) out.insert(out.begin(), std::string(kDefaultPath));
    if (!has(out, "HOME")) out.push_back("HOME=" + account.home);
    for (const auto& [name, value] : spec_.hidden_environment)
      if (!has(out, name)) out.push_back(name + "=" + value);
    for (const auto& [name, value] : spec_.device_environment) {
      std::erase_if(out, [&](const std::string& entry) { return entry.starts_with(name + "="); });
      out.push_back(name + "=" + value);
    }
    return out;
  }

  ExecSpec spec_;
  std::map<oci::Digest, std::string> listings_;  ///< of contents that mounts show
};

}  // namespace

std::shared_ptr<solver::Op> exec_op(const OpContext& context, Place place, ExecSpec spec) {
  return std::make_shared<ExecOp>(context, std::move(place), std::move(spec));
}

}  // namespace slipway::build
