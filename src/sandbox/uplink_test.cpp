// Steps with a network, on a machine made of two namespaces: "machine" (where the builder runs, with a default route)
// and "outside". No packet leaves this test: both are threads' own network namespaces.
#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>
#include <latch>
#include <thread>

#include "base/text.hpp"
#include "base/time.hpp"
#include "sandbox/step_fixture.hpp"
#include "sys/child.hpp"

namespace slipway::sandbox {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;

/// Says `greeting` to everyone who connects to `port` in the network namespace of the thread that made it.
class Server {
 public:
  Server(int port, std::string greeting) : greeting_(std::move(greeting)) {
    listener_ = sys::Fd(socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 any{};
    any.sin6_family = AF_INET6;  // and IPv4, mapped
    any.sin6_port = htons(static_cast<std::uint16_t>(port));
    EXPECT_EQ(bind(listener_.get(), reinterpret_cast<sockaddr*>(&any), sizeof any), 0);
    EXPECT_EQ(listen(listener_.get(), 64), 0);
    thread_ = std::jthread([this] {
      while (true) {
        const sys::Fd peer(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
        if (!peer) return;
        (void)sys::write_all(peer.get(), greeting_);
      }
    });
  }
  ~Server() { shutdown(listener_.get(), SHUT_RDWR); }

 private:
  std::string greeting_;
  sys::Fd listener_;
  std::jthread thread_;
};

class UplinkTest : public StepTest {
 protected:
  void SetUp() override {
    if (access("/dev/net/tun", R_OK | W_OK) < 0) GTEST_SKIP() << "needs /dev/net/tun";
    if (access("/usr/bin/pasta", X_OK) < 0) GTEST_SKIP() << "needs pasta (package passt)";
    if (access("/sbin/ip", X_OK) < 0) GTEST_SKIP() << "needs ip (package iproute2)";
    StepTest::SetUp();
    box_.reset();  // made again where the simulated machine is
  }

  static void ip(const std::string& words) {
    sys::ChildOptions options;
    options.argv = {"/sbin/ip"};
    for (const auto word : split(words, ' ')) options.argv.emplace_back(word);
    const auto done = sys::run(options, {}, {}, 30'000);
    ASSERT_TRUE(done && done->status.ok()) << words << ": " << (done ? done->err : done.error().message());
  }

  /// Runs `body` in a thread on the simulated machine: 10.77.0.2 and fd77::2 with default routes to "outside", and
  /// 10.78.0.1, one more address of its own. `with_route` false: a machine without an uplink.
  void on_machine(bool with_route, const std::function<void()>& body) {
    std::latch linked(1), done(1);
    std::string outside;
    std::latch made(1);
    std::jthread other([&] {
      ASSERT_EQ(unshare(CLONE_NEWNET), 0);
      outside = "/proc/" + std::to_string(getpid()) + "/task/" + std::to_string(syscall(SYS_gettid)) + "/ns/net";
      made.count_down();
      linked.wait();
      ip("link set lo up");
      for (const auto* address : {"10.99.0.1/32", "169.254.169.254/32"})
        ip(std::string("addr add ") + address + " dev lo");
      ip("addr add fd99::1/128 dev lo nodad");
      ip("addr add 10.77.0.1/24 dev v1");
      ip("addr add fd77::1/64 dev v1 nodad");
      ip("link set v1 up");
      const Server server(7777, "outside");
      ready_.count_down();
      done.wait();
    });
    std::jthread machine([&] {
      made.wait();
      ASSERT_EQ(unshare(CLONE_NEWNET), 0);
      ip("link add v0 type veth peer name v1 netns " + outside);
      ip("link set lo up");
      ip("addr add 10.77.0.2/24 dev v0");
      ip("addr add fd77::2/64 dev v0 nodad");
      ip("link set v0 up");
      ip("addr add 10.78.0.1/32 dev lo");
      if (with_route) ip("route add default via 10.77.0.1");
      if (with_route) ip("route add default via fd77::1");
      linked.count_down();
      ready_.wait();
      const Server server(7778, "machine");
      auto box = Sandbox::make({root_, ""});
      ASSERT_TRUE(box) << box.error().message();
      box_ = *std::move(box);
      body();
      box_.reset();
      done.count_down();
    });
  }

  Ran net(const std::string& script) {
    Spec wanted = spec({base()});
    wanted.network = NetworkMode::kDefault;
    wanted.argv = {"sh", "-c", script};
    Ran ran = run(wanted);
    EXPECT_TRUE(ran.status) << ran.status.error().message();
    return ran;
  }

  std::latch ready_{1};
};

TEST_F(UplinkTest, ReachesTheOutsideAndNothingOfTheMachine) {
  on_machine(true, [&] {
    box_->warm_network();
    const Ran ran = net(
        "for to in '10.99.0.1 7777' 'fd99::1 7777' '10.77.0.2 7778' '10.78.0.1 7778' '127.0.0.1 7778' '10.77.0.1 7778'"
        " '169.254.169.254 7777' 'fd77::2 7778' '::1 7778'; do echo \"$to $(probe connect $to)\"; done");
    EXPECT_EQ(box_->network_note(), "");
    const std::string& out = ran.out;
    EXPECT_THAT(out, HasSubstr("10.99.0.1 7777 0 outside\n"));
    EXPECT_THAT(out, HasSubstr("fd99::1 7777 0 outside\n"));
    EXPECT_THAT(out, HasSubstr("169.254.169.254 7777 113 \n"));  // EHOSTUNREACH: barred
    EXPECT_THAT(out, HasSubstr("10.78.0.1 7778 113 \n"));
    EXPECT_THAT(out, HasSubstr("127.0.0.1 7778 111 \n"));
    EXPECT_EQ(out.find("machine"), std::string::npos) << out;
  });
}

TEST_F(UplinkTest, AStepCannotChangeItsNamespace) {
  on_machine(true, [&] {
    const Ran ran = net("ip route del unreachable 169.254.0.0/16; ip link set lo down; ip link add x type dummy");
    EXPECT_THAT(ran.err, HasSubstr("Operation not permitted"));
  });
}

TEST_F(UplinkTest, StepsAtTheSameTimeHaveNamespacesOfTheirOwn) {
  on_machine(true, [&] {
    const std::string shared = root_ + "/work/lease/shared";
    ASSERT_TRUE(sys::make_directories(shared, 0755));
    ASSERT_EQ(mkfifo((shared + "/fifo").c_str(), 0600), 0);
    std::array<std::string, 2> names;
    // Each waits until the other has the other end open: neither can have the namespace of one that has ended.
    const std::array<const char*, 2> meets = {"cat /shared/fifo", "echo >/shared/fifo"};
    std::vector<Spec> specs{spec({base()}), spec({base()})};
    {
      std::vector<std::jthread> threads;
      for (std::size_t i = 0; i < 2; ++i) {
        specs[i].network = NetworkMode::kDefault;
        specs[i].directories = {{.directory = shared, .target = "/shared", .read_only = false}};
        specs[i].argv = {"sh", "-c", std::string("readlink /proc/self/ns/net; ") + meets[i]};
        threads.emplace_back([&, i] {
          const std::string out = run(specs[i]).out;
          names[i] = split(out, '\n')[0];
        });
      }
    }
    EXPECT_THAT(names[0], HasSubstr("net:["));
    EXPECT_NE(names[0], names[1]);
  });
}

TEST_F(UplinkTest, ANamespaceIsTakenAgainOnlyWithoutATrace) {
  on_machine(true, [&] {
    const std::string name = "readlink /proc/self/ns/net";
    const std::string first = net(name).out;
    EXPECT_EQ(net(name).out, first);
    // A connection inside: one end of it stays in TIME_WAIT. (Also a listener that is left behind ends with its step.)
    const Ran traced =
        net(name + "; echo hello | nc -l -p 7000 & until nc 127.0.0.1 7000 </dev/null >/dev/null; do :; done");
    EXPECT_EQ(traced.out.substr(0, first.size()), first);
    const std::string third = net(name).out;
    EXPECT_NE(third, first);
    EXPECT_EQ(net(name).out, third);
  });
}

TEST_F(UplinkTest, WithoutUplinkThereIsLoopbackAndOneLineSaysWhy) {
  on_machine(false, [&] {
    const Ran ran = net("ls /sys/class/net");
    EXPECT_EQ(ran.out, "lo\n");
    EXPECT_EQ(box_->network_note(), "no network in steps: this machine has no default route");
  });
}

/// Run by hand (--gtest_also_run_disabled_tests) to see what a step costs here.
TEST_F(UplinkTest, DISABLED_Speed) {
  on_machine(true, [&] {
    for (const auto mode : {NetworkMode::kNone, NetworkMode::kDefault}) {
      if (mode == NetworkMode::kDefault) box_->warm_network();
      std::vector<Spec> specs;
      for (int i = 0; i < 40; ++i) specs.push_back(spec({base()}));
      const std::int64_t before = monotonic_ms();
      for (auto& wanted : specs) {
        wanted.network = mode;
        wanted.argv = {"true"};
        EXPECT_TRUE(run(wanted).status);
      }
      std::printf("%s: 40 steps in %ld ms\n", mode == NetworkMode::kNone ? "no network" : "network",
                  static_cast<long>(monotonic_ms() - before));
    }
    const std::int64_t before = monotonic_ms();
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(Sandbox::make({root_, ""}));
    std::printf("make: %ld us\n", static_cast<long>(monotonic_ms() - before) * 50);
  });
}

TEST_F(UplinkTest, NoHelperOutlivesTheSandbox) {
  on_machine(true, [&] {
    (void)net("true");
    // Helpers of this test stand in this thread's network namespace, which nobody else has.
    const auto ours = std::filesystem::read_symlink("/proc/thread-self/ns/net");
    std::vector<sys::Fd> helpers;
    for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
      std::error_code ignored;
      const auto program = std::filesystem::read_symlink(entry.path() / "exe", ignored).filename().string();
      if (!program.starts_with("pasta") && !program.starts_with("passt")) continue;
      if (std::filesystem::read_symlink(entry.path() / "ns/net", ignored) != ours) continue;
      helpers.emplace_back(static_cast<int>(syscall(SYS_pidfd_open, std::stoi(entry.path().filename()), 0)));
    }
    ASSERT_FALSE(helpers.empty());
    box_.reset();
    for (const auto& helper : helpers) {
      pollfd entry{helper.get(), POLLIN, 0};
      EXPECT_EQ(poll(&entry, 1, 30'000), 1) << "a helper outlived the sandbox";
    }
  });
}

}  // namespace
}  // namespace slipway::sandbox
