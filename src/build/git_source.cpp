#include "build/git_source.hpp"

#include <sys/stat.h>

#include <algorithm>

#include "base/text.hpp"
#include "build/disk_watch.hpp"
#include "build/layer_op.hpp"
#include "registry/base64.hpp"
#include "sys/child.hpp"
#include "sys/file.hpp"

namespace slipway::build {
namespace {

constexpr std::int64_t kLatest = 253'402'300'799;  // the end of the year 9999

using Pair = std::pair<std::string, std::string>;

/// The line of git's complaint that says why.
std::string reason_of(std::string_view text) {
  std::string last;
  for (auto line : split(text, '\n')) {
    line = trim(line);
    for (const std::string_view prefix : {"fatal: ", "error: ", "ERROR: "}) {
      if (!line.starts_with(prefix)) continue;
      const std::string reason = printable(line.substr(prefix.size()), 300);
      // What ssh says stands before it, and says more.
      const bool ssh = line.contains("Could not read from remote repository") && !last.empty();
      return ssh ? fmt::format("{} ({})", last, reason) : reason;
    }
    if (!line.empty()) last = printable(line, 300);
  }
  return last.empty() ? "git gave no reason" : last;
}

const Secret* secret_for(const GitSetup& setup, std::string_view name, std::string_view origin) {
  if (setup.secrets == nullptr) return nullptr;
  const std::string_view authority = origin.substr(origin.find("://") + 3);
  const std::string_view host = authority.substr(0, authority.rfind(':'));
  for (const auto& id : {fmt::format("{}.{}", name, authority), fmt::format("{}.{}", name, host), std::string(name)})
    for (const auto& secret : *setup.secrets)
      if (secret.id == id) return &secret;
  return nullptr;
}

/// Makes a checkout the same whoever made it and when: modes by the executable bit, times of the commit, no ".git"
/// unless kept. Directories are opened one at a time below `root`, links never followed.
class Tidying {
 public:
  Tidying(int root, bool keep_git_dir, std::int64_t seconds)
      : root_(root), keep_git_dir_(keep_git_dir), times_{{seconds, 0}, {seconds, 0}} {}

  Status run(const Cancel& cancel) {
    std::vector<std::string> directories{"."};
    for (std::size_t i = 0; i < directories.size(); ++i) {
      TRY(cancel.check());
      const std::string path = directories[i];
      const sys::Fd directory = TRY(sys::open_beneath(root_, path, O_RDONLY | O_DIRECTORY));
      for (const auto& name : TRY(sys::list_directory(directory.get(), path))) {
        if (name == ".git") {
          if (!keep_git_dir_) TRY(sys::remove_tree(directory.get(), name));
          continue;
        }
        if (TRY(entry(directory.get(), name))) directories.push_back(path + "/" + name);
      }
    }
    for (auto path = directories.rbegin(); path != directories.rend(); ++path) {
      const sys::Fd directory = TRY(sys::open_beneath(root_, *path, O_RDONLY | O_DIRECTORY));
      if (::fchmod(directory.get(), 0755) < 0 || ::futimens(directory.get(), times_) < 0)
        return fail_errno("cannot set the attributes of {}", quoted(*path));
    }
    return {};
  }

 private:
  /// True for a directory.
  Result<bool> entry(int directory, const std::string& name) const {
    const auto info = TRY(sys::lstat_at(directory, name));
    if (!info) return false;
    if (S_ISDIR(info->st_mode)) return true;
    if (S_ISREG(info->st_mode) && ::fchmodat(directory, name.c_str(), info->st_mode & 0100 ? 0755 : 0644, 0) < 0)
      return fail_errno("cannot set the mode of {}", quoted(name));
    if (::utimensat(directory, name.c_str(), times_, AT_SYMLINK_NOFOLLOW) < 0)
      return fail_errno("cannot set the times of {}", quoted(name));
    return false;
  }

  int root_;
  bool keep_git_dir_;
  timespec times_[2];
};

class GitSource final : public RemoteSource {
 public:
  GitSource(GitReference reference, RemoteSources& sources)
      : repository_(std::move(reference), sources.git()), sources_(sources) {}

  Result<oci::Digest> key(const Cancel& cancel) override {
    commit_ = TRY(sources_.shown(look_vertex_, "resolve " + repository_.reference().remote,
                                 [&] { return repository_.resolve(cancel); }));
    const GitReference& git = repository_.reference();
    return Definition("git")
        .add("remote", git.remote)  // a commit's id is no secret: only who can fetch it may have what it made
        .add("commit", commit_)
        .add("credentials", repository_.with_credentials() ? "1" : "0")  // it is asked about each time (resolve)
        .add("subdir", git.subdir)
        .add("git dir", git.keep_git_dir.value_or(false) ? "1" : "0")
        .add("submodules", git.submodules.value_or(true) ? "1" : "0")
        .finish();
  }

  Status fetch(const std::string& directory, const Cancel& cancel) override {
    return sources_.shown(fetch_vertex_, "fetch " + repository_.reference().remote,
                          [&] { return repository_.bring_into(commit_, directory, cancel); });
  }

 private:
  GitRepository repository_;
  RemoteSources& sources_;
  progress::VertexId look_vertex_ = sources_.next_id(), fetch_vertex_ = sources_.next_id();
  std::string commit_;
};

}  // namespace

bool GitRepository::with_credentials() const {
  if (git_.scheme == "ssh") return true;
  return !git_.origin.empty() && (secret_for(setup_, "GIT_AUTH_HEADER", git_.origin) != nullptr ||
                                  secret_for(setup_, "GIT_AUTH_TOKEN", git_.origin) != nullptr);
}

Result<std::vector<std::string>> GitRepository::environment() const {
  std::vector<std::string> out = {
      "PATH=" + (setup_.search_path.empty() ? "/usr/local/bin:/usr/bin:/bin" : setup_.search_path),
      "HOME=" + setup_.scratch,
      "LC_ALL=C",
      "GIT_CONFIG_NOSYSTEM=1",
      "GIT_CONFIG_GLOBAL=/dev/null",
      "GIT_ATTR_NOSYSTEM=1",
      "GIT_TERMINAL_PROMPT=0",
      "GIT_ASKPASS=",
      "SSH_ASKPASS=",
      "GIT_ALLOW_PROTOCOL=http:https:git:ssh",
      "GIT_LFS_SKIP_SMUDGE=1",
      "GIT_NO_REPLACE_OBJECTS=1",
  };
  std::string ssh = "ssh -F /dev/null -o BatchMode=yes -o ConnectTimeout=30 -o ForwardAgent=no";
  if (setup_.ssh_agent.empty())
    ssh += " -o IdentitiesOnly=yes -o IdentityFile=none -o IdentityAgent=none";
  else
    out.push_back("SSH_AUTH_SOCK=" + setup_.ssh_agent);
  if (!setup_.ssh_agent.empty() && setup_.agent_only) ssh += " -o IdentityFile=none";
  out.push_back("GIT_SSH_COMMAND=" + ssh);
  for (const auto& [name, value] : setup_.proxies) out.push_back(name + "=" + value);
  if (!setup_.ca_file.empty()) out.push_back("GIT_SSL_CAINFO=" + setup_.ca_file);
  if (!setup_.ca_directory.empty()) out.push_back("GIT_SSL_CAPATH=" + setup_.ca_directory);
  // Configuration by environment: what is on a command line can be read by everybody on the machine.
  std::vector<Pair> config = {
      {"core.hooksPath", "/dev/null"}, {"core.fsmonitor", "false"},
      {"credential.helper", ""},       {"gc.auto", "0"},
      {"maintenance.auto", "false"},   {"init.templateDir", ""},
      {"init.defaultBranch", "main"},  {"advice.detachedHead", "false"},
      {"core.autocrlf", "false"},      {"core.symlinks", "true"},
      {"protocol.version", "2"},       {"http.lowSpeedLimit", "1"},
      {"http.lowSpeedTime", "60"},     {"safe.directory", "*"},
      {"submodule.recurse", "false"},  {"fetch.writeCommitGraph", "false"},
  };
  if (setup_.any_certificate && !git_.origin.empty())
    config.emplace_back("http." + git_.origin + "/.sslVerify", "false");
  if (!git_.origin.empty()) {
    const Secret* header = secret_for(setup_, "GIT_AUTH_HEADER", git_.origin);
    const Secret* token = header != nullptr ? nullptr : secret_for(setup_, "GIT_AUTH_TOKEN", git_.origin);
    const Secret* found = header != nullptr ? header : token;
    if (found != nullptr) {
      if (git_.scheme != "https" && !TRY(http::Url::parse(git_.remote)).loopback())
        return fail(Code::kPermissionDenied, "the secret {} is not sent over plain http", printable(found->id));
      const std::string value(trim(found->value));
      if (std::any_of(value.begin(), value.end(), [](char c) { return c == '\n' || c == '\r' || c == '\0'; }))
        return fail(Code::kInvalidArgument, "the secret {} has more than one line", printable(found->id));
      config.emplace_back(
          "http." + git_.origin + "/.extraHeader",
          "Authorization: " +
              (token != nullptr ? "basic " + registry::base64_encode("x-access-token:" + value) : value));
      config.emplace_back("http.followRedirects", "false");
    }
  }
  out.push_back(fmt::format("GIT_CONFIG_COUNT={}", config.size()));
  for (std::size_t i = 0; i < config.size(); ++i) {
    out.push_back(fmt::format("GIT_CONFIG_KEY_{}={}", i, config[i].first));
    out.push_back(fmt::format("GIT_CONFIG_VALUE_{}={}", i, config[i].second));
  }
  return out;
}

Result<std::string> GitRepository::run(const std::string& directory, std::vector<std::string> arguments,
                                       const Cancel& cancel) const {
  sys::ChildOptions options;
  options.argv = std::move(arguments);
  options.argv.insert(options.argv.begin(), "git");
  options.environment = TRY(environment());
  options.directory = directory;
  options.own_group = true;
  auto done = sys::run(options, "", cancel, setup_.deadline_ms, 4 << 20);
  if (!done && done.error().sys_errno() == ENOENT)
    return std::unexpected(Error(Code::kFailedPrecondition, "the git program is not there")
                               .with_hint("install git; it fetches the repositories of ADD and of build contexts"));
  if (!done) return std::unexpected(std::move(done).error());
  if (done->status.ok()) return std::move(done->out);
  const std::string reason = reason_of(done->err);
  Error error(Code::kUnavailable, fmt::format("cannot fetch {}: {}", printable(git_.remote, 300), reason));
  if (reason.contains("could not read Username") || reason.contains("Authentication failed"))
    error.with_hint("a token is given with --secret id=GIT_AUTH_TOKEN,env=VARIABLE");
  return std::unexpected(std::move(error));
}

Result<std::string> GitRepository::resolve(const Cancel& cancel) {
  const auto checked = [&](std::string commit, const std::string& tag) -> Result<std::string> {
    if (!git_.checksum.empty() && !commit.starts_with(git_.checksum) && !tag.starts_with(git_.checksum))
      return fail(Code::kDataLoss, "expected checksum to match {}, got {}", git_.checksum, commit);
    return commit;
  };
  if (is_commit(git_.ref)) {
    if (with_credentials()) (void)TRY(run(setup_.scratch, {"ls-remote", "--", git_.remote, "HEAD"}, cancel));
    return checked(git_.ref, "");
  }
  std::vector<std::string> arguments = {"ls-remote", "--", git_.remote, git_.ref.empty() ? "HEAD" : git_.ref};
  if (!git_.ref.empty()) arguments.push_back(git_.ref + "^{}");
  const std::string listed = TRY(run(setup_.scratch, std::move(arguments), cancel));
  // git-checkout's order: a full name, a branch, a tag; of an annotated tag the commit.
  const std::string tag = "refs/tags/" + git_.ref;
  const std::vector<std::string> wanted = {git_.ref.empty() ? "HEAD" : git_.ref, "refs/" + git_.ref,
                                           "refs/heads/" + git_.ref, tag};
  for (const auto& name : wanted) {
    std::string object, commit;
    for (const auto line : split(listed, '\n')) {
      const auto tab = line.find('\t');
      if (tab == std::string_view::npos || !is_commit(line.substr(0, tab))) continue;
      if (line.substr(tab + 1) == name) object = line.substr(0, tab);
      if (line.substr(tab + 1) == name + "^{}") commit = line.substr(0, tab);
    }
    if (object.empty()) continue;
    full_ref_ = name;
    return checked(commit.empty() ? object : commit, object);
  }
  if (git_.ref.empty()) return fail(Code::kNotFound, "{} has no HEAD: it may be empty", printable(git_.remote, 300));
  return std::unexpected(Error(Code::kNotFound, fmt::format("{} has no branch or tag {}", printable(git_.remote, 300),
                                                            quoted(git_.ref, 200)))
                             .with_hint("a commit is named by all of its 40 digits"));
}

Status GitRepository::bring(const std::string& commit, const std::string& directory, const Cancel& cancel) const {
  std::vector<std::string> init = {"init", "-q", "--template="};
  if (commit.size() == 64) init.push_back("--object-format=sha256");
  (void)TRY(run(directory, std::move(init), cancel));
  (void)TRY(run(directory, {"remote", "add", "origin", git_.remote}, cancel));
  const auto here = [&] { return run(directory, {"cat-file", "-e", commit + "^{commit}"}, cancel).has_value(); };
  std::optional<Error> first;
  const auto fetch = [&](std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), {"fetch", "-q", "--force", "--no-recurse-submodules"});
    auto fetched = run(directory, std::move(arguments), cancel);
    if (!fetched && !first) first = std::move(fetched).error();
    return here();
  };
  // By name first, so that a kept .git knows the tag or branch; then by id, which not every server allows; then all.
  if (full_ref_.starts_with("refs/")) {
    const std::string local =
        full_ref_.starts_with("refs/heads/") ? "refs/remotes/origin/" + full_ref_.substr(11) : full_ref_;
    if (fetch({"--depth=1", "--no-tags", "origin", "+" + full_ref_ + ":" + local})) return {};
  }
  TRY(cancel.check());
  if (fetch({"--depth=1", "--no-tags", "origin", commit})) return {};
  TRY(cancel.check());
  if (fetch({"--tags", "origin", "+refs/heads/*:refs/remotes/origin/*"})) return {};
  TRY(cancel.check());
  if (first && first->code() != Code::kUnavailable) return std::unexpected(*std::move(first));
  Error error(Code::kNotFound, fmt::format("{} has no commit {}", printable(git_.remote, 300), commit));
  if (first) error.add_context("while fetching it: " + first->what());
  return std::unexpected(std::move(error));
}

Status GitRepository::bring_submodules(const std::string& directory, const Cancel& cancel) const {
  std::vector<std::string> arguments = {"submodule", "--quiet", "update", "--init", "--recursive", "--depth=1"};
  if (run(directory, arguments, cancel)) return {};
  TRY(cancel.check());
  arguments.pop_back();  // a server that gives no single commits
  auto whole = run(directory, std::move(arguments), cancel);
  if (!whole) return std::unexpected(std::move(whole).error().add_context("while fetching submodules"));
  return {};
}

Status GitRepository::bring_all(const std::string& commit, const std::string& directory, const Cancel& cancel) const {
  TRY(bring(commit, directory, cancel));
  (void)TRY(run(directory, {"checkout", "-q", "--force", "--detach", commit, "--"}, cancel));
  const sys::Fd root = TRY(sys::open(directory, O_RDONLY | O_DIRECTORY));
  const auto modules = TRY(sys::lstat_at(root.get(), ".gitmodules"));
  if (modules && S_ISREG(modules->st_mode) && git_.submodules.value_or(true)) TRY(bring_submodules(directory, cancel));
  return {};
}

Status GitRepository::check_out(const std::string& commit, const std::string& directory, const Cancel& cancel) {
  DiskWatch watch(directory, setup_.disk_bytes, cancel);
  const Status brought = bring_all(commit, directory, watch.cancel());
  if (auto fits = context(watch.finish(), "while fetching {}", printable(git_.remote, 300)); !fits)
    return std::unexpected(std::move(fits).error().with_hint("SLIPWAY_GIT_MAX_SIZE sets how much it may take"));
  TRY(Status(brought));
  const sys::Fd root = TRY(sys::open(directory, O_RDONLY | O_DIRECTORY));
  const std::string time = TRY(run(directory, {"log", "-1", "--format=%ct", commit, "--"}, cancel));
  const auto seconds = parse_size(trim(time));
  return Tidying(root.get(), git_.keep_git_dir.value_or(false), std::min(kLatest, seconds ? *seconds : 0)).run(cancel);
}

Status GitRepository::bring_into(const std::string& commit, const std::string& directory, const Cancel& cancel) {
  const std::string path = clean_rooted(git_.subdir);
  if (path.empty()) return check_out(commit, directory, cancel);
  const auto holder = TRY(sys::TempDir::make(setup_.scratch, "git-"));
  TRY(check_out(commit, holder.path(), cancel));
  const sys::Fd root = TRY(sys::open(holder.path(), O_RDONLY | O_DIRECTORY));
  const auto from = sys::open_in_root(root.get(), path, O_RDONLY | O_DIRECTORY);
  if (!from) return fail(Code::kNotFound, "{} has no folder {}", printable(git_.remote, 300), quoted(git_.subdir, 300));
  const sys::Fd to = TRY(sys::open(directory, O_RDONLY | O_DIRECTORY));
  for (const auto& name : TRY(sys::list_directory(from->get(), path)))
    TRY(sys::rename_at(from->get(), name, to.get(), name));
  return {};
}

std::shared_ptr<RemoteSource> git_source(GitReference reference, RemoteSources& sources) {
  return std::make_shared<GitSource>(std::move(reference), sources);
}

}  // namespace slipway::build
