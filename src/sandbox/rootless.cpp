// enter_rootless(): an ordinary user becomes uid 0 of a user namespace of their own.
//
//   slipway (uid 1000)                 helper (forked before)
//     unshare(USER | NS)                 waits on a pipe
//     "go" ──────────────────────────▶   newuidmap PID 0 1000 1 1 100000 65536     set-user-ID: it may write any map
//     that
//                                        newgidmap PID …                           /etc/subuid grants
//     waits  ◀────────────────────────   exits
//     setresuid(0)
//
// Where there is no range (or no newuidmap), the process maps its one id by itself: uid 0 inside is the user outside,
// and there is nobody else. The kernel wants setgroups(2) given up for that (user_namespaces(7)).
//
// The helper must come first: a child started after unshare(2) would be in the new namespace, where newuidmap has no
// privilege. The caller has no threads yet, so a plain fork is sound.
#include <pwd.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/text.hpp"
#include "sandbox/id_range.hpp"
#include "sandbox/knobs.hpp"
#include "sandbox/sandbox.hpp"
#include "sys/file.hpp"

namespace slipway::sandbox {
namespace {

constexpr std::int64_t kSmallFile = 1 << 20;
constexpr int kHelperMs = 20'000;  // the mapping programs ask NSS, which may ask a network

struct Who {
  std::string name;
  std::vector<SubRange> uids, gids;
};

Result<Who> find_ranges() {
  Who who;
  const uid_t uid = getuid();
  passwd entry{};
  passwd* found = nullptr;
  std::string buffer(16 * 1024, '\0');
  if (getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &found) != 0 || found == nullptr)
    return std::unexpected(Error(Code::kFailedPrecondition, fmt::format("uid {} has no user name", uid))
                               .with_hint("newuidmap works for named users only: add the user to /etc/passwd"));
  who.name = entry.pw_name;
  const std::string subuid = sys::read_file("/etc/subuid", kSmallFile).value_or("");
  const std::string subgid = sys::read_file("/etc/subgid", kSmallFile).value_or("");
  who.uids = parse_sub_ranges(subuid, who.name, uid);
  who.gids = parse_sub_ranges(subgid, who.name, uid);
  const std::uint32_t first = free_sub_range(subuid, subgid);
  if (who.uids.empty() || who.gids.empty())
    return std::unexpected(
        Error(Code::kFailedPrecondition,
              fmt::format("user {} has no entry in {}: steps need more than one id", printable(who.name),
                          who.uids.empty() ? "/etc/subuid" : "/etc/subgid"))
            .with_hint(fmt::format("as root: usermod --add-subuids {0}-{1} --add-subgids {0}-{1} {2}", first,
                                   first + 65535, printable(who.name))));
  return who;
}

/// newuidmap PID 0 OWN 1 1 FIRST COUNT …: own id first, then every range one after the other.
std::vector<std::string> map_command(const char* program, pid_t pid, std::uint32_t own,
                                     const std::vector<SubRange>& ranges) {
  std::vector<std::string> argv = {program, fmt::format("{}", pid), "0", fmt::format("{}", own), "1"};
  std::uint32_t inside = 1;
  for (const auto& [first, count] : ranges) {
    for (const auto number : {inside, first, count}) argv.push_back(fmt::format("{}", number));
    inside += count;
  }
  return argv;
}

/// In the helper: runs both programs; what they say goes to `err`. Never returns.
[[noreturn]] void map_ids(int go, int err, pid_t pid, const Who& who) {
  char byte = 0;
  if (::read(go, &byte, 1) != 1) _exit(0);  // unshare failed: nothing to do
  const auto map = [&](const char* program, std::uint32_t own, const std::vector<SubRange>& ranges) -> Status {
    const auto done =
        TRY(sys::run({map_command(program, pid, own, ranges), {"PATH=/usr/local/bin:/usr/bin:/bin"}, {}, {}, false}, {},
                     Cancel{}, kHelperMs, 4096));
    if (!done.status.ok()) return fail(Code::kPermissionDenied, "{} failed: {}", program, printable(trim(done.err)));
    return {};
  };
  Status done = map("newuidmap", getuid(), who.uids);
  if (done) done = map("newgidmap", getgid(), who.gids);
  if (!done) (void)sys::write_all(err, done.error().what());
  _exit(done ? 0 : 1);
}

Status unshare_or_explain() {
  if (unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0) return {};
  const int number = errno;
  return std::unexpected(errno_error(number, "cannot make a user namespace").with_hint(user_namespace_knob(number)));
}

/// "0 OUTSIDE 1" for this process, in the namespace that it has just made.
Status map_one_id(uid_t uid, gid_t gid) {
  const auto write = [](const char* name, const std::string& text) -> Status {
    const std::string path = std::string("/proc/self/") + name;
    const sys::Fd file = TRY(sys::open(path, O_WRONLY));
    return context(sys::write_all(file.get(), text), "while writing {}", path);
  };
  TRY(write("setgroups", "deny"));
  TRY(write("uid_map", fmt::format("0 {} 1", uid)));
  return write("gid_map", fmt::format("0 {} 1", gid));
}

Status become_root() {
  if (setresgid(0, 0, 0) < 0 || setresuid(0, 0, 0) < 0) return fail_errno("cannot become uid 0 of a user namespace");
  return {};
}

}  // namespace

Status enter_rootless() {
  if (geteuid() == 0) return {};
  const uid_t uid = geteuid();
  const gid_t gid = getegid();
  const auto found = find_ranges();
  // Only a dumpable process lets its own user write /proc/PID/uid_map: newuidmap, and the process itself.
  (void)prctl(PR_SET_DUMPABLE, 1);
  if (!found) {
    TRY(unshare_or_explain());
    TRY(map_one_id(uid, gid));
    return become_root();
  }
  const Who& who = *found;
  sys::Pipe go = TRY(sys::make_pipe());
  sys::Pipe err = TRY(sys::make_pipe());
  const pid_t parent = getpid();
  const pid_t helper = fork();
  if (helper < 0) return fail_errno("cannot start a process");
  if (helper == 0) {
    go.write.reset();
    map_ids(go.read.get(), err.write.get(), parent, who);
  }
  err.write.reset();
  Status done = unshare_or_explain();
  if (done) done = sys::write_all(go.write.get(), "g");
  go.write.reset();
  const std::string said = sys::read_all(err.read.get(), 64 * 1024).value_or("");
  int status = 0;
  while (waitpid(helper, &status, 0) < 0 && errno == EINTR) {}
  TRY(std::move(done));
  if (status != 0 && !map_one_id(uid, gid))
    return std::unexpected(
        Error(Code::kFailedPrecondition, "cannot map the ids of /etc/subuid: " + printable(said))
            .with_hint(
                "newuidmap and newgidmap (Debian: package uidmap) must be installed and set-user-ID root or have "
                "cap_setuid, cap_setgid"));
  return become_root();
}

std::string one_id_knob() {
  const auto map = parse_id_map(sys::read_file("/proc/self/uid_map", kSmallFile).value_or(""));
  if (!map || map->size() != 1 || map->front().count != 1) return {};
  const std::string subuid = sys::read_file("/etc/subuid", kSmallFile).value_or("");
  const std::string subgid = sys::read_file("/etc/subgid", kSmallFile).value_or("");
  const uid_t uid = map->front().outside;
  passwd entry{};
  passwd* user = nullptr;
  std::string buffer(16 * 1024, '\0');
  const bool named = getpwuid_r(uid, &entry, buffer.data(), buffer.size(), &user) == 0 && user != nullptr;
  if (named && !parse_sub_ranges(subuid, user->pw_name, uid).empty() &&
      !parse_sub_ranges(subgid, user->pw_name, uid).empty())
    return "steps have one id, root's: newuidmap and newgidmap (Debian: package uidmap) must be installed and "
           "set-user-ID "
           "root or have cap_setuid, cap_setgid";
  const std::uint32_t first = free_sub_range(subuid, subgid);
  return fmt::format(
      "steps have one id, root's; for more, as root: usermod --add-subuids {0}-{1} --add-subgids {0}-{1} {2}", first,
      first + 65535, named ? printable(user->pw_name) : "USER");
}

}  // namespace slipway::sandbox
