// What a step may be allowed and lent: --security=insecure, sockets, nodes and files of the machine, a time limit, an
// address of this machine; and that the outer wall stands all the same. Needs root.
#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/text.hpp"
#include "base/time.hpp"
#include "sandbox/sandbox.hpp"
#include "sandbox/step_fixture.hpp"

namespace slipway::sandbox {
namespace {

using ::testing::AllOf;
using ::testing::Each;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

std::string link_of(const std::string& path) { return std::filesystem::read_symlink(path).string(); }

/// Lines of `text` that start with `key`.
std::string line_of(const std::string& text, std::string_view key) {
  for (const auto line : split(text, '\n'))
    if (line.starts_with(key)) return std::string(line);
  return {};
}

TEST_F(StepTest, InsecureIsEveryCapabilityOfTheUserNamespaceAndNoMore) {
  Spec wanted = spec({base()});
  wanted.security = Security::kInsecure;
  wanted.argv = {
      "sh", "-c",
      "cat /proc/self/status; mount -t tmpfs x /tmp && echo mounted; mkdir /tmp/d && mount --bind /bin /tmp/d "
      "&& ls /tmp/d/sh; umount /proc/acpi 2>/dev/null; cat /proc/mounts; mknod /tmp/null c 1 3 || echo no "
      "devices; cat /proc/kcore >/dev/null || echo no memory; echo x >/proc/sysrq-trigger || echo no sysrq"};
  const Ran ran = run(wanted);
  ASSERT_TRUE(ran.status) << ran.status.error().message();
  EXPECT_THAT(line_of(ran.out, "CapEff"), ::testing::ContainsRegex("000001f+$"));
  EXPECT_EQ(line_of(ran.out, "CapBnd").substr(7), line_of(ran.out, "CapEff").substr(7));
  EXPECT_EQ(line_of(ran.out, "CapAmb").substr(7), line_of(ran.out, "CapEff").substr(7));
  for (const auto* text : {"mounted\n", "/tmp/d/sh\n", "no devices\n", "no memory\n", "no sysrq\n"})
    EXPECT_THAT(ran.out, HasSubstr(text)) << ran.err;
  EXPECT_THAT(ran.out, Not(HasSubstr(" /proc/")));  // nothing lies upon it
  EXPECT_THAT(sh("cat /proc/mounts").out, HasSubstr(" /proc/sys proc ro,"));
  EXPECT_THAT(tree(ran.upper), Each(Not(HasSubstr("proc"))));

  Spec user = spec({base()});
  user.security = Security::kInsecure;
  user.uid = 1000;
  user.argv = {"sh", "-c", "grep CapEff /proc/self/status; mount -t tmpfs x /tmp && echo mounted"};
  const Ran other = run(user);
  EXPECT_THAT(other.out, AllOf(::testing::ContainsRegex("000001f+"), HasSubstr("mounted"))) << other.err;
}

TEST_F(StepTest, TheOuterWallStandsInsecureOrNot) {
  const std::string tree = snapshot("seen");
  ASSERT_TRUE(sys::make_directories(tree + "/d", 0755));
  const std::string script =
      "touch /seen/x; mount -o remount,bind,rw /seen; mount -o remount,rw /seen; touch /seen/y; ls /seen; "
      "probe syscall " +
      std::to_string(SYS_keyctl) + " 0 -4 0; probe syscall " + std::to_string(SYS_add_key) +
      " 0 0 0 0 0; probe syscall " + std::to_string(SYS_init_module) +
      " 0 0 0; readlink /proc/self/ns/user; "
      "readlink /proc/1/ns/user; probe trace 1";
  for (const auto security : {Security::kSandbox, Security::kInsecure}) {
    Spec wanted = spec({base()});
    wanted.security = security;
    wanted.trees.push_back({.lowers = {tree}, .source = "/", .target = "/seen"});
    wanted.argv = {"sh", "-c", script};
    const Ran ran = run(wanted);
    ASSERT_TRUE(ran.status) << ran.status.error().message();
    const auto lines = split(ran.out, '\n');
    ASSERT_GE(lines.size(), 5U) << ran.out << ran.err;
    EXPECT_EQ(lines[0], "d");
    EXPECT_EQ(lines[1], "1");  // EPERM
    EXPECT_EQ(lines[2], "1");
    EXPECT_THAT(std::string(lines[3]), ::testing::AnyOf("1", "38"));  // ENOSYS: a kernel without modules
    EXPECT_NE(lines[4], link_of("/proc/self/ns/user"));
    // pid 1 was executed outside of the user namespace: no capability of a step reaches it.
    EXPECT_THAT(ran.out, HasSubstr("\n1 13 13 13 13 13\n"));
  }
  EXPECT_FALSE(std::filesystem::exists(tree + "/x") || std::filesystem::exists(tree + "/y"));
}

TEST_F(StepTest, ASocketIsInTheStepAloneAndLeavesNothing) {
  std::string heard;
  std::thread server;
  Spec wanted = spec({base()});
  wanted.sockets.push_back({.target = "/run/a/agent", .mode = 0640, .uid = 3, .gid = 4, .serve = [&](sys::Fd listener) {
                              server = std::thread([&heard, listener = std::move(listener)] {
                                const sys::Fd client(accept(listener.get(), nullptr, nullptr));
                                char text[16];
                                const ssize_t got = read(client.get(), text, sizeof text);
                                heard.assign(text, got > 0 ? static_cast<std::size_t>(got) : 0);
                                (void)!write(client.get(), "hello", 5);
                              });
                            }});
  wanted.argv = {"sh", "-c", "stat -c '%a %u:%g %F' /run/a/agent; probe say /run/a/agent question"};
  const Ran ran = run(wanted);
  ASSERT_TRUE(server.joinable());
  server.join();
  ASSERT_TRUE(ran.status) << ran.status.error().message();
  EXPECT_EQ(ran.out, "640 3:4 socket\nhello\n") << ran.err;
  EXPECT_EQ(heard, "question");
  EXPECT_THAT(tree(ran.upper), IsEmpty());
}

TEST_F(StepTest, NodesAndFilesOfTheMachine) {
  const std::string own = root_ + "/own";
  std::ofstream(own) << "of the machine";
  ASSERT_TRUE(sys::make_directories(root_ + "/open/d", 0755));
  Spec wanted = spec({base()});
  wanted.host_mounts = {{.path = "/dev/zero", .target = "/dev/mine", .device = true},
                        {.path = own, .target = "/opt/own", .read_only = true},
                        {.path = root_ + "/open", .target = "/opt/dir"}};
  wanted.security = Security::kInsecure;  // what is read-only stays so even then
  wanted.argv = {"sh", "-c",
                 "head -c 3 /dev/mine | wc -c; cat /opt/own; mount -o remount,bind,rw /opt/own; echo x >/opt/own; "
                 "ls -d /opt/dir/d"};
  const Ran ran = run(wanted);
  ASSERT_TRUE(ran.status) << ran.status.error().message();
  EXPECT_EQ(ran.out, "3\nof the machine/opt/dir/d\n") << ran.err;
  EXPECT_THAT(ran.err, HasSubstr("Read-only"));
  EXPECT_THAT(tree(ran.upper), IsEmpty());
  wanted.host_mounts = {{.path = "/dev/not-there", .target = "/dev/x", .device = true}};
  wanted.upper = spec({base()}).upper;
  wanted.work = wanted.upper.substr(0, wanted.upper.rfind('/')) + "/work";
  EXPECT_THAT(run(wanted).status.error().message(), HasSubstr("/dev/not-there"));
}

TEST_F(StepTest, ATimeoutKillsWhatIgnoresSignals) {
  Spec wanted = spec({base()});
  wanted.timeout_ms = 300;
  wanted.argv = {"sh", "-c", "echo started; probe hold; sleep 1000"};
  const std::int64_t before = monotonic_ms();
  const Ran ran = run(wanted);
  ASSERT_FALSE(ran.status);
  EXPECT_EQ(ran.status.error().code(), Code::kDeadlineExceeded);
  EXPECT_GE(monotonic_ms() - before, 300);
  EXPECT_EQ(ran.out, "started\n");
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    std::ifstream in(entry.path() / "cmdline");
    std::string line((std::istreambuf_iterator<char>(in)), {});
    EXPECT_THAT(line, Not(HasSubstr(std::string("probe\0hold", 10)))) << entry.path();
  }
  Spec quick = spec({base()});
  quick.timeout_ms = 600'000;
  quick.argv = {"true"};
  EXPECT_TRUE(run(quick).status->ok());
}

TEST_F(StepTest, HostGatewayIsAnAddressOrAClearError) {
  Spec wanted = spec({base()});
  wanted.extra_hosts = {{"me", std::string(kHostGateway)}};
  wanted.argv = {"grep", "me", "/etc/hosts"};
  EXPECT_EQ(run(wanted).out, "");  // without a network the name means nothing
  Spec open = spec({base()});
  open.network = NetworkMode::kDefault;
  open.extra_hosts = wanted.extra_hosts;
  open.argv = wanted.argv;
  const Ran refused = run(open);  // this sandbox was not made to reach the machine
  ASSERT_FALSE(refused.status);
  EXPECT_THAT(refused.status.error().what(), HasSubstr("host-gateway has no address in this step: "));
  Spec host = spec({base()});
  host.network = NetworkMode::kHost;
  host.extra_hosts = wanted.extra_hosts;
  host.argv = wanted.argv;
  EXPECT_EQ(run(host).out, "127.0.0.1\tme\n");
}

}  // namespace
}  // namespace slipway::sandbox
