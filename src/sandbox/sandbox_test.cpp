// What a step sees and what it can not do. Needs root; rootless_test.cpp runs the heart of it as an ordinary user.
#include "sandbox/sandbox.hpp"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/text.hpp"
#include "base/time.hpp"
#include "sandbox/init_process.hpp"
#include "sandbox/program.hpp"
#include "sandbox/step_fixture.hpp"

namespace slipway::sandbox {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

std::string link_of(const std::string& path) { return std::filesystem::read_symlink(path).string(); }

/// Lines of `text` that start with `key`.
std::string line_of(const std::string& text, std::string_view key) {
  for (const auto line : split(text, '\n'))
    if (line.starts_with(key)) return std::string(line);
  return {};
}

TEST_F(StepTest, RunsAndTellsExitCodeSignalAndStreams) {
  const Ran ran = sh("echo out; echo err >&2; exit 7");
  EXPECT_EQ(ran.status->exit_code, 7);
  EXPECT_EQ(ran.out, "out\n");
  EXPECT_EQ(ran.err, "err\n");
  const Ran killed = sh("kill -9 $$");
  EXPECT_EQ(killed.status->signal, 9);
  EXPECT_THAT(box_->description(), HasSubstr("isolation: overlay (user namespace 0..65535 → "));
}

TEST_F(StepTest, HasNamespacesOfItsOwn) {
  const Ran ran = sh("for n in user mnt pid ipc uts cgroup net; do readlink /proc/self/ns/$n; done");
  const auto inside = split(trim(ran.out), '\n');
  const std::vector<std::string> names = {"user", "mnt", "pid", "ipc", "uts", "cgroup", "net"};
  ASSERT_EQ(inside.size(), names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    EXPECT_THAT(std::string(inside[i]), StartsWith(names[i] + ":["));
    EXPECT_NE(inside[i], link_of("/proc/self/ns/" + names[i]));
  }
}

TEST_F(StepTest, HostNetworkIsTheCallers) {
  Spec wanted = spec({base()});
  wanted.network = NetworkMode::kHost;
  wanted.argv = {"sh", "-c", "readlink /proc/self/ns/net; touch /sys/x"};
  const Ran ran = run(wanted);
  ASSERT_TRUE(ran.status) << ran.status.error().message();
  EXPECT_EQ(trim(ran.out), link_of("/proc/self/ns/net"));
  EXPECT_THAT(ran.err, HasSubstr("Read-only"));
}

TEST_F(StepTest, WithoutNetworkThereIsLoopbackAndItIsUp) {
  const Ran ran =
      sh("ls /sys/class/net; cat /sys/class/net/lo/flags; probe connect 127.0.0.1 1; probe connect 192.0.2.1 1");
  EXPECT_EQ(ran.out, "lo\n0x9\n111 \n101 \n");  // refused by our own loopback; no route to anything else
}

TEST_F(StepTest, RootHasDockersCapabilitiesAndOthersNone) {
  Spec plain = spec({base()});
  plain.argv = {"cat", "/proc/self/status"};  // no shell between: it would ignore signals of its own
  const Ran root = run(plain);
  EXPECT_EQ(line_of(root.out, "CapEff"), "CapEff:\t00000000a80425fb");
  EXPECT_EQ(line_of(root.out, "CapPrm"), "CapPrm:\t00000000a80425fb");
  EXPECT_EQ(line_of(root.out, "CapBnd"), "CapBnd:\t00000000a80425fb");
  EXPECT_EQ(line_of(root.out, "CapInh"), "CapInh:\t0000000000000000");
  EXPECT_EQ(line_of(root.out, "CapAmb"), "CapAmb:\t0000000000000000");
  EXPECT_EQ(line_of(root.out, "NoNewPrivs"), "NoNewPrivs:\t0");
  EXPECT_EQ(line_of(root.out, "Seccomp:"), "Seccomp:\t2");
  EXPECT_EQ(line_of(root.out, "SigIgn"), "SigIgn:\t0000000000000000");
  EXPECT_EQ(line_of(root.out, "SigBlk"), "SigBlk:\t0000000000000000");

  Spec wanted = spec({base()});
  wanted.uid = 1000;
  wanted.gid = 1001;
  wanted.groups = {44, 1002};
  wanted.argv = {"sh", "-c",
                 "cat /proc/self/status; id -u; id -g; touch /tmp/mine; cat /dev/stdin; echo x > /dev/stdout"};
  const Ran user = run(wanted);
  ASSERT_TRUE(user.status) << user.status.error().message();
  EXPECT_EQ(user.status->exit_code, 0) << user.err;
  EXPECT_EQ(line_of(user.out, "CapEff"), "CapEff:\t0000000000000000");
  EXPECT_EQ(line_of(user.out, "CapPrm"), "CapPrm:\t0000000000000000");
  EXPECT_EQ(line_of(user.out, "CapBnd"), "CapBnd:\t00000000a80425fb");
  EXPECT_EQ(line_of(user.out, "Uid"), "Uid:\t1000\t1000\t1000\t1000");
  EXPECT_EQ(line_of(user.out, "Gid"), "Gid:\t1001\t1001\t1001\t1001");
  EXPECT_EQ(line_of(user.out, "Groups"), "Groups:\t44 1002 ");
  struct stat info{};
  ASSERT_EQ(stat((user.upper + "/tmp/mine").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 1000U);  // on disk stand container ids
  EXPECT_EQ(info.st_gid, 1001U);
}

TEST_F(StepTest, StartsFromNothing) {
  Spec wanted = spec({base()});
  wanted.environment = {"PATH=/bin", "ONLY=this"};
  wanted.argv = {"sh", "-c", "env; probe fds; cat; umask; hostname; cat /proc/self/comm"};
  wanted.hostname = "builder-1";
  const Ran ran = run(wanted);
  ASSERT_TRUE(ran.status) << ran.status.error().message();
  EXPECT_THAT(ran.out, HasSubstr("ONLY=this\n"));
  EXPECT_EQ(ran.out.find("HOME="), std::string::npos);
  EXPECT_THAT(ran.out, HasSubstr("\n0 1 2 \n0022\nbuilder-1\n"));
}

TEST_F(StepTest, MasksProcAndSys) {
  const Ran ran =
      sh("cat /proc/kcore /proc/keys /proc/timer_list /proc/interrupts | wc -c; ls /proc/acpi /sys/firmware "
         "2>/dev/null | grep -v : | wc -w;"
         "for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/irq/default_smp_affinity "
         "/sys/kernel/uevent_helper; do"
         "  (echo x > $f) 2>&1 | grep -c -e Read-only -e denied -e nonexistent; done; mkdir /sys/x 2>&1; mkdir "
         "/proc/bus/x 2>&1");
  EXPECT_THAT(ran.out, StartsWith("0\n0\n1\n1\n1\n1\n")) << ran.out << ran.err;
  EXPECT_THAT(ran.out, HasSubstr("'/sys/x': Read-only file system"));
}

TEST_F(StepTest, HasMinimalDev) {
  const Ran ran =
      sh("ls /dev; stat -f -c %T /dev/shm; dd if=/dev/zero of=/dev/shm/x bs=1M count=80 2>/dev/null; stat -c %s "
         "/dev/shm/x;"
         "head -c 4 /dev/urandom | wc -c; echo x > /dev/full; echo gone > /dev/null; mknod /dev/sda b 8 0");
  EXPECT_THAT(
      ran.out,
      StartsWith("core\nfd\nfull\nmqueue\nnull\nptmx\npts\nrandom\nshm\nstderr\nstdin\nstdout\ntty\nurandom\nzero\n"));
  EXPECT_THAT(ran.out, HasSubstr("tmpfs\n67108864\n4\n"));
  EXPECT_THAT(ran.err, AllOf(HasSubstr("No space left"), HasSubstr("mknod: /dev/sda: Operation not permitted")));
}

TEST_F(StepTest, CannotTouchPidOneOrMounts) {
  const Ran ran =
      sh("probe trace 1; umount /proc/sys; umount /etc/hosts; mount -t tmpfs x /tmp; mount -o remount,rw /sys; echo x "
         "> /etc/hosts; kill -9 1; echo alive");
  EXPECT_EQ(ran.out, "1 13 13 13 13 13\nalive\n");
  EXPECT_THAT(ran.err, AllOf(HasSubstr("/proc/sys"), HasSubstr("/etc/hosts")));
}

#ifdef __x86_64__
TEST_F(StepTest, FilterIsInForce) {
  const Ran ran = sh(
      // unshare(NEWUSER) mount setns bpf clone3 personality(ADDR_NO_RANDOMIZE) keyctl socket(AF_ALG) socket(AF_INET)
      // futex_waitv+100
      "probe syscall 272 0x10000000; probe syscall 165 0 0 0 0 0; probe syscall 308 0 0; probe syscall 321 0 0 0;"
      "probe syscall 435 0 0; probe syscall 135 0x40000; probe syscall 250 0 0; probe syscall 41 38 5 0;"
      "probe syscall 41 2 1 0; probe syscall 600; probe syscall 161 0");
  EXPECT_EQ(ran.out, "1\n1\n1\n1\n38\n1\n1\n1\n0\n38\n14\n");
}
#endif

TEST_F(StepTest, TrueLeavesNoTrace) {
  Spec wanted = spec({base()});
  wanted.argv = {"true"};
  EXPECT_THAT(tree(run(wanted).upper), IsEmpty());

  // A dangling /etc/resolv.conf, as images of distributions have it: covered, not followed, and still there afterwards.
  const std::string linked = snapshot("linked");
  ASSERT_TRUE(sys::make_directories(linked + "/etc", 0755));
  std::filesystem::create_symlink("../run/systemd/resolve/stub-resolv.conf", linked + "/etc/resolv.conf");
  std::filesystem::create_symlink("../../../../etc/passwd", linked + "/etc/hosts");
  wanted = spec({linked, base()});
  wanted.argv = {"cat", "/etc/hosts"};
  const Ran ran = run(wanted);
  EXPECT_THAT(ran.out, HasSubstr("localhost buildkitsandbox"));
  EXPECT_THAT(tree(ran.upper), IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(linked + "/run"));
}

TEST_F(StepTest, ScratchWithOneStaticProgramRuns) {
  Spec first = spec({});
  std::filesystem::copy_file(SLIPWAY_TEST_PROBE, first.upper + "/probe");
  first.argv = {"/probe", "fds"};
  const Ran ran = run(first);
  ASSERT_TRUE(ran.status) << ran.status.error().message();
  EXPECT_EQ(ran.out, "0 1 2 \n");
  EXPECT_THAT(tree(ran.upper), ElementsAre("probe"));
}

TEST_F(StepTest, WritesLandInUpperWithContainerIds) {
  const std::string lower = snapshot("tree");
  ASSERT_TRUE(sys::make_directories(lower + "/gone", 0755));
  ASSERT_TRUE(sys::make_directories(lower + "/replaced/old", 0755));
  std::ofstream(lower + "/gone/file") << "x";
  Spec wanted = spec({lower, base()});
  wanted.argv = {"sh", "-c",
                 "echo new > /new; chown 5:6 /new; chmod 4755 /new; rm -r /gone /replaced; mkdir /replaced; echo x > "
                 "/replaced/in"};
  const Ran ran = run(wanted);
  ASSERT_TRUE(ran.status && ran.status->ok()) << ran.err;
  EXPECT_THAT(tree(ran.upper), ElementsAre("gone", "new", "replaced/", "replaced/in"));
  struct stat info{};
  ASSERT_EQ(lstat((ran.upper + "/new").c_str(), &info), 0);
  EXPECT_EQ(info.st_uid, 5U);
  EXPECT_EQ(info.st_gid, 6U);
  EXPECT_EQ(info.st_mode & 07777, 04755U);
  ASSERT_EQ(lstat((ran.upper + "/gone").c_str(), &info), 0);
  EXPECT_TRUE(S_ISCHR(info.st_mode) && info.st_rdev == makedev(0, 0));  // a whiteout
  const auto directory = *sys::open(ran.upper + "/replaced", O_RDONLY);
  EXPECT_EQ(*sys::get_xattr(directory.get(), "user.overlay.opaque", "replaced"), "y");
  EXPECT_TRUE(std::filesystem::exists(lower + "/gone/file"));
}

TEST_F(StepTest, RefusesImagesWhereProcSysOrDevAreNoDirectories) {
  for (const char* name : {"proc", "sys", "dev"}) {
    const std::string link = snapshot(std::string("link-") + name);
    std::filesystem::create_directory_symlink("/tmp", link + "/" + name);
    Spec wanted = spec({link, base()});
    wanted.argv = {"true"};
    Ran ran = run(wanted);
    ASSERT_FALSE(ran.status) << name;
    EXPECT_THAT(ran.status.error().what(), HasSubstr(std::string("/") + name + " of the image is a symlink or a file"));
    EXPECT_THAT(tree(ran.upper), IsEmpty());

    const std::string file = snapshot(std::string("file-") + name);
    std::ofstream(file + "/" + name) << "x";
    wanted = spec({file, base()});
    wanted.argv = {"true"};
    EXPECT_FALSE(run(wanted).status) << name;
  }
}

TEST_F(StepTest, WorkingDirectoryStaysInside) {
  const auto at = [&](const std::string& directory) {
    Spec wanted = spec({base()});
    wanted.working_directory = directory;
    wanted.argv = {"ls"};
    return run(wanted);
  };
  EXPECT_EQ(at("/bin/../../../../tmp/..").status->exit_code, 0);
  for (const auto* bad :
       {"/proc/self/fd/3", "/proc/self/fd/7", "/proc/1/cwd", "/proc/self/cwd", "/nowhere", "/bin/sh"}) {
    const Ran ran = at(bad);
    ASSERT_FALSE(ran.status) << bad;
    EXPECT_THAT(ran.status.error().what(), HasSubstr("as the working directory")) << bad;
  }
}

TEST_F(StepTest, TellsWhyACommandDoesNotStart) {
  const auto attempt = [&](std::vector<std::string> argv) {
    Spec wanted = spec({base()});
    wanted.argv = std::move(argv);
    return run(wanted);
  };
  Ran ran = attempt({"nope"});
  EXPECT_EQ(ran.status->exit_code, 127);
  EXPECT_EQ(ran.err, "exec: \"nope\": executable file not found in $PATH\n");
  ran = attempt({"/bin/nope"});
  EXPECT_EQ(ran.status->exit_code, 127);
  EXPECT_EQ(ran.err, "exec: \"/bin/nope\": stat /bin/nope: no such file or directory\n");
  ran = attempt({"/tmp"});
  EXPECT_EQ(ran.status->exit_code, 126);
  EXPECT_EQ(ran.err, "exec: \"/tmp\": is a directory\n");
  std::ofstream(base() + "/tmp/plain") << "text";
  ran = attempt({"/tmp/plain"});
  EXPECT_EQ(ran.status->exit_code, 126);
  EXPECT_EQ(ran.err, "exec: \"/tmp/plain\": permission denied\n");
  chmod((base() + "/tmp/plain").c_str(), 0755);
  ran = attempt({"/tmp/plain"});
  EXPECT_EQ(ran.status->exit_code, 126);
  EXPECT_EQ(ran.err, "exec /tmp/plain: exec format error\n");
}

TEST_F(StepTest, SetsUlimitsAndNamesAnUnknownOne) {
  Spec wanted = spec({base()});
  wanted.ulimits = {{"nofile", 64, 128}, {"core", 0, 0}, {"stack", -1, -1}};
  wanted.argv = {"sh", "-c", "ulimit -n; ulimit -H -n; ulimit -c; ulimit -s"};
  const Ran ran = run(wanted);
  ASSERT_TRUE(ran.status) << ran.status.error().message();
  EXPECT_EQ(ran.out, "64\n128\n0\nunlimited\n");
  wanted = spec({base()});
  wanted.argv = {"true"};
  wanted.ulimits = {{"nofiles", 1, 1}};
  EXPECT_THAT(run(wanted).status.error().what(), HasSubstr("unknown ulimit \"nofiles\""));
}

TEST_F(StepTest, MountsWhatTheSpecNamesAndLeavesNoStub) {
  const std::string tree_dir = snapshot("context");
  ASSERT_TRUE(sys::make_directories(tree_dir + "/sub/deep", 0755));
  std::ofstream(tree_dir + "/sub/file") << "from context";
  const std::string cache = root_ + "/work/cache";
  ASSERT_TRUE(sys::make_directories(cache, 0755));
  const std::string app = snapshot("app");  // an opaque directory, as an earlier step leaves it, with a fixed time
  ASSERT_TRUE(sys::make_directories(app + "/app", 0755));
  const auto opened = *sys::open(app + "/app", O_RDONLY);
  ASSERT_TRUE(sys::set_xattr(opened.get(), "user.overlay.opaque", "y", "app"));
  const timespec old[2] = {{1000000000, 5}, {1000000000, 5}};
  ASSERT_EQ(futimens(opened.get(), old), 0);

  Spec wanted = spec({app, base()});
  wanted.trees = {{{tree_dir}, "/sub", "/mnt/context", false},
                  {{tree_dir, base()}, "/", "/mnt/scribble", true},
                  {{tree_dir}, "/sub/file", "/app/single", false}};
  wanted.tmpfs = {{"/mnt/memory", 1 << 20}};
  wanted.directories = {{cache, "/app/deep/cache", false}};
  wanted.files = {{"secret", "/run/secrets/token", 0440, 7, 8}};
  wanted.argv = {"sh", "-c",
                 "cat /mnt/context/file; echo; (echo x > /mnt/context/file) 2>/dev/null || echo ro; echo y > "
                 "/mnt/scribble/sub/file;"
                 "cat /mnt/scribble/sub/file /app/single; echo; echo z > /mnt/memory/z; echo kept > /app/deep/cache/k;"
                 "cat /run/secrets/token; echo; stat -c '%a %u %g' /run/secrets/token"};
  const Ran ran = run(wanted);
  ASSERT_TRUE(ran.status) << ran.status.error().message();
  EXPECT_EQ(ran.out, "from context\nro\ny\nfrom context\nsecret\n440 7 8\n") << ran.err;
  EXPECT_THAT(tree(ran.upper), ElementsAre("app/"));  // copied up, and as it was
  struct stat info{};
  ASSERT_EQ(stat((ran.upper + "/app").c_str(), &info), 0);
  EXPECT_EQ(info.st_mtim.tv_sec, 1000000000);
  EXPECT_EQ(info.st_mtim.tv_nsec, 5);
  EXPECT_EQ(*sys::read_file(cache + "/k", 100), "kept\n");
  EXPECT_EQ(*sys::read_file(tree_dir + "/sub/file", 100), "from context");
  EXPECT_THAT(tree(std::filesystem::path(ran.upper).parent_path()), Not(testing::Contains(StartsWith("scratch"))));
}

TEST_F(StepTest, StubsThatTheStepFilledStay) {
  Spec wanted = spec({base()});
  wanted.tmpfs = {{"/a/b", 0}};
  wanted.argv = {"sh", "-c", "echo x > /a/file"};
  EXPECT_THAT(tree(run(wanted).upper), ElementsAre("a/", "a/file"));
}

TEST_F(StepTest, HostileMountTargets) {
  const std::string hostile = snapshot("hostile");
  std::filesystem::create_directory_symlink("../../../../../../tmp", hostile + "/up");
  std::filesystem::create_symlink("/dangling/place", hostile + "/dangling");
  const auto attempt = [&](const std::string& target) {
    Spec wanted = spec({hostile, base()});
    wanted.tmpfs = {{target, 0}};
    wanted.argv = {"true"};
    return run(wanted);
  };
  Ran ran = attempt("/up/inside");  // resolves inside: the image's own /tmp
  ASSERT_TRUE(ran.status) << ran.status.error().message();
  EXPECT_FALSE(std::filesystem::exists("/tmp/inside"));
  for (const auto* bad : {"/", "/..", "relative", "/proc/1", "/proc/self/fd", "/sys/kernel", "/dangling", "/bin/sh/x"})
    EXPECT_FALSE(attempt(bad).status) << bad;
  EXPECT_TRUE(attempt("/../../etc/x").status);  // cleaned: /etc/x
  Spec wanted = spec({hostile, base()});
  wanted.trees = {{{hostile}, "/up", "/mnt", false}};  // a source that would leave the tree is resolved inside it
  wanted.argv = {"ls", "/mnt"};
  EXPECT_FALSE(run(wanted).status);
}

TEST_F(StepTest, ExtraHostsAreLinesAndNothingElse) {
  Spec wanted = spec({base()});
  wanted.extra_hosts = {{"db", "10.0.0.5"}, {"six", "fd00::1"}};
  wanted.argv = {"cat", "/etc/hosts"};
  EXPECT_THAT(run(wanted).out, HasSubstr("10.0.0.5\tdb\nfd00::1\tsix\n"));
  wanted = spec({base()});
  wanted.argv = {"true"};
  wanted.extra_hosts = {{"a\n6.6.6.6 evil", "10.0.0.5"}};
  EXPECT_FALSE(run(wanted).status);
}

TEST_F(StepTest, BackgroundProcessesDieWithTheStep) {
  const Ran ran = sh("probe hold; probe hold; sleep 1000 & echo $(readlink /proc/self/ns/pid)");
  EXPECT_TRUE(ran.status->ok());
  const std::string space(trim(ran.out));
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::error_code ignored;
    EXPECT_NE(std::filesystem::read_symlink(entry.path() / "ns/pid", ignored).string(), space) << entry.path();
  }
}

TEST_F(StepTest, CancelEndsEverythingSoon) {
  CancelSource source;
  Spec wanted = spec({base()});
  wanted.argv = {"sh", "-c", "probe hold; echo up; sleep 1000"};
  const std::int64_t before = monotonic_ms();
  const auto status = box_->run(wanted, [&](int, std::string_view) { source.fire("interrupted"); }, source.cancel());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code(), Code::kCancelled);
  EXPECT_LT(monotonic_ms() - before, 500'000);  // it ends at all; how soon is bench's to say
}

TEST_F(StepTest, KilledBuilderLeavesNoProcess) {
  Spec wanted = spec({base()});
  wanted.argv = {"sh", "-c", "probe hold; echo up; sleep 1000"};
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t builder = fork();
  if (builder == 0) {
    (void)box_->run(wanted, [&](int, std::string_view) { (void)!write(ends[1], "u", 1); }, {});
    _exit(0);
  }
  close(ends[1]);
  char byte = 0;
  ASSERT_EQ(read(ends[0], &byte, 1), 1);
  // All that stand in another pid namespace below the builder: found by parentage, held by pidfd.
  std::vector<sys::Fd> held;
  const std::string ours = link_of("/proc/self/ns/pid");
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream status(entry.path() / "cmdline");
    std::string command((std::istreambuf_iterator<char>(status)), {});
    if (command.find("probe") == std::string::npos && command.find("sleep\0"
                                                                   "1000") == std::string::npos)
      continue;
    std::error_code ignored;
    const auto space = std::filesystem::read_symlink(entry.path() / "ns/pid", ignored).string();
    if (space.empty() || space == ours) continue;
    held.emplace_back(static_cast<int>(syscall(SYS_pidfd_open, std::stoi(entry.path().filename()), 0)));
  }
  ASSERT_GE(held.size(), 1U);
  ASSERT_EQ(kill(builder, SIGKILL), 0);
  ASSERT_EQ(waitpid(builder, nullptr, 0), builder);
  for (const auto& process : held) {
    pollfd entry{process.get(), POLLIN, 0};
    EXPECT_EQ(poll(&entry, 1, 30'000), 1) << "a process outlived the builder";
  }
  close(ends[0]);
}

TEST_F(StepTest, ThreeHundredLayers) {
  std::vector<std::string> lowers;
  for (int i = 0; i < 300; ++i) {
    lowers.insert(lowers.begin(), snapshot(std::string(60, 'a') + std::to_string(i)));
    std::ofstream(lowers.front() + "/f" + std::to_string(i)) << i;
  }
  lowers.push_back(base());
  Spec wanted = spec(lowers);
  wanted.argv = {"sh", "-c", "ls / | grep -c ^f; cat /f0 /f299"};
  EXPECT_EQ(run(wanted).out, "300\n0299");
  lowers.resize(500, base());
  wanted = spec(lowers);
  wanted.argv = {"true"};
  EXPECT_THAT(run(wanted).status.error().what(), HasSubstr("500 layers"));
}

/// What kernels before 6.5 get: all options of the overlay in one page.
TEST_F(StepTest, OneCallOverlayTakesFourHundredLayers) {
  const sys::Fd program = *make_program();
  Orders space;
  space.job = init::Job::kUserNamespace;
  space.uid_map = space.gid_map = {{0, 0x70000000, 65536}};
  const auto made = ask_init(program.get(), space, {}, 30'000);
  ASSERT_TRUE(made) << made.error().message();
  const Spec draft = spec({});
  Orders orders;
  orders.job = init::Job::kProbe;
  orders.one_call_overlay = true;
  orders.hostname = "probe";
  orders.shm_bytes = 4096;
  orders.bases = {{root_ + "/snapshots", true}, {draft.upper.substr(0, draft.upper.rfind('/')), true}};
  for (int i = 0; i < 400; ++i) {
    const std::string name = std::string(60, 'b') + std::to_string(i);
    (void)snapshot(name);
    orders.lowers.push_back({0, name + "/fs"});
  }
  orders.upper = {1, "fs"};
  orders.work = {1, "work"};
  const auto done = ask_init(program.get(), orders, {.user_namespace = made->descriptor.get()}, 30'000);
  ASSERT_TRUE(done) << done.error().message();
  EXPECT_THAT(tree(draft.upper), ElementsAre("probe/"));  // and the stubs of /dev, /proc and /sys are gone
}

TEST_F(StepTest, FloodOfOutputArrivesWhole) {
  Spec wanted = spec({base()});
  wanted.argv = {"sh", "-c", "yes 0123456789abcde | head -c 20000000; yes e | head -c 1000000 >&2"};
  const Ran ran = run(wanted);
  EXPECT_EQ(ran.out.size(), 20'000'000U);
  EXPECT_EQ(ran.err.size(), 1'000'000U);
}

TEST_F(StepTest, RunsInParallel) {
  (void)base();
  std::vector<Spec> specs;
  for (int i = 0; i < 16; ++i) {
    specs.push_back(spec({base()}));
    specs.back().argv = {"sh", "-c", "echo " + std::to_string(i) + " > /mine; cat /mine; ls /"};
  }
  std::vector<Ran> ran(specs.size());
  {
    std::vector<std::jthread> threads;
    for (std::size_t i = 0; i < specs.size(); ++i) threads.emplace_back([&, i] { ran[i] = run(specs[i]); });
  }
  for (std::size_t i = 0; i < ran.size(); ++i)
    EXPECT_EQ(ran[i].out, std::to_string(i) + "\nbin\ndev\netc\nmine\nproc\nsys\ntmp\n");
}

TEST_F(StepTest, ProbesTellEveryAbility) {
  std::vector<std::string> names;
  for (const auto& probe : probe_machine({root_, ""})) {
    names.push_back(probe.name);
    EXPECT_NE(probe.detail, "") << probe.name;
    EXPECT_EQ(probe.knob.empty(), probe.ok) << probe.name << ": " << probe.detail;
  }
  EXPECT_THAT(names, testing::IsSupersetOf({"user namespaces", "id ranges", "overlay in a user namespace", "pids limit",
                                            "network helper", "/dev/net/tun"}));
}

TEST_F(StepTest, RefusesAnUnknownRung) {
  const auto box = Sandbox::make({root_, "chroot"});
  ASSERT_FALSE(box);
  EXPECT_EQ(box.error().code(), Code::kInvalidArgument);
}

TEST_F(StepTest, LeavesNothingInTheStore) {
  (void)sh("true");
  box_.reset();
  EXPECT_THAT(tree(root_ + "/work"), Each(StartsWith("lease/")));
}

}  // namespace
}  // namespace slipway::sandbox
